// Operations of every kind in an order drawn by a seed, and what an index must be after each so
// many of them, and no other index: the one that did them one at a time and without a journal.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/reference.hpp"

namespace concord::test {

/// Parameters of a small index, of which several epochs end.
inline IndexParams small_params(std::uint64_t seed) {
  const std::uint32_t limits[] = {1, 3, 8, 64};
  return make_params(3, 2 + static_cast<std::uint32_t>(hash(seed, 1) % 3), 8,
                     limits[hash(seed, 2) % 4], kAllMetrics[hash(seed, 3) % 3]);
}

class Operations {
 public:
  /// Of 100 operations about `removals` are removals; a few are updates and flushes.
  Operations(const IndexParams& params, std::size_t count, std::uint64_t seed,
             std::uint64_t removals = 30)
      : params_(params), data_(make_data(Shape::duplicate, count, params.dimension, seed)) {
    draw_all(count, seed, removals);
    Index index(params, one_thread());
    digests_.push_back(index.digest());
    for (std::size_t i = 0; i < count; ++i) {
      apply(index, i, 1);
      digests_.push_back(index.digest());
    }
  }

  [[nodiscard]] std::size_t count() const { return kinds_.size(); }
  [[nodiscard]] const std::vector<std::string>& digests() const { return digests_; }
  Index open(const std::filesystem::path& path, Durability durability = Durability::synced) const {
    return Index::open(path, params_, durability, one_thread());
  }

  /// How many of the operations from `first` on, at most `most`, one call can do.
  [[nodiscard]] std::size_t length_of_call(std::size_t first, std::size_t most) const {
    std::set<std::uint64_t> labels;
    std::size_t i = first;
    for (; i < std::min(count(), first + most); ++i) {
      const bool fits = kinds_[i] == kinds_[first] || (brings_vector(i) && brings_vector(first));
      if (!fits || !labels.insert(labels_[i]).second) break;
    }
    return i - first;
  }
  /// Does operations [first, first + count) in one call, which length_of_call() allows.
  void apply(Index& index, std::size_t first, std::size_t count,
             const ProgressCallback& progress = {}) const {
    const auto labels = std::span(labels_).subspan(first, count);
    const auto rows = data_.slice(first, count);
    const auto end = kinds_.begin() + static_cast<std::ptrdiff_t>(first + count);
    if (kinds_[first] == Kind::flush) return index.flush();
    if (kinds_[first] == Kind::remove) {
      index.remove(labels);
    } else if (std::find(end - static_cast<std::ptrdiff_t>(count), end, Kind::update) == end) {
      index.add(rows, labels, progress);
    } else {
      index.upsert(rows, labels, progress);
    }
  }
  /// Does all from `first` on, in calls of random lengths.
  void apply_all(Index& index, std::size_t first, std::uint64_t seed) const {
    apply_all(index, first, seed, count());
  }
  /// The same up to `end`.
  void apply_all(Index& index, std::size_t first, std::uint64_t seed, std::size_t end) const {
    while (first < end) {
      const std::size_t some =
          length_of_call(first, std::min<std::size_t>(end - first, 1 + hash(seed, first) % 9));
      apply(index, first, some);
      first += some;
    }
  }

  /// A step of a life: a compaction, an opening anew, or a call of a few operations from `done` on.
  /// Returns how many are done then.
  std::size_t take_step(std::optional<Index>& index, const std::filesystem::path& path,
                        Durability durability, std::size_t done, std::uint64_t seed,
                        std::uint64_t step) const {
    const std::uint64_t action = hash(seed, step) % 16;
    if (action == 0) {
      index->compact();
    } else if (action == 1) {
      index.reset();
      index = open(path, durability);
    } else {
      const std::size_t some = length_of_call(done, 1 + hash(seed, step, 1) % 40);
      apply(*index, done, some);
      return done + some;
    }
    return done;
  }

  /// After how many operations an index is this one: the most that it can be, at least `least`.
  /// Fails the test if it is none of [least, most].
  [[nodiscard]] std::size_t position_of(const Index& index, std::size_t least,
                                        std::size_t most) const {
    const std::string digest = index.digest();
    for (std::size_t i = std::min(most, count()) + 1; i-- > least;) {
      if (digests_[i] == digest) return i;
    }
    ADD_FAILURE() << "an index of " << index.stats().insertions << " insertions and "
                  << index.stats().removals << " removals is none of operations " << least << " to "
                  << most;
    return count();
  }

 private:
  enum class Kind { insert, remove, update, flush };

  [[nodiscard]] bool brings_vector(std::size_t i) const {
    return kinds_[i] == Kind::insert || kinds_[i] == Kind::update;
  }

  // Operations come in runs, so that calls can do several. Some labels are used again.
  void draw_all(std::size_t count, std::uint64_t seed, std::uint64_t removals) {
    std::vector<std::uint64_t> alive;
    for (std::size_t run = 0; kinds_.size() < count; ++run) {
      const std::uint64_t kind = hash(seed, 1, run) % 100;
      const std::size_t length = std::min(count - kinds_.size(), 1 + hash(seed, 2, run) % 12);
      for (std::size_t i = 0; i < length; ++i) {
        const std::uint64_t draw = hash(seed, 3, kinds_.size());
        if (kind >= 92) {
          push(Kind::flush, 0);
          break;
        }
        const bool removes = kind < removals;
        const bool updates = !removes && kind < removals + 15 && draw % 3 != 0;
        if ((removes || updates) && alive.empty()) break;
        const auto at = alive.begin() +
                        static_cast<std::ptrdiff_t>(alive.empty() ? 0 : (draw >> 8) % alive.size());
        if (updates) {
          push(Kind::update, *at);
        } else if (removes) {
          push(Kind::remove, *at);
          if (draw % 5 == 0) freed_.push_back(*at);
          alive.erase(at);
        } else {
          const bool again = draw % 4 == 0 && !freed_.empty();
          const std::uint64_t label = again ? freed_.back() : 10 * kinds_.size() + 7;
          if (again) freed_.pop_back();
          push(Kind::insert, label);
          alive.push_back(label);
        }
      }
    }
  }
  void push(Kind kind, std::uint64_t label) {
    kinds_.push_back(kind);
    labels_.push_back(label);
  }

  IndexParams params_;
  Matrix data_;
  std::vector<Kind> kinds_;
  std::vector<std::uint64_t> labels_;
  std::vector<std::uint64_t> freed_;
  std::vector<std::string> digests_;
};

}  // namespace concord::test
