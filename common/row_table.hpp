// Rows: the neighbor lists of one kind of layer (layer 0, or all layers above it).
//
// A row has room for max_degree() ids in place and, while an epoch is open, as many again in a
// spilled block, so its capacity is 2 × max_degree(). At a seal every row is cut back to
// max_degree() and the spilled blocks are dropped: between epochs a row costs 16 + 4 × max_degree
// bytes.
//
// A row also remembers what proposals need to read it as it was sealed:
//  - ids are appended at the end and only a seal removes one, so the sealed content of a row that
//    no seal has cut is the row without the nodes inserted since;
//  - a seal keeps a copy of a row's older content before it first cuts it. Copies live until the
//    next seal begins.
// Thread-safety: one writer; ids and degrees are read and written as atomics, so a reader beside
// the writer may see a row mid-change but never an id that was not written. A reader that sees a
// change sees all that the writer did before it; that tells searches of seals (Graph::seals).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "common/key.hpp"
#include "common/prefetch.hpp"
#include "common/virtual_array.hpp"

namespace concord::core {

using RowIndex = std::uint32_t;  ///< position of a row in its table

/// Capacity of the largest row there is: layer 0 at M = 64.
inline constexpr std::uint32_t kMaxScored = 256;

struct RowHeader {
  std::uint16_t degree;         ///< neighbors in the row
  std::uint16_t anchors;        ///< of them, inserted earlier than the row's node
  std::uint32_t spill;          ///< block of the neighbors beyond max_degree, 0 = none
  std::uint32_t sealed_copy;    ///< copy of the older content, 0 = none
  std::uint32_t touched_epoch;  ///< last epoch that appended or cut a neighbor
};

class RowTable {
 public:
  RowTable(std::uint32_t max_degree, std::size_t max_rows);

  [[nodiscard]] std::uint32_t max_degree() const noexcept { return max_degree_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return 2 * max_degree_; }
  [[nodiscard]] std::size_t size() const noexcept { return rows_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return rows_ * stride_ * sizeof(std::uint32_t);
  }
  [[nodiscard]] std::size_t epoch_bytes() const noexcept {
    return (spills_.size() + copies_.size()) * sizeof(NodeId) + touched_.capacity() * 4;
  }

  void reserve(std::size_t rows) { words_.reserve(rows * stride_); }
  void resize(std::size_t rows) {
    words_.resize(rows * stride_);
    rows_ = rows;
  }

  [[nodiscard]] RowHeader& header(RowIndex row) const noexcept {
    return *reinterpret_cast<RowHeader*>(words_.data() + row * stride_);
  }
  [[nodiscard]] std::uint32_t degree(RowIndex row) const noexcept {
    return std::atomic_ref(header(row).degree).load(std::memory_order_acquire);
  }
  /// The j-th neighbor, j < degree.
  [[nodiscard]] NodeId at(RowIndex row, std::uint32_t j) const noexcept {
    return std::atomic_ref(slot(row, j)).load(std::memory_order_relaxed);
  }
  /// Copies the row's ids to `out` (room for capacity()); returns how many.
  std::uint32_t read(RowIndex row, NodeId* out) const noexcept {
    const std::uint32_t n = degree(row);
    const std::uint32_t in_place = std::min(n, max_degree_);
    NodeId* const ids = &words_[row * stride_ + kHeaderWords];
    for (std::uint32_t j = 0; j < in_place; ++j) {
      out[j] = std::atomic_ref(ids[j]).load(std::memory_order_relaxed);
    }
    for (std::uint32_t j = in_place; j < n; ++j) out[j] = at(row, j);
    return n;
  }
  /// Calls visit(id) for those of the row's first `n` ids that are in place, then visit_spilled(id)
  /// for the others, in order. `n` is a degree that the row had. Beside the writer a seal may give
  /// the row's spilled block to another row between the reads of degree and ids.
  template <class Visit, class VisitSpilled>
  void for_each(RowIndex row, std::uint32_t n, const Visit& visit,
                const VisitSpilled& visit_spilled) const {
    const std::uint32_t in_place = std::min(n, max_degree_);
    NodeId* const ids = &words_[row * stride_ + kHeaderWords];
    for (std::uint32_t j = 0; j < in_place; ++j) {
      visit(std::atomic_ref(ids[j]).load(std::memory_order_acquire));
    }
    if (n <= max_degree_) return;
    const std::uint32_t block = std::atomic_ref(header(row).spill).load(std::memory_order_acquire);
    if (block == 0) return;
    NodeId* const spilled = &spills_[std::size_t{block} * max_degree_];
    for (std::uint32_t j = 0; j < n - max_degree_; ++j) {
      visit_spilled(std::atomic_ref(spilled[j]).load(std::memory_order_acquire));
    }
  }
  /// False for a header that no row can have: the row's ids must not be read. Nothing is found out
  /// about the number of its spilled block.
  [[nodiscard]] bool is_readable(RowIndex row) const noexcept {
    const RowHeader& h = header(row);
    return h.degree <= (h.spill == 0 ? max_degree_ : capacity());
  }
  /// The row's ids where they stand, or, where some are spilled, in `buffer` (room for capacity()).
  /// REQUIRES is_readable(row) and no writer.
  [[nodiscard]] std::span<const NodeId> ids(RowIndex row, NodeId* buffer) const noexcept {
    const std::uint32_t n = header(row).degree;
    if (n <= max_degree_) return {&words_[row * stride_ + kHeaderWords], n};
    return {buffer, read(row, buffer)};
  }
  /// How often `id` stands in the row. REQUIRES as ids(). Always compares all places, without a
  /// branch, so that many rows in turn cost no mispredictions.
  [[nodiscard]] std::uint32_t count(RowIndex row, NodeId id) const noexcept {
    const std::uint32_t n = header(row).degree;
    const NodeId* const in_place = &words_[row * stride_ + kHeaderWords];
    std::uint32_t found = 0;
    for (std::uint32_t j = 0; j < max_degree_; ++j) {
      found += (in_place[j] == id ? 1U : 0U) & (j < n ? 1U : 0U);
    }
    for (std::uint32_t j = max_degree_; j < n; ++j) found += slot(row, j) == id ? 1 : 0;
    return found;
  }
  [[nodiscard]] bool contains(RowIndex row, NodeId id) const noexcept {
    return find(row, id) < degree(row);
  }
  [[nodiscard]] bool has_room(RowIndex row) const noexcept {
    return header(row).degree < capacity();
  }

  /// Begins to fetch a row that will be read soon.
  void prefetch(RowIndex row) const noexcept {
    core::prefetch(words_.data() + row * stride_, stride_ * sizeof(std::uint32_t));
  }
  void prefetch_header(RowIndex row) const noexcept {
    core::prefetch<Access::change>(&header(row), sizeof(RowHeader));
  }
  /// The same for a row that will be changed.
  void prefetch_to_change(RowIndex row) const noexcept {
    core::prefetch<Access::change>(words_.data() + row * stride_, stride_ * sizeof(std::uint32_t));
  }

  /// Makes room for `appends` appends or `copies` sealed copies: what may fail, fails here. At most
  /// for each row one of either, so memory is bounded by size(), whatever epoch_limit is.
  void reserve_epoch(std::size_t appends, std::size_t copies);
  /// Appends `id`; returns the row's degree. REQUIRES has_room(row).
  std::uint32_t append(RowIndex row, NodeId id, std::uint32_t epoch) {
    RowHeader& h = header(row);
    if (h.degree == max_degree_ && h.spill == 0) add_spill(row);
    touch(row, epoch);
    const auto more = static_cast<std::uint16_t>(h.degree + 1);
    std::atomic_ref(slot(row, h.degree)).store(id, std::memory_order_release);
    std::atomic_ref(h.degree).store(more, std::memory_order_release);
    return more;
  }
  /// Fills the row. REQUIRES that it is empty, and at most max_degree() ids.
  void fill(RowIndex row, std::span<const NodeId> ids, std::uint32_t epoch) {
    touch(row, epoch);
    NodeId* const to = &words_[row * stride_ + kHeaderWords];
    for (std::size_t j = 0; j < ids.size(); ++j) {
      std::atomic_ref(to[j]).store(ids[j], std::memory_order_relaxed);
    }
    std::atomic_ref(header(row).degree)
        .store(static_cast<std::uint16_t>(ids.size()), std::memory_order_release);
  }
  /// Replaces `id` by the row's last neighbor and shortens the row. REQUIRES contains(row, id).
  void remove(RowIndex row, NodeId id) noexcept;
  /// As remove(row, id) and append(row, other, epoch), but at no moment does the row lack both, or
  /// any other neighbor. REQUIRES contains(row, id) and has_room(row).
  void replace(RowIndex row, NodeId id, NodeId other, std::uint32_t epoch);

  /// Keeps the ids of the row for which is_sealed(id) holds, at most max_degree(), as its sealed
  /// content until drop_sealed_copies().
  template <class IsSealed>
  void keep_sealed_copy(RowIndex row, const IsSealed& is_sealed) {
    const std::size_t block = copies_.size() / (max_degree_ + 1);
    copied_.push_back(row);
    copies_.resize(copies_.size() + max_degree_ + 1);
    NodeId* const copy = &copies_[block * (max_degree_ + 1)];
    NodeId n = 0;
    const std::uint32_t degree = header(row).degree;
    const std::uint32_t in_place = std::min(degree, max_degree_);
    const NodeId* const ids = &words_[row * stride_ + kHeaderWords];
    for (std::uint32_t j = 0; j < in_place; ++j) {  // which ids go is unpredictable: no branch
      copy[1 + n] = ids[j];
      n += is_sealed(ids[j]) ? 1 : 0;
    }
    for (std::uint32_t j = in_place; j < degree; ++j) {
      if (is_sealed(slot(row, j))) copy[1 + n++] = slot(row, j);
    }
    copy[0] = n;
    header(row).sealed_copy = static_cast<std::uint32_t>(block);
  }
  /// The last epoch in which the row was changed.
  [[nodiscard]] std::uint32_t touched_epoch(RowIndex row) const noexcept {
    return std::atomic_ref(header(row).touched_epoch).load(std::memory_order_relaxed);
  }
  /// Marks the row as changed in this epoch, for touched().
  void touch(RowIndex row, std::uint32_t epoch) {
    RowHeader& h = header(row);
    if (h.touched_epoch == epoch) return;
    touched_.push_back(row);
    std::atomic_ref(h.touched_epoch).store(epoch, std::memory_order_relaxed);
  }
  [[nodiscard]] bool has_sealed_copy(RowIndex row) const noexcept {
    return header(row).sealed_copy != 0;
  }
  [[nodiscard]] std::span<const NodeId> sealed_copy(RowIndex row) const noexcept;
  void drop_sealed_copies() noexcept;
  [[nodiscard]] const std::vector<RowIndex>& copied() const noexcept { return copied_; }

  /// Rows changed since forget_touched(), in order of their first change.
  [[nodiscard]] const std::vector<RowIndex>& touched() const noexcept { return touched_; }
  /// Rows whose degree has passed max_degree() since drop_spills().
  [[nodiscard]] const std::vector<RowIndex>& spilled() const noexcept { return spilled_; }
  void forget_touched() noexcept { touched_.clear(); }
  /// REQUIRES that no row exceeds max_degree().
  void drop_spills() noexcept;

  // --- used by the file format ---
  static constexpr std::uint32_t kHeaderWords = sizeof(RowHeader) / sizeof(std::uint32_t);
  [[nodiscard]] std::size_t stride_words() const noexcept { return stride_; }
  [[nodiscard]] std::size_t spill_words() const noexcept { return max_degree_; }
  [[nodiscard]] std::size_t copy_words() const noexcept { return max_degree_ + 1; }
  /// Appends the row with another header, its spill block or its sealed copy to `out`; places that
  /// hold no neighbor are zero.
  void export_row(RowIndex row, const RowHeader& header, std::vector<std::uint32_t>& out) const;
  void export_spill(RowIndex row, std::vector<std::uint32_t>& out) const;
  void export_sealed_copy(RowIndex row, std::vector<std::uint32_t>& out) const;
  /// Memory to read size() rows and the given numbers of blocks into.
  struct Import {
    std::uint32_t* rows;
    std::uint32_t* spills;
    std::uint32_t* copies;
  };
  Import begin_import(std::size_t spill_blocks, std::size_t copy_blocks);
  /// Puts rows of a file, which may only be read, in the place of size() rows.
  void map(VirtualArray<std::uint32_t> words) noexcept { words_ = std::move(words); }
  /// Rebuilds the lists of the open `epoch` from the rows. False if the rows' degrees and block
  /// numbers are not what export wrote.
  [[nodiscard]] bool end_import(std::uint32_t epoch);

 private:
  [[nodiscard]] NodeId& slot(RowIndex row, std::uint32_t j) const noexcept {
    return j < max_degree_
               ? words_[row * stride_ + kHeaderWords + j]
               : spills_[std::size_t{header(row).spill} * max_degree_ + (j - max_degree_)];
  }
  [[nodiscard]] std::uint32_t find(RowIndex row, NodeId id) const noexcept;
  void add_spill(RowIndex row);

  std::uint32_t max_degree_;
  std::size_t stride_;  ///< words per row
  std::size_t rows_ = 0;
  VirtualArray<std::uint32_t> words_;
  VirtualArray<NodeId> spills_;  ///< blocks of max_degree ids; block 0 is unused
  VirtualArray<NodeId> copies_;  ///< blocks of 1 + max_degree words: count, ids; 0 unused
  std::vector<RowIndex> touched_, spilled_, copied_;
};

}  // namespace concord::core
