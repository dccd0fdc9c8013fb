// Refuses a compiler that was told to take liberties with floating-point arithmetic.
//
// Concord's targets undo such flags of a parent project (cmake/ConcordTargets.cmake). This stops a
// build in which flags come after those. With them NaN would be taken, and digests would change.
#pragma once

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error \
    "Concord cannot be compiled with -ffast-math, -Ofast or a part of them: remove the flag for its targets"
#endif
