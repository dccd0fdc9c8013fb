// Vectors that a kernel makes go into an index, and results of searches go to a kernel, on one
// stream.
//
// The host never touches a vector or a result: it gives work to the stream and calls Concord
// between. Exit code 0: at least 99% of the vectors found themselves; 1: fewer did, or a call
// failed; 77: no usable device.
#include <cuda_runtime.h>

#include <concord/cuda.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr std::uint32_t kDimension = 64;
constexpr std::size_t kBatch = 20000;  // vectors made at a time
constexpr int kBatches = 5;
constexpr std::uint32_t kNeighbors = 10;
constexpr unsigned kThreads = 256;

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "cuda_pipeline: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

/// Device memory for `count` elements, freed at the end of its scope.
template <class T>
class Memory {
 public:
  explicit Memory(std::size_t count) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, count * sizeof(T)), "cudaMalloc");
    d_data_ = static_cast<T*>(memory);
  }
  ~Memory() { cudaFree(d_data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] T* get() const { return d_data_; }

 private:
  T* d_data_ = nullptr;
};

unsigned blocks_for(std::size_t count) {
  return static_cast<unsigned>((count + kThreads - 1) / kThreads);
}

/// Stands for a model that embeds something: vector `first + i`, a different one for every number.
__global__ void make_vectors(float* vectors, std::uint64_t first, std::size_t count) {
  const std::size_t at = std::size_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count * kDimension) return;
  std::uint64_t bits = (first * kDimension + at) * 0x9e3779b97f4a7c15u;
  bits = (bits ^ (bits >> 29)) * 0xbf58476d1ce4e5b9u;
  vectors[at] = static_cast<float>(bits >> 40) * 0x1p-24f - 0.5f;
}

/// Stands for whatever uses results: counts the queries whose nearest vector is their own.
__global__ void count_own(const std::uint64_t* labels, std::uint64_t first, std::size_t count,
                          unsigned* own) {
  const std::size_t query = std::size_t{blockIdx.x} * kThreads + threadIdx.x;
  if (query < count && labels[query * kNeighbors] == first + query) atomicAdd(own, 1u);
}

int run() {
  concord::RuntimeOptions options;
  options.device = "cuda";
  concord::Index index({.dimension = kDimension, .M = 16, .ef_construction = 128}, options);

  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  const Memory<float> vectors(kBatch * kDimension);
  const Memory<std::uint64_t> labels(kBatch * kNeighbors);
  const Memory<float> distances(kBatch * kNeighbors);
  const Memory<std::uint32_t> counts(kBatch);
  const Memory<unsigned> own(1);
  check(cudaMemsetAsync(own.get(), 0, sizeof(unsigned), stream), "cudaMemsetAsync");

  // A call reads what the stream was given before it, and has read it all when it returns: the next
  // batch may be written over this one at once.
  const unsigned blocks = blocks_for(kBatch * kDimension);
  for (int batch = 0; batch < kBatches; ++batch) {
    make_vectors<<<blocks, kThreads, 0, stream>>>(vectors.get(), batch * kBatch, kBatch);
    concord::cuda::add(index, {vectors.get(), kBatch, kDimension}, {}, stream);
  }
  for (int batch = 0; batch < kBatches; ++batch) {
    make_vectors<<<blocks, kThreads, 0, stream>>>(vectors.get(), batch * kBatch, kBatch);
    concord::cuda::search(index, {vectors.get(), kBatch, kDimension}, {.k = kNeighbors, .ef = 64},
                          {labels.get(), kBatch, kNeighbors}, {distances.get(), kBatch, kNeighbors},
                          counts.get(), stream);
    count_own<<<blocks_for(kBatch), kThreads, 0, stream>>>(labels.get(), batch * kBatch, kBatch,
                                                           own.get());
  }
  unsigned found = 0;
  check(cudaMemcpyAsync(&found, own.get(), sizeof(found), cudaMemcpyDeviceToHost, stream), "copy");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");

  std::printf("%zu vectors, of which %u found themselves; digest %s\n", index.size(), found,
              index.digest().c_str());
  std::printf("%s: %llu MB came to the device, kernels took %.3f s\n",
              index.stats().device.name.c_str(),
              static_cast<unsigned long long>(index.stats().device.bytes_in / 1000000),
              index.stats().device.kernel_seconds);
  return found >= kBatch * kBatches * 99 / 100 ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const concord::Error& error) {
    std::fprintf(stderr, "cuda_pipeline: %s\n", error.what());
    return error.code() == concord::ErrorCode::unsupported ? 77 : 1;
  }
}
