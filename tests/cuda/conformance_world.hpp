// What the parts of the conformance program share: data on the device, comparison with the host.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/cuda/world.hpp"

namespace concord::cuda::testing {

inline void check(int error, const char* what) {
  if (error == 0) return;
  std::printf("FAIL %s: %s\n", what, cudaGetErrorString(static_cast<cudaError_t>(error)));
  std::exit(1);
}

/// Device memory holding a copy of host data.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& data) : size_(data.size()) {
    check(cudaMalloc(reinterpret_cast<void**>(&d_data_), size_ * sizeof(T) + 16), "cudaMalloc");
    check(cudaMemcpy(d_data_, data.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "upload");
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(d_data_); }

  [[nodiscard]] T* data() const { return d_data_; }
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> data(size_);
    check(cudaMemcpy(data.data(), d_data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "download");
    return data;
  }

 private:
  T* d_data_ = nullptr;
  std::size_t size_;
};

/// A world in device memory.
struct DeviceWorld {
  explicit DeviceWorld(const World& world)
      : vectors(world.vectors.pieces),
        queries(world.queries.pieces),
        levels(world.levels),
        upper_offset(world.upper_offset),
        links(world.links),
        upper_links(world.upper_links),
        gone(world.gone),
        query_stride(world.queries.stride),
        view(world.view()) {
    view.vectors = reinterpret_cast<const float*>(vectors.data());
    view.links = links.data();
    view.upper_links = upper_links.data();
    view.upper_offset = upper_offset.data();
    view.levels = levels.data();
    if (view.gone != nullptr) view.gone = gone.data();
  }
  [[nodiscard]] const float* query_rows() const {
    return reinterpret_cast<const float*>(queries.data());
  }

  OnDevice<Float4> vectors, queries;
  OnDevice<std::uint8_t> levels;
  OnDevice<std::uint32_t> upper_offset;
  OnDevice<NodeId> links, upper_links, gone;
  std::uint32_t query_stride;  ///< floats
  MirrorView view;
};

inline std::atomic<int> g_failures{0};  // cases run on several threads

template <class T>
void compare(const std::string& name, const std::vector<T>& device, const std::vector<T>& host) {
  std::size_t different = 0, first = 0;
  for (std::size_t j = host.size(); j-- > 0;) {
    if (std::memcmp(&device[j], &host[j], sizeof(T)) != 0) {
      ++different;
      first = j;
    }
  }
  if (different == 0) {
    std::printf("PASS %s\n", name.c_str());
    return;
  }
  ++g_failures;
  std::printf("FAIL %s: %zu of %zu differ, first at %zu\n", name.c_str(), different, host.size(),
              first);
}

inline void synchronise(const char* what) { check(cudaDeviceSynchronize(), what); }

}  // namespace concord::cuda::testing
