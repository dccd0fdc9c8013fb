// The device side of an Index as one object: device, mirror, proposer and searcher.
//
// It is opened when it first pays, keeps the mirror between calls, and is given up at the first
// failure; the CPU then does the work and the reason stands in the stats.
// Thread-safety: building calls come from the one writer; search() and exact() may be called from
// any number of threads and take turns. While the graph grows the device is the writer's alone, and
// the CPU answers.
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

/// "auto", "cpu", "cuda" or "cuda:K", understood. Throws Error(invalid_parameter).
struct DeviceSpec {
  bool wanted = true;     ///< a device may be used
  bool required = false;  ///< and must be there
  int ordinal = -1;       ///< −1 = any
  static DeviceSpec parse(const std::string& text);
};

/// Where devices come from: find_cuda_device, or what a test puts in its place (empty restores it).
using DeviceSource = std::function<FoundDevice(int ordinal)>;
void set_device_source_for_tests(DeviceSource source);
FoundDevice find_device(int ordinal);

class Backend {
 public:
  /// Batches of insertions or queries smaller than these stay on the CPU.
  static constexpr NodeId kSmallestBatch = 64;
  static constexpr std::size_t kSmallestAddition = 1024;

  /// Borrows graph, vectors and pool; `budget` of device memory in bytes, 0 = what is free less a
  /// reserve. Throws Error(cuda, out_of_memory, unsupported).
  Backend(std::unique_ptr<Device> device, const core::Graph& graph,
          const core::VectorStore& vectors, core::ThreadPool& pool, std::size_t budget,
          BuildStats& build);

  [[nodiscard]] core::Proposer& proposer() noexcept { return proposer_; }
  /// Nodes from `size` on have been announced, perhaps not for the first time. Their vectors may
  /// also be in the caller's device memory, which is left alone from end_addition() on.
  void begin_addition(NodeId size, DeviceMatrixView<const float> vectors) noexcept {
    mirror_.forget_nodes(size);
    mirror_.offer_vectors(size, vectors);
    proposer_.begin_addition();
  }
  void end_addition() noexcept { mirror_.withdraw_vectors(); }
  /// From now on no search runs on the device (one that does ends first), or they may again.
  void keep_for_writer(bool kept) noexcept;
  /// From now on searches fail, those that have chosen the device before, too.
  void give_up() noexcept;
  [[nodiscard]] Device& device() noexcept { return *device_; }
  /// Also in a callback of an addition.
  [[nodiscard]] DeviceStats stats() const;

  /// False if the CPU is to answer: it is faster for so few queries, or the device cannot.
  [[nodiscard]] bool takes_search(std::size_t queries, std::uint32_t ef) const;
  [[nodiscard]] bool takes_exact(std::uint32_t k) const { return !kept_ && searcher_.can_scan(k); }
  /// Nothing where the device is kept for the writer: the CPU is to answer.
  std::optional<Counters> search(MatrixView<const float> queries, const SearchParams& params,
                                 Key* out, std::uint32_t* counts);
  std::optional<Counters> search(DeviceMatrixView<const float> queries, Stream stream,
                                 const SearchParams& params, Key* out, std::uint32_t* counts);
  std::optional<Counters> exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                                std::uint32_t* counts);
  /// The CPU has answered so many queries in so many seconds.
  void note_cpu_search(std::size_t queries, std::uint32_t ef, double seconds);

 private:
  /// Runs `call` when the turn comes. After a failure nothing on the device can be relied on, so
  /// calls that wait for their turn then fail, too.
  template <class Call>
  std::optional<Counters> take_turn(const Call& call);
  template <class Call>
  std::optional<Counters> timed_search(std::size_t queries, const SearchParams& params,
                                       const Call& call);

  std::unique_ptr<Device> device_;
  DeviceStats stats_;
  Mirror mirror_;
  DeviceProposer proposer_;
  DeviceSearcher searcher_;
  mutable std::mutex mutex_;  ///< guards mirror, searcher, stats and failed_ in searches
  bool failed_ = false;
  std::atomic<bool> kept_{false};  ///< for the writer
  SearchRouter router_;
};

/// What came of an attempt to open a device.
struct OpenedDevice {
  std::unique_ptr<Backend> backend;  ///< null where the CPU does the work
  std::string reason;                ///< which it is, or why there is none
  bool was_there = false;            ///< a device was found
};
/// Throws Error(unsupported) where `spec` requires a device and none can be used.
OpenedDevice open_backend(const DeviceSpec& spec, const RuntimeOptions& options,
                          const core::Graph& graph, const core::VectorStore& vectors,
                          core::ThreadPool& pool, BuildStats& build);

}  // namespace concord::cuda
