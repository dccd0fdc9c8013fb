#include "row_reader.hpp"

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cstdint>
#include <cstring>
#include <string>

#include "errors.hpp"

namespace concord::python {
namespace {

/// Rounding to nearest, denormals kept, whatever the calling thread has set.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() {
    std::fegetenv(&callers_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatEnvironment() { std::fesetenv(&callers_); }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
  std::fenv_t callers_{};
};

struct Half {
  std::uint16_t bits;
  explicit operator float() const {
    const std::uint32_t sign = std::uint32_t{bits} >> 15 << 31;
    const std::uint32_t exponent = bits >> 10 & 31;
    const std::uint32_t fraction = bits & 1023;
    if (exponent == 0) {  // zero or denormal
      const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
    }
    const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
  }
};

struct Bfloat {
  std::uint16_t bits;
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

template <class T>
void convert_row(const std::byte* from, std::ptrdiff_t stride, std::size_t n, float* to) {
  for (std::size_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + static_cast<std::ptrdiff_t>(i) * stride, sizeof(T));
    to[i] = static_cast<float>(value);
  }
}

using ConvertRow = void (*)(const std::byte*, std::ptrdiff_t, std::size_t, float*);

ConvertRow converter(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return convert_row<float>;
    case DType::float64:
      return convert_row<double>;
    case DType::float16:
      return convert_row<Half>;
    case DType::bfloat16:
      return convert_row<Bfloat>;
    case DType::int8:
      return convert_row<std::int8_t>;
    case DType::uint8:
      return convert_row<std::uint8_t>;
    default:
      return nullptr;
  }
}

}  // namespace

RowReader::RowReader(const Array& array)
    : array_(array), in_place_(array.is_matrix_of(DType::float32)) {
  if (converter(array.dtype()) != nullptr) return;
  throw ArrayTypeError(std::string(array.name()) + " are " + array.dtype_name() +
                       "; allowed are float32, read in place, and float64, float16, bfloat16, int8 "
                       "and uint8, converted");
}

MatrixView<const float> RowReader::read(std::size_t first, std::size_t most) {
  const std::size_t cols = array_.cols();
  const std::size_t count = std::min(most, array_.rows() - first);
  const std::byte* from = array_.data() + static_cast<std::ptrdiff_t>(first) * array_.row_stride();
  if (in_place_) {
    return {reinterpret_cast<const float*>(from), count, cols, array_.matrix_stride()};
  }
  const std::size_t fit = kBufferBytes / sizeof(float) / std::max<std::size_t>(cols, 1);
  const std::size_t rows = std::min(count, std::max<std::size_t>(fit, 1));
  buffer_.resize(rows * cols);
  const DefaultFloatEnvironment environment;
  const ConvertRow convert = converter(array_.dtype());
  for (std::size_t r = 0; r < rows; ++r) {
    convert(from + static_cast<std::ptrdiff_t>(r) * array_.row_stride(), array_.col_stride(), cols,
            buffer_.data() + r * cols);
  }
  return {buffer_.data(), rows, cols};
}

MatrixView<const float> RowReader::read_all() {
  const std::size_t rows = array_.rows(), cols = array_.cols();
  if (in_place_) return read(0, rows);
  all_.resize(rows * cols);
  for (std::size_t first = 0; first < rows;) {
    const MatrixView<const float> piece = read(first, rows);
    std::copy_n(piece.data, piece.rows * cols, all_.data() + first * cols);
    first += piece.rows;
  }
  return {all_.data(), rows, cols};
}

}  // namespace concord::python
