// concord-bench's plain vector files. The first byte of an input chooses the format.
#include <array>

#include "bench/tool/vec_files.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  static const std::array<fuzz::InputPath, 7> paths{
      fuzz::InputPath(".fvecs"), fuzz::InputPath(".bvecs"), fuzz::InputPath(".fbin"),
      fuzz::InputPath(".u8bin"), fuzz::InputPath(".i8bin"), fuzz::InputPath(".ivecs"),
      fuzz::InputPath(".ibin")};
  if (size == 0) return 0;
  const auto& file = paths[data[0] % paths.size()].write(fuzz::as_chars(data + 1, size - 1));
  try {
    // A byte of a file becomes four bytes of floats.
    const std::size_t elements = bench::is_id_file(file) ? bench::read_ids(file).values.size()
                                                         : bench::read_vectors(file).values.size();
    if (elements > size) fuzz::fail("more elements than the file has bytes");
  } catch (const bench::InputError&) {
    return 0;
  }
  return 0;
}
