// The neighbor lists of layer 0, or those of all layers above it.
//
// A list has room for max_degree() ids in place and, while an epoch is open, as many again in an
// overflow block, so its capacity is 2 × max_degree(). At a seal every list is cut back to
// max_degree() and the overflow blocks are dropped: between epochs a list costs 16 + 4 × max_degree
// bytes.
//
// A list also remembers what proposals need to read it as it was sealed:
//  - ids are appended at the end and only a seal removes one, so the sealed content of a list that
//    no seal has cut is the list without the nodes inserted since;
//  - a seal keeps a copy of a list's older content before it first cuts it. Copies live until the
//    next seal begins.
// Which lists a seal has changed is known by these copies, and for lists of the nodes of the sealed
// epoch, which have none, by a mark.
// Thread-safety: one writer; ids and degrees are read and written as atomics, so a reader beside
// the writer may see a list mid-change but never an id that was not written. A reader that sees a
// change sees all that the writer did before it; that tells searches of seals (Graph::seals). So
// ids, degrees and numbers of blocks are stored with release and loaded by searches with acquire,
// each of them: even of one id alone a search may conclude that nothing is missing
// (tests/models/search_beside_writer.pml).
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/base/prefetch.hpp"
#include "common/graph/overfull_list.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

using ListIndex = std::uint32_t;  ///< position of a list in its table

struct ListHeader {
  std::uint16_t degree;         ///< neighbors in the list
  std::uint16_t anchors;        ///< of them, inserted earlier than the list's node
  std::uint32_t overflow;       ///< block of the neighbors beyond max_degree, 0 = none
  std::uint32_t sealed_copy;    ///< copy of the older content, 0 = none
  std::uint32_t touched_epoch;  ///< last epoch that appended or cut a neighbor
};

class LinkTable {
 public:
  explicit LinkTable(std::uint32_t max_degree);

  [[nodiscard]] std::uint32_t max_degree() const noexcept { return max_degree_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return 2 * max_degree_; }
  [[nodiscard]] std::size_t size() const noexcept { return lists_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return words_.bytes(); }
  [[nodiscard]] std::size_t epoch_bytes() const noexcept {
    return (overflow_.size() + copies_.size()) * sizeof(NodeId) + touched_.capacity() * 4 +
           young_cut_.bytes();
  }

  void reserve(std::size_t lists) { words_.reserve(lists * stride_); }
  /// True while memory that growing has left is kept for readers.
  [[nodiscard]] bool has_left() const noexcept {
    return words_.has_left() || overflow_.has_left() || copies_.has_left() || young_cut_.has_left();
  }
  /// Frees it. REQUIRES that nobody reads it.
  void free_left() noexcept;
  void resize(std::size_t lists) {
    words_.resize(lists * stride_);
    lists_ = lists;
  }

  [[nodiscard]] const ListHeader& header(ListIndex list) const noexcept { return raw_header(list); }
  [[nodiscard]] ListHeader& header(ListIndex list) noexcept { return raw_header(list); }
  [[nodiscard]] std::uint32_t degree(ListIndex list) const noexcept {
    return degree_of(words_of(list));
  }
  /// The j-th neighbor, j < degree. For the writer, or who keeps it away.
  [[nodiscard]] NodeId at(ListIndex list, std::uint32_t j) const noexcept {
    // Relaxed: the writer's own stores, or those before the lock that keeps it away.
    return std::atomic_ref(raw_slot(list, j)).load(std::memory_order_relaxed);
  }
  /// Copies the list's ids to `out` (room for capacity()); returns how many. For the writer, or who
  /// keeps it away.
  std::uint32_t read(ListIndex list, NodeId* out) const noexcept {
    const std::uint32_t n = degree(list);
    const std::uint32_t in_place = std::min(n, max_degree_);
    NodeId* const ids = &words_[list * stride_ + kHeaderWords];
    for (std::uint32_t j = 0; j < in_place; ++j) {
      out[j] = std::atomic_ref(ids[j]).load(std::memory_order_relaxed);  // as at()
    }
    for (std::uint32_t j = in_place; j < n; ++j) out[j] = at(list, j);
    return n;
  }
  /// Calls visit(id) for those of the list's first `n` ids that are in place, then
  /// visit_overflow(id) for the others, in order. `n` is a degree that the list had. Beside the
  /// writer a seal may give the list's overflow block to another list between the reads of degree
  /// and ids.
  template <class Visit, class VisitOverflow>
  void for_each(ListIndex list, std::uint32_t n, const Visit& visit,
                const VisitOverflow& visit_overflow) const {
    visit_ids(words_of(list), n, visit, visit_overflow);
  }
  /// The same for all ids that the list has now.
  template <class Visit, class VisitOverflow>
  void for_each(ListIndex list, const Visit& visit, const VisitOverflow& visit_overflow) const {
    std::uint32_t* const words = words_of(list);
    visit_ids(words, degree_of(words), visit, visit_overflow);
  }
  /// False for an impossible degree; the ids must not be read then. Does not validate the number of
  /// the overflow block.
  [[nodiscard]] bool is_readable(ListIndex list) const noexcept {
    const ListHeader& h = header(list);
    return h.degree <= (h.overflow == 0 ? max_degree_ : capacity());
  }
  /// The list's ids: in place, or copied to `buffer` (room for capacity()) if some are in an
  /// overflow block. REQUIRES is_readable(list) and no writer.
  [[nodiscard]] std::span<const NodeId> ids(ListIndex list, NodeId* buffer) const noexcept {
    const std::uint32_t n = header(list).degree;
    if (n <= max_degree_) return {&words_[list * stride_ + kHeaderWords], n};
    return {buffer, read(list, buffer)};
  }
  /// How often the list holds `id`. REQUIRES as ids(). Always compares all places, without a
  /// branch, so that many lists in turn cost no mispredictions.
  [[nodiscard]] std::uint32_t count(ListIndex list, NodeId id) const noexcept {
    const std::uint32_t n = header(list).degree;
    const NodeId* const in_place = &words_[list * stride_ + kHeaderWords];
    std::uint32_t found = 0;
    for (std::uint32_t j = 0; j < max_degree_; ++j) {
      found += (in_place[j] == id ? 1U : 0U) & (j < n ? 1U : 0U);
    }
    for (std::uint32_t j = max_degree_; j < n; ++j) found += slot(list, j) == id ? 1 : 0;
    return found;
  }
  [[nodiscard]] bool contains(ListIndex list, NodeId id) const noexcept {
    return find(list, id) < degree(list);
  }
  [[nodiscard]] bool has_room(ListIndex list) const noexcept {
    return header(list).degree < capacity();
  }

  /// Begins to fetch a list that will be read soon.
  void prefetch(ListIndex list) const noexcept {
    core::prefetch(words_.data() + list * stride_, stride_ * sizeof(std::uint32_t));
  }
  void prefetch_header(ListIndex list) const noexcept {
    core::prefetch<Access::change>(&raw_header(list), sizeof(ListHeader));
  }
  /// The same for a list that will be changed.
  void prefetch_to_change(ListIndex list) const noexcept {
    core::prefetch<Access::change>(words_.data() + list * stride_, stride_ * sizeof(std::uint32_t));
  }

  /// Makes room for `appends` appends and `copies` sealed copies, so that these cannot fail. Counts
  /// each list once, so memory is bounded by size(), whatever epoch_limit is. And for `room` of
  /// begin_copies().
  void reserve_epoch(std::size_t appends, std::size_t copies, std::size_t room = 0);
  /// Appends `id`; returns the list's degree. REQUIRES has_room(list).
  std::uint32_t append(ListIndex list, NodeId id, std::uint32_t epoch) {
    ListHeader& h = header(list);
    if (h.degree == max_degree_ && h.overflow == 0) add_overflow(list);
    touch(list, epoch);
    const auto more = static_cast<std::uint16_t>(h.degree + 1);
    std::atomic_ref(slot(list, h.degree)).store(id, std::memory_order_release);
    std::atomic_ref(h.degree).store(more, std::memory_order_release);
    return more;
  }
  /// Fills the list. REQUIRES that it is empty, and at most max_degree() ids.
  void fill(ListIndex list, std::span<const NodeId> ids, std::uint32_t epoch) {
    touch(list, epoch);
    NodeId* const to = &words_[list * stride_ + kHeaderWords];
    for (std::size_t j = 0; j < ids.size(); ++j) {
      // Relaxed: nobody looks here before the degree says so, which is released behind it; an empty
      // list has no older degree.
      std::atomic_ref(to[j]).store(ids[j], std::memory_order_relaxed);
    }
    std::atomic_ref(header(list).degree)
        .store(static_cast<std::uint16_t>(ids.size()), std::memory_order_release);
  }
  /// How many of the list's neighbors were inserted before its node.
  void set_anchors(ListIndex list, std::uint16_t count) noexcept { header(list).anchors = count; }
  void add_anchor(ListIndex list) noexcept { ++header(list).anchors; }
  void drop_anchor(ListIndex list) noexcept { --header(list).anchors; }
  /// Replaces `id` by the list's last neighbor and shortens the list. REQUIRES contains(list, id).
  void remove(ListIndex list, NodeId id) noexcept;
  /// As remove(list, id) and append(list, other, epoch), but at no moment does the list lack both,
  /// or any other neighbor. REQUIRES contains(list, id) and has_room(list).
  void replace(ListIndex list, NodeId id, NodeId other, std::uint32_t epoch);

  /// Keeps the ids of the list for which is_sealed(id) holds, at most max_degree(), as its sealed
  /// content until drop_sealed_copies().
  template <class IsSealed>
  void keep_sealed_copy(ListIndex list, const IsSealed& is_sealed) {
    copied_.push_back(list);
    write_sealed_copy(list, begin_copies(1), is_sealed);
  }
  /// The last epoch in which the list was changed.
  [[nodiscard]] std::uint32_t touched_epoch(ListIndex list) const noexcept {
    // Relaxed: the thread that reads beside appends has acquired a degree before. If that counts an
    // id of this epoch, append() stored the mark before it released the degree.
    return std::atomic_ref(raw_header(list).touched_epoch).load(std::memory_order_relaxed);
  }
  /// Marks the list as changed in this epoch, for touched().
  void touch(ListIndex list, std::uint32_t epoch) {
    if (mark_touched(list, epoch)) touched_.push_back(list);
  }
  [[nodiscard]] bool has_sealed_copy(ListIndex list) const noexcept {
    return header(list).sealed_copy != 0;
  }
  [[nodiscard]] std::span<const NodeId> sealed_copy(ListIndex list) const noexcept;
  void drop_sealed_copies() noexcept;
  [[nodiscard]] const std::vector<ListIndex>& copied() const noexcept { return copied_; }

  /// A seal begins; lists [first, first + count) are of its epoch's nodes. No list is marked now.
  void expect_cuts(ListIndex first, std::size_t count) {
    first_young_ = first;
    young_cut_.resize((count + 63) / 64);
    std::fill_n(young_cut_.data(), young_cut_.size(), 0);
  }
  /// The seal changes a list of its epoch's nodes.
  void mark_cut(ListIndex list) noexcept {
    const ListIndex young = list - first_young_;
    young_cut_[young / 64] |= std::uint64_t{1} << (young % 64);
  }
  /// Calls visit(list) for each list that the last seal has changed, once. REQUIRES that its sealed
  /// copies are there.
  template <class Visit>
  void for_each_cut(const Visit& visit) const {
    for (const ListIndex list : copied_) visit(list);
    for (std::size_t w = 0; w < young_cut_.size(); ++w) {
      for (std::uint64_t left = young_cut_[w]; left != 0; left &= left - 1) {
        visit(first_young_ + static_cast<ListIndex>(w * 64) +
              static_cast<ListIndex>(std::countr_zero(left)));
      }
    }
  }

  // --- several threads cut lists at a seal, each list by one at a time ---
  /// What a thread does to a list for the first time; note() enters it behind all cuts.
  struct Change {
    ListIndex list;
    bool is_touched;  ///< by mark_touched()
    bool is_copied;   ///< by write_sealed_copy()
  };
  /// Takes room for `count` sealed copies; returns the number of the first. Each is to be written,
  /// or left empty. REQUIRES reserve_epoch().
  std::uint32_t begin_copies(std::size_t count) {
    const std::size_t first = copies_.size() / copy_words();
    copies_.resize(copies_.size() + count * copy_words());
    return static_cast<std::uint32_t>(first);
  }
  /// As keep_sealed_copy(), in the room with this number.
  template <class IsSealed>
  void write_sealed_copy(ListIndex list, std::uint32_t number, const IsSealed& is_sealed) {
    NodeId* const copy = &copies_[std::size_t{number} * copy_words()];
    NodeId n = 0;
    const std::uint32_t degree = header(list).degree;
    const std::uint32_t in_place = std::min(degree, max_degree_);
    const NodeId* const ids = &words_[list * stride_ + kHeaderWords];
    for (std::uint32_t j = 0; j < in_place; ++j) {  // which ids go is unpredictable: no branch
      copy[1 + n] = ids[j];
      n += is_sealed(ids[j]) ? 1 : 0;
    }
    for (std::uint32_t j = in_place; j < degree; ++j) {
      if (is_sealed(slot(list, j))) copy[1 + n++] = slot(list, j);
    }
    copy[0] = n;
    header(list).sealed_copy = number;
  }
  void leave_copy_empty(std::uint32_t number) noexcept {
    copies_[std::size_t{number} * copy_words()] = 0;
  }
  /// Marks the list as changed in this epoch; false if it is marked already.
  bool mark_touched(ListIndex list, std::uint32_t epoch) noexcept {
    ListHeader& h = header(list);
    if (h.touched_epoch == epoch) return false;
    std::atomic_ref(h.touched_epoch).store(epoch, std::memory_order_relaxed);  // see touched_epoch
    return true;
  }
  void note(const Change& change) {
    if (change.is_touched) touched_.push_back(change.list);
    if (change.is_copied) copied_.push_back(change.list);
    if (change.list >= first_young_) mark_cut(change.list);
  }

  // --- used by a slide (common/contents/slide.hpp) ---
  /// The list at `to` becomes what the one at `from` is. REQUIRES that nobody reads the list at
  /// `to`.
  void move(ListIndex from, ListIndex to) noexcept {
    std::copy_n(words_of(from), stride_, words_of(to));
  }
  /// Puts `other` in the place of `id`. REQUIRES contains(list, id).
  void rename(ListIndex list, NodeId id, NodeId other) noexcept {
    std::atomic_ref(slot(list, find(list, id))).store(other, std::memory_order_release);
  }
  /// Empties lists [first, last), which nobody reads, and gives their pages back.
  void clear(ListIndex first, ListIndex last) noexcept {
    words_.clear(first * stride_, last * stride_);
  }
  /// As those of VirtualArray.
  void give_front_back(std::size_t lists) noexcept { words_.give_front_back(lists * stride_); }
  void reuse_front() noexcept { words_.reuse_front(); }
  /// Calls rename(ids) for the ids of each sealed copy.
  template <class Rename>
  void rename_sealed(const Rename& rename) noexcept {
    for (std::size_t at = copy_words(); at < copies_.size(); at += copy_words()) {
      rename(std::span(&copies_[at + 1], copies_[at]));
    }
  }
  /// Forgets the lists from `lists` on, and finds anew which of the others the open `epoch` has
  /// changed: all may have moved. Gives the memory back that seals have had.
  void end_slide(std::size_t lists, std::uint32_t epoch) noexcept;

  /// Lists changed since forget_touched(), in order of their first change.
  [[nodiscard]] const std::vector<ListIndex>& touched() const noexcept { return touched_; }
  /// Lists whose degree has passed max_degree() since drop_overflow().
  [[nodiscard]] const std::vector<ListIndex>& overflowed() const noexcept { return overflowed_; }
  void forget_touched() noexcept { touched_.clear(); }
  /// REQUIRES that no list exceeds max_degree().
  void drop_overflow() noexcept;

  // --- used by the file format ---
  static constexpr std::uint32_t kHeaderWords = sizeof(ListHeader) / sizeof(std::uint32_t);
  [[nodiscard]] std::size_t stride_words() const noexcept { return stride_; }
  [[nodiscard]] std::size_t overflow_words() const noexcept { return max_degree_; }
  [[nodiscard]] std::size_t copy_words() const noexcept { return max_degree_ + 1; }
  /// Appends the list with another header, its overflow block or its sealed copy to `out`; places
  /// that hold no neighbor are zero.
  void export_list(ListIndex list, const ListHeader& header, std::vector<std::uint32_t>& out) const;
  void export_overflow(ListIndex list, std::vector<std::uint32_t>& out) const;
  void export_sealed_copy(ListIndex list, std::vector<std::uint32_t>& out) const;
  /// Memory to read size() lists and the given numbers of blocks into.
  struct Import {
    std::uint32_t* lists;
    std::uint32_t* overflow;
    std::uint32_t* copies;
  };
  Import begin_import(std::size_t overflow_blocks, std::size_t copy_blocks);
  /// Replaces the size() lists by lists of a mapped file, which may only be read.
  void map(VirtualArray<std::uint32_t> words) noexcept { words_ = std::move(words); }
  /// Rebuilds touched(), overflowed() and copied() of the open `epoch` from the lists. False if the
  /// lists' degrees and block numbers are not what export wrote.
  [[nodiscard]] bool end_import(std::uint32_t epoch);
  /// True if all places of the list, its overflow block and its sealed copy that hold no neighbor
  /// are zero. REQUIRES end_import() and a copy of at most max_degree() ids.
  [[nodiscard]] bool unused_is_zero(ListIndex list) const noexcept;

 private:
  // std::atomic_ref takes no const object, so atomic reads of a const table go through these.
  [[nodiscard]] std::uint32_t* words_of(ListIndex list) const noexcept {
    return words_.data() + list * stride_;
  }
  // NOLINTNEXTLINE(readability-non-const-parameter): the header can be written
  [[nodiscard]] static ListHeader& header_of(std::uint32_t* words) noexcept {
    return *reinterpret_cast<ListHeader*>(words);
  }
  [[nodiscard]] static std::uint32_t degree_of(std::uint32_t* words) noexcept {
    return std::atomic_ref(header_of(words).degree).load(std::memory_order_acquire);
  }
  [[nodiscard]] ListHeader& raw_header(ListIndex list) const noexcept {
    return header_of(words_of(list));
  }
  template <class Visit, class VisitOverflow>
  void visit_ids(std::uint32_t* words, std::uint32_t n, const Visit& visit,
                 const VisitOverflow& visit_overflow) const {
    const std::uint32_t in_place = std::min(n, max_degree_);
    NodeId* const ids = words + kHeaderWords;
    for (std::uint32_t j = 0; j < in_place; ++j) {
      visit(std::atomic_ref(ids[j]).load(std::memory_order_acquire));
    }
    if (n <= max_degree_) return;
    const std::uint32_t block =
        std::atomic_ref(header_of(words).overflow).load(std::memory_order_acquire);
    if (block == 0) return;
    NodeId* const overflowed = &overflow_[std::size_t{block} * max_degree_];
    for (std::uint32_t j = 0; j < n - max_degree_; ++j) {
      visit_overflow(std::atomic_ref(overflowed[j]).load(std::memory_order_acquire));
    }
  }
  [[nodiscard]] NodeId& raw_slot(ListIndex list, std::uint32_t j) const noexcept {
    if (j < max_degree_) return words_[list * stride_ + kHeaderWords + j];
    const std::size_t block =
        std::atomic_ref(raw_header(list).overflow).load(std::memory_order_acquire);
    return overflow_[block * max_degree_ + (j - max_degree_)];  // its address after its number
  }
  [[nodiscard]] const NodeId& slot(ListIndex list, std::uint32_t j) const noexcept {
    return raw_slot(list, j);
  }
  [[nodiscard]] NodeId& slot(ListIndex list, std::uint32_t j) noexcept { return raw_slot(list, j); }
  [[nodiscard]] std::uint32_t find(ListIndex list, NodeId id) const noexcept;
  void add_overflow(ListIndex list);
  std::uint32_t max_degree_;
  std::size_t stride_;  ///< words per list
  std::size_t lists_ = 0;
  VirtualArray<std::uint32_t> words_;
  VirtualArray<NodeId> overflow_;  ///< blocks of max_degree ids; block 0 is unused
  VirtualArray<NodeId> copies_;    ///< blocks of 1 + max_degree words: count, ids; 0 unused
  std::vector<ListIndex> touched_, overflowed_, copied_;
  ListIndex first_young_ = 0;
  VirtualArray<std::uint64_t> young_cut_;  ///< bit j: the last seal changed list first_young_ + j
};

}  // namespace concord::core
