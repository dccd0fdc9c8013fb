#include "array.hpp"

#include <algorithm>
#include <bit>
#include <concord/error.hpp>
#include <string_view>

#include "errors.hpp"
#include "gil.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

static_assert(std::endian::native == std::endian::little);

/// Of a format of the struct module; item sizes tell l from q.
DType dtype_of_format(std::string_view format, std::size_t size) {
  if (!format.empty() && std::string_view("@=<").find(format[0]) != format.npos) {
    format.remove_prefix(1);
  }
  if (format.size() != 1) return DType::other;
  switch (format[0]) {
    case 'f':
      return DType::float32;
    case 'd':
      return DType::float64;
    case 'e':
      return DType::float16;
    case 'b':
      return DType::int8;
    case 'B':
      return DType::uint8;
    case 'l':
    case 'q':
      return size == 8 ? DType::int64 : DType::other;
    case 'L':
    case 'Q':
      return size == 8 ? DType::uint64 : DType::other;
    default:
      return DType::other;
  }
}

DType dtype_of(nb::dlpack::dtype type) {
  using nb::dlpack::dtype_code;
  const auto is = [&](dtype_code code, int bits) {
    return type.code == static_cast<std::uint8_t>(code) && type.bits == bits && type.lanes == 1;
  };
  if (is(dtype_code::Float, 32)) return DType::float32;
  if (is(dtype_code::Float, 64)) return DType::float64;
  if (is(dtype_code::Float, 16)) return DType::float16;
  if (is(dtype_code::Bfloat, 16)) return DType::bfloat16;
  if (is(dtype_code::Int, 8)) return DType::int8;
  if (is(dtype_code::UInt, 8)) return DType::uint8;
  if (is(dtype_code::Int, 64)) return DType::int64;
  if (is(dtype_code::UInt, 64)) return DType::uint64;
  return DType::other;
}

// DLPack's device types.
constexpr int kCpu = 1, kCuda = 2, kCudaHost = 3, kCudaManaged = 13;

bool is_cuda(int device) noexcept { return device == kCuda || device == kCudaManaged; }

/// JAX's arrays offer the buffer protocol and refuse it for bfloat16 and in device memory.
bool only_dlpack_can(nb::handle object) {
  return nb::hasattr(object, "__dlpack__") &&
         !nb::isinstance(object, nb::module_::import_("numpy").attr("ndarray"));
}

/// The capsule of a tensor. DLPack before 1.0 knows no max_version, and cannot export what is
/// read-only. Throws ArrayTypeError with the tensor's reason, for example that it requires grad.
nb::object exported(nb::handle object, const char* name) {
  nb::dict how;
  how["max_version"] = nb::make_tuple(1, 0);
  try {
    // Work on the tensor may be pending on a stream of its library, which does nothing about it
    // unless told where it will be read: on stream 1, the default one.
    if (is_cuda(nb::cast<int>(object.attr("__dlpack_device__")()[0]))) how["stream"] = 1;
    try {
      return object.attr("__dlpack__")(**how);
    } catch (nb::python_error& error) {
      if (!error.matches(PyExc_TypeError)) throw;
    }
    nb::del(how["max_version"]);
    return object.attr("__dlpack__")(**how);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError)) throw;
    throw ArrayTypeError(std::string(name) +
                         " cannot be read through DLPack: " + nb::str(error.value()).c_str());
  }
}

}  // namespace

std::size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::float32:
      return 4;
    case DType::float16:
    case DType::bfloat16:
      return 2;
    case DType::int8:
    case DType::uint8:
      return 1;
    default:
      return 8;
  }
}

Array::Array(nb::handle object, const char* name, bool writable)
    : name_(name), object_(nb::borrow(object)) {
  const StaysInside scope;
  if (take_buffer(object, writable)) return;
  if (!writable && (take_dlpack(object) || take_cuda_array_interface(object))) return;
  throw ArrayTypeError(std::string(name) + " must be " +
                       (writable ? "a writable array that offers the buffer protocol"
                                 : "an array that offers the buffer protocol, DLPack or "
                                   "__cuda_array_interface__") +
                       ", not " + nb::inst_name(object).c_str());
}

Array::~Array() {
  if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
}

std::string Array::dtype_name() const {
  const nb::object dtype = nb::getattr(object_, "dtype", nb::none());
  if (!dtype.is_none()) return nb::str(dtype).c_str();
  if (buffer_.obj != nullptr && buffer_.format != nullptr) return buffer_.format;
  return "of an unknown type";
}

void Array::set_shape(std::size_t ndim, const auto* shape) {
  if (ndim < 1 || ndim > 2) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(name_) + " have " + std::to_string(ndim) +
                    " dimensions; allowed are two, [n, dim], or one, a single row");
  }
  ndim_ = ndim;
  for (std::size_t i = 0; i < ndim; ++i) shape_[i] = static_cast<std::size_t>(shape[i]);
}

bool Array::take_buffer(nb::handle object, bool writable) {
  if (!PyObject_CheckBuffer(object.ptr())) return false;
  const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
  if (PyObject_GetBuffer(object.ptr(), &buffer_, flags) != 0) {
    nb::python_error error;
    if (error.matches(PyExc_MemoryError)) throw error;
    if (!writable && only_dlpack_can(object)) return false;
    throw ArrayTypeError(std::string(name_) + " of type " + dtype_name() +
                         " cannot be read: " + nb::str(error.value()).c_str());
  }
  try {
    set_shape(static_cast<std::size_t>(buffer_.ndim), buffer_.shape);
  } catch (...) {  // the destructor will not run
    PyBuffer_Release(&buffer_);
    throw;
  }
  std::copy_n(buffer_.strides, ndim_, stride_);
  data_ = static_cast<std::byte*>(buffer_.buf);
  const std::string_view format = buffer_.format == nullptr ? "B" : buffer_.format;
  dtype_ = dtype_of_format(format, static_cast<std::size_t>(buffer_.itemsize));
  return true;
}

bool Array::take_dlpack(nb::handle object) {
  if (!nb::hasattr(object, "__dlpack__")) return false;
  nb::ndarray<nb::ro> tensor;
  if (!nb::try_cast(exported(object, name_), tensor, false)) {
    throw ArrayTypeError(std::string(name_) + " cannot be read through DLPack");
  }
  set_shape(tensor.ndim(), tensor.shape_ptr());
  const int device = tensor.device_type();
  on_device_ = is_cuda(device);
  if (!on_device_ && device != kCpu && device != kCudaHost) {
    throw ArrayTypeError(std::string(name_) + " are on DLPack device type " +
                         std::to_string(device) + "; allowed are the host and CUDA");
  }
  dtype_ = dtype_of(tensor.dtype());
  for (std::size_t i = 0; i < ndim_; ++i) {
    stride_[i] = tensor.stride(i) * static_cast<std::ptrdiff_t>(tensor.itemsize());
  }
  data_ = static_cast<std::byte*>(tensor.data_handle()) + tensor.byte_offset();
  tensor_ = std::move(tensor);
  return true;
}

// Version 3: shape, typestr, data (pointer, read-only); strides and stream may be absent or None.
bool Array::take_cuda_array_interface(nb::handle object) {
  if (!nb::hasattr(object, "__cuda_array_interface__")) return false;
  const nb::dict interface = nb::cast<nb::dict>(object.attr("__cuda_array_interface__"));
  const auto value = [&](const char* key) {
    return interface.contains(key) ? nb::object(interface[key]) : nb::object(nb::none());
  };
  const nb::tuple shape = nb::cast<nb::tuple>(value("shape"));
  std::size_t extents[2] = {};
  for (std::size_t i = 0; i < std::min<std::size_t>(shape.size(), 2); ++i) {
    extents[i] = nb::cast<std::size_t>(shape[i]);
  }
  set_shape(shape.size(), extents);
  on_device_ = true;
  if (value("typestr").equal(nb::str("<f4"))) dtype_ = DType::float32;
  const nb::object strides = value("strides");
  stride_[ndim_ - 1] = 4;
  if (ndim_ == 2) stride_[0] = 4 * static_cast<std::ptrdiff_t>(shape_[1]);
  for (std::size_t i = 0; i < ndim_ && !strides.is_none(); ++i) {
    stride_[i] = nb::cast<std::ptrdiff_t>(nb::object(strides[i]));
  }
  data_ = reinterpret_cast<std::byte*>(nb::cast<std::uintptr_t>(nb::object(value("data")[0])));
  const nb::object stream = value("stream");
  if (!stream.is_none()) {  // 1 and 2 are CUDA's own names of the default streams
    stream_ = reinterpret_cast<cuda::CudaStream>(nb::cast<std::uintptr_t>(stream));
  }
  return true;
}

bool Array::is_matrix_of(DType dtype) const noexcept {
  const auto size = static_cast<std::ptrdiff_t>(size_of(dtype));
  if (dtype_ != dtype) return false;
  if (rows() == 0 || cols() == 0) return true;
  return reinterpret_cast<std::uintptr_t>(data_) % static_cast<std::size_t>(size) == 0 &&
         (cols() == 1 || col_stride() == size) &&
         (rows() == 1 ||
          (row_stride() % size == 0 && row_stride() >= size * static_cast<std::ptrdiff_t>(cols())));
}

std::size_t Array::matrix_stride() const noexcept {
  if (rows() < 2) return cols();
  return static_cast<std::size_t>(row_stride()) / size_of(dtype_);
}

}  // namespace concord::python
