// The caller of concord/cuda.hpp in tests: a stream and memory on the device that the index uses.
// Thread-safety: one thread at a time.
#pragma once

#include <algorithm>
#include <concord/cuda.hpp>
#include <list>
#include <utility>
#include <vector>

#include "cuda/buffer.hpp"

namespace concord::test {

using cuda::DeviceMatrixView;

/// The caller's side: a stream and memory on the device that the index uses.
class Caller {
 public:
  explicit Caller(cuda::Device& device)
      : device_(device), stream_(device, cuda::Priority::normal) {}
  ~Caller() {
    device_.drain(stream_);
    for (const auto& [memory, bytes] : owned_) device_.release(memory, bytes);
  }

  template <class T>
  T* allocate(std::size_t count) {
    void* const memory = device_.allocate(count * sizeof(T));
    owned_.emplace_back(memory, count * sizeof(T));
    return static_cast<T*>(memory);
  }
  /// A copy in device memory, written by work that is still pending.
  std::uint32_t* upload(const std::vector<std::uint32_t>& words) {
    cuda::PinnedBuffer<std::uint32_t>& pinned = pinned_words_.emplace_back(device_);
    pinned.ensure(words.size());
    std::copy(words.begin(), words.end(), pinned.data());
    auto* const memory = allocate<std::uint32_t>(words.size());
    device_.copy_async(memory, pinned.data(), words.size() * sizeof(std::uint32_t), stream_);
    return memory;
  }
  /// The rows in device memory, `stride` apart, written by work that is still pending.
  DeviceMatrixView<const float> upload(MatrixView<const float> rows, std::size_t stride) {
    cuda::PinnedBuffer<float>& pinned = pinned_.emplace_back(device_);
    pinned.ensure(rows.rows * stride);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      std::copy_n(rows.row(r), rows.cols, pinned.data() + r * stride);
    }
    auto* const memory = allocate<float>(rows.rows * stride);
    device_.copy_async(memory, pinned.data(), rows.rows * stride * sizeof(float), stream_);
    return {memory, rows.rows, rows.cols, stride};
  }
  [[nodiscard]] cuda::CudaStream stream() const { return stream_; }

 private:
  cuda::Device& device_;
  cuda::OwnedStream stream_;
  std::list<cuda::PinnedBuffer<float>> pinned_;
  std::list<cuda::PinnedBuffer<std::uint32_t>> pinned_words_;
  std::vector<std::pair<void*, std::size_t>> owned_;
};

}  // namespace concord::test
