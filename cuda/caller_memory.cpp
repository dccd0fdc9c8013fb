#include "cuda/caller_memory.hpp"

#include <cstring>
#include <limits>

namespace concord::cuda {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{4} << 20;

}  // namespace

TakeTask take_task(DeviceMatrixView<const float> matrix, std::size_t first, std::uint32_t count,
                   const core::VectorStore& store, Metric metric, float* to) {
  TakeTask task;
  task.from = matrix.data + first * matrix.stride;
  task.from_stride = matrix.stride;
  task.dimension = store.dimension();
  task.count = count;
  task.to = to;
  task.stride = store.stride();
  task.normalise = metric == Metric::cosine;
  task.most_squared_norm =
      task.normalise ? std::numeric_limits<double>::max() : core::kMaxSquaredNorm;
  return task;
}

CallerMemory::CallerMemory(Device& device, Stream stream)
    : device_(device), stream_(stream), chunks_{Chunk(device), Chunk(device)} {}

CallerMemory::~CallerMemory() { device_.drain(stream_); }

void CallerMemory::read(DeviceMatrixView<const float> matrix, const TakeRows& take) {
  if (matrix.rows == 0) return;
  const std::size_t chunk_rows =
      std::max<std::size_t>(1, kChunkBytes / (matrix.stride * sizeof(float)));
  const auto rows_of = [&](std::size_t first) { return std::min(chunk_rows, matrix.rows - first); };
  const auto begin = [&](std::size_t first) {
    const std::size_t floats = (rows_of(first) - 1) * matrix.stride + matrix.cols;
    Chunk& chunk = chunks_[first / chunk_rows % 2];
    chunk.memory.ensure(floats * sizeof(float));
    device_.copy_async(chunk.memory.data(), matrix.data + first * matrix.stride,
                       floats * sizeof(float), stream_);
    device_.record(chunk.copied, stream_);
  };
  begin(0);
  for (std::size_t first = 0; first < matrix.rows; first += chunk_rows) {
    if (first + chunk_rows < matrix.rows) begin(first + chunk_rows);
    Chunk& chunk = chunks_[first / chunk_rows % 2];
    device_.synchronize(chunk.copied);
    take(first, {reinterpret_cast<const float*>(chunk.memory.data()), rows_of(first), matrix.cols,
                 matrix.stride});
  }
}

void CallerMemory::read_bytes(void* to, const void* from, std::size_t bytes) {
  Chunk& chunk = chunks_[0];
  chunk.memory.ensure(std::min(kChunkBytes, bytes));
  for (std::size_t done = 0; done < bytes; done += kChunkBytes) {
    const std::size_t piece = std::min(kChunkBytes, bytes - done);
    device_.copy_async(chunk.memory.data(), static_cast<const std::byte*>(from) + done, piece,
                       stream_);
    device_.record(chunk.copied, stream_);
    device_.synchronize(chunk.copied);
    std::memcpy(static_cast<std::byte*>(to) + done, chunk.memory.data(), piece);
  }
}

void CallerMemory::write(void* to, std::size_t stride, const void* from, std::size_t rows,
                         std::size_t cols, std::size_t size) {
  const bool packed = stride == cols;
  const std::size_t pieces = packed ? 1 : rows;
  const std::size_t bytes = (packed ? rows : 1) * cols * size;
  for (std::size_t i = 0; i < pieces; ++i) {
    write_bytes(static_cast<std::byte*>(to) + i * stride * size,
                static_cast<const std::byte*>(from) + i * cols * size, bytes);
  }
}

void CallerMemory::write_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += kChunkBytes) {
    const std::size_t piece = std::min(kChunkBytes, bytes - done);
    Chunk& chunk = chunks_[next_];
    next_ ^= 1;
    device_.synchronize(chunk.copied);
    chunk.memory.ensure(piece);
    std::memcpy(chunk.memory.data(), from + done, piece);
    device_.copy_async(to + done, chunk.memory.data(), piece, stream_);
    device_.record(chunk.copied, stream_);
  }
}

void CallerMemory::finish() {
  for (const Chunk& chunk : chunks_) device_.synchronize(chunk.copied);
}

}  // namespace concord::cuda
