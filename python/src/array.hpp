// Arrays of the caller, whichever library made them: borrowed, never copied as a whole.
//
// Host memory comes by the buffer protocol (numpy, array, memoryview) or DLPack (torch, JAX, …),
// CUDA memory by DLPack or __cuda_array_interface__. An Array holds what it borrows until it goes.
// Thread-safety: make and destroy with the GIL held; reading needs no GIL.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <concord/cuda.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace concord::python {

/// Those before int64 are elements of vectors, float32 in place; int64 and uint64 are labels.
enum class DType { float32, float64, float16, bfloat16, int8, uint8, int64, uint64, other };

std::size_t size_of(DType dtype) noexcept;

/// One- or two-dimensional; strides in bytes, negative ones included. A one-dimensional array is
/// one row.
class Array {
 public:
  /// Throws ArrayTypeError where `object` is no array, Error(dimension_mismatch) where it has no or
  /// more than two dimensions; `name` is what messages call it. A writable array is one of the
  /// buffer protocol.
  Array(nanobind::handle object, const char* name, bool writable = false);
  ~Array();
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  [[nodiscard]] std::size_t rows() const noexcept { return ndim_ == 1 ? 1 : shape_[0]; }
  [[nodiscard]] std::size_t cols() const noexcept { return shape_[ndim_ - 1]; }
  [[nodiscard]] std::size_t ndim() const noexcept { return ndim_; }
  [[nodiscard]] std::ptrdiff_t row_stride() const noexcept { return ndim_ == 1 ? 0 : stride_[0]; }
  [[nodiscard]] std::ptrdiff_t col_stride() const noexcept { return stride_[ndim_ - 1]; }
  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] DType dtype() const noexcept { return dtype_; }
  /// What the caller's library calls the element type; with the GIL held.
  [[nodiscard]] std::string dtype_name() const;
  [[nodiscard]] const char* name() const noexcept { return name_; }

  /// In CUDA memory; work given to stream() before is to be waited for.
  [[nodiscard]] bool on_device() const noexcept { return on_device_; }
  [[nodiscard]] cuda::CudaStream stream() const noexcept { return stream_; }

  /// Elements of this type, aligned, side by side within a row, and rows in ascending order that do
  /// not overlap: a MatrixView can say it.
  [[nodiscard]] bool is_matrix_of(DType dtype) const noexcept;
  /// Elements from one row to the next; for arrays of which is_matrix_of is true.
  [[nodiscard]] std::size_t matrix_stride() const noexcept;

 private:
  bool take_buffer(nanobind::handle object, bool writable);
  bool take_dlpack(nanobind::handle object);
  bool take_cuda_array_interface(nanobind::handle object);
  void set_shape(std::size_t ndim, const auto* shape);

  const char* name_;
  Py_buffer buffer_{};
  std::optional<nanobind::ndarray<nanobind::ro>> tensor_;
  nanobind::object object_;
  std::byte* data_ = nullptr;
  std::size_t ndim_ = 0;
  std::size_t shape_[2] = {};
  std::ptrdiff_t stride_[2] = {};
  DType dtype_ = DType::other;
  bool on_device_ = false;
  cuda::CudaStream stream_ = nullptr;
};

}  // namespace concord::python
