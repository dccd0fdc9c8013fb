// Reading files of FAISS.
#include <concord/interchange.hpp>

#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  static const fuzz::InputPath path(".index");
  const auto& file = path.write(fuzz::as_chars(data, size));
  fuzz::expect_refused_or_sound(
      [&] { return interchange::load_faiss(file, interchange::Adopt::graph, fuzz::on_cpu()); });
  return 0;
}
