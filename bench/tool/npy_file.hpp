// Reads numpy's .npy: a header in text, then the elements of one array. Sizes are checked against
// the bytes that are there before memory is taken, the header against all that it may not say.
// Errors are InputErrors that name the file. Thread-safe but for one stream.
//
// Format: numpy.lib.format, versions 1 to 3.
#pragma once

#include <cstdio>
#include <string>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

/// The first `limit` rows of a matrix of floating-point numbers or integers, in either order of
/// elements, little-endian. `file` stands at the array's first byte, and `available` bytes follow
/// at most. Floating-point numbers become floats by rounding, integers exactly or not at all.
FloatMatrix read_npy(std::FILE* file, std::size_t available, std::size_t limit,
                     const std::string& name);

}  // namespace concord::bench
