// Filters and groups of a ShardedIndex: one of each shard, in the order of positions over all.

#include <algorithm>
#include <concord/filter.hpp>
#include <concord/groups.hpp>
#include <concord/sharded_index.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/index/index_access.hpp"
#include "common/search/group_set.hpp"
#include "common/shards/placement.hpp"

namespace concord {
namespace {

/// The vectors of all shards, in order of positions; each shard is of a moment of its own.
class Moments {
 public:
  enum class Labels { are_unread, are_read };
  explicit Moments(const ShardedIndex& index, Labels labels = Labels::are_unread)
      : placement_(index.shard_params()), numbers_(index.shards()), labels_(index.shards()) {
    for (std::uint32_t s = 0; s < index.shards(); ++s) {
      snapshots_.push_back(IndexAccess::living_of(
          index.shard(s), labels == Labels::are_read ? &labels_[s] : nullptr, &numbers_[s]));
      size_ += numbers_[s].size();
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void expect_size(const char* what, std::size_t size) const {
    if (size == size_) return;
    throw Error(ErrorCode::invalid_parameter,
                std::string(what) + " is of " + std::to_string(size) + " vectors; the index has " +
                    std::to_string(size_) + ", and it must have as many");
  }
  /// What value(place, label) gives for each vector, by shard. Places count in order of positions;
  /// labels that are unread are kNoLabel.
  template <class T, class Value>
  [[nodiscard]] std::vector<std::vector<T>> deal(const Value& value) const {
    std::vector<std::vector<T>> values(numbers_.size());
    for (std::size_t s = 0; s < values.size(); ++s) values[s].resize(numbers_[s].size());
    std::size_t place = 0;
    core::for_each_by_position(placement_, numbers_, [&](std::size_t s, std::size_t i) {
      values[s][i] = value(place++, labels_[s].empty() ? kNoLabel : labels_[s][i]);
    });
    return values;
  }
  [[nodiscard]] const core::FilterSnapshot& snapshot(std::size_t s) const { return snapshots_[s]; }

  /// The filter of the vectors for which is_match(place, label) holds.
  template <class IsMatch>
  [[nodiscard]] Filter filter(const IsMatch& is_match) const {
    const auto masks = deal<std::uint8_t>([&](std::size_t place, std::uint64_t label) {
      return static_cast<std::uint8_t>(is_match(place, label) ? 1 : 0);
    });
    std::vector<Filter> parts;
    for (std::size_t s = 0; s < masks.size(); ++s) {
      parts.push_back(IndexAccess::filter_at(snapshots_[s], masks[s]));
    }
    return IndexAccess::filter_of_parts(std::move(parts), 0);
  }

 private:
  core::Placement placement_;
  std::vector<core::FilterSnapshot> snapshots_;
  std::vector<std::vector<std::uint64_t>> numbers_;  ///< of insertion, by shard
  std::vector<std::vector<std::uint64_t>> labels_;
  std::size_t size_ = 0;
};

/// One shard's vectors have these groups of all. Groups of a shard are numbered by their first
/// vectors there.
core::GroupParts::Part part_of(const core::FilterSnapshot& snapshot,
                               std::span<const std::uint32_t> groups) {
  core::GroupParts::Part part;
  std::unordered_map<std::uint32_t, std::uint32_t> own;
  std::vector<std::uint32_t> numbers;
  for (const std::uint32_t group : groups) {
    const auto next = static_cast<std::uint32_t>(part.numbers.size());
    const auto [found, is_new] = own.try_emplace(group, next);
    if (is_new) part.numbers.push_back(group);
    numbers.push_back(found->second);
  }
  const auto count = static_cast<std::uint32_t>(part.numbers.size());
  part.set = IndexAccess::groups_at(snapshot, numbers, count);
  part.firsts.resize(count + std::size_t{1});
  for (const std::uint32_t number : numbers) ++part.firsts[number + 1];
  for (std::uint32_t g = 0; g < count; ++g) part.firsts[g + 1] += part.firsts[g];
  part.members.resize(numbers.size());
  std::vector<std::uint32_t> next(part.firsts.begin(), part.firsts.end() - 1);
  for (core::NodeId id = 0; id < snapshot.end; ++id) {
    const std::uint32_t group = (*part.set)[id];
    if (group != core::GroupSet::kNoGroup) part.members[next[group]++] = id;
  }
  return part;
}

}  // namespace

Filter Filter::of_mask(const ShardedIndex& index, std::span<const std::uint8_t> mask) {
  const Moments now(index);
  now.expect_size("the mask", mask.size());
  return now.filter([&](std::size_t place, std::uint64_t) { return mask[place] != 0; });
}

Filter Filter::of_bits(const ShardedIndex& index, std::span<const std::uint8_t> bits,
                       std::size_t count, std::size_t offset) {
  if (offset > 8 * bits.size() || count > 8 * bits.size() - offset) {
    throw Error(ErrorCode::invalid_parameter, std::to_string(count) + " bits from number " +
                                                  std::to_string(offset) + " on do not fit into " +
                                                  std::to_string(bits.size()) + " bytes");
  }
  const Moments now(index);
  now.expect_size("the mask", count);
  return now.filter([&](std::size_t place, std::uint64_t) {
    const std::size_t bit = offset + place;
    return (bits[bit / 8] >> (bit % 8) & 1) != 0;
  });
}

// A label that leaves a shard meanwhile and comes to another may be found in both.
Filter Filter::of_labels(const ShardedIndex& index, std::span<const std::uint64_t> labels) {
  std::vector<Filter> parts;
  std::size_t found = 0;
  for (std::uint32_t s = 0; s < index.shards(); ++s) {
    parts.push_back(of_labels(index.shard(s), labels));
    found += labels.size() - parts.back().unknown();
  }
  return Filter(std::move(parts), labels.size() - std::min(found, labels.size()));
}

Filter Filter::of_range(const ShardedIndex& index, std::size_t first, std::size_t last) {
  const Moments now(index);
  if (first > last || last > now.size()) {
    throw Error(ErrorCode::invalid_parameter,
                "the range is [" + std::to_string(first) + ", " + std::to_string(last) +
                    "); allowed are ranges within [0, " + std::to_string(now.size()) + ")");
  }
  return now.filter(
      [&](std::size_t place, std::uint64_t) { return first <= place && place < last; });
}

Filter Filter::of_predicate(const ShardedIndex& index,
                            const std::function<bool(std::uint64_t label)>& predicate) {
  return Moments(index, Moments::Labels::are_read).filter([&](std::size_t, std::uint64_t label) {
    return predicate(label);
  });
}

// Groups are numbered by their first vectors.
Groups Groups::of_keys(const ShardedIndex& index, std::span<const std::uint64_t> keys) {
  const Moments now(index);
  now.expect_size("the array of keys", keys.size());
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  const auto groups = now.deal<std::uint32_t>([&](std::size_t place, std::uint64_t) {
    const auto next = static_cast<std::uint32_t>(numbers.size());
    return numbers.try_emplace(keys[place], next).first->second;
  });
  auto all = std::make_shared<core::GroupParts>();
  all->count = static_cast<std::uint32_t>(numbers.size());
  for (std::size_t s = 0; s < groups.size(); ++s) {
    all->parts.push_back(part_of(now.snapshot(s), groups[s]));
  }
  return IndexAccess::groups_of_parts(std::move(all));
}

}  // namespace concord
