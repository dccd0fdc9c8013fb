// Filters in device memory: their ids and, where a search may walk, their bits.
//
// A filter is brought to the device by the first search that needs it there, and stays for others:
// by its ids or by its bits, whichever are fewer bytes, and the device makes the one from the
// other. It goes with the Filter: the next search that has filters frees what belonged to those
// that are gone. If memory is short, the filter that was used longest ago gives way to another one,
// and all of them to the mirror. A slide gives the ids another meaning, so all go. Thread-safety:
// one call at a time, as DeviceSearcher. All members but clear() may throw what Device throws.
#pragma once

#include <concord/stats.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "common/graph/graph.hpp"
#include "common/search/match_set.hpp"
#include "cuda/mirror.hpp"

namespace concord::cuda {

class DeviceFilters {
 public:
  /// Borrows its arguments.
  DeviceFilters(Device& device, Mirror& mirror, const core::Graph& graph, DeviceStats& stats);

  /// Brings what is missing of the sets to the device, where `scratch` more bytes stay free. False
  /// if there is no room for all. REQUIRES different sets that no pending work uses, and a graph
  /// that stands still.
  [[nodiscard]] bool hold(std::span<const core::MatchSet* const> sets, std::size_t scratch);
  /// Those sets in their order, for kernels on the mirror's compute().
  [[nodiscard]] const FilterView* table() const noexcept { return d_table_.data(); }
  /// Frees the memory of all filters. REQUIRES that no pending work uses it.
  void clear() noexcept { held_.clear(); }

 private:
  struct Held {
    std::weak_ptr<const core::MatchSet> set;
    DeviceBuffer<std::uint32_t> memory;
    FilterView view;
    std::uint64_t used = 0;  ///< number of the last batch that had it
  };

  void forget_those_gone();
  /// What bring() allocates.
  [[nodiscard]] std::size_t bytes_of(const core::MatchSet& set) const;
  [[nodiscard]] bool make_room(std::size_t bytes);
  void bring(const core::MatchSet& set);
  /// Copies `count` words to the device.
  void upload(std::uint32_t* d_to, const void* from, std::size_t count);
  void write_table(std::span<const core::MatchSet* const> sets);

  Device& device_;
  Mirror& mirror_;
  const core::Graph& graph_;
  DeviceStats& stats_;
  std::map<const core::MatchSet*, Held> held_;
  std::uint64_t slides_ = 0;  ///< of the graph, as of what is held
  std::uint64_t batch_ = 0;
  PinnedBuffer<std::uint32_t> staging_;
  std::size_t staged_ = 0;  ///< words of it that copies may be reading
  PinnedBuffer<FilterView> table_;
  DeviceBuffer<FilterView> d_table_;
  DeviceBuffer<std::uint32_t> d_count_;  ///< that SelectTask writes
};

}  // namespace concord::cuda
