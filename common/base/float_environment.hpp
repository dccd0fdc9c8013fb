// Sets rounding and denormals to those that the canonical arithmetic is defined for.
//
// A program that was linked with -ffast-math may flush denormals to zero or round differently in
// its threads. Distances would then have other bits than on a GPU.
// Thread-safety: affects only the thread that constructs it.
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
