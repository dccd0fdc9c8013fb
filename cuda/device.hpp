// A device as the rest of cuda/ sees it: memory, streams, copies and the kernels.
//
// CudaDevice is a GPU; HostDevice runs the same calls on host memory through HostTeam, so that the
// whole pipeline is tested on any machine. Every call that can fail throws Error(cuda), or
// Error(out_of_memory) for memory that was refused, and passes a counting hook first, through which
// tests let any chosen call fail.
//
// Work given to a Stream is done in order; `_async` calls may return before it is. Host memory of
// asynchronous copies is pinned (allocate_pinned).
// Thread-safety: calls may come from any thread, one at a time per stream.
#pragma once

#include <atomic>
#include <concord/error.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

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

class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::size_t shared_memory_limit() const noexcept = 0;
  /// Device memory may be read from the host as it is.
  [[nodiscard]] DeviceMemory memory() { return step("memory"), do_memory(); }

  /// Throws Error(out_of_memory) beyond the limit, too.
  [[nodiscard]] void* allocate(std::size_t bytes) {
    step("allocate");
    if (limit_ > 0 && held_ + bytes > limit_) refuse(bytes);
    void* const memory = do_allocate(bytes);
    held_ += bytes;
    return memory;
  }
  [[nodiscard]] void* allocate_pinned(std::size_t bytes) {
    return step("allocate_pinned"), do_allocate_pinned(bytes);
  }
  /// REQUIRES that no work on the memory is pending, and that `bytes` is what was allocated.
  void release(void* memory, std::size_t bytes) noexcept {
    if (memory == nullptr) return;
    do_release(memory);
    held_ -= bytes;
  }
  void release_pinned(void* memory) noexcept {
    if (memory != nullptr) do_release_pinned(memory);
  }
  /// Device memory allocated and not released.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_; }
  /// Most device memory that may be held at once; 0 = no limit.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  [[nodiscard]] Stream create_stream(Priority priority) {
    return step("create_stream"), do_create_stream(priority);
  }
  virtual void destroy_stream(Stream stream) noexcept = 0;
  [[nodiscard]] Event create_event() { return step("create_event"), do_create_event(); }
  virtual void destroy_event(Event event) noexcept = 0;

  void record(Event event, Stream stream) { step("record"), do_record(event, stream); }
  /// Work given to `stream` from now on waits for the event.
  void wait(Stream stream, Event event) { step("wait"), do_wait(stream, event); }
  /// The calling thread waits for the event.
  void synchronize(Event event) { step("synchronize"), do_synchronize(event); }
  /// The calling thread waits until all work given to the stream is done or has failed.
  void drain(Stream stream) noexcept { do_drain(stream); }
  /// Seconds between two completed events.
  [[nodiscard]] double elapsed(Event from, Event to) {
    return step("elapsed"), do_elapsed(from, to);
  }

  /// Whether kernels and copies may use these bytes: not freed, not another device's, not plain
  /// host memory. Tells by the ends of the range.
  [[nodiscard]] virtual bool reaches(const void* memory, std::size_t bytes) noexcept = 0;
  /// Any direction; `from` and `to` may be device or host memory.
  void copy_async(void* to, const void* from, std::size_t bytes, Stream stream) {
    step("copy"), do_copy_async(to, from, bytes, stream);
  }
  void fill_async(void* to, int byte, std::size_t bytes, Stream stream) {
    step("fill"), do_fill_async(to, byte, bytes, stream);
  }

  void propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) {
    step("propose"), do_propose_async(view, task, stream);
  }
  void score_rows_async(const MirrorView& view, const PruneTask& task, Stream stream) {
    step("score_rows"), do_score_rows_async(view, task, stream);
  }
  void search_async(const MirrorView& view, const SearchTask& task, Stream stream) {
    step("search"), do_search_async(view, task, stream);
  }
  void exact_async(const MirrorView& view, const ExactTask& task, Stream stream) {
    step("exact"), do_exact_async(view, task, stream);
  }
  void scatter_async(const ScatterTask& task, Stream stream) {
    step("scatter"), do_scatter_async(task, stream);
  }

  void take_rows_async(const TakeTask& task, Stream stream) {
    step("take_rows"), do_take_rows_async(task, stream);
  }

  /// Test hook: `before` is called before each of the calls above, with its name and number, and
  /// may throw in its place.
  void set_hook(std::function<void(const char* call, std::uint64_t number)> before) {
    hook_ = std::move(before);
  }
  [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }

 protected:
  virtual DeviceMemory do_memory() = 0;
  virtual void* do_allocate(std::size_t bytes) = 0;
  virtual void* do_allocate_pinned(std::size_t bytes) = 0;
  virtual void do_release(void* memory) noexcept = 0;
  virtual void do_release_pinned(void* memory) noexcept = 0;
  virtual Stream do_create_stream(Priority priority) = 0;
  virtual Event do_create_event() = 0;
  virtual void do_record(Event event, Stream stream) = 0;
  virtual void do_wait(Stream stream, Event event) = 0;
  virtual void do_synchronize(Event event) = 0;
  virtual void do_drain(Stream stream) noexcept = 0;
  virtual double do_elapsed(Event from, Event to) = 0;
  virtual void do_copy_async(void* to, const void* from, std::size_t bytes, Stream stream) = 0;
  virtual void do_fill_async(void* to, int byte, std::size_t bytes, Stream stream) = 0;
  virtual void do_propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) = 0;
  virtual void do_score_rows_async(const MirrorView& view, const PruneTask& task,
                                   Stream stream) = 0;
  virtual void do_search_async(const MirrorView& view, const SearchTask& task, Stream stream) = 0;
  virtual void do_exact_async(const MirrorView& view, const ExactTask& task, Stream stream) = 0;
  virtual void do_scatter_async(const ScatterTask& task, Stream stream) = 0;
  virtual void do_take_rows_async(const TakeTask& task, Stream stream) = 0;

 private:
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
