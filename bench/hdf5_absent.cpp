// Stands in for hdf5_file.cpp in builds without HDF5.
#include "bench/hdf5_file.hpp"

namespace concord::bench {

bool hdf5_supported() noexcept { return false; }

Hdf5Contents read_hdf5(const std::filesystem::path& path, Hdf5Wanted, std::size_t, std::size_t) {
  throw InputError(path.string() +
                   ": this concord-bench was built without HDF5; use .fbin, .u8bin, .i8bin, "
                   ".fvecs or .bvecs (concord-bench convert), or build with libhdf5-dev");
}

}  // namespace concord::bench
