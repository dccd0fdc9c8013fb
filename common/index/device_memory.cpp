// concord/cuda.hpp: additions, searches and filters whose data is in device memory.
#include <algorithm>
#include <concord/cuda.hpp>
#include <string>
#include <vector>

#include "common/index/index_access.hpp"
#include "cuda/caller_memory.hpp"
#include "cuda/device_searcher.hpp"

namespace concord::cuda {
namespace {

/// The index's device, for work ordered behind what the caller gave to `stream`. Opens it if need
/// be, which records nothing on that stream.
Device& device_for(const Index& index, Stream stream) {
  Device& device = IndexAccess::device(index);
  if (!device.is_capturing(stream)) return device;
  throw Error(
      ErrorCode::unsupported,
      "the stream is being captured into a CUDA graph, which the call cannot be part of: it "
      "waits for its results on the host. Call before the capture begins or after it ends, "
      "or with a non-blocking stream that is not part of it");
}

void check_reach(Device& device, const void* memory, std::size_t bytes, const char* what) {
  if (device.reaches(memory, bytes)) return;
  throw Error(ErrorCode::invalid_parameter,
              std::string(what) + " are not in memory of the index's device (" + device.name() +
                  "): the memory was freed, is shorter, or is another device's or the host's");
}

template <class T>
void check_matrix(Device& device, DeviceMatrixView<T> matrix, std::size_t rows, std::size_t cols,
                  const char* what) {
  if (matrix.rows != rows || (rows > 0 && matrix.cols != cols)) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " are " + std::to_string(matrix.rows) + " x " +
                    std::to_string(matrix.cols) + ", " + std::to_string(rows) + " x " +
                    std::to_string(cols) + " are needed");
  }
  if (rows * cols == 0) return;
  if (matrix.data == nullptr || matrix.stride < cols) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " need data and a stride of at least the number of columns");
  }
  check_reach(device, matrix.data, ((rows - 1) * matrix.stride + cols) * sizeof(T), what);
}

// Packed, in host memory.
std::vector<float> fetch(Device& device, DeviceMatrixView<const float> matrix, Stream stream) {
  std::vector<float> values(matrix.rows * matrix.cols);
  CallerMemory(device, stream).read(matrix, [&](std::size_t first, MatrixView<const float> rows) {
    for (std::size_t r = 0; r < rows.rows; ++r) {
      std::copy_n(rows.row(r), rows.cols, values.data() + (first + r) * rows.cols);
    }
  });
  return values;
}

// The index's, which come to the store in chunks.
IndexAccess::NewRows new_rows(const Index& index, DeviceMatrixView<const float> vectors,
                              CudaStream stream) {
  Device& device = device_for(index, stream);
  check_matrix(device, vectors, vectors.rows, index.params().dimension, "vectors");
  const auto write = [&index, &device, vectors, stream](core::VectorStore& store,
                                                        std::size_t first) {
    CallerMemory(device, stream).read(vectors, [&](std::size_t at, MatrixView<const float> rows) {
      store.write(first + at, rows, IndexAccess::pool(index), at);
    });
  };
  return {vectors.rows, write, vectors};
}

}  // namespace

std::size_t add(Index& index, DeviceMatrixView<const float> vectors,
                std::span<const std::uint64_t> labels, CudaStream stream,
                const ProgressCallback& progress) {
  const IndexAccess::NewRows rows = new_rows(index, vectors, stream);
  if (!labels.empty() && labels.size() != vectors.rows) {
    throw Error(ErrorCode::dimension_mismatch, std::to_string(labels.size()) + " labels for " +
                                                   std::to_string(vectors.rows) +
                                                   " vectors; there must be one each, or none");
  }
  return IndexAccess::add(index, rows, labels, progress);
}

std::size_t update(Index& index, DeviceMatrixView<const float> vectors,
                   std::span<const std::uint64_t> labels, CudaStream stream,
                   const ProgressCallback& progress) {
  return IndexAccess::update(index, new_rows(index, vectors, stream), labels, progress);
}

std::size_t upsert(Index& index, DeviceMatrixView<const float> vectors,
                   std::span<const std::uint64_t> labels, CudaStream stream,
                   const ProgressCallback& progress) {
  return IndexAccess::upsert(index, new_rows(index, vectors, stream), labels, progress);
}

SearchResult search(const Index& index, DeviceMatrixView<const float> queries,
                    const SearchParams& params, CudaStream stream) {
  Device& device = device_for(index, stream);
  check_matrix(device, queries, queries.rows, index.params().dimension, "queries");
  std::vector<float> values;
  return IndexAccess::search(index, queries, params, stream, [&] {
    values = fetch(device, queries, stream);
    return MatrixView<const float>(values.data(), queries.rows, queries.cols);
  });
}

void search(const Index& index, DeviceMatrixView<const float> queries, const SearchParams& params,
            DeviceMatrixView<std::uint64_t> labels, DeviceMatrixView<float> distances,
            std::uint32_t* counts, CudaStream stream) {
  Device& device = device_for(index, stream);
  check_matrix(device, labels, queries.rows, params.k, "labels");
  check_matrix(device, distances, queries.rows, params.k, "distances");
  if (counts == nullptr && queries.rows > 0) {
    throw Error(ErrorCode::dimension_mismatch, "counts need memory for one number a query");
  }
  if (queries.rows > 0) {
    check_reach(device, counts, queries.rows * sizeof(std::uint32_t), "counts");
  }
  check_matrix(device, queries, queries.rows, index.params().dimension, "queries");
  if (IndexAccess::search_there(index, queries, params, stream, {labels, distances, counts})) {
    return;
  }
  const SearchResult result = search(index, queries, params, stream);
  if (queries.rows == 0) return;
  CallerMemory memory(device, stream);
  memory.write(labels.data, labels.stride, result.labels.data(), result.queries, result.k,
               sizeof(std::uint64_t));
  memory.write(distances.data, distances.stride, result.distances.data(), result.queries, result.k,
               sizeof(float));
  memory.write(counts, 1, result.counts.data(), result.queries, 1, sizeof(std::uint32_t));
  memory.finish();
}

Filter filter_of_bits(const Index& index, const std::uint32_t* bits, std::size_t count,
                      CudaStream stream) {
  Device& device = device_for(index, stream);
  const std::size_t bytes = (count / 32 + (count % 32 == 0 ? 0 : 1)) * sizeof(std::uint32_t);
  if (bytes > 0) check_reach(device, bits, bytes, "bits");
  std::vector<std::uint8_t> on_host(bytes);
  CallerMemory(device, stream).read_bytes(on_host.data(), bits, bytes);
  return Filter::of_bits(index, on_host, count);
}

}  // namespace concord::cuda
