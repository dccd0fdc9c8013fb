#include "cpu/isa.hpp"

#include <concord/error.hpp>
#include <cstdlib>
#include <string>

namespace concord::cpu {
namespace {

const DistanceKernels* const kByPreference[] = {&kAvx512Kernels, &kAvx2Kernels, &kScalarKernels};

}  // namespace

// __builtin_cpu_supports asks CPUID and, through XGETBV, whether the system saves the registers.
bool is_supported(const DistanceKernels& kernels) noexcept {
  if (&kernels == &kAvx512Kernels) {
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0;
  }
  if (&kernels == &kAvx2Kernels) {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  }
  return true;
}

const DistanceKernels& kernels_named(std::string_view isa) {
  for (const DistanceKernels* kernels : kByPreference) {
    if (isa != kernels->isa) continue;
    if (is_supported(*kernels)) return *kernels;
    throw Error(ErrorCode::unsupported,
                "CONCORD_ISA=" + std::string(isa) + ", but this machine does not support it");
  }
  throw Error(ErrorCode::invalid_parameter, "CONCORD_ISA=" + std::string(isa) +
                                                " is unknown; allowed are scalar, avx2 and avx512");
}

const DistanceKernels& choose_kernels() {
  if (const char* forced = std::getenv("CONCORD_ISA"); forced != nullptr && *forced != '\0') {
    return kernels_named(forced);
  }
  for (const DistanceKernels* kernels : kByPreference) {
    if (is_supported(*kernels)) return *kernels;
  }
  return kScalarKernels;
}

BoundBlock bounds_beside(const DistanceKernels& kernels) noexcept {
  const bool has_vnni = __builtin_cpu_supports("avx512vnni") != 0;
  return &kernels == &kAvx512Kernels && has_vnni ? vnni_bounds : nullptr;
}

const MetricKernels& for_metric(const DistanceKernels& kernels, Metric metric) noexcept {
  return metric == Metric::l2sq ? kernels.l2sq : kernels.inner_product;
}

}  // namespace concord::cpu
