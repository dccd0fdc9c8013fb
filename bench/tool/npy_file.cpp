#include "bench/tool/npy_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

namespace concord::bench {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = std::size_t{1} << 16;  // of one array it is about 100 bytes
constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

struct Header {
  std::string type;
  bool columns_first = false;  ///< Fortran's order
  std::size_t rows = 0;
  std::size_t cols = 0;
};

void read_bytes(std::FILE* file, void* to, std::size_t bytes, const std::string& name) {
  if (std::fread(to, 1, bytes, file) != bytes) throw InputError(name + ": truncated");
}

/// What follows `key` and a colon in the header's dictionary.
std::string_view value_of(std::string_view text, std::string_view key, const std::string& name) {
  const std::size_t at = text.find(key);
  const std::size_t colon = at == std::string_view::npos ? at : text.find(':', at);
  if (colon == std::string_view::npos) {
    throw InputError(name + ": its header has no " + std::string(key));
  }
  text.remove_prefix(colon + 1);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

/// The numbers of a tuple, "(3, 4)".
std::vector<std::size_t> tuple_of(std::string_view text, const std::string& name) {
  std::vector<std::size_t> sizes;
  const std::size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos) {
    throw InputError(name + ": the shape in its header is not a tuple");
  }
  for (const char* at = text.data() + 1; at != text.data() + end;) {
    std::size_t size = 0;
    const auto [next, error] = std::from_chars(at, text.data() + end, size);
    if (error != std::errc{})
      throw InputError(name + ": the shape in its header is not of numbers");
    sizes.push_back(size);
    at = std::find_if(next, text.data() + end, [](char c) { return c != ',' && c != ' '; });
  }
  return sizes;
}

Header parse(std::string_view text, const std::string& name) {
  Header header;
  const std::string_view type = value_of(text, "'descr'", name);
  const std::size_t quote = type.find('\'', 1);
  if (!type.starts_with('\'') || quote == std::string_view::npos) {
    throw InputError(name + ": holds records, not numbers");
  }
  header.type = type.substr(1, quote - 1);
  header.columns_first = value_of(text, "'fortran_order'", name).starts_with("True");
  const std::vector<std::size_t> shape = tuple_of(value_of(text, "'shape'", name), name);
  if (shape.size() != 2) {
    throw InputError(name + ": has " + std::to_string(shape.size()) +
                     " dimensions, not 2 (rows x columns)");
  }
  header.rows = shape[0];
  header.cols = shape[1];
  if (header.rows != 0 && header.cols == 0) throw InputError(name + ": has no columns");
  return header;
}

/// Reads the header and leaves the stream behind it; `available` becomes the bytes that are left.
Header read_header(std::FILE* file, std::size_t& available, const std::string& name) {
  std::array<char, 12> start{};
  read_bytes(file, start.data(), 8, name);
  if (!std::string_view(start.data(), 8).starts_with(kMagic) || start[6] < 1 || start[6] > 3) {
    throw InputError(name + ": is not a .npy file of version 1, 2 or 3");
  }
  const std::size_t width = start[6] == 1 ? 2 : 4;
  read_bytes(file, start.data() + 8, width, name);
  std::uint32_t bytes = 0;
  std::memcpy(&bytes, start.data() + 8, width);
  if (bytes > kMaxHeader) throw InputError(name + ": its header is too long");
  std::string text(bytes, '\0');
  read_bytes(file, text.data(), bytes, name);
  const std::size_t taken = 8 + width + bytes;
  available -= std::min(available, taken);
  return parse(text, name);
}

/// A half-precision number (IEEE 754 binary16).
struct Half {
  std::uint16_t bits;
};

float to_float(Half half, bool& /*exact*/) {
  const int exponent = (half.bits >> 10) & 31;
  const int fraction = half.bits & 1023;
  float magnitude = 0;
  if (exponent == 31) {
    magnitude = fraction == 0 ? INFINITY : NAN;
  } else {
    magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                              : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (half.bits & 0x8000) != 0 ? -magnitude : magnitude;
}
float to_float(float value, bool& /*exact*/) { return value; }
float to_float(double value, bool& /*exact*/) { return static_cast<float>(value); }
template <class Integer>
float to_float(Integer value, bool& exact) {
  const auto result = static_cast<float>(value);
  // 2^63 and 2^64 do not convert back; a double holds all floats.
  exact = static_cast<long double>(result) == static_cast<long double>(value);
  return result;
}

/// Reads `out.size()` elements of one type.
template <class Stored>
void read_elements(std::FILE* file, std::vector<float>& out, const std::string& name) {
  std::vector<char> block;
  const std::size_t most = kBlockBytes / sizeof(Stored);
  for (std::size_t first = 0; first < out.size(); first += most) {
    const std::size_t count = std::min(most, out.size() - first);
    block.resize(count * sizeof(Stored));
    read_bytes(file, block.data(), block.size(), name);
    for (std::size_t i = 0; i < count; ++i) {
      Stored value;
      std::memcpy(&value, block.data() + i * sizeof(Stored), sizeof(Stored));
      bool exact = true;
      out[first + i] = to_float(value, exact);
      if (!exact) {
        throw InputError(name + ": element " + std::to_string(first + i) +
                         " is an integer that no 32-bit float holds");
      }
    }
  }
}

struct Type {
  std::string_view name;
  std::size_t bytes;
  void (*read)(std::FILE*, std::vector<float>&, const std::string&);
};

constexpr std::array<Type, 11> kTypes{{{"<f2", 2, read_elements<Half>},
                                       {"<f4", 4, read_elements<float>},
                                       {"<f8", 8, read_elements<double>},
                                       {"|i1", 1, read_elements<std::int8_t>},
                                       {"|u1", 1, read_elements<std::uint8_t>},
                                       {"<i2", 2, read_elements<std::int16_t>},
                                       {"<u2", 2, read_elements<std::uint16_t>},
                                       {"<i4", 4, read_elements<std::int32_t>},
                                       {"<u4", 4, read_elements<std::uint32_t>},
                                       {"<i8", 8, read_elements<std::int64_t>},
                                       {"<u8", 8, read_elements<std::uint64_t>}}};
static_assert(std::endian::native == std::endian::little);

const Type& type_of(const Header& header, const std::string& name) {
  const auto* const found =
      std::ranges::find_if(kTypes, [&](const Type& type) { return type.name == header.type; });
  if (found == kTypes.end()) {
    throw InputError(name + ": has elements of type " + header.type +
                     "; allowed are little-endian floating-point numbers and integers");
  }
  return *found;
}

FloatMatrix transposed(const FloatMatrix& matrix) {
  FloatMatrix result(matrix.cols, matrix.rows);
  for (std::size_t r = 0; r < result.rows; ++r) {
    for (std::size_t c = 0; c < result.cols; ++c) result.row(r)[c] = matrix.row(c)[r];
  }
  return result;
}

}  // namespace

FloatMatrix read_npy(std::FILE* file, std::size_t available, std::size_t limit,
                     const std::string& name) {
  const Header header = read_header(file, available, name);
  const Type& type = type_of(header, name);
  const std::size_t bytes = checked_bytes(header.rows, header.cols, type.bytes, name);
  if (bytes > available) {
    throw InputError(name + ": truncated: its header states " + std::to_string(header.rows) +
                     " x " + std::to_string(header.cols) + " elements, which are " +
                     std::to_string(bytes) + " bytes, but " + std::to_string(available) +
                     " follow");
  }
  if (header.columns_first) {
    FloatMatrix columns(header.cols, header.rows);
    type.read(file, columns.values, name);
    FloatMatrix matrix = transposed(columns);
    matrix.truncate(limit);
    return matrix;
  }
  FloatMatrix matrix(std::min(header.rows, limit), header.cols);
  type.read(file, matrix.values, name);
  return matrix;
}

}  // namespace concord::bench
