// CUDA runtime calls behind the Device interface. The runtime is linked statically and loads the
// driver itself, so a binary with this file starts on machines that have none.
#include "cuda/cuda_device.hpp"

#include <cuda_runtime_api.h>

#include <concord/error.hpp>

#include "cuda/temporaries.hpp"

namespace concord::cuda {
namespace {

void check(int status, const char* call) {
  if (status == 0) return;
  const auto error = static_cast<cudaError_t>(status);
  cudaGetLastError();  // a refused call must not fail the next one
  throw Error(error == cudaErrorMemoryAllocation ? ErrorCode::out_of_memory : ErrorCode::cuda,
              std::string(call) + ": " + cudaGetErrorString(error));
}

/// For calls whose failure comes after one that was reported, or at the end of the process.
void ignore(cudaError_t error) noexcept {
  if (error != cudaSuccess) cudaGetLastError();
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int ordinal) : ordinal_(ordinal) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    name_ = properties.name;
    shared_memory_limit_ = properties.sharedMemPerBlockOptin;
    prepare();
  }

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::size_t shared_memory_limit() const noexcept override {
    return shared_memory_limit_;
  }

 protected:
  // The current device belongs to the calling thread, which may use others. A capture that the
  // caller has under way, on whatever stream, is not spoiled by memory that is allocated here.
  ThreadState do_enter() override {
    ThreadState before;
    check(cudaGetDevice(&before.device), "cudaGetDevice");
    if (before.device != ordinal_) check(cudaSetDevice(ordinal_), "cudaSetDevice");
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    const cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode);
    before.capture_mode = mode;
    if (error != cudaSuccess) {
      put_back(before.device);
      check(error, "cudaThreadExchangeStreamCaptureMode");
    }
    return before;
  }
  void do_leave(const ThreadState& before) noexcept override {
    auto mode = static_cast<cudaStreamCaptureMode>(before.capture_mode);
    ignore(cudaThreadExchangeStreamCaptureMode(&mode));
    put_back(before.device);
  }
  DeviceMemory do_memory() override {
    DeviceMemory memory;
    check(cudaMemGetInfo(&memory.free, &memory.total), "cudaMemGetInfo");
    return memory;
  }
  void* do_allocate(std::size_t bytes) override {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    return memory;
  }
  void* do_allocate_pinned(std::size_t bytes) override {
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), "cudaMallocHost");
    return memory;
  }
  void do_release(void* memory) noexcept override { ignore(cudaFree(memory)); }
  void do_release_pinned(void* memory) noexcept override { ignore(cudaFreeHost(memory)); }
  Stream do_create_stream(Priority priority) override {
    int least = 0;
    int greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    Stream stream = nullptr;
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking,
                                       priority == Priority::urgent ? greatest : least),
          "cudaStreamCreateWithPriority");
    return stream;
  }
  void do_destroy_stream(Stream stream) noexcept override {
    temporaries_.forget(stream);
    ignore(cudaStreamDestroy(stream));
  }
  Event do_create_event() override {
    Event event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    return event;
  }
  void do_destroy_event(Event event) noexcept override { ignore(cudaEventDestroy(event)); }
  void do_record(Event event, Stream stream) override {
    check(cudaEventRecord(event, stream), "cudaEventRecord");
  }
  void do_wait(Stream stream, Event event) override {
    check(cudaStreamWaitEvent(stream, event, 0), "cudaStreamWaitEvent");
  }
  void do_synchronize(Event event) override {
    check(cudaEventSynchronize(event), "cudaEventSynchronize");
  }
  void do_drain(Stream stream) noexcept override { ignore(cudaStreamSynchronize(stream)); }
  double do_elapsed(Event from, Event to) override {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
    return double{milliseconds} * 1e-3;
  }
  bool do_reaches(const void* memory, std::size_t bytes) noexcept override {
    return reaches(memory) && reaches(static_cast<const std::byte*>(memory) + bytes - 1);
  }
  // The default stream cannot be captured, but using it spoils the captures that are under way.
  bool do_is_capturing(Stream stream) noexcept override {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t error = cudaStreamIsCapturing(stream, &status);
    if (error == cudaSuccess) return status != cudaStreamCaptureStatusNone;
    cudaGetLastError();
    return error == cudaErrorStreamCaptureImplicit;
  }
  void do_copy_async(void* to, const void* from, std::size_t bytes, Stream stream) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
  }
  void do_fill_async(void* to, int byte, std::size_t bytes, Stream stream) override {
    check(cudaMemsetAsync(to, byte, bytes, stream), "cudaMemsetAsync");
  }
  void do_propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) override {
    check(launch_propose_async(view, task, stream), "propose_kernel");
  }
  void do_score_lists_async(const MirrorView& view, const ScoreTask& task, Stream stream) override {
    check(launch_score_lists_async(view, task, stream), "score_list_kernel");
  }
  void do_search_async(const MirrorView& view, const SearchTask& task, Stream stream) override {
    check(launch_search_async(view, task, stream), "search_kernel");
  }
  void do_walk_matches_async(const MirrorView& view, const FilteredTask& task,
                             Stream stream) override {
    check(launch_walk_matches_async(view, task, stream), "walk_kernel");
  }
  void do_scan_matches_async(const MirrorView& view, const FilteredTask& task,
                             Stream stream) override {
    check(launch_scan_matches_async(view, task, stream), "scan_kernel");
  }
  void do_mark_ids_async(const MarkTask& task, Stream stream) override {
    check(launch_mark_ids_async(task, stream), "cub::DeviceFor");
  }
  void do_select_ids_async(const SelectTask& task, Stream stream) override {
    check(launch_select_ids_async(task, temporaries_, stream), "cub::DeviceSelect");
  }
  void do_write_results_async(const ResultTask& task, Stream stream) override {
    check(launch_write_results_async(task, stream), "cub::DeviceFor");
  }
  void do_exact_async(const MirrorView& view, const ExactTask& task, Stream stream) override {
    check(launch_exact_async(view, task, stream), "exact_kernel");
  }
  void do_scatter_async(const ScatterTask& task, Stream stream) override {
    check(launch_scatter_async(task, stream), "cub::DeviceFor");
  }
  void do_sort_gains_async(const SortGainsTask& task, Stream stream) override {
    check(launch_sort_gains_async(task, temporaries_, stream), "cub::DeviceRadixSort");
  }
  void do_append_links_async(const AppendTask& task, Stream stream) override {
    check(launch_append_links_async(task, stream), "cub::DeviceFor");
  }
  void do_find_largest_async(const LargestTask& task, Stream stream) override {
    check(launch_find_largest_async(task, temporaries_, stream), "cub::DeviceReduce");
  }
  void do_take_rows_async(const TakeTask& task, Stream stream) override {
    check(launch_take_rows_async(task, stream), "take_rows_kernel");
  }

 private:
  [[nodiscard]] bool reaches(const void* memory) const noexcept {
    cudaPointerAttributes found{};
    if (cudaPointerGetAttributes(&found, memory) != cudaSuccess) {
      cudaGetLastError();
      return false;
    }
    return found.type != cudaMemoryTypeUnregistered &&
           (found.type != cudaMemoryTypeDevice || found.device == ordinal_);
  }
  void put_back(int device) const noexcept {
    if (device != ordinal_) ignore(cudaSetDevice(device));
  }
  // Not a call of the device, which is not made yet: enters by itself.
  void prepare() {
    const ThreadState before = do_enter();
    const int error = prepare_kernels();
    do_leave(before);
    check(error, "prepare_kernels");
  }

  int ordinal_;
  std::string name_;
  std::size_t shared_memory_limit_ = 0;
  Temporaries temporaries_{*this};
};

std::string describe(const cudaDeviceProp& properties, int ordinal) {
  return "cuda:" + std::to_string(ordinal) + " (" + properties.name + ")";
}

}  // namespace

FoundDevice find_cuda_device(int ordinal) {
  constexpr int kOldestMajor = 8;
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    cudaGetLastError();
    return {nullptr, std::string("no CUDA device: ") + cudaGetErrorString(error)};
  }
  if (ordinal >= count) {
    return {nullptr, "no device cuda:" + std::to_string(ordinal) + ": the machine has " +
                         std::to_string(count)};
  }
  std::string reason = "the machine has no CUDA device";
  const int first = ordinal < 0 ? 0 : ordinal;
  const int last = ordinal < 0 ? count : ordinal + 1;
  for (int i = first; i < last; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    if (properties.major < kOldestMajor) {
      reason = describe(properties, i) + " has compute capability " +
               std::to_string(properties.major) + "." + std::to_string(properties.minor) +
               "; 8.0 is the least";
      continue;
    }
    try {
      return {std::make_unique<CudaDevice>(i), describe(properties, i)};
    } catch (const Error& error) {
      reason = describe(properties, i) + ": " + error.what();
    }
  }
  return {nullptr, reason};
}

}  // namespace concord::cuda
