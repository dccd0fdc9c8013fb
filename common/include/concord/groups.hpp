// concord::Groups: which vectors of an index belong together, such as the chunks of a document.
//
// A search with groups returns the k nearest groups in the place of the k nearest vectors, and at
// most so many vectors of each. The page docs/ranges.md shows their use and says what they cost.
#pragma once

#include <concord/export.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace concord {

class Index;
class ShardedIndex;
struct IndexAccess;
namespace core {
class GroupSet;
struct GroupParts;
}  // namespace core

/// A partition of the vectors of one index, as of the moment at which it was made. Vectors that are
/// added later belong to no group, and a search with groups does not find them.
///
/// Memory: 4 bytes a vector, and 4 more once the index has moved vectors to give memory of removed
/// ones back (see Index::remove). Looking a group up then takes O(log size). Copies share it.
/// Thread-safety: immutable. The index may be moved or destroyed before it.
class CONCORD_API Groups {
 public:
  /// Vectors with equal keys are a group. `keys` ([index.size()]) is in the order of
  /// Index::labels(). Runs beside an addition and never waits for it. Throws
  /// Error(invalid_parameter) for another number of keys, Error(out_of_memory) or std::bad_alloc,
  /// and Error(corrupt_file) on a mapped index. O(size) expected.
  static Groups of_keys(const Index& index, std::span<const std::uint64_t> keys);
  /// The same for the vectors of a ShardedIndex, in the order of its labels(). A group may have
  /// vectors in several shards. Takes 8 bytes a vector. O(size · log shards) expected.
  static Groups of_keys(const ShardedIndex& index, std::span<const std::uint64_t> keys);

  /// Vectors that had a group when it was made.
  [[nodiscard]] std::size_t size() const;
  /// Groups.
  [[nodiscard]] std::size_t count() const;
  /// Memory in use.
  [[nodiscard]] std::size_t bytes() const;

 private:
  friend struct IndexAccess;
  explicit Groups(std::shared_ptr<const core::GroupSet> set) noexcept;
  explicit Groups(std::shared_ptr<const core::GroupParts> parts) noexcept;
  [[nodiscard]] const core::GroupSet& set() const;

  std::shared_ptr<const core::GroupSet> set_;      ///< null in one that was moved from
  std::shared_ptr<const core::GroupParts> parts_;  ///< of the shards, in the place of set_
};

}  // namespace concord
