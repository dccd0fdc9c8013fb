#include "tests/support/host_device.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <cstring>
#include <new>

#include "tests/support/host_kernels.hpp"

namespace concord::cuda {
namespace {

constexpr std::align_val_t kAlignment{256};  // what cudaMalloc gives

}  // namespace

thread_local int HostDevice::current = 0;

HostDevice::~HostDevice() {
  for (const auto& [memory, block] : blocks_)
    ::operator delete(const_cast<void*>(memory), kAlignment);
}

bool HostDevice::holds_nothing() const {
  const std::lock_guard lock(mutex_);
  return blocks_.empty() && handles_ == 0;
}

std::size_t HostDevice::bytes_from(const void* memory) const {
  const std::lock_guard lock(mutex_);
  auto block = blocks_.upper_bound(memory);
  if (block == blocks_.begin()) return 0;
  --block;
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(memory) -
                                               static_cast<const char*>(block->first));
  return offset < block->second.bytes ? block->second.bytes - offset : 0;
}

DeviceMemory HostDevice::do_memory() {
  const std::lock_guard lock(mutex_);
  return {memory_bytes_ - held_, memory_bytes_};
}

void* HostDevice::take(std::size_t bytes, bool device) {
  const std::lock_guard lock(mutex_);
  if (device && bytes > memory_bytes_ - held_) {
    throw Error(ErrorCode::out_of_memory,
                "the device has no " + std::to_string(bytes) + " bytes of memory left");
  }
  void* memory = ::operator new(std::max<std::size_t>(bytes, 1), kAlignment);
  std::memset(memory, 0xA5, bytes);  // what was never written shows
  blocks_[memory] = {bytes, device};
  if (device) held_ += bytes;
  peak_ = std::max(peak_, held_);
  return memory;
}

void HostDevice::give_back(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  const auto block = blocks_.find(memory);
  if (block->second.device) held_ -= block->second.bytes;
  blocks_.erase(block);
  ::operator delete(memory, kAlignment);
}

void* HostDevice::do_allocate(std::size_t bytes) { return take(bytes, true); }
void* HostDevice::do_allocate_pinned(std::size_t bytes) { return take(bytes, false); }
void HostDevice::do_release(void* memory) noexcept { give_back(memory); }
void HostDevice::do_release_pinned(void* memory) noexcept { give_back(memory); }

// Handles are counted and never looked into.
Stream HostDevice::do_create_stream(Priority) {
  const std::lock_guard lock(mutex_);
  return reinterpret_cast<Stream>(++handles_);
}
Event HostDevice::do_create_event() {
  const std::lock_guard lock(mutex_);
  return reinterpret_cast<Event>(++handles_);
}
void HostDevice::do_destroy_stream(Stream) noexcept {
  const std::lock_guard lock(mutex_);
  --handles_;
}
void HostDevice::do_destroy_event(Event) noexcept {
  const std::lock_guard lock(mutex_);
  --handles_;
}

void HostDevice::do_copy_async(void* to, const void* from, std::size_t bytes, Stream) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}
void HostDevice::do_fill_async(void* to, int byte, std::size_t bytes, Stream) {
  std::memset(to, byte, bytes);
}
void HostDevice::do_propose_async(const MirrorView& view, const ProposeTask& task, Stream) {
  run_propose(view, task);
}
void HostDevice::do_score_lists_async(const MirrorView& view, const ScoreTask& task, Stream) {
  run_score_lists(view, task);
}
void HostDevice::do_search_async(const MirrorView& view, const SearchTask& task, Stream) {
  run_search(view, task);
}
void HostDevice::do_walk_matches_async(const MirrorView& view, const FilteredTask& task, Stream) {
  run_walk_matches(view, task);
}
void HostDevice::do_scan_matches_async(const MirrorView& view, const FilteredTask& task, Stream) {
  run_scan_matches(view, task);
}
void HostDevice::do_mark_ids_async(const MarkTask& task, Stream) { run_mark_ids(task); }
void HostDevice::do_select_ids_async(const SelectTask& task, Stream) { run_select_ids(task); }
void HostDevice::do_exact_async(const MirrorView& view, const ExactTask& task, Stream) {
  run_exact(view, task);
}
void HostDevice::do_write_results_async(const ResultTask& task, Stream) { run_write_results(task); }
void HostDevice::do_scatter_async(const ScatterTask& task, Stream) { run_scatter(task); }
void HostDevice::do_sort_gains_async(const SortGainsTask& task, Stream) { run_sort_gains(task); }
void HostDevice::do_append_links_async(const AppendTask& task, Stream) { run_append_links(task); }
void HostDevice::do_find_largest_async(const LargestTask& task, Stream) { run_find_largest(task); }
void HostDevice::do_take_rows_async(const TakeTask& task, Stream) { run_take_rows(task); }

}  // namespace concord::cuda
