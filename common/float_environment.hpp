// Rounding and denormals as the definition of the arithmetic has them, whatever the caller's
// threads are set to.
//
// A program that was linked with -ffast-math anywhere, or that asked for it, flushes denormals to
// zero or rounds otherwise in its threads; distances would then have other bits here than on a GPU.
// Thread-safety: concerns the constructing thread alone.
#pragma once

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
#else
  FloatEnvironment() {}
  ~FloatEnvironment() {}
#endif
};

}  // namespace concord::core
