#include <thrust/mr/disjoint_pool.h>
#include <thrust/mr/new.h>

#include <concord/error.hpp>
#include <map>
#include <mutex>
#include <new>

#include "cuda/cccl.cuh"
#include "cuda/temporaries.hpp"

namespace concord::cuda {
namespace {

/// Memory of the device for a pool.
class DeviceResource final : public thrust::mr::memory_resource<void*> {
 public:
  explicit DeviceResource(Device& device) : device_(device) {}

  void* do_allocate(std::size_t bytes, std::size_t) override { return device_.allocate(bytes); }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t) override {
    device_.release(memory, bytes);
  }

 private:
  Device& device_;
};

using HostResource = thrust::mr::new_delete_resource;
using Pool = thrust::mr::disjoint_unsynchronized_pool_resource<DeviceResource, HostResource>;

/// One block at a time, because a stream's calls need few, and memory is planned.
thrust::mr::pool_options options() {
  thrust::mr::pool_options options = Pool::get_default_options();
  options.alignment = 256;  // of cudaMalloc
  options.smallest_block_size = 256;
  options.min_blocks_per_chunk = 1;
  options.min_bytes_per_chunk = 256;
  return options;
}

}  // namespace

struct Temporaries::Pools {
  explicit Pools(Device& device) : memory(device) {}

  DeviceResource memory;
  HostResource lists;
  std::mutex mutex;
  std::map<Stream, Pool> of;
};

Temporaries::Temporaries(Device& device) : pools_(std::make_unique<Pools>(device)) {}
Temporaries::~Temporaries() = default;

void* Temporaries::take(Stream stream, std::size_t bytes) {
  const std::lock_guard lock(pools_->mutex);
  try {
    auto pool = pools_->of.find(stream);
    if (pool == pools_->of.end()) {
      pool = pools_->of.try_emplace(stream, &pools_->memory, &pools_->lists, options()).first;
    }
    return pool->second.do_allocate(bytes, options().alignment);
  } catch (const std::bad_alloc&) {  // thrust's among them
    throw Error(ErrorCode::out_of_memory, "no memory for the lists of a pool");
  }
}

void Temporaries::give_back(Stream stream, void* memory, std::size_t bytes) noexcept {
  const std::lock_guard lock(pools_->mutex);
  pools_->of.at(stream).do_deallocate(memory, bytes, options().alignment);
}

void Temporaries::forget(Stream stream) noexcept {
  const std::lock_guard lock(pools_->mutex);
  pools_->of.erase(stream);
}

}  // namespace concord::cuda
