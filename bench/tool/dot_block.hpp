// Single-precision inner products of a block of queries with a block of vectors (Eigen).
//
// Compiled once per instruction set level (bench/tool/CMakeLists.txt), the best chosen at run time,
// so that the binary runs on any x86-64 and still computes ground truth at the machine's speed.
#pragma once

#include <cstddef>

namespace concord::bench {

/// out[q × vectors + v] = queries[q] · vectors[v]; both row-major with `dimension` columns.
using DotBlock = void (*)(const float* queries, std::size_t query_count, const float* vectors,
                          std::size_t vector_count, std::size_t dimension, float* out);

/// The fastest this machine can run.
DotBlock best_dot_block() noexcept;

}  // namespace concord::bench
