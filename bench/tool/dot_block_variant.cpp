// One instruction set level of DotBlock: CONCORD_BENCH_VARIANT names it (v1, v3, v4). Compiled with
// its own -march and -fno-weak, so that no function of it can replace a like-named one elsewhere.
#include <Eigen/Core>

#include "bench/tool/dot_block.hpp"

#define CONCORD_BENCH_JOIN2(a, b) a##b
#define CONCORD_BENCH_JOIN(a, b) CONCORD_BENCH_JOIN2(a, b)

namespace concord::bench {

void CONCORD_BENCH_JOIN(dot_block_,
                        CONCORD_BENCH_VARIANT)(const float* queries, std::size_t query_count,
                                               const float* vectors, std::size_t vector_count,
                                               std::size_t dimension, float* out) {
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto columns = static_cast<Eigen::Index>(dimension);
  const Eigen::Map<const RowMajor> q(queries, static_cast<Eigen::Index>(query_count), columns);
  const Eigen::Map<const RowMajor> v(vectors, static_cast<Eigen::Index>(vector_count), columns);
  Eigen::Map<RowMajor> result(out, q.rows(), v.rows());
  result.noalias() = q * v.transpose();
}

}  // namespace concord::bench
