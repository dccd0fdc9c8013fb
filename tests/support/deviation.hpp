// The mean of a vector's elements and how they deviate from it, in doubles, for tests of codes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace concord::test {

struct Deviation {
  double mean = 0;
  double square = 0;  ///< sum of the squared deviations
  double most = 0;    ///< the largest magnitude of one

  Deviation(const float* x, std::size_t dimension) {
    for (std::size_t e = 0; e < dimension; ++e) mean += x[e];
    mean /= static_cast<double>(dimension);
    for (std::size_t e = 0; e < dimension; ++e) {
      square += (x[e] - mean) * (x[e] - mean);
      most = std::max(most, std::abs(x[e] - mean));
    }
  }
};

}  // namespace concord::test
