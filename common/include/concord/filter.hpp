// concord::Filter: which vectors of an index a search may return.
//
// A filter is made from a mask, labels, a range of insertion order or a predicate, once, and serves
// any number of searches. Equal filters give equal results, however they were made.
// docs/filtering.md shows their use and says what they cost.
#pragma once

#include <concord/export.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace concord {

class Groups;
class Index;
class ShardedIndex;
struct IndexAccess;
namespace core {
class MatchSet;
}  // namespace core

/// A set of vectors of one index, as of the moment at which it was made: its snapshot. Vectors that
/// are added later never match, nor do those that are removed or replaced later.
///
/// Memory: 4 bytes a match, and 1/8 byte for each vector of the index. A filter that every search
/// scans, of at most 131,072 elements of vectors, has no bits. Copies share it.
///
/// When the index moves vectors to give memory of removed ones back (see Index::remove), a filter
/// goes on and gives the same answers. The first search after it takes O(matches · log(size /
/// matches)) once. From then on the filter takes up to three times the memory. Filters that were
/// made between the same two moves share 4 bytes for each vector that the index had; those made
/// before the first move take none.
///
/// The factories run beside an addition and never wait for it. They throw Error(invalid_parameter)
/// for input that does not fit, Error(out_of_memory) or std::bad_alloc, and Error(corrupt_file) on
/// a mapped index. Thread-safety: immutable. The index may be moved or destroyed before the filter.
class CONCORD_API Filter {
 public:
  /// The vectors whose byte is not 0. `mask` ([index.size()]) is in the order of Index::labels().
  /// O(size).
  static Filter of_mask(const Index& index, std::span<const std::uint8_t> mask);
  /// The same with a bit for each vector, the lowest of each byte first, as Arrow packs booleans.
  /// The first is bit number `offset`, and `count` must be index.size().
  static Filter of_bits(const Index& index, std::span<const std::uint8_t> bits, std::size_t count,
                        std::size_t offset = 0);
  /// The vectors of these labels, in any order. Labels that have no vector are counted in
  /// unknown(). O(1) expected for each label, on all threads of the index; O(log size) while the
  /// index moves vectors.
  static Filter of_labels(const Index& index, std::span<const std::uint64_t> labels);
  /// Vectors number [first, last) in the order of Index::labels(): a window of insertion order.
  /// O(size).
  static Filter of_range(const Index& index, std::size_t first, std::size_t last);
  /// The vectors for whose label `predicate` holds. It is called once for each vector, in order,
  /// here and never later. It may use the index.
  static Filter of_predicate(const Index& index,
                             const std::function<bool(std::uint64_t label)>& predicate);

  /// The same for the vectors of a ShardedIndex, which is then the only one that may be searched
  /// with them. Beside an addition each shard is of a moment of its own. O(size · log shards), and
  /// for of_labels O(shards) expected for each label.
  static Filter of_mask(const ShardedIndex& index, std::span<const std::uint8_t> mask);
  static Filter of_bits(const ShardedIndex& index, std::span<const std::uint8_t> bits,
                        std::size_t count, std::size_t offset = 0);
  static Filter of_labels(const ShardedIndex& index, std::span<const std::uint64_t> labels);
  static Filter of_range(const ShardedIndex& index, std::size_t first, std::size_t last);
  static Filter of_predicate(const ShardedIndex& index,
                             const std::function<bool(std::uint64_t label)>& predicate);

  /// What matches both filters, either, or not this one. The snapshot of a combination is what both
  /// have seen. O(matches), and a factor of log(size / matches) if the index has moved vectors
  /// between the two; ~ takes O(size). Throw Error(invalid_parameter) for filters of
  /// different indexes.
  Filter operator&(const Filter& other) const;
  Filter operator|(const Filter& other) const;
  Filter operator~() const;

  /// Vectors that matched when the filter was made.
  [[nodiscard]] std::size_t matches() const;
  /// Vectors of the snapshot.
  [[nodiscard]] std::size_t size() const;
  /// Memory in use.
  [[nodiscard]] std::size_t bytes() const;
  /// Labels given to of_labels() that had no vector.
  [[nodiscard]] std::size_t unknown() const noexcept { return unknown_; }

 private:
  friend struct IndexAccess;
  explicit Filter(std::shared_ptr<const core::MatchSet> set, std::size_t unknown = 0) noexcept;
  Filter(std::vector<Filter> parts, std::size_t unknown);
  [[nodiscard]] const core::MatchSet& set() const;
  /// Throws Error(invalid_parameter) unless both are of one index, or of as many shards.
  void expect_like(const Filter& other) const;
  template <class Combine>
  [[nodiscard]] Filter of_each_part(const Combine& combine) const;
  template <class Count>
  [[nodiscard]] std::size_t sum(const Count& count) const;

  std::shared_ptr<const core::MatchSet> set_;         ///< null in a filter that was moved from
  std::shared_ptr<const std::vector<Filter>> parts_;  ///< one for each shard, in the place of set_
  std::size_t unknown_ = 0;
};

/// Which vectors the queries of a search may find. At most one of `filter` and `filters` may be
/// given.
struct SearchOptions {
  const Filter* filter = nullptr;               ///< for all queries; null: all vectors
  std::span<const Filter* const> filters = {};  ///< [queries]: one each; null: all vectors
  /// With groups a search finds the SearchParams::k nearest of them, each by its nearest vectors.
  const Groups* groups = nullptr;
  std::uint32_t group_hits = 1;  ///< 1 … 65,536 vectors of a group at most
};

}  // namespace concord
