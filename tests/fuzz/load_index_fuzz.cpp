// Loading index files. Inputs are in compact form (compact_index.hpp).
#include "tests/fuzz/compact_index.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  static const fuzz::InputPath path(".concord");
  const auto& file = path.write(fuzz::expand(fuzz::as_chars(data, size)));
  fuzz::expect_refused_or_sound([&] { return Index::load(file, fuzz::on_cpu()); });
  return 0;
}
