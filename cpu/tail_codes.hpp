// Codes of the vectors of a tail, by which additions reject distant ones for certain
// (code_bounds.hpp). No result depends on them, so they may be made at any time, or not at all.
//
// They are of consecutive ids: those from the sealed graph of the open proposals on, at most two
// epochs and a group. An Index keeps them from one addition to the next, because small additions
// would make them again and again. It clears them when nodes slide (common/contents/slide.hpp),
// because ids then name other vectors. A loaded index has none before its first addition.
// Thread-safety: hold() and truncate() by the building thread; the rest is const.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/key.hpp"
#include "common/store/vector_store.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/code_bounds.hpp"

namespace concord::cpu {

class TailCodes {
 public:
  /// Of vectors compared under `metric`, by `bounds`; null if there are none.
  TailCodes(Metric metric, BoundBlock bounds) noexcept : metric_(metric), bounds_(bounds) {}

  /// True where rejecting by codes is quicker than scoring: for floats of so many dimensions.
  static bool pay_for(const core::VectorStore& vectors) noexcept;
  [[nodiscard]] bool can_bound() const noexcept { return bounds_ != nullptr; }

  /// Makes the codes of ids [begin, end) that are not there, on `pool`, and drops those of earlier
  /// ones. False, with no codes, if there is no memory for them.
  bool hold(const core::VectorStore& vectors, core::NodeId begin, core::NodeId end,
            core::ThreadPool& pool) noexcept;
  /// Drops the codes of ids from `end` on: their vectors may be others.
  void truncate(core::NodeId end) noexcept;
  /// Drops all, and frees their memory.
  void clear() noexcept;

  /// The first id that has a code; places are counted from it.
  [[nodiscard]] core::NodeId first() const noexcept { return first_; }
  /// Codes of a query, for query().
  [[nodiscard]] std::size_t query_bytes() const noexcept { return 4 * steps_; }
  /// A held vector as a query; its codes are written to `buffer` ([query_bytes()]).
  [[nodiscard]] CodeQuery query(core::NodeId id, std::int8_t* buffer) const noexcept;
  /// Bounds of the distances of queries to the ids from first() + place on. `place` is a multiple
  /// of kCodeGroup. See BoundBlock.
  void bound(const CodeQuery* queries, std::size_t count, std::size_t place, std::size_t n,
             float* out, std::size_t out_stride) const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  void begin_at(const core::VectorStore& vectors, core::NodeId begin, core::NodeId end);
  void drop_before(core::NodeId begin) noexcept;
  void make_room(std::size_t places);
  void encode(const core::VectorStore& vectors, core::NodeId id);
  [[nodiscard]] std::size_t group_bytes() const noexcept { return kCodeGroup * 4 * steps_; }
  /// Where the four codes of a step are.
  [[nodiscard]] std::uint8_t* four_codes(std::size_t place, std::size_t step) noexcept {
    return codes_.data() + place / kCodeGroup * group_bytes() +
           (step * kCodeGroup + place % kCodeGroup) * 4;
  }

  Metric metric_;
  BoundBlock bounds_;
  std::size_t steps_ = 0;
  double rounding_ = 0;  ///< 2 (k + 16) u of code_bounds.hpp
  float centre_ = 0;     ///< s
  core::NodeId first_ = 0;
  core::NodeId end_ = 0;
  std::vector<std::uint8_t> codes_;
  std::vector<std::int32_t> sum_;  ///< of the codes
  std::vector<float> scale_, square_, error_, base_;
};

}  // namespace concord::cpu
