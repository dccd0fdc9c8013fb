// Device memory that CUB and Thrust need while they work: pools of thrust::mr over
// Device::allocate.
//
// So each piece that a pool takes from the device counts against the limit and can be made to fail.
// A pool keeps what is given back. There is one a stream: memory given back while work on it is
// pending goes only to later work of the same stream. Without pools CUB's callers would allocate
// and free at each call, and freeing waits for the whole device.
//
// Two of Thrust's pools would not do. unsynchronized_pool_resource keeps its lists in the memory it
// manages, which the host cannot write here. The caching allocator of CUB counts against no limit.
// Thread-safety: any thread. Compiles without CUDA headers; only builds with CUDA define it.
#pragma once

#include <cstddef>
#include <memory>

#include "cuda/device.hpp"

namespace concord::cuda {

class Temporaries {
 public:
  /// Borrows the device.
  explicit Temporaries(Device& device);
  /// REQUIRES that no work on its memory is pending.
  ~Temporaries();
  Temporaries(const Temporaries&) = delete;
  Temporaries& operator=(const Temporaries&) = delete;

  /// Memory for work on `stream`. Throws what Device::allocate throws, Error(out_of_memory) where
  /// the host has no memory for the pool's lists.
  [[nodiscard]] void* take(Stream stream, std::size_t bytes);
  /// The work that uses the memory has been given to the stream, or never will be.
  void give_back(Stream stream, void* memory, std::size_t bytes) noexcept;
  /// Releases what the stream's pool has. REQUIRES that all work on the stream is done.
  void forget(Stream stream) noexcept;

 private:
  struct Pools;
  std::unique_ptr<Pools> pools_;
};

/// Memory for one call on a stream.
class Temporary {
 public:
  Temporary(Temporaries& temporaries, Stream stream, std::size_t bytes)
      : temporaries_(temporaries),
        stream_(stream),
        bytes_(bytes),
        memory_(temporaries.take(stream, bytes)) {}
  ~Temporary() { temporaries_.give_back(stream_, memory_, bytes_); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  [[nodiscard]] void* data() const noexcept { return memory_; }

 private:
  Temporaries& temporaries_;
  Stream stream_;
  std::size_t bytes_;
  void* memory_;
};

}  // namespace concord::cuda
