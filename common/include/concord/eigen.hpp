// Eigen matrices in and out of an Index without a copy. The only public header that needs Eigen.
#pragma once

#include <Eigen/Core>
#include <concord/index.hpp>
#include <cstdint>
#include <string>
#include <type_traits>

namespace concord {

template <class Scalar>
using RowMajorMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// View of `matrix` ([rows × cols], one vector per row); borrows its memory. A matrix, a Map or a
/// block; a column-major one does not compile rather than being copied behind the caller's back.
/// An Eigen vector, row or column, is one vector. Throws Error(dimension_mismatch) where the
/// elements of a vector do not stand side by side (an inner stride other than 1).
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

/// Results of a search as Eigen maps over the result's own memory; valid while it lives.
inline Eigen::Map<const RowMajorMatrix<float>> distances(const SearchResult& result) {
  return {result.distances.data(), static_cast<Eigen::Index>(result.queries),
          static_cast<Eigen::Index>(result.k)};
}
inline Eigen::Map<const RowMajorMatrix<std::uint64_t>> labels(const SearchResult& result) {
  return {result.labels.data(), static_cast<Eigen::Index>(result.queries),
          static_cast<Eigen::Index>(result.k)};
}

}  // namespace concord
