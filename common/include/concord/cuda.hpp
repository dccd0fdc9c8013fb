// Vectors, queries, results and bits of filters in CUDA device memory, without a CUDA header.
//
// All functions need an index that may use a device, and memory of that device; CUDA's unified
// addressing tells which device owns a pointer. A function reads the memory after the work given to
// `stream` before the call. It returns when all its work is done: inputs may then be reused and
// outputs read, on any stream. A null `stream` is the default stream. The calling thread's current
// CUDA device is afterwards what it was before.
//
// An index always keeps its vectors on the host, so vectors come there in chunks through pinned
// memory and are validated there. The device takes the same vectors where they are, and normalises
// them for cosine, without a second copy over PCIe. The last few vectors of a call are an exception
// if they are too few for the device to propose. Queries are read where they are if the device
// answers, and come to the host otherwise. Results in device memory are written there by the
// device, which keeps the labels as well, 8 bytes each, from the first such search on. If the CPU
// answers, or the labels find no room, results go there through pinned memory.
//
// Determinism, complexity and thread-safety are those of the members of Index with the same name,
// and of Filter::of_bits. So are exceptions, with four additions. If the index has no device
// (CPU-only build, no usable device, or device "cpu"), the function throws Error(unsupported).
// Memory that the device does not reach is Error(invalid_parameter). A copy that fails is
// Error(cuda); add, update and upsert then leave the index as it was.
//
// A stream that is being captured into a CUDA graph is refused with Error(unsupported). So is the
// default stream while a capture is under way that its use would end. The capture goes on, and the
// index is as it was. Index's own members, which take host memory, may be called beside a capture.
#pragma once

#include <concord/filter.hpp>
#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

struct CUstream_st;  // cudaStream_t points to one

namespace concord::cuda {

using CudaStream = CUstream_st*;

/// Row-major view of device memory; row r starts at data + r × stride. The host never reads it.
/// Rows are copied with the gaps between them, so a stride far above `cols` costs bandwidth.
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

/// As Index::add, with the same result as from host memory. `labels` (host memory) may be empty:
/// then labels are numbers, as with Index::add.
CONCORD_API std::size_t add(Index& index, DeviceMatrixView<const float> vectors,
                            std::span<const std::uint64_t> labels, CudaStream stream,
                            const ProgressCallback& progress = {});

/// As Index::update and Index::upsert, with the same result as from host memory. `labels` (host
/// memory) has one for each vector.
CONCORD_API std::size_t update(Index& index, DeviceMatrixView<const float> vectors,
                               std::span<const std::uint64_t> labels, CudaStream stream,
                               const ProgressCallback& progress = {});
CONCORD_API std::size_t upsert(Index& index, DeviceMatrixView<const float> vectors,
                               std::span<const std::uint64_t> labels, CudaStream stream,
                               const ProgressCallback& progress = {});

/// As Index::search, with results on the host.
[[nodiscard]] CONCORD_API SearchResult search(const Index& index,
                                              DeviceMatrixView<const float> queries,
                                              const SearchParams& params, CudaStream stream);

/// As Index::search, with results in device memory: `labels` and `distances` [q × params.k],
/// `counts` [q]. What these hold after an exception is not specified. The destructor of the index
/// waits for the search, but not for the copy of the results to the device.
CONCORD_API void search(const Index& index, DeviceMatrixView<const float> queries,
                        const SearchParams& params, DeviceMatrixView<std::uint64_t> labels,
                        DeviceMatrixView<float> distances, std::uint32_t* counts,
                        CudaStream stream);

/// As Filter::of_bits, with the same result as from host memory. Bit i % 32 of bits[i / 32] tells
/// whether vector number i in the order of Index::labels() matches, as in a bitset of cuVS, and
/// `count` must be index.size(). The bits come to the host once, 1/8 byte a vector, because the
/// number of matches decides how a search is answered. A copy that fails is Error(cuda).
[[nodiscard]] CONCORD_API Filter filter_of_bits(const Index& index, const std::uint32_t* bits,
                                                std::size_t count, CudaStream stream);

}  // namespace concord::cuda
