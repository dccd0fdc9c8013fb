// Distances of a query to stored vectors, under the index's metric and as the store keeps them; or
// estimates of them, from the store's codes.
// Thread-safety: const; made anew after the store was written, which may change how it keeps rows,
// and for each search by one who has entered the store's ReaderGate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/base/key.hpp"
#include "common/base/prefetch.hpp"
#include "common/store/vector_store.hpp"
#include "cpu/distance.hpp"

namespace concord::cpu {

/// A vector that distances are measured from, in the form that is quickest to compare with the
/// rows.
struct Query {
  const void* vector;  ///< [stride]: floats, or bytes as the rows are; or a query's code
  const RowKernels* kernels;
};

class Scorer {
 public:
  Scorer(const core::VectorStore& vectors, const MetricKernels& kernels)
      : Scorer(vectors, vectors.rows(), kernels) {}
  /// Gives estimates in the place of distances. REQUIRES that codes are ready.
  static Scorer of_codes(const core::VectorStore& vectors, const MetricKernels& kernels) {
    Scorer scorer(vectors, kernels);
    scorer.base_ = reinterpret_cast<const char*>(vectors.codes().rows());
    scorer.stride_ = scorer.row_bytes_ = vectors.codes().row_bytes();
    const bool is_rotated = vectors.codes().kind() == Codes::sq4;
    scorer.of_codes_ = is_rotated ? &kernels.rotated_codes : &kernels.codes;
    return scorer;
  }

  void score(const Query& query, const core::NodeId* ids, std::size_t n, float* out) const {
    query.kernels->ids(query.vector, base_, stride_, ids, n, out);
  }
  /// The same where the rows may have to be read first (RowFile), into `buffer`. For few of them.
  /// Throws as that does.
  void score_few(const Query& query, const core::NodeId* ids, std::size_t n, float* out,
                 std::vector<std::byte>& buffer) const {
    const core::RowFile* const file = vectors_->row_file();
    if (file == nullptr) return score(query, ids, n, out);
    buffer.resize(n * row_bytes_);
    file->read(ids, n, buffer.data());
    query.kernels->range(query.vector, buffer.data(), stride_, n, out);
  }
  /// out[i × out_stride + j] = distance of query i to the vector first + j. `queries` is the first
  /// of `count` queries, `stride` elements apart.
  void score_block(const Query& queries, std::size_t count, core::NodeId first, std::size_t n,
                   float* out, std::size_t out_stride) const {
    queries.kernels->block(queries.vector, count, base_ + first * row_bytes_, stride_, n, out,
                           out_stride);
  }
  /// The stored vectors [first, first + n) as queries: where they stand, or widened into `buffer`
  /// ([n × stride]), which is not used unless widens().
  [[nodiscard]] Query as_queries(core::NodeId first, std::size_t n, float* buffer) const noexcept {
    if (of_bytes_ != nullptr) return {base_ + first * row_bytes_, of_bytes_};
    if (!widens()) return {base_ + first * row_bytes_, of_floats_};
    vectors_->copy(first, n, buffer);
    return {buffer, of_floats_};
  }
  [[nodiscard]] Query as_query(core::NodeId id, float* buffer) const noexcept {
    return as_queries(id, 1, buffer);
  }
  /// Whether a stored vector has to be widened to be a query.
  [[nodiscard]] bool widens() const noexcept {
    return of_bytes_ == nullptr && element_ != core::Element::f32;
  }
  /// Any vector in its stored form ([stride]) as a query: itself, or as bytes in `buffer`
  /// ([stride]), or as a code there ([CodeStore::query_bytes()]).
  [[nodiscard]] Query as_query(const float* vector, std::uint8_t* buffer) const noexcept {
    if (of_codes_ != nullptr) {
      vectors_->codes().encode_query(vector, buffer);
      return {buffer, of_codes_};
    }
    if (of_bytes_ != nullptr && core::narrow(vector, stride_, element_, buffer)) {
      return {buffer, of_bytes_};
    }
    return {vector, of_floats_};
  }
  [[nodiscard]] bool is_of_codes() const noexcept { return of_codes_ != nullptr; }
  /// Begins to fetch a vector that will be scored soon, if it is in memory. Its beginning: the
  /// hardware follows up, and more requests than the processor can keep under way would be waited
  /// for.
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
    core::with_type(element_, [&]<class T>(std::type_identity<T>) {
      if constexpr (std::is_same_v<T, float>) {
        of_floats_ = &kernels.f32;
      } else if constexpr (std::is_same_v<T, core::Half>) {
        of_floats_ = &kernels.f16;
      } else if constexpr (std::is_same_v<T, core::BFloat16>) {
        of_floats_ = &kernels.bf16;
      } else {
        static_assert(sizeof(T) == 1);
        constexpr bool kHasSign = std::is_signed_v<T>;
        of_floats_ = kHasSign ? &kernels.i8 : &kernels.u8;
        if (stride_ <= kMaxByteStride) of_bytes_ = kHasSign ? &kernels.both_i8 : &kernels.both_u8;
      }
    });
  }

  const core::VectorStore* vectors_;
  const char* base_;
  std::size_t stride_;
  std::size_t row_bytes_;
  core::Element element_;
  const RowKernels* of_floats_ = nullptr;  ///< for queries of floats
  const RowKernels* of_bytes_ = nullptr;   ///< for queries of bytes, where they may be
  const RowKernels* of_codes_ = nullptr;   ///< null where it gives distances
};

}  // namespace concord::cpu
