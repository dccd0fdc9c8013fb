// The register that says how the calling thread rounds and what it does with denormals.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include "common/base/float_environment.hpp"
#endif

namespace concord::test {

/// Sets it, for a scope, to what no arithmetic of Concord may see: denormals are flushed to zero,
/// as numbers and as results, and rounding is up. On Arm NaN and halves are others, too.
class OddFloatControl {
 public:
  OddFloatControl() : saved_(now()), odd_((saved_ | kOdd) & ~kFlags) { set(odd_); }
  ~OddFloatControl() { set(saved_); }
  OddFloatControl(const OddFloatControl&) = delete;
  OddFloatControl& operator=(const OddFloatControl&) = delete;
  /// True if it is as it was set here, apart from the exceptions that have happened.
  [[nodiscard]] bool is_in_place() const noexcept { return (now() & ~kFlags) == odd_; }

 private:
#if defined(__x86_64__)
  static constexpr std::uint64_t kOdd = 0x8040 | 0x4000;
  static constexpr std::uint64_t kFlags = 0x3F;
  static std::uint64_t now() noexcept { return _mm_getcsr(); }
  static void set(std::uint64_t value) noexcept { _mm_setcsr(static_cast<unsigned>(value)); }
#else
  // FZ16, RMode = up, FZ, DN, AHP
  static constexpr std::uint64_t kOdd = 1U << 19 | 1U << 22 | 1U << 24 | 1U << 25 | 1U << 26;
  static constexpr std::uint64_t kFlags = 0;  // in another register
  static std::uint64_t now() noexcept { return core::FloatEnvironment::control(); }
  static void set(std::uint64_t value) noexcept { core::FloatEnvironment::set_control(value); }
#endif
  std::uint64_t saved_;
  std::uint64_t odd_;
};

}  // namespace concord::test
