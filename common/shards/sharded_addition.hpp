// One call of add, update or upsert of a ShardedIndex: taken in by all shards, or by none.
//
// First each shard takes its vectors and labels in, which can be refused and then has changed
// nothing. Then committing threads insert, a shard each, in rounds (round.hpp). What a failure or a
// crash leaves is at most a round from a prefix of the call.
// Private to this folder. Thread-safety: one thread, which holds the writer lock of the whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/shards/round.hpp"
#include "common/shards/sharded_impl.hpp"

namespace concord {

class ShardedIndex::Impl::Addition {
 public:
  /// Of `count` new vectors. While no vector was ever removed or replaced, those that an
  /// interrupted addition left are skipped.
  Addition(Impl& impl, std::size_t count, std::span<const std::uint64_t> labels);
  /// Of vectors that take the places of those at `old`, one for each label; new where there is
  /// none. What it needs of `old` is kept, and not the list, which would outlive all insertions.
  Addition(Impl& impl, std::span<const std::uint64_t> labels, std::vector<Owner> old);

  /// Takes rows in, which are the call's from number `number` on, or compares them where their
  /// shards have them.
  void write(std::size_t number, MatrixView<const float> rows);
  /// Gives new vectors their labels. Throws Error(duplicate_label) for one that is in some shard
  /// already, or twice in the call.
  void label();
  void insert(const ProgressCallback& progress);
  /// How many of the call's vectors are committed, from its first on.
  [[nodiscard]] std::size_t committed() const noexcept;

 private:
  void begin();
  void deal_by_position();
  void deal(std::span<const Owner> old);

  // What a shard takes: by arithmetic, or as it was dealt.
  [[nodiscard]] std::uint64_t row(const Part& part, std::uint64_t i) const noexcept;
  [[nodiscard]] std::uint64_t taken_before(const Part& part, std::uint64_t number) const noexcept;
  /// How many of them from the i-th on are step rows apart.
  [[nodiscard]] std::uint64_t run(const Part& part, std::uint64_t i, std::uint64_t& step) const;

  void compare(const Part& part, std::size_t number, MatrixView<const float> rows) const;
  void compare(const Part& part, std::uint64_t id, const float* vector) const;
  void write(Part& part, std::size_t number, MatrixView<const float> rows);
  [[nodiscard]] std::uint64_t label_of(const Part& part, std::uint64_t i) const noexcept;
  void take_labels(Part& part) const;
  void expect_new_labels() const;
  [[nodiscard]] std::uint64_t first_repeated() const;
  void insert_up_to(std::uint64_t end, Reporter& reporter);

  Impl& impl_;
  std::uint64_t first_;  ///< position of the call's first vector, where it goes by positions
  std::uint64_t count_;
  std::span<const std::uint64_t> labels_;
  std::vector<Part> parts_;
  bool is_dealt_ = false;  ///< parts have rows
};

}  // namespace concord
