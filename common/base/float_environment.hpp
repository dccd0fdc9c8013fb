// Sets rounding and denormals to those that the canonical arithmetic is defined for.
//
// A program that was linked with -ffast-math may flush denormals to zero or round differently in
// its threads. Distances would then have other bits than on a GPU.
// Thread-safety: affects only the thread that constructs it.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace concord::core {

/// Round to nearest, denormals kept, no exception trapped: for a scope.
class FloatEnvironment {
 public:
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;
#if defined(__x86_64__)
  FloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FloatEnvironment() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kDefault = 0x1F80;
  unsigned saved_;
#elif defined(__aarch64__)
  // Beside rounding (RMode) and denormals (FZ; FZ16 for halves; FIZ), zero in FPCR means: NaN as
  // IEEE 754 has it (DN, AH, NEP), IEEE 754 halves (AHP), and no trap. Flags of exceptions are in
  // another register. FPCR is written only if it changes, because some processors wait for it.
  FloatEnvironment() : saved_(control()) {
    if (saved_ != 0) set_control(0);
  }
  ~FloatEnvironment() {
    if (saved_ != 0) set_control(saved_);
  }

  [[nodiscard]] static std::uint64_t control() noexcept {
    std::uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value)::"memory");
    return value;
  }
  static void set_control(std::uint64_t value) noexcept {
    asm volatile("msr fpcr, %0" ::"r"(value) : "memory");
  }

 private:
  std::uint64_t saved_;
#else
#error "Concord does not know how this processor rounds: common/base/float_environment.hpp"
#endif
};

}  // namespace concord::core
