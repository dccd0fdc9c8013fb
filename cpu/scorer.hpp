// Distances of a query to stored vectors, under the index's metric and as the store keeps them.
// Thread-safety: const; made anew after the store was written, which may change how it keeps rows,
// and for each search by one who has entered the store's ReaderGate.
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/key.hpp"
#include "common/prefetch.hpp"
#include "common/vector_store.hpp"
#include "cpu/distance.hpp"

namespace concord::cpu {

class Scorer {
 public:
  Scorer(const core::VectorStore& vectors, const MetricKernels& kernels)
      : Scorer(vectors, vectors.rows(), kernels) {}

  void score(const float* query, const core::NodeId* ids, std::size_t n, float* out) const {
    kernels_.ids(query, base_, stride_, ids, n, out);
  }
  void score_range(const float* query, core::NodeId first, std::size_t n, float* out) const {
    kernels_.range(query, base_ + first * row_bytes_, stride_, n, out);
  }
  /// The vector as a query: where it is stored, or widened into `buffer` ([stride]).
  [[nodiscard]] const float* as_query(core::NodeId id, float* buffer) const noexcept {
    return vectors_->read(id, buffer);
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
        kernels_(kernels_for(rows.element, kernels)) {}

  static const RowKernels& kernels_for(core::Element element, const MetricKernels& kernels) {
    switch (element) {
      case core::Element::u8:
        return kernels.u8;
      case core::Element::i8:
        return kernels.i8;
      case core::Element::f32:
        break;
    }
    return kernels.f32;
  }

  const core::VectorStore* vectors_;
  const char* base_;
  std::size_t stride_;
  std::size_t row_bytes_;
  RowKernels kernels_;
};

}  // namespace concord::cpu
