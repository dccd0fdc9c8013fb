// The device side of an Index as one object: device, mirror, proposer and searcher.
//
// It is opened when it first pays, keeps the mirror between calls, and is given up at the first
// failure. The CPU then does the work, and the stats have the reason.
//
// Thread-safety: building calls come from the one writer. search() and exact() may be called from
// any number of threads and take turns. While the graph grows, only the writer uses the device, and
// the CPU answers searches.
#pragma once

#include <atomic>
#include <concord/error.hpp>
#include <concord/matrix_view.hpp>
#include <concord/stats.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "cuda/cuda_device.hpp"
#include "cuda/device_proposer.hpp"
#include "cuda/device_searcher.hpp"
#include "cuda/search_router.hpp"

namespace concord::cuda {

/// "auto", "cpu", "cuda" or "cuda:K", parsed. Throws Error(invalid_parameter).
struct DeviceSpec {
  bool wanted = true;     ///< a device may be used
  bool required = false;  ///< and must be there
  int ordinal = -1;       ///< −1 = any
  static DeviceSpec parse(const std::string& text);
};

/// Opens devices: find_cuda_device, or what a test puts in its place (empty restores it).
using DeviceSource = std::function<FoundDevice(int ordinal)>;
void set_device_source_for_tests(DeviceSource source);
FoundDevice find_device(int ordinal);

class Backend {
 public:
  /// Batches of insertions or queries smaller than these stay on the CPU.
  static constexpr NodeId kSmallestBatch = 64;
  static constexpr std::size_t kSmallestAddition = 1024;

  /// Borrows contents, pool and build; `budget` of device memory in bytes, 0 = what is free less a
  /// reserve. Throws Error(cuda, out_of_memory, unsupported).
  Backend(std::unique_ptr<Device> device, const core::Contents& contents, core::ThreadPool& pool,
          std::size_t budget, BuildStats& build);

  [[nodiscard]] core::Proposer& proposer() noexcept { return proposer_; }
  /// Announced nodes start at `size`; an addition that failed may have used their ids. Their
  /// vectors may also be in the caller's device memory, which is not read after end_addition().
  void begin_addition(NodeId size, DeviceMatrixView<const float> vectors) noexcept {
    mirror_.forget_nodes(size);
    mirror_.offer_vectors(size, vectors);
    proposer_.begin_addition();
  }
  void end_addition() noexcept { mirror_.withdraw_vectors(); }
  /// If `kept`, no search runs on the device from now on, and one that does ends first; else
  /// searches may again.
  void keep_for_writer(bool kept) noexcept;
  /// All later searches on the device fail, including queued ones.
  void give_up() noexcept;
  /// True once it was given up, or a search has failed on it. What is on the device is then worth
  /// nothing. Whoever keeps it for the writer sees every failure before.
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }
  [[nodiscard]] Device& device() noexcept { return *device_; }
  /// May be called in a callback of an addition.
  [[nodiscard]] DeviceStats stats() const;

  /// False if the CPU is to answer: it is faster for so few queries, or the device cannot.
  [[nodiscard]] bool takes_search(std::size_t queries, std::uint32_t ef) const;
  [[nodiscard]] bool takes_filtered(std::size_t queries, std::uint32_t ef) const;
  [[nodiscard]] bool takes_exact(std::uint32_t k) const { return !kept_ && searcher_.can_scan(k); }
  /// Of an exact search with filters, whose queries have `matches` on average. What the device
  /// cannot do is seen when it is asked.
  [[nodiscard]] bool takes_exact_filtered(std::size_t queries, std::uint32_t matches) const;
  /// Returns no value if the device is kept for the writer, or if so many have died since it was
  /// asked that it cannot search; the CPU must answer then.
  std::optional<Counters> search(const QuerySource& queries, const SearchParams& params, Key* out,
                                 std::uint32_t* counts);
  /// The same with results in the caller's device memory. Returns no value also if the labels find
  /// no room there.
  std::optional<Counters> search_there(const QuerySource& queries, const SearchParams& params,
                                       const DeviceResults& results);
  /// search() among the ids that filters let match. Returns no value also if the filters find no
  /// room on the device.
  std::optional<Counters> filtered(MatrixView<const float> queries, const SearchParams& params,
                                   const core::QueryFilters& filters, Key* out,
                                   std::uint32_t* counts);
  std::optional<Counters> exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                                std::uint32_t* counts);
  /// exact() among the ids that filters let match, `matches` a query on average. Returns no value
  /// where filtered() does.
  std::optional<Counters> exact_filtered(MatrixView<const float> queries, std::uint32_t k,
                                         std::uint32_t matches, const core::QueryFilters& filters,
                                         Key* out, std::uint32_t* counts);
  /// The CPU has answered so many queries in so many seconds, without filters, with, or exactly
  /// with.
  void note_cpu_search(std::size_t queries, std::uint32_t ef, double seconds);
  void note_cpu_filtered(std::size_t queries, std::uint32_t ef, double seconds);
  void note_cpu_exact_filtered(std::size_t queries, std::uint32_t matches, double seconds);

 private:
  /// Runs `call` when its turn comes, if `can()` then. After a failure nothing on the device can be
  /// relied on, so calls that were waiting for their turn fail.
  template <class Can, class Call>
  std::optional<Counters> take_turn(const Can& can, const Call& call);
  /// Does a search and tells the router how long it took.
  template <class Search>
  static Counters timed(SearchRouter& router, std::size_t queries, std::uint32_t width,
                        const Search& search);
  /// Takes a turn with answer(batch) for the batch that make_batch() makes, if can() then.
  template <class Can, class MakeBatch, class Answer>
  std::optional<Counters> take_filtered_turn(std::uint32_t k, const Can& can,
                                             const MakeBatch& make_batch, const Answer& answer);

  /// A device knows which nodes live, but not whether a node stands for a match that lives.
  [[nodiscard]] bool knows_matches() const noexcept {
    return !graph_.copies().any() || graph_.removals() == 0;
  }

  std::unique_ptr<Device> device_;
  DeviceStats stats_;
  Mirror mirror_;
  DeviceProposer proposer_;
  DeviceSearcher searcher_;
  const core::Graph& graph_;
  mutable std::mutex mutex_;         ///< guards mirror, searcher and stats in searches
  std::atomic<bool> failed_{false};  ///< written under the mutex
  std::atomic<bool> kept_{false};    ///< for the writer
  SearchRouter router_;              ///< of searches without filters
  SearchRouter filtered_router_;     ///< of those with filters, which cost otherwise
  SearchRouter exact_router_;        ///< of exact ones with filters, by matches in place of ef
};

/// The outcome of an attempt to open a device.
struct OpenedDevice {
  std::unique_ptr<Backend> backend;  ///< null if the CPU does the work
  std::string reason;                ///< the device opened, or why none was
  bool was_there = false;            ///< a device was found
};
/// Throws Error(unsupported) if `spec` requires a device and none can be used.
OpenedDevice open_backend(const DeviceSpec& spec, const RuntimeOptions& options,
                          const core::Contents& contents, core::ThreadPool& pool,
                          BuildStats& build);

}  // namespace concord::cuda
