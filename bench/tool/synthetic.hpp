// Seeded synthetic vectors on which recall means something.
//
// A vector is A·z + noise: z is a point of a mixture of spherical Gaussians in `intrinsic` latent
// dimensions (fewer if d is less), A a fixed random linear map into d dimensions. So the
// data are clustered and of low intrinsic dimension, like real embeddings. Uniform noise in d
// dimensions would have hardly any near neighbors.
//
// Vector i depends on (seed, d, intrinsic, clusters, i) alone. Only integer arithmetic and single
// IEEE operations are used (no libm), so every machine and thread count makes the same bytes, and
// with them the same digest. "Gaussians" are sums of four uniform numbers.
#pragma once

#include <cstdint>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

struct SyntheticSpec {
  std::size_t rows = 0;
  std::size_t dimension = 0;
  std::uint64_t seed = 1;
  std::size_t intrinsic = 16;  ///< latent dimensions
  std::size_t clusters = 256;  ///< Gaussians of the mixture
};

/// Parses "n,d" or "n,d,seed"; throws InputError.
SyntheticSpec parse_synthetic(const std::string& text);

/// Vectors [first, first + count) of the stream; held-out queries are those from spec.rows on.
FloatMatrix synthetic_vectors(const SyntheticSpec& spec, std::size_t first, std::size_t count,
                              unsigned threads);

}  // namespace concord::bench
