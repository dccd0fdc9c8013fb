#include "cpu/isa.hpp"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <concord/error.hpp>
#include <cstdlib>
#include <string>

namespace concord::cpu {
namespace {

#if defined(__x86_64__)
constexpr const DistanceKernels* kCompiled[] = {&kScalarKernels, &kAvx2Kernels, &kAvx512Kernels};
#elif defined(__aarch64__)
constexpr const DistanceKernels* kCompiled[] = {&kScalarKernels, &kNeonKernels,
                                                &kNeonDotprodKernels};
#endif

// Names that are known on every machine, those of other processors included.
constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512", "neon", "neon-dotprod"};

#if defined(__aarch64__)
// The kernel says it. NEON itself is in every 64-bit Arm processor that runs Linux.
bool has_dotprod() noexcept {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return false;
#endif
}
#endif

}  // namespace

std::span<const DistanceKernels* const> compiled_kernels() noexcept { return kCompiled; }

bool is_supported(const DistanceKernels& kernels) noexcept {
#if defined(__x86_64__)
  // __builtin_cpu_supports asks CPUID and, through XGETBV, whether the system saves the registers.
  if (&kernels == &kAvx512Kernels) {
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0;
  }
  if (&kernels == &kAvx2Kernels) {
    return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  }
#elif defined(__aarch64__)
  if (&kernels == &kNeonDotprodKernels) return has_dotprod();
#endif
  return true;
}

const DistanceKernels& kernels_named(std::string_view isa) {
  for (const DistanceKernels* kernels : kCompiled) {
    if (isa == kernels->isa && is_supported(*kernels)) return *kernels;
  }
  for (const std::string_view name : kNames) {
    if (isa != name) continue;
    throw Error(ErrorCode::unsupported,
                "CONCORD_ISA=" + std::string(isa) + ", but this machine does not support it");
  }
  throw Error(ErrorCode::invalid_parameter,
              "CONCORD_ISA=" + std::string(isa) +
                  " is unknown; allowed are scalar, avx2, avx512, neon and neon-dotprod");
}

const DistanceKernels& choose_kernels() {
  if (const char* forced = std::getenv("CONCORD_ISA"); forced != nullptr && *forced != '\0') {
    return kernels_named(forced);
  }
  const DistanceKernels* widest = &kScalarKernels;
  for (const DistanceKernels* kernels : kCompiled) {
    if (is_supported(*kernels)) widest = kernels;
  }
  return *widest;
}

BoundBlock bounds_beside(const DistanceKernels& kernels) noexcept {
#if defined(__x86_64__)
  const bool has_vnni = __builtin_cpu_supports("avx512vnni") != 0;
  if (&kernels == &kAvx512Kernels && has_vnni) return vnni_bounds;
#elif defined(__aarch64__)
  if (&kernels == &kNeonDotprodKernels) return neon_dotprod_bounds;
#endif
  return nullptr;
}

const MetricKernels& for_metric(const DistanceKernels& kernels, Metric metric) noexcept {
  return metric == Metric::l2sq ? kernels.l2sq : kernels.inner_product;
}

}  // namespace concord::cpu
