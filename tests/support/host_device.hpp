// A Device without a device: host memory, calls done at once, kernels run by HostTeam.
//
// For tests of everything above Device on machines without a GPU. Memory has a limit, so that
// budgets and refusals can be tested.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "cuda/device.hpp"

namespace concord::cuda {

class HostDevice : public Device {
 public:
  explicit HostDevice(std::size_t memory_bytes = std::size_t{1} << 32,
                      std::size_t shared_memory_limit = 227 * 1024)
      : memory_bytes_(memory_bytes), shared_memory_limit_(shared_memory_limit) {}
  ~HostDevice() override;

  [[nodiscard]] std::string name() const override { return "host team"; }
  [[nodiscard]] std::size_t shared_memory_limit() const noexcept override {
    return shared_memory_limit_;
  }

  /// Most device memory held at once, and whether anything is still held.
  [[nodiscard]] std::size_t peak_bytes() const noexcept { return peak_; }
  [[nodiscard]] bool holds_nothing() const;

  /// What cudaGetDevice would say: number 0 is this device, and a thread's own at its start.
  static thread_local int current;
  /// The stream that is being captured, if any.
  Stream captured = nullptr;

 protected:
  ThreadState do_enter() override { return {std::exchange(current, 0)}; }
  void do_leave(const ThreadState& before) noexcept override { current = before.device; }
  DeviceMemory do_memory() override;
  void* do_allocate(std::size_t bytes) override;
  void* do_allocate_pinned(std::size_t bytes) override;
  void do_release(void* memory) noexcept override;
  void do_release_pinned(void* memory) noexcept override;
  Stream do_create_stream(Priority priority) override;
  void do_destroy_stream(Stream stream) noexcept override;
  Event do_create_event() override;
  void do_destroy_event(Event event) noexcept override;
  void do_record(Event, Stream) override {}
  void do_wait(Stream, Event) override {}
  void do_synchronize(Event) override {}
  void do_drain(Stream) noexcept override {}
  double do_elapsed(Event, Event) override { return 0; }
  bool do_reaches(const void* memory, std::size_t bytes) noexcept override {
    return bytes_from(memory) >= bytes;
  }
  bool do_is_capturing(Stream stream) noexcept override {
    return captured != nullptr && stream == captured;
  }
  void do_copy_async(void* to, const void* from, std::size_t bytes, Stream stream) override;
  void do_fill_async(void* to, int byte, std::size_t bytes, Stream stream) override;
  void do_propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) override;
  void do_score_lists_async(const MirrorView& view, const ScoreTask& task, Stream stream) override;
  void do_search_async(const MirrorView& view, const SearchTask& task, Stream stream) override;
  void do_walk_matches_async(const MirrorView& view, const FilteredTask& task,
                             Stream stream) override;
  void do_scan_matches_async(const MirrorView& view, const FilteredTask& task,
                             Stream stream) override;
  void do_mark_ids_async(const MarkTask& task, Stream stream) override;
  void do_select_ids_async(const SelectTask& task, Stream stream) override;
  void do_write_results_async(const ResultTask& task, Stream stream) override;
  void do_exact_async(const MirrorView& view, const ExactTask& task, Stream stream) override;
  void do_scatter_async(const ScatterTask& task, Stream stream) override;
  void do_sort_gains_async(const SortGainsTask& task, Stream stream) override;
  void do_append_links_async(const AppendTask& task, Stream stream) override;
  void do_find_largest_async(const LargestTask& task, Stream stream) override;
  void do_take_rows_async(const TakeTask& task, Stream stream) override;
  /// Bytes from `memory` to the end of the live block it is in; 0 where it is in none.
  [[nodiscard]] std::size_t bytes_from(const void* memory) const;

 private:
  void* take(std::size_t bytes, bool device);
  void give_back(void* memory) noexcept;

  const std::size_t memory_bytes_;
  const std::size_t shared_memory_limit_;
  mutable std::mutex mutex_;
  struct Block {
    std::size_t bytes;
    bool device;
  };
  std::map<const void*, Block> blocks_;  ///< live memory
  std::size_t held_ = 0;
  std::size_t peak_ = 0;
  std::size_t handles_ = 0;  ///< streams and events not destroyed
};

}  // namespace concord::cuda
