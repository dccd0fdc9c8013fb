// The candidate list of a beam search: at most `capacity` keys in order, each expanded or not.
// Thread-safety: none; one per search.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "common/base/key.hpp"

namespace concord::cpu {

class CandidateList {
 public:
  /// Empties the list and gives it room for `capacity` ≥ 1 candidates.
  void reset(std::size_t capacity) {
    if (keys_.size() < capacity) keys_.resize(capacity);
    capacity_ = capacity;
    size_ = 0;
    cursor_ = 0;
  }

  /// Holds these keys, at most capacity and in order, none of them expanded.
  void assign(std::span<const core::Key> keys) noexcept {
    cursor_ = 0;
    std::copy(keys.begin(), keys.end(), keys_.begin());
    size_ = keys.size();
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return keys_.capacity() * sizeof(core::Key); }
  /// With its mark where it is expanded.
  [[nodiscard]] core::Key operator[](std::size_t i) const noexcept { return keys_[i]; }
  [[nodiscard]] core::Key key(std::size_t i) const noexcept { return keys_[i] & ~core::kExpanded; }
  /// A key that compares below this may still enter.
  [[nodiscard]] core::Key bound() const noexcept {
    return size_ < capacity_ ? core::kWorstKey : keys_[size_ - 1];
  }

  /// No key of a greater distance may enter.
  [[nodiscard]] float worst_distance() const noexcept {
    return size_ < capacity_ ? std::numeric_limits<float>::infinity()
                             : core::key_distance(keys_[size_ - 1]);
  }

  /// Inserts a plain key unless it is there already or worse than a full list's worst. Returns its
  /// place behind the first candidate that is not expanded (0 = it will be expanded next), or
  /// capacity where it did not enter.
  std::size_t insert(core::Key key) noexcept {
    if (key >= bound()) return capacity_;
    core::Key* const first = keys_.data();
    core::Key* const place = lower_bound(key);
    if (place < first + size_ && (*place >> 1) == (key >> 1)) return capacity_;
    if (size_ < capacity_) ++size_;
    std::memmove(place + 1, place,
                 static_cast<std::size_t>(first + size_ - 1 - place) * sizeof(core::Key));
    *place = key;
    const auto position = static_cast<std::size_t>(place - first);
    cursor_ = std::min(cursor_, position);
    return position - cursor_;
  }

  /// Whether all candidates are expanded.
  [[nodiscard]] bool is_done() noexcept {
    while (cursor_ < size_ && (keys_[cursor_] & core::kExpanded) != 0) ++cursor_;
    return cursor_ == size_;
  }
  /// The closest candidate not yet expanded. REQUIRES !is_done(), asked since the last change.
  [[nodiscard]] core::Key closest() const noexcept { return keys_[cursor_]; }
  /// Marks it and returns its id. REQUIRES the same.
  core::NodeId expand_closest() noexcept {
    const core::NodeId id = core::key_id(keys_[cursor_]);
    keys_[cursor_] |= core::kExpanded;
    return id;
  }

 private:
  // Without a branch to mispredict: half of the steps of std::lower_bound go either way. By
  // arithmetic, since GCC 12 makes a branch of the conditional operator.
  [[nodiscard]] core::Key* lower_bound(core::Key key) noexcept {
    core::Key* first = keys_.data();
    for (std::size_t n = size_; n > 0;) {
      const std::size_t half = (n + 1) / 2;
      first += half & (std::size_t{0} - static_cast<std::size_t>(first[half - 1] < key));
      n -= half;
    }
    return first;
  }

  std::vector<core::Key> keys_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t cursor_ = 0;  ///< all candidates before it are expanded
};

}  // namespace concord::cpu
