#include "cuda/device_filters.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/filtered_batch.hpp"

namespace concord::cuda {
namespace {

constexpr std::size_t kStagingWords = std::size_t{1} << 20;

/// A set under the graph's numbering, in words of a device.
struct Words {
  Words(const core::MatchSet& set, const core::Graph& graph)
      : placed(set.under(graph.numbering(), own)),
        bits(placed.has_bits() ? FilterView::words(placed.end()) : 0),
        ids(placed.nodes().size()),
        seeds(bits > 0 && placed.ids().data() != set.ids().data() ? core::FilterRule::kSeeds : 0) {}
  [[nodiscard]] std::size_t all() const noexcept { return bits + ids + seeds; }

  std::unique_ptr<core::PlacedSet> own;  ///< of `placed`, where another thread makes one to be kept
  const core::PlacedSet& placed;
  std::size_t bits;
  std::size_t ids;
  std::size_t seeds;  ///< none where their ranks are those among the ids
};

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
  if (graph_.slides() != slides_) held_.clear();
  slides_ = graph_.slides();
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

std::size_t DeviceFilters::bytes_of(const core::MatchSet& set) const {
  return Words(set, graph_).all() * sizeof(std::uint32_t);
}

// The memory belongs to held_ before any work on it is given, so that it outlives a failure.
void DeviceFilters::bring(const core::MatchSet& set) {
  const Words words(set, graph_);
  const std::span<const core::NodeId> ids = words.placed.nodes();
  Held& held =
      held_
          .emplace(&set,
                   Held{set.weak_from_this(), DeviceBuffer<std::uint32_t>(device_), {}, batch_})
          .first->second;
  held.memory.ensure(words.all());
  std::uint32_t* const d_bits = held.memory.data();
  std::uint32_t* const d_ids = d_bits + words.bits;
  std::uint32_t* const d_seeds = d_ids + words.ids;
  const auto count = static_cast<NodeId>(ids.size());
  held.view.bits = words.bits == 0 ? nullptr : d_bits;
  held.view.ids = d_ids;
  held.view.end = words.placed.end();
  held.view.count = count;
  if (words.bits == 0) return upload(d_ids, ids.data(), count);
  if (words.seeds > 0) {
    held.view.seeds = d_seeds;
    std::array<NodeId, core::FilterRule::kSeeds> seeds;
    for (std::uint32_t i = 0; i < seeds.size(); ++i) seeds[i] = words.placed.seed(i);
    upload(d_seeds, seeds.data(), seeds.size());
  }
  const Stream stream = mirror_.compute();
  if (count < words.bits) {
    device_.fill_async(d_bits, 0, words.bits * sizeof(std::uint32_t), stream);
    upload(d_ids, ids.data(), count);
    device_.mark_ids_async({d_ids, count, d_bits}, stream);
    return;
  }
  upload(d_bits, words.placed.words().data(), words.bits);
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
  std::transform(sets.begin(), sets.end(), table_.data(), [&](const core::MatchSet* set) {
    FilterView view = held_.at(set).view;
    view.living = living_of(*set, graph_);
    return view;
  });
  device_.copy_async(d_table_.data(), table_.data(), sets.size() * sizeof(FilterView),
                     mirror_.compute());
}

}  // namespace concord::cuda
