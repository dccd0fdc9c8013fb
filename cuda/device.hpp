// A device as the rest of cuda/ sees it: memory, streams, copies and the kernels.
//
// CudaDevice is a GPU; HostDevice of the tests runs the same calls on host memory through HostTeam,
// so that the whole pipeline is tested on any machine. Every call that can fail throws Error(cuda),
// or Error(out_of_memory) for memory that was refused, and passes a counting hook first, through
// which tests let any chosen call fail.
//
// Work given to a Stream is done in order; `_async` calls may return before it is. Host memory of
// asynchronous copies is pinned (allocate_pinned).
// What a call changes in the calling thread (the current device, how captures are treated) it puts
// back before it returns, because the thread is the caller's.
// Thread-safety: calls may come from any thread, one at a time per stream.
#pragma once

#include <atomic>
#include <concord/error.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "cuda/kernels.hpp"
#include "cuda/views.hpp"

struct CUevent_st;

namespace concord::cuda {

using Event = CUevent_st*;

enum class Priority { normal, urgent };

struct DeviceMemory {
  std::size_t free = 0;
  std::size_t total = 0;
};

/// What of the calling thread a call changes for its length.
struct ThreadState {
  int device = 0;        ///< the thread's current device
  int capture_mode = 0;  ///< which calls of the thread may spoil a capture
};

class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::size_t shared_memory_limit() const noexcept = 0;
  [[nodiscard]] DeviceMemory memory() {
    const Turn turn(*this, "memory");
    return do_memory();
  }

  /// Throws Error(out_of_memory) if the device refuses, or beyond the limit.
  [[nodiscard]] void* allocate(std::size_t bytes) {
    const Turn turn(*this, "allocate");
    if (limit_ > 0 && held_ + bytes > limit_) refuse(bytes);
    void* const memory = do_allocate(bytes);
    held_ += bytes;
    return memory;
  }
  [[nodiscard]] void* allocate_pinned(std::size_t bytes) {
    const Turn turn(*this, "allocate_pinned");
    return do_allocate_pinned(bytes);
  }
  /// REQUIRES that no work on the memory is pending, and that `bytes` is what was allocated.
  void release(void* memory, std::size_t bytes) noexcept {
    if (memory == nullptr) return;
    const Turn turn(*this);
    do_release(memory);
    held_ -= bytes;
  }
  void release_pinned(void* memory) noexcept {
    if (memory == nullptr) return;
    const Turn turn(*this);
    do_release_pinned(memory);
  }
  /// Device memory allocated and not released.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_; }
  /// Most device memory that may be held at once; 0 = no limit.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  [[nodiscard]] Stream create_stream(Priority priority) {
    const Turn turn(*this, "create_stream");
    return do_create_stream(priority);
  }
  void destroy_stream(Stream stream) noexcept {
    if (stream == nullptr) return;
    const Turn turn(*this);
    do_destroy_stream(stream);
  }
  [[nodiscard]] Event create_event() {
    const Turn turn(*this, "create_event");
    return do_create_event();
  }
  void destroy_event(Event event) noexcept {
    if (event == nullptr) return;
    const Turn turn(*this);
    do_destroy_event(event);
  }

  void record(Event event, Stream stream) {
    const Turn turn(*this, "record");
    do_record(event, stream);
  }
  /// Work given to `stream` from now on waits for the event.
  void wait(Stream stream, Event event) {
    const Turn turn(*this, "wait");
    do_wait(stream, event);
  }
  /// The calling thread waits for the event.
  void synchronize(Event event) {
    const Turn turn(*this, "synchronize");
    do_synchronize(event);
  }
  /// The calling thread waits until all work given to the stream is done or has failed.
  void drain(Stream stream) noexcept {
    const Turn turn(*this);
    do_drain(stream);
  }
  /// Seconds between two completed events.
  [[nodiscard]] double elapsed(Event from, Event to) {
    const Turn turn(*this, "elapsed");
    return do_elapsed(from, to);
  }

  /// Whether kernels and copies may use these bytes: not freed, not another device's, not plain
  /// host memory. Only the ends of the range are looked at.
  [[nodiscard]] bool reaches(const void* memory, std::size_t bytes) noexcept {
    const Turn turn(*this);
    return do_reaches(memory, bytes);
  }
  /// Whether work given to the stream would become part of a CUDA graph, or spoil one.
  [[nodiscard]] bool is_capturing(Stream stream) noexcept {
    const Turn turn(*this);
    return do_is_capturing(stream);
  }
  /// Any direction; `from` and `to` may be device or host memory.
  void copy_async(void* to, const void* from, std::size_t bytes, Stream stream) {
    const Turn turn(*this, "copy");
    do_copy_async(to, from, bytes, stream);
  }
  void fill_async(void* to, int byte, std::size_t bytes, Stream stream) {
    const Turn turn(*this, "fill");
    do_fill_async(to, byte, bytes, stream);
  }

  void propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) {
    const Turn turn(*this, "propose");
    do_propose_async(view, task, stream);
  }
  void score_lists_async(const MirrorView& view, const ScoreTask& task, Stream stream) {
    const Turn turn(*this, "score_lists");
    do_score_lists_async(view, task, stream);
  }
  void search_async(const MirrorView& view, const SearchTask& task, Stream stream) {
    const Turn turn(*this, "search");
    do_search_async(view, task, stream);
  }
  void walk_matches_async(const MirrorView& view, const FilteredTask& task, Stream stream) {
    const Turn turn(*this, "walk_matches");
    do_walk_matches_async(view, task, stream);
  }
  void scan_matches_async(const MirrorView& view, const FilteredTask& task, Stream stream) {
    const Turn turn(*this, "scan_matches");
    do_scan_matches_async(view, task, stream);
  }
  void mark_ids_async(const MarkTask& task, Stream stream) {
    const Turn turn(*this, "mark_ids");
    do_mark_ids_async(task, stream);
  }
  void select_ids_async(const SelectTask& task, Stream stream) {
    const Turn turn(*this, "select_ids");
    do_select_ids_async(task, stream);
  }
  void write_results_async(const ResultTask& task, Stream stream) {
    const Turn turn(*this, "write_results");
    do_write_results_async(task, stream);
  }
  void exact_async(const MirrorView& view, const ExactTask& task, Stream stream) {
    const Turn turn(*this, "exact");
    do_exact_async(view, task, stream);
  }
  void scatter_async(const ScatterTask& task, Stream stream) {
    const Turn turn(*this, "scatter");
    do_scatter_async(task, stream);
  }
  void sort_gains_async(const SortGainsTask& task, Stream stream) {
    const Turn turn(*this, "sort_gains");
    do_sort_gains_async(task, stream);
  }
  void append_links_async(const AppendTask& task, Stream stream) {
    const Turn turn(*this, "append_links");
    do_append_links_async(task, stream);
  }
  void find_largest_async(const LargestTask& task, Stream stream) {
    const Turn turn(*this, "find_largest");
    do_find_largest_async(task, stream);
  }
  void take_rows_async(const TakeTask& task, Stream stream) {
    const Turn turn(*this, "take_rows");
    do_take_rows_async(task, stream);
  }

  /// Test hook: `before` is called before each of the calls above, with its name and number, and
  /// may throw in its place.
  void set_hook(std::function<void(const char* call, std::uint64_t number)> before) {
    hook_ = std::move(before);
  }
  [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }

 protected:
  /// Makes this device the thread's current one, and returns what was before. Throws Error(cuda);
  /// then nothing has changed.
  virtual ThreadState do_enter() = 0;
  virtual void do_leave(const ThreadState& before) noexcept = 0;
  virtual DeviceMemory do_memory() = 0;
  virtual void* do_allocate(std::size_t bytes) = 0;
  virtual void* do_allocate_pinned(std::size_t bytes) = 0;
  virtual void do_release(void* memory) noexcept = 0;
  virtual void do_release_pinned(void* memory) noexcept = 0;
  virtual void do_destroy_stream(Stream stream) noexcept = 0;
  virtual Stream do_create_stream(Priority priority) = 0;
  virtual void do_destroy_event(Event event) noexcept = 0;
  virtual Event do_create_event() = 0;
  virtual void do_record(Event event, Stream stream) = 0;
  virtual void do_wait(Stream stream, Event event) = 0;
  virtual void do_synchronize(Event event) = 0;
  virtual void do_drain(Stream stream) noexcept = 0;
  virtual double do_elapsed(Event from, Event to) = 0;
  virtual bool do_reaches(const void* memory, std::size_t bytes) noexcept = 0;
  virtual bool do_is_capturing(Stream stream) noexcept = 0;
  virtual void do_copy_async(void* to, const void* from, std::size_t bytes, Stream stream) = 0;
  virtual void do_fill_async(void* to, int byte, std::size_t bytes, Stream stream) = 0;
  virtual void do_propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) = 0;
  virtual void do_score_lists_async(const MirrorView& view, const ScoreTask& task,
                                    Stream stream) = 0;
  virtual void do_search_async(const MirrorView& view, const SearchTask& task, Stream stream) = 0;
  virtual void do_walk_matches_async(const MirrorView& view, const FilteredTask& task,
                                     Stream stream) = 0;
  virtual void do_scan_matches_async(const MirrorView& view, const FilteredTask& task,
                                     Stream stream) = 0;
  virtual void do_mark_ids_async(const MarkTask& task, Stream stream) = 0;
  virtual void do_select_ids_async(const SelectTask& task, Stream stream) = 0;
  virtual void do_write_results_async(const ResultTask& task, Stream stream) = 0;
  virtual void do_exact_async(const MirrorView& view, const ExactTask& task, Stream stream) = 0;
  virtual void do_scatter_async(const ScatterTask& task, Stream stream) = 0;
  virtual void do_sort_gains_async(const SortGainsTask& task, Stream stream) = 0;
  virtual void do_append_links_async(const AppendTask& task, Stream stream) = 0;
  virtual void do_find_largest_async(const LargestTask& task, Stream stream) = 0;
  virtual void do_take_rows_async(const TakeTask& task, Stream stream) = 0;

 private:
  /// One call of the device, between do_enter and do_leave.
  class Turn {
   public:
    /// Throws what the hook or do_enter throws.
    Turn(Device& device, const char* call) : device_(device) {
      device.step(call);
      before_ = device.do_enter();
    }
    /// For calls that cannot fail: these work from any current device.
    explicit Turn(Device& device) noexcept : device_(device) {
      try {
        before_ = device.do_enter();
      } catch (const Error&) {  // the device has failed, and has nothing to be put back
      }
    }
    ~Turn() {
      if (before_) device_.do_leave(*before_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Device& device_;
    std::optional<ThreadState> before_;
  };

  [[noreturn]] void refuse(std::size_t bytes) const {
    throw Error(ErrorCode::out_of_memory, std::to_string(bytes) + " bytes beside " +
                                              std::to_string(held_) + " held exceed the limit of " +
                                              std::to_string(limit_) + " bytes of device memory");
  }
  void step(const char* call) {
    const std::uint64_t number = calls_.fetch_add(1, std::memory_order_relaxed);
    if (hook_) hook_(call, number);
  }

  std::function<void(const char*, std::uint64_t)> hook_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::size_t> held_{0};
  std::size_t limit_ = 0;
};

}  // namespace concord::cuda
