// concord-bench's reader of HDF5 files; also finds defects of HDF5 itself.
#include "bench/tool/hdf5_file.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  static const fuzz::InputPath path(".hdf5");
  const auto& file = path.write(fuzz::as_chars(data, size));
  try {
    (void)bench::read_hdf5(file, {}, 1000, 1000);
  } catch (const bench::InputError&) {
    return 0;
  }
  return 0;
}
