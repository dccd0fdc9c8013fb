#include "common/graph/link_table.hpp"

#include <algorithm>
#include <cstring>

namespace concord::core {
namespace {

constexpr std::size_t kAhead = 16;  // lists whose headers are fetched before they are changed

/// Room for `more` elements, growing by half at least, so that small additions stay cheap.
template <class T>
void reserve_more(std::vector<T>& elements, std::size_t more) {
  const std::size_t needed = elements.size() + more;
  if (needed > elements.capacity()) {
    elements.reserve(std::max(needed, elements.capacity() + elements.capacity() / 2));
  }
}

}  // namespace

LinkTable::LinkTable(std::uint32_t max_degree)
    : max_degree_(max_degree), stride_(kHeaderWords + max_degree) {
  overflow_.resize(overflow_words());
  copies_.resize(copy_words());
}

void LinkTable::free_left() noexcept {
  words_.free_left();
  overflow_.free_left();
  copies_.free_left();
  young_cut_.free_left();
}

std::uint32_t LinkTable::find(ListIndex list, NodeId id) const noexcept {
  const std::uint32_t n = header(list).degree;
  const std::uint32_t in_place = std::min(n, max_degree_);
  const NodeId* ids = &words_[list * stride_ + kHeaderWords];
  std::uint32_t place = 0;  // 1 + where it is; no branch, so that several ids are compared at once
  for (std::uint32_t j = 0; j < in_place; ++j) place += ids[j] == id ? j + 1 : 0;
  if (place > 0) return place - 1;
  for (std::uint32_t j = in_place; j < n; ++j) {
    if (slot(list, j) == id) return j;
  }
  return n;
}

void LinkTable::reserve_epoch(std::size_t appends, std::size_t copies, std::size_t room) {
  // No list is touched, overflowed or copied twice in an epoch, so the number of lists is a bound.
  appends = std::min(appends, lists_);
  copies = std::min(copies, lists_);
  overflow_.reserve(overflow_.size() + appends * max_degree_);
  copies_.reserve(copies_.size() + (copies + room) * copy_words());
  // Each append touches a list and may overflow it; each copy belongs to a list that a seal
  // touches.
  reserve_more(touched_, appends + copies);
  reserve_more(overflowed_, appends);
  reserve_more(copied_, copies);
}

void LinkTable::add_overflow(ListIndex list) {
  const std::size_t block = overflow_.size() / max_degree_;
  overflowed_.push_back(list);
  overflow_.resize(overflow_.size() + max_degree_);
  std::atomic_ref(header(list).overflow)
      .store(static_cast<std::uint32_t>(block), std::memory_order_release);
}

void LinkTable::remove(ListIndex list, NodeId id) noexcept {
  ListHeader& h = header(list);
  const auto last = static_cast<std::uint16_t>(h.degree - 1);
  std::atomic_ref(slot(list, find(list, id))).store(slot(list, last), std::memory_order_release);
  std::atomic_ref(h.degree).store(last, std::memory_order_release);
}

void LinkTable::replace(ListIndex list, NodeId id, NodeId other, std::uint32_t epoch) {
  const std::uint32_t last = append(list, other, epoch) - 2;  // where the last one stood before
  std::atomic_ref(slot(list, find(list, id))).store(slot(list, last), std::memory_order_release);
  std::atomic_ref(slot(list, last)).store(other, std::memory_order_release);
  std::atomic_ref(header(list).degree)
      .store(static_cast<std::uint16_t>(last + 1), std::memory_order_release);
}

std::span<const NodeId> LinkTable::sealed_copy(ListIndex list) const noexcept {
  const NodeId* copy = &copies_[std::size_t{header(list).sealed_copy} * (max_degree_ + 1)];
  return {copy + 1, copy[0]};
}

void LinkTable::drop_sealed_copies() noexcept {
  for (std::size_t i = 0; i < copied_.size(); ++i) {
    if (i + kAhead < copied_.size()) prefetch_header(copied_[i + kAhead]);
    header(copied_[i]).sealed_copy = 0;
  }
  copied_.clear();
  copies_.resize(max_degree_ + 1);
}

void LinkTable::drop_overflow() noexcept {
  for (const ListIndex list : overflowed_) {
    std::atomic_ref(header(list).overflow).store(0, std::memory_order_release);
  }
  overflowed_.clear();
  overflow_.resize(max_degree_);
}

void LinkTable::export_list(ListIndex list, const ListHeader& header,
                            std::vector<std::uint32_t>& out) const {
  const std::size_t first = out.size();
  out.resize(first + stride_, 0);
  std::memcpy(&out[first], &header, sizeof header);
  const std::uint32_t in_place = std::min<std::uint32_t>(header.degree, max_degree_);
  std::copy_n(&words_[list * stride_ + kHeaderWords], in_place, &out[first + kHeaderWords]);
}

void LinkTable::export_overflow(ListIndex list, std::vector<std::uint32_t>& out) const {
  const std::size_t first = out.size();
  out.resize(first + overflow_words(), 0);
  for (std::uint32_t j = max_degree_; j < degree(list); ++j)
    out[first + j - max_degree_] = at(list, j);
}

void LinkTable::export_sealed_copy(ListIndex list, std::vector<std::uint32_t>& out) const {
  const std::size_t first = out.size();
  out.resize(first + copy_words(), 0);
  const std::span<const NodeId> copy = sealed_copy(list);
  out[first] = static_cast<std::uint32_t>(copy.size());
  std::copy(copy.begin(), copy.end(), &out[first + 1]);
}

LinkTable::Import LinkTable::begin_import(std::size_t overflow_blocks, std::size_t copy_blocks) {
  overflow_.resize((overflow_blocks + 1) * overflow_words());
  copies_.resize((copy_blocks + 1) * copy_words());
  return {words_.data(), overflow_.data() + overflow_words(), copies_.data() + copy_words()};
}

bool LinkTable::end_import(std::uint32_t epoch) {
  touched_.clear();
  overflowed_.clear();
  copied_.clear();
  for (ListIndex list = 0; list < lists_; ++list) {
    const ListHeader& h = header(list);
    if (!is_readable(list)) return false;
    if (h.overflow != 0) overflowed_.push_back(list);
    if (h.overflow != 0 && h.overflow != overflowed_.size()) return false;
    if (h.sealed_copy != 0) copied_.push_back(list);
    if (h.sealed_copy != 0 && h.sealed_copy != copied_.size()) return false;
    if (h.touched_epoch > epoch) return false;
    if (h.touched_epoch == epoch && h.degree > 0) touched_.push_back(list);
  }
  return (overflowed_.size() + 1) * overflow_words() == overflow_.size() &&
         (copied_.size() + 1) * copy_words() == copies_.size();
}

// As many lists as before have each mark, so their memory is there.
void LinkTable::end_slide(std::size_t lists, std::uint32_t epoch) noexcept {
  words_.shrink(lists * stride_);
  lists_ = lists;
  touched_.clear();
  overflowed_.clear();
  copied_.clear();
  for (ListIndex list = 0; list < lists_; ++list) {
    const ListHeader& h = header(list);
    if (h.overflow != 0) overflowed_.push_back(list);
    if (h.sealed_copy != 0) copied_.push_back(list);
    if (h.touched_epoch == epoch && h.degree > 0) touched_.push_back(list);
  }
  for (std::vector<ListIndex>* marked : {&touched_, &overflowed_, &copied_}) {
    marked->shrink_to_fit();
  }
  overflow_.shrink(overflow_.size());
  copies_.shrink(copies_.size());
  young_cut_.shrink(0);
}

bool LinkTable::unused_is_zero(ListIndex list) const noexcept {
  const ListHeader& h = header(list);
  const auto is_zero_from = [](const std::uint32_t* words, std::size_t first, std::size_t count) {
    return std::all_of(words + std::min(first, count), words + count,
                       [](std::uint32_t word) { return word == 0; });
  };
  if (!is_zero_from(&words_[list * stride_ + kHeaderWords], h.degree, max_degree_)) return false;
  if (h.overflow != 0) {
    const std::size_t used = h.degree > max_degree_ ? h.degree - max_degree_ : 0;
    const std::size_t block = std::size_t{h.overflow} * max_degree_;
    if (!is_zero_from(&overflow_[block], used, max_degree_)) return false;
  }
  if (h.sealed_copy == 0) return true;
  const std::uint32_t* const copy = &copies_[std::size_t{h.sealed_copy} * copy_words()];
  return is_zero_from(copy + 1, copy[0], max_degree_);
}

}  // namespace concord::core
