// Passes Eigen matrices to an Index, and its results to Eigen, without a copy.
//
// This is the only public header that needs Eigen.
#pragma once

#include <Eigen/Core>
#include <concord/index.hpp>
#include <cstdint>
#include <string>
#include <type_traits>

namespace concord {

template <class Scalar>
using RowMajorMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// View of `matrix` ([rows × cols], one vector per row). Borrows the matrix's memory.
/// Takes matrices, Maps and blocks. A column-major matrix does not compile: viewing it would need
/// a hidden copy. An Eigen vector, row or column, is a matrix of one row.
/// Throws Error(dimension_mismatch) unless the elements of a row are adjacent (inner stride 1).
template <class Derived>
MatrixView<const float> view(const Eigen::DenseBase<Derived>& matrix) {
  static_assert(std::is_same_v<typename Derived::Scalar, float>, "Concord takes float matrices");
  static_assert(Derived::IsRowMajor || Derived::IsVectorAtCompileTime,
                "Concord takes row-major matrices: one vector per row");
  const Derived& m = matrix.derived();
  if (m.innerStride() != 1 && m.innerSize() > 1) {
    throw Error(
        ErrorCode::dimension_mismatch,
        "the elements of a vector must stand side by side; this view has an inner stride of " +
            std::to_string(m.innerStride()));
  }
  if constexpr (Derived::IsVectorAtCompileTime) {
    return {m.data(), 1, static_cast<std::size_t>(m.size())};
  } else {
    return {m.data(), static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols()),
            static_cast<std::size_t>(m.rows() > 1 ? m.outerStride() : m.cols())};
  }
}

/// Maps over the memory of `result` ([queries × k]), valid while `result` lives and is not changed.
inline Eigen::Map<const RowMajorMatrix<float>> distances(const SearchResult& result) {
  return {result.distances.data(), static_cast<Eigen::Index>(result.queries),
          static_cast<Eigen::Index>(result.k)};
}
inline Eigen::Map<const RowMajorMatrix<std::uint64_t>> labels(const SearchResult& result) {
  return {result.labels.data(), static_cast<Eigen::Index>(result.queries),
          static_cast<Eigen::Index>(result.k)};
}

}  // namespace concord
