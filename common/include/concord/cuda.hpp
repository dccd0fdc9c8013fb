// Vectors, queries and results in CUDA device memory, without a CUDA header.
//
// All functions need an index that may use a device, and memory of that very device (CUDA's unified
// addressing tells where a pointer points). What was given to `stream` before the call is done
// before the memory is read; the call returns when all its work is done, so inputs may be reused
// and outputs read, on any stream, at once. `stream` null is the default stream. The calling
// thread's current CUDA device may be another one afterwards.
//
// Vectors come to the host in chunks through pinned memory, since an index always keeps them there
// and validates them. The device takes them, and normalises them for cosine, where they are: none
// goes up again, but for the last few of a call where those are too few for the device to propose.
// Queries are read where they are if the device answers, and come to the host otherwise. Results go
// back through pinned memory, since labels live on the host.
//
// Throws what the members of Index of the same name throw, and Error(unsupported) where the index
// has no device (CPU-only build, no usable device, device "cpu"), Error(invalid_parameter) for
// memory that the device does not reach, Error(cuda) where a copy failed; add leaves the index as
// it was then.
#pragma once

#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

struct CUstream_st;  // cudaStream_t points to one

namespace concord::cuda {

using CudaStream = CUstream_st*;

/// Row-major view of device memory: never looked into by the host. Rows are copied with the gaps
/// between them, so a stride far above `cols` costs bandwidth.
template <class T>
struct DeviceMatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;  ///< elements from one row to the next, at least `cols`

  DeviceMatrixView() = default;
  DeviceMatrixView(T* data_, std::size_t rows_, std::size_t cols_)
      : DeviceMatrixView(data_, rows_, cols_, cols_) {}
  DeviceMatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
};

/// As Index::add: the same bytes as from host memory. `labels` (host memory) may be empty: then
/// they are numbers.
CONCORD_API std::size_t add(Index& index, DeviceMatrixView<const float> vectors,
                            std::span<const std::uint64_t> labels, CudaStream stream,
                            const ProgressCallback& progress = {});

/// As Index::search, results on the host.
[[nodiscard]] CONCORD_API SearchResult search(const Index& index,
                                              DeviceMatrixView<const float> queries,
                                              const SearchParams& params, CudaStream stream);

/// As Index::search, results into device memory: labels and distances [q × params.k], counts [q].
/// The index's destructor waits for the search, not for the results on their way to the device.
CONCORD_API void search(const Index& index, DeviceMatrixView<const float> queries,
                        const SearchParams& params, DeviceMatrixView<std::uint64_t> labels,
                        DeviceMatrixView<float> distances, std::uint32_t* counts,
                        CudaStream stream);

}  // namespace concord::cuda
