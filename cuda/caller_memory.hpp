// Matrices and bits in the caller's device memory: moved in chunks through pinned memory, on the
// caller's stream, or taken by a kernel from where they are.
//
// One chunk is on its way while another is in use on the host.
// Thread-safety: one thread at a time.
#pragma once

#include <concord/cuda.hpp>
#include <concord/matrix_view.hpp>
#include <functional>

#include "common/store/vector_store.hpp"
#include "cuda/buffer.hpp"

namespace concord::cuda {

/// Writes the rows [first, first + count) to `to` as `store` would hold them.
TakeTask take_task(DeviceMatrixView<const float> matrix, std::size_t first, std::uint32_t count,
                   const core::VectorStore& store, Metric metric, float* to);

class CallerMemory {
 public:
  CallerMemory(Device& device, Stream stream);
  /// Waits for all copies.
  ~CallerMemory();

  /// Calls take(first, rows) for one stretch of rows after the other.
  using TakeRows = std::function<void(std::size_t first, MatrixView<const float> rows)>;
  void read(DeviceMatrixView<const float> matrix, const TakeRows& take);
  void read_bytes(void* to, const void* from, std::size_t bytes);

  /// Copies `rows` × `cols` packed elements of `size` bytes to rows `stride` elements apart.
  void write(void* to, std::size_t stride, const void* from, std::size_t rows, std::size_t cols,
             std::size_t size);
  /// Returns when everything written has arrived.
  void finish();

 private:
  struct Chunk {
    explicit Chunk(Device& device) : memory(device), copied(device) {}
    PinnedBuffer<std::byte> memory;
    OwnedEvent copied;
  };
  void write_bytes(std::byte* to, const std::byte* from, std::size_t bytes);

  Device& device_;
  Stream stream_;
  Chunk chunks_[2];
  unsigned next_ = 0;
};

}  // namespace concord::cuda
