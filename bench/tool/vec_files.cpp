#include "bench/tool/vec_files.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <string_view>
#include <type_traits>

#include "bench/tool/file_type.hpp"

namespace concord::bench {
namespace {

enum class Element { float32, uint8, int8, int32 };

struct Format {
  std::string_view extension;
  Element element;
  bool row_headers;  ///< TEXMEX (a dimension before each row) rather than big-ann (one header)
};

constexpr std::array<Format, 7> kFormats{{{".fvecs", Element::float32, true},
                                          {".bvecs", Element::uint8, true},
                                          {".ivecs", Element::int32, true},
                                          {".fbin", Element::float32, false},
                                          {".u8bin", Element::uint8, false},
                                          {".i8bin", Element::int8, false},
                                          {".ibin", Element::int32, false}}};

// Far above any real vector; a first word beyond it is not a dimension.
constexpr std::size_t kMaxColumns = 1U << 24;
constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

const Format* find_format(const std::filesystem::path& path) {
  const std::string extension = file_type(path);
  const auto* const found =
      std::find_if(kFormats.begin(), kFormats.end(),
                   [&](const Format& format) { return format.extension == extension; });
  return found == kFormats.end() ? nullptr : found;
}

const Format& format_of(const std::filesystem::path& path) {
  const Format* const format = find_format(path);
  if (format == nullptr) {
    throw InputError(path.string() + ": unknown file type; allowed are " +
                     vector_file_extensions());
  }
  return *format;
}

std::size_t element_bytes(Element element) {
  return element == Element::float32 || element == Element::int32 ? 4 : 1;
}

struct Shape {
  std::size_t rows = 0;
  std::size_t cols = 0;
};

std::uint32_t read_word(std::ifstream& file) {
  std::uint32_t word = 0;
  file.read(reinterpret_cast<char*>(&word), sizeof word);
  return word;
}

std::ifstream open_for_reading(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw InputError(path.string() + ": is a directory, not a vector file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path.string() + ": " + std::strerror(errno));
  return file;
}

Shape texmex_shape(const std::filesystem::path& path, std::size_t size, std::uint32_t first_word,
                   Element element) {
  const std::size_t cols = first_word;
  if (size < 4 || cols == 0 || cols > kMaxColumns) {
    throw InputError(path.string() + ": does not begin with a row's dimension; is it a " +
                     path.extension().string() + " file?");
  }
  const std::size_t row_bytes = 4 + cols * element_bytes(element);
  if (size % row_bytes != 0) {
    throw InputError(path.string() + ": truncated: " + std::to_string(size) +
                     " bytes are not a whole number of rows of " + std::to_string(row_bytes) +
                     " bytes (dimension " + std::to_string(cols) + ")");
  }
  return {size / row_bytes, cols};
}

Shape big_ann_shape(const std::filesystem::path& path, std::size_t size, std::uint32_t rows,
                    std::uint32_t cols, Element element) {
  if (size < 8) throw InputError(path.string() + ": too short for a header (rows, dimension)");
  if (rows != 0 && (cols == 0 || cols > kMaxColumns)) {
    throw InputError(path.string() + ": invalid dimension " + std::to_string(cols) +
                     " in the header");
  }
  const std::size_t body = checked_bytes(rows, cols, element_bytes(element), path.string());
  const std::size_t found = size - 8;
  const bool ids_with_distances = element == Element::int32 && found / 2 == body && body != 0;
  if (found != body && !ids_with_distances) {
    throw InputError(path.string() + (found < body ? ": truncated" : ": too long") +
                     ": the header states " + std::to_string(rows) + " x " + std::to_string(cols) +
                     " elements, which are " + std::to_string(body) +
                     " bytes, but the file holds " + std::to_string(found));
  }
  return {rows, cols};
}

/// Reads the header; leaves `file` at the first row.
Shape read_shape(std::ifstream& file, const std::filesystem::path& path, const Format& format) {
  const std::size_t size = std::filesystem::file_size(path);
  if (format.row_headers) {
    if (size == 0) return {};
    const Shape shape = texmex_shape(path, size, read_word(file), format.element);
    file.seekg(0);
    return shape;
  }
  const std::uint32_t rows = read_word(file);
  const std::uint32_t cols = read_word(file);
  return big_ann_shape(path, size, rows, cols, format.element);
}

template <class Stored, class Out>
void convert_row(const char* bytes, std::size_t cols, Out* out) {
  for (std::size_t c = 0; c < cols; ++c) {
    Stored value;
    std::memcpy(&value, bytes + c * sizeof(Stored), sizeof(Stored));
    out[c] = static_cast<Out>(value);
  }
}

template <class Out>
void convert_row(Element element, const char* bytes, std::size_t cols, Out* out) {
  if constexpr (std::is_same_v<Out, std::uint32_t>) {
    convert_row<std::uint32_t>(bytes, cols, out);
  } else {
    switch (element) {
      case Element::float32:
        return convert_row<float>(bytes, cols, out);
      case Element::uint8:
        return convert_row<std::uint8_t>(bytes, cols, out);
      case Element::int8:
        return convert_row<std::int8_t>(bytes, cols, out);
      case Element::int32:
        return convert_row<std::int32_t>(bytes, cols, out);
    }
  }
}

template <class Out>
Matrix<Out> read_matrix(const std::filesystem::path& path, std::size_t limit) {
  const Format& format = format_of(path);
  std::ifstream file = open_for_reading(path);
  const Shape shape = read_shape(file, path, format);
  Matrix<Out> matrix(std::min(shape.rows, limit), shape.cols);
  const std::size_t header = format.row_headers ? 4 : 0;
  const std::size_t row_bytes = header + shape.cols * element_bytes(format.element);
  const std::size_t block_rows =
      std::max<std::size_t>(1, kBlockBytes / std::max<std::size_t>(row_bytes, 1));
  std::vector<char> block;
  for (std::size_t first = 0; first < matrix.rows; first += block_rows) {
    const std::size_t count = std::min(block_rows, matrix.rows - first);
    block.resize(count * row_bytes);
    if (!file.read(block.data(), static_cast<std::streamsize>(block.size()))) {
      throw InputError(path.string() + ": reading failed at row " + std::to_string(first));
    }
    for (std::size_t r = 0; r < count; ++r) {
      const char* const bytes = block.data() + r * row_bytes;
      std::uint32_t cols = 0;
      if (format.row_headers) std::memcpy(&cols, bytes, 4);
      if (format.row_headers && cols != shape.cols) {
        throw InputError(path.string() + ": row " + std::to_string(first + r) + " has dimension " +
                         std::to_string(cols) + ", but the rows before have " +
                         std::to_string(shape.cols));
      }
      convert_row(format.element, bytes + header, shape.cols, matrix.row(first + r));
    }
  }
  return matrix;
}

template <class Stored>
void store_row(const std::filesystem::path& path, const FloatMatrix& vectors, std::size_t r,
               char* bytes) {
  for (std::size_t c = 0; c < vectors.cols; ++c) {
    const float value = vectors.row(r)[c];
    if constexpr (std::is_integral_v<Stored>) {
      constexpr auto kLow = static_cast<float>(std::numeric_limits<Stored>::min());
      constexpr auto kHigh = static_cast<float>(std::numeric_limits<Stored>::max());
      if (!(value >= kLow && value <= kHigh) || value != std::trunc(value)) {
        throw InputError(path.string() + ": value " + std::to_string(value) + " at row " +
                         std::to_string(r) + ", column " + std::to_string(c) +
                         " cannot be stored as " + path.extension().string() +
                         "; use .fbin or .fvecs");
      }
    }
    const auto stored = static_cast<Stored>(value);
    std::memcpy(bytes + c * sizeof(Stored), &stored, sizeof(Stored));
  }
}

void put_words(std::ofstream& file, std::initializer_list<std::size_t> words) {
  for (const std::size_t value : words) {
    const auto word = static_cast<std::uint32_t>(value);
    file.write(reinterpret_cast<const char*>(&word), sizeof word);
  }
}

/// Writes rows whose bytes `fill(row, bytes)` provides.
template <class Fill>
void write_rows(std::ofstream& file, Shape shape, const Format& format, const Fill& fill) {
  if (!format.row_headers) put_words(file, {shape.rows, shape.cols});
  std::vector<char> bytes(shape.cols * element_bytes(format.element));
  for (std::size_t r = 0; r < shape.rows; ++r) {
    if (format.row_headers) put_words(file, {shape.cols});
    fill(r, bytes.data());
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  file.flush();
}

/// Creates the file; removes it again if it cannot be completed.
template <class Fill>
void write_file(const std::filesystem::path& path, Shape shape, const Fill& fill) {
  constexpr std::size_t kMaxWord = std::numeric_limits<std::uint32_t>::max();
  if (shape.rows > kMaxWord || shape.cols > kMaxWord) {
    throw InputError(path.string() + ": the format allows at most 4294967295 rows and columns");
  }
  const Format& format = format_of(path);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) throw InputError(path.string() + ": cannot be written: " + std::strerror(errno));
  try {
    write_rows(file, shape, format, fill);
    if (!file) throw InputError(path.string() + ": writing failed (disk full?)");
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    throw;
  }
}

}  // namespace

std::string vector_file_extensions() {
  std::string list;
  for (const Format& format : kFormats) {
    if (!list.empty()) list += ", ";
    list += format.extension;
  }
  return list;
}

bool is_vector_file(const std::filesystem::path& path) { return find_format(path) != nullptr; }

bool is_id_file(const std::filesystem::path& path) {
  const Format* const format = find_format(path);
  return format != nullptr && format->element == Element::int32;
}

FloatMatrix read_vectors(const std::filesystem::path& path, std::size_t limit) {
  if (is_id_file(path)) {
    throw InputError(path.string() + ": holds row numbers, not vectors; files of vectors are " +
                     ".fvecs, .bvecs, .fbin, .u8bin or .i8bin");
  }
  return read_matrix<float>(path, limit);
}

IdMatrix read_ids(const std::filesystem::path& path, std::size_t limit) {
  if (!is_id_file(path)) {
    throw InputError(path.string() + ": is not a file of neighbors (.ivecs or .ibin)");
  }
  return read_matrix<std::uint32_t>(path, limit);
}

void write_vectors(const std::filesystem::path& path, const FloatMatrix& vectors) {
  const Format& format = format_of(path);
  write_file(path, {vectors.rows, vectors.cols}, [&](std::size_t r, char* bytes) {
    switch (format.element) {
      case Element::float32:
        return store_row<float>(path, vectors, r, bytes);
      case Element::uint8:
        return store_row<std::uint8_t>(path, vectors, r, bytes);
      case Element::int8:
        return store_row<std::int8_t>(path, vectors, r, bytes);
      case Element::int32:
        throw InputError(path.string() + ": holds row numbers, not vectors");
    }
  });
}

void write_ids(const std::filesystem::path& path, const IdMatrix& ids) {
  if (!is_id_file(path)) {
    throw InputError(path.string() + ": neighbors can only be written as .ivecs or .ibin");
  }
  write_file(path, {ids.rows, ids.cols}, [&](std::size_t r, char* bytes) {
    std::memcpy(bytes, ids.row(r), ids.cols * sizeof(std::uint32_t));
  });
}

}  // namespace concord::bench
