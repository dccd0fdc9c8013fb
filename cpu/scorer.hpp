// Distances of a query to stored vectors, under the index's metric and as the store keeps them.
// Thread-safety: const; made anew after the store was written, which may change how it keeps rows,
// and for each search by one who has entered the store's ReaderGate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/key.hpp"
#include "common/prefetch.hpp"
#include "common/vector_store.hpp"
#include "cpu/distance.hpp"

namespace concord::cpu {

/// A vector that distances are measured from, in the form that is quickest to compare with the
/// rows.
struct Query {
  const void* vector;  ///< [stride]: floats, or bytes as the rows are
  const RowKernels* kernels;
};

class Scorer {
 public:
  Scorer(const core::VectorStore& vectors, const MetricKernels& kernels)
      : Scorer(vectors, vectors.rows(), kernels) {}

  void score(const Query& query, const core::NodeId* ids, std::size_t n, float* out) const {
    query.kernels->ids(query.vector, base_, stride_, ids, n, out);
  }
  void score_range(const Query& query, core::NodeId first, std::size_t n, float* out) const {
    query.kernels->range(query.vector, base_ + first * row_bytes_, stride_, n, out);
  }
  /// A stored vector as a query: where it stands, or widened into `buffer` ([stride]).
  [[nodiscard]] Query as_query(core::NodeId id, float* buffer) const noexcept {
    if (of_bytes_ != nullptr) return {base_ + id * row_bytes_, of_bytes_};
    return {vectors_->read(id, buffer), of_floats_};
  }
  /// Any vector in its stored form ([stride]) as a query: itself, or as bytes in `buffer`
  /// ([stride]).
  [[nodiscard]] Query as_query(const float* vector, std::uint8_t* buffer) const noexcept {
    if (of_bytes_ != nullptr && vectors_->try_narrow(vector, element_, buffer)) {
      return {buffer, of_bytes_};
    }
    return {vector, of_floats_};
  }
  /// Begins to fetch a vector that will be scored soon. Its beginning: the hardware follows up, and
  /// more requests than the processor can keep under way would be waited for.
  void prefetch(core::NodeId id) const noexcept {
    core::prefetch(base_ + id * row_bytes_, std::min<std::size_t>(row_bytes_, 256));
  }

 private:
  Scorer(const core::VectorStore& vectors, const core::StoredRows& rows,
         const MetricKernels& kernels)
      : vectors_(&vectors),
        base_(static_cast<const char*>(rows.data)),
        stride_(vectors.stride()),
        row_bytes_(vectors.row_bytes(rows.element)),
        element_(rows.element) {
    const bool is_short = stride_ <= kMaxByteStride;
    switch (element_) {
      case core::Element::u8:
        of_floats_ = &kernels.u8;
        of_bytes_ = is_short ? &kernels.both_u8 : nullptr;
        break;
      case core::Element::i8:
        of_floats_ = &kernels.i8;
        of_bytes_ = is_short ? &kernels.both_i8 : nullptr;
        break;
      case core::Element::f32:
        of_floats_ = &kernels.f32;
        break;
    }
  }

  const core::VectorStore* vectors_;
  const char* base_;
  std::size_t stride_;
  std::size_t row_bytes_;
  core::Element element_;
  const RowKernels* of_floats_ = nullptr;  ///< for queries of floats
  const RowKernels* of_bytes_ = nullptr;   ///< for queries of bytes, where they may be
};

}  // namespace concord::cpu
