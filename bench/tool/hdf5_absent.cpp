// Stands in for hdf5_file.cpp in builds without HDF5.
#include "bench/tool/hdf5_file.hpp"

namespace concord::bench {

bool hdf5_supported() noexcept { return false; }

namespace {

[[noreturn]] void refuse(const std::filesystem::path& path) {
  throw InputError(path.string() +
                   ": this concord-bench was built without HDF5; build it with libhdf5-dev, or "
                   "convert the file elsewhere (concord-bench convert)");
}

}  // namespace

Hdf5Contents read_hdf5(const std::filesystem::path& path, Hdf5Wanted, std::size_t, std::size_t) {
  refuse(path);
}

std::vector<std::int64_t> read_hdf5_column(const std::filesystem::path& path, const std::string&,
                                           std::size_t) {
  refuse(path);
}

}  // namespace concord::bench
