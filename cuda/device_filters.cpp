#include "cuda/device_filters.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace concord::cuda {
namespace {

constexpr std::size_t kStagingWords = std::size_t{1} << 20;

std::size_t bit_words(const core::MatchSet& set) {
  const core::FilterSnapshot& snapshot = set.snapshot();
  if (core::FilterRule::always_scans(set.ids().size(), snapshot.stride)) return 0;
  return FilterView::words(snapshot.end);
}
/// What bring() allocates.
std::size_t bytes_of(const core::MatchSet& set) {
  return (bit_words(set) + set.ids().size()) * sizeof(std::uint32_t);
}

}  // namespace

DeviceFilters::DeviceFilters(Device& device, Mirror& mirror, const core::Graph& graph,
                             DeviceStats& stats)
    : device_(device),
      mirror_(mirror),
      graph_(graph),
      stats_(stats),
      staging_(device),
      table_(device),
      d_table_(device),
      d_count_(device) {}

bool DeviceFilters::hold(std::span<const core::MatchSet* const> sets, std::size_t scratch) {
  forget_those_gone();
  ++batch_;
  std::vector<const core::MatchSet*> missing;
  std::size_t temporaries = 0;  // one filter after the other uses them
  std::size_t bytes = scratch + d_table_.missing(sets.size()) + d_count_.missing(1);
  for (const core::MatchSet* const set : sets) {
    const auto found = held_.find(set);
    if (found != held_.end()) {
      found->second.used = batch_;
    } else {
      missing.push_back(set);
      bytes += bytes_of(*set);
      temporaries = std::max(temporaries, select_temporaries(set->snapshot().end));
    }
  }
  if (!make_room(bytes + temporaries)) return false;
  d_count_.ensure(1);
  for (const core::MatchSet* const set : missing) bring(*set);
  write_table(sets);
  return true;
}

void DeviceFilters::forget_those_gone() {
  std::erase_if(held_, [](const auto& held) { return held.second.set.expired(); });
}

bool DeviceFilters::make_room(std::size_t bytes) {
  while (bytes > mirror_.available_bytes()) {
    const auto oldest = std::min_element(
        held_.begin(), held_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    if (oldest == held_.end() || oldest->second.used == batch_) return false;
    held_.erase(oldest);
  }
  return true;
}

// The memory belongs to held_ before any work on it is given, so that it outlives a failure.
void DeviceFilters::bring(const core::MatchSet& set) {
  const std::size_t words = bit_words(set);
  const std::span<const core::NodeId> ids = set.ids();
  Held& held =
      held_
          .emplace(&set,
                   Held{set.weak_from_this(), DeviceBuffer<std::uint32_t>(device_), {}, batch_})
          .first->second;
  held.memory.ensure(words + ids.size());
  std::uint32_t* const d_bits = held.memory.data();
  std::uint32_t* const d_ids = d_bits + words;
  const auto count = static_cast<NodeId>(ids.size());
  held.view = {words == 0 ? nullptr : d_bits, d_ids, set.snapshot().end, count};
  if (words == 0) return upload(d_ids, ids.data(), count);
  const Stream stream = mirror_.compute();
  if (count < words) {
    device_.fill_async(d_bits, 0, words * sizeof(std::uint32_t), stream);
    upload(d_ids, ids.data(), count);
    device_.mark_ids_async({d_ids, count, d_bits}, stream);
    return;
  }
  std::unique_ptr<core::PlacedSet> own;
  upload(d_bits, set.under(graph_.numbering(), own).words().data(), words);
  device_.select_ids_async({d_bits, held.view.end, d_ids, d_count_.data()}, stream);
}

void DeviceFilters::upload(std::uint32_t* d_to, const void* from, std::size_t count) {
  if (count == 0) return;
  const Stream stream = mirror_.compute();
  if (staged_ + count > staging_.size()) {
    device_.drain(stream);
    staged_ = 0;
    staging_.ensure(std::max(kStagingWords, count));
  }
  std::uint32_t* const staging = staging_.data() + staged_;
  staged_ += count;
  std::memcpy(staging, from, count * sizeof(std::uint32_t));
  device_.copy_async(d_to, staging, count * sizeof(std::uint32_t), stream);
  stats_.bytes_in += count * sizeof(std::uint32_t);
}

// All earlier batches are done, so their tables are read no more.
void DeviceFilters::write_table(std::span<const core::MatchSet* const> sets) {
  if (sets.empty()) return;
  table_.ensure(sets.size());
  d_table_.ensure(sets.size());
  std::transform(sets.begin(), sets.end(), table_.data(),
                 [&](const core::MatchSet* set) { return held_.at(set).view; });
  device_.copy_async(d_table_.data(), table_.data(), sets.size() * sizeof(FilterView),
                     mirror_.compute());
}

}  // namespace concord::cuda
