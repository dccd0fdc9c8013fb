#include "bench/tool/memory_probe.hpp"

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace concord::bench {
namespace {

// Highest mark seen before a reset; main thread only.
std::uint64_t g_peak_before_reset = 0;

std::uint64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string name;
  std::uint64_t kibibytes = 0;
  while (status >> name) {
    if (name == field && status >> kibibytes) return kibibytes * 1024;
    std::getline(status, name);
  }
  return 0;
}

double code_bytes(const IndexParams& params) {
  if (params.codes == Codes::none) return 0;
  const double bytes =
      params.codes == Codes::sq8 ? params.dimension + 12.0 : std::ceil(params.dimension / 2.0) + 8;
  return 16 * std::ceil(bytes / 16);
}

bool reset_high_water_mark() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return static_cast<bool>(file);
}

}  // namespace

std::uint64_t resident_bytes() { return status_bytes("VmRSS:"); }

MemoryProbe::MemoryProbe() {
  malloc_trim(0);
  g_peak_before_reset = peak_resident_bytes();
  reset_ = reset_high_water_mark();
  before_ = resident_bytes();
}

std::uint64_t MemoryProbe::peak() const { return std::max(status_bytes("VmHWM:"), before_); }

std::uint64_t peak_resident_bytes() {
  return std::max(g_peak_before_reset, status_bytes("VmHWM:"));
}

double hnswlib_overhead_bytes(std::uint32_t M) {
  const double upper_list = 4.0 * M + 4;
  const double upper_lists = 1.0 / (std::max(M, 2U) - 1);
  return (4.0 * 2 * M + 4) + 8 + 8 + 4 + upper_list * upper_lists;
}

std::uint64_t allowed_add_bytes(std::uint64_t rows, const IndexParams& params) {
  const double vector_bytes = 4.0 * params.dimension;
  const double elements = static_cast<double>(rows) *
                          (vector_bytes + code_bytes(params) + hnswlib_overhead_bytes(params.M));
  return static_cast<std::uint64_t>(1.15 * elements) + (std::uint64_t{64} << 20);
}

}  // namespace concord::bench
