// CUDA runtime calls behind the Device interface. The runtime is linked statically and loads the
// driver itself, so a binary with this file starts on machines that have none.
#include "cuda/cuda_device.hpp"

#include <cuda_runtime_api.h>

#include <concord/error.hpp>

namespace concord::cuda {
namespace {

void check(int status, const char* call) {
  if (status == 0) return;
  const auto error = static_cast<cudaError_t>(status);
  cudaGetLastError();  // a refused call must not fail the next one
  throw Error(error == cudaErrorMemoryAllocation ? ErrorCode::out_of_memory : ErrorCode::cuda,
              std::string(call) + ": " + cudaGetErrorString(error));
}

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int ordinal) : ordinal_(ordinal) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
    name_ = properties.name;
    shared_memory_limit_ = properties.sharedMemPerBlockOptin;
    use();
    check(prepare_kernels(), "prepare_kernels");
  }

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::size_t shared_memory_limit() const noexcept override {
    return shared_memory_limit_;
  }

  void destroy_stream(Stream stream) noexcept override {
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
  void destroy_event(Event event) noexcept override {
    if (event != nullptr) cudaEventDestroy(event);
  }

 protected:
  DeviceMemory do_memory() override {
    use();
    DeviceMemory memory;
    check(cudaMemGetInfo(&memory.free, &memory.total), "cudaMemGetInfo");
    return memory;
  }
  void* do_allocate(std::size_t bytes) override {
    use();
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "cudaMalloc");
    return memory;
  }
  void* do_allocate_pinned(std::size_t bytes) override {
    use();
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes), "cudaMallocHost");
    return memory;
  }
  // Failures to free come after failures that were reported, or at the end of the process.
  void do_release(void* memory) noexcept override { cudaFree(memory); }
  void do_release_pinned(void* memory) noexcept override { cudaFreeHost(memory); }
  Stream do_create_stream(Priority priority) override {
    use();
    int least = 0;
    int greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    Stream stream = nullptr;
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking,
                                       priority == Priority::urgent ? greatest : least),
          "cudaStreamCreateWithPriority");
    return stream;
  }
  Event do_create_event() override {
    use();
    Event event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    return event;
  }
  void do_record(Event event, Stream stream) override {
    use();
    check(cudaEventRecord(event, stream), "cudaEventRecord");
  }
  void do_wait(Stream stream, Event event) override {
    use();
    check(cudaStreamWaitEvent(stream, event, 0), "cudaStreamWaitEvent");
  }
  void do_synchronize(Event event) override {
    check(cudaEventSynchronize(event), "cudaEventSynchronize");
  }
  void do_drain(Stream stream) noexcept override {
    cudaSetDevice(ordinal_);
    if (cudaStreamSynchronize(stream) != cudaSuccess) cudaGetLastError();
  }
  double do_elapsed(Event from, Event to) override {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, from, to), "cudaEventElapsedTime");
    return double{milliseconds} * 1e-3;
  }
  bool reaches(const void* memory, std::size_t bytes) noexcept override {
    return reaches(memory) && reaches(static_cast<const std::byte*>(memory) + bytes - 1);
  }
  void do_copy_async(void* to, const void* from, std::size_t bytes, Stream stream) override {
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "cudaMemcpyAsync");
  }
  void do_fill_async(void* to, int byte, std::size_t bytes, Stream stream) override {
    use();
    check(cudaMemsetAsync(to, byte, bytes, stream), "cudaMemsetAsync");
  }
  void do_propose_async(const MirrorView& view, const ProposeTask& task, Stream stream) override {
    use();
    check(launch_propose_async(view, task, stream), "propose_kernel");
  }
  void do_score_rows_async(const MirrorView& view, const PruneTask& task, Stream stream) override {
    use();
    check(launch_score_rows_async(view, task, stream), "score_rows_kernel");
  }
  void do_search_async(const MirrorView& view, const SearchTask& task, Stream stream) override {
    use();
    check(launch_search_async(view, task, stream), "search_kernel");
  }
  void do_exact_async(const MirrorView& view, const ExactTask& task, Stream stream) override {
    use();
    check(launch_exact_async(view, task, stream), "exact_kernel");
  }
  void do_scatter_async(const ScatterTask& task, Stream stream) override {
    use();
    check(launch_scatter_async(task, stream), "scatter_kernel");
  }
  void do_take_rows_async(const TakeTask& task, Stream stream) override {
    use();
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
  // The current device belongs to the calling thread, and the caller may use others.
  void use() const { check(cudaSetDevice(ordinal_), "cudaSetDevice"); }

  int ordinal_;
  std::string name_;
  std::size_t shared_memory_limit_ = 0;
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
