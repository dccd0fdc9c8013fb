#include "common/row_table.hpp"

#include <algorithm>
#include <cstring>

namespace concord::core {
namespace {

// Spilled blocks and copies number at most the rows that one epoch of 65,536 insertions can touch.
constexpr std::size_t kMaxEpochBlocks = std::size_t{1} << 25;

constexpr std::size_t kAhead = 16;  // rows whose headers are fetched before they are changed

/// Room for `more` elements, growing by half at least, so that small additions stay cheap.
template <class T>
void reserve_more(std::vector<T>& elements, std::size_t more) {
  const std::size_t needed = elements.size() + more;
  if (needed > elements.capacity()) {
    elements.reserve(std::max(needed, elements.capacity() + elements.capacity() / 2));
  }
}

}  // namespace

RowTable::RowTable(std::uint32_t max_degree, std::size_t max_rows)
    : max_degree_(max_degree),
      stride_(kHeaderWords + max_degree),
      words_(max_rows * stride_),
      spills_(kMaxEpochBlocks * max_degree),
      copies_(kMaxEpochBlocks * (max_degree + 1)) {
  drop_spills();
  drop_sealed_copies();
}

std::uint32_t RowTable::find(RowIndex row, NodeId id) const noexcept {
  const std::uint32_t n = header(row).degree;
  const std::uint32_t in_place = std::min(n, max_degree_);
  const NodeId* ids = &words_[row * stride_ + kHeaderWords];
  std::uint32_t place = 0;  // 1 + where it is; no branch, so that several ids are compared at once
  for (std::uint32_t j = 0; j < in_place; ++j) place += ids[j] == id ? j + 1 : 0;
  if (place > 0) return place - 1;
  for (std::uint32_t j = in_place; j < n; ++j) {
    if (slot(row, j) == id) return j;
  }
  return n;
}

void RowTable::reserve_epoch(std::size_t appends, std::size_t copies) {
  // However many there are: no row is touched, spilled or copied twice in an epoch.
  appends = std::min(appends, rows_);
  copies = std::min(copies, rows_);
  spills_.reserve(spills_.size() + appends * max_degree_);
  copies_.reserve(copies_.size() + copies * (max_degree_ + 1));
  // Each append touches a row and may spill it; each copy belongs to a row that a seal touches.
  reserve_more(touched_, appends + copies);
  reserve_more(spilled_, appends);
  reserve_more(copied_, copies);
}

void RowTable::add_spill(RowIndex row) {
  const std::size_t block = spills_.size() / max_degree_;
  spilled_.push_back(row);
  spills_.resize(spills_.size() + max_degree_);
  std::atomic_ref(header(row).spill)
      .store(static_cast<std::uint32_t>(block), std::memory_order_release);
}

void RowTable::remove(RowIndex row, NodeId id) noexcept {
  RowHeader& h = header(row);
  const auto last = static_cast<std::uint16_t>(h.degree - 1);
  std::atomic_ref(slot(row, find(row, id))).store(slot(row, last), std::memory_order_release);
  std::atomic_ref(h.degree).store(last, std::memory_order_release);
}

void RowTable::replace(RowIndex row, NodeId id, NodeId other, std::uint32_t epoch) {
  const std::uint32_t last = append(row, other, epoch) - 2;  // where the last one stood before
  std::atomic_ref(slot(row, find(row, id))).store(slot(row, last), std::memory_order_release);
  std::atomic_ref(slot(row, last)).store(other, std::memory_order_release);
  std::atomic_ref(header(row).degree)
      .store(static_cast<std::uint16_t>(last + 1), std::memory_order_release);
}

std::span<const NodeId> RowTable::sealed_copy(RowIndex row) const noexcept {
  const NodeId* copy = &copies_[std::size_t{header(row).sealed_copy} * (max_degree_ + 1)];
  return {copy + 1, copy[0]};
}

void RowTable::drop_sealed_copies() noexcept {
  for (std::size_t i = 0; i < copied_.size(); ++i) {
    if (i + kAhead < copied_.size()) prefetch_header(copied_[i + kAhead]);
    header(copied_[i]).sealed_copy = 0;
  }
  copied_.clear();
  copies_.resize(max_degree_ + 1);
}

void RowTable::drop_spills() noexcept {
  for (const RowIndex row : spilled_) {
    std::atomic_ref(header(row).spill).store(0, std::memory_order_release);
  }
  spilled_.clear();
  spills_.resize(max_degree_);
}

void RowTable::export_row(RowIndex row, const RowHeader& header,
                          std::vector<std::uint32_t>& out) const {
  const std::size_t first = out.size();
  out.resize(first + stride_, 0);
  std::memcpy(&out[first], &header, sizeof header);
  const std::uint32_t in_place = std::min<std::uint32_t>(header.degree, max_degree_);
  std::copy_n(&words_[row * stride_ + kHeaderWords], in_place, &out[first + kHeaderWords]);
}

void RowTable::export_spill(RowIndex row, std::vector<std::uint32_t>& out) const {
  const std::size_t first = out.size();
  out.resize(first + spill_words(), 0);
  for (std::uint32_t j = max_degree_; j < degree(row); ++j)
    out[first + j - max_degree_] = at(row, j);
}

void RowTable::export_sealed_copy(RowIndex row, std::vector<std::uint32_t>& out) const {
  const std::size_t first = out.size();
  out.resize(first + copy_words(), 0);
  const std::span<const NodeId> copy = sealed_copy(row);
  out[first] = static_cast<std::uint32_t>(copy.size());
  std::copy(copy.begin(), copy.end(), &out[first + 1]);
}

RowTable::Import RowTable::begin_import(std::size_t spill_blocks, std::size_t copy_blocks) {
  spills_.resize((spill_blocks + 1) * spill_words());
  copies_.resize((copy_blocks + 1) * copy_words());
  return {words_.data(), spills_.data() + spill_words(), copies_.data() + copy_words()};
}

bool RowTable::end_import(std::uint32_t epoch) {
  touched_.clear();
  spilled_.clear();
  copied_.clear();
  for (RowIndex row = 0; row < rows_; ++row) {
    const RowHeader& h = header(row);
    if (!is_readable(row)) return false;
    if (h.spill != 0) spilled_.push_back(row);
    if (h.spill != 0 && h.spill != spilled_.size()) return false;
    if (h.sealed_copy != 0) copied_.push_back(row);
    if (h.sealed_copy != 0 && h.sealed_copy != copied_.size()) return false;
    if (h.touched_epoch > epoch) return false;
    if (h.touched_epoch == epoch && h.degree > 0) touched_.push_back(row);
  }
  return (spilled_.size() + 1) * spill_words() == spills_.size() &&
         (copied_.size() + 1) * copy_words() == copies_.size();
}

}  // namespace concord::core
