// concord-bench's reader of numpy's .npy.
#include <cstdio>

#include "bench/tool/npy_file.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  if (size == 0) return 0;
  std::vector<std::uint8_t> bytes(data, data + size);
  std::FILE* const file = fmemopen(bytes.data(), bytes.size(), "rb");
  try {
    // A byte of a file becomes four bytes of floats.
    if (bench::read_npy(file, size, 1000, "npy").values.size() > size) {
      fuzz::fail("more elements than the file has bytes");
    }
  } catch (const bench::InputError&) {
  }
  std::fclose(file);
  return 0;
}
