#include "common/interchange/faiss_quantizer.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "common/base/half.hpp"

namespace concord::interchange {
namespace {

using core::BFloat16;
using core::Half;

/// ScalarQuantizer::QuantizerType.
enum class Kind : std::int32_t {
  eight_bits = 0,          ///< between a least and a greatest of each element
  eight_bits_uniform = 2,  ///< between a least and a greatest of all elements
  f16 = 4,
  u8 = 5,
  bf16 = 7,
  i8 = 8,  ///< less 128
};

Kind read_kind(InputFile& file) {
  const auto number = file.read<std::int32_t>();
  for (const Kind kind :
       {Kind::eight_bits, Kind::eight_bits_uniform, Kind::f16, Kind::u8, Kind::bf16, Kind::i8}) {
    if (number == static_cast<std::int32_t>(kind)) return kind;
  }
  file.refuse_unsupported(
      "its scalar quantizer is of type " + std::to_string(number) +
      "; allowed are QT_8bit (0), QT_8bit_uniform (2), QT_fp16 (4), QT_8bit_direct (5), QT_bf16 "
      "(7) and QT_8bit_direct_signed (8)");
}

Storage storage_of(Kind kind) {
  if (kind == Kind::f16) return Storage::f16;
  if (kind == Kind::bf16) return Storage::bf16;
  return kind == Kind::u8 || kind == Kind::i8 ? Storage::automatic : Storage::f32;
}
std::size_t bytes_of_element(Kind kind) {
  return kind == Kind::f16 || kind == Kind::bf16 ? sizeof(std::uint16_t) : 1;
}

/// What the codes of 8 bits of an element stand for.
struct Span {
  float least;
  float length;

  [[nodiscard]] float operator()(float code) const {
    return least + (code + 0.5F) / 255.0F * length;
  }
};

/// That of each element.
std::vector<Span> spans_of(const InputFile& file, Kind kind, const std::vector<float>& trained,
                           std::size_t dimension) {
  std::size_t spans = 0;
  if (kind == Kind::eight_bits) spans = dimension;
  if (kind == Kind::eight_bits_uniform) spans = 1;
  if (trained.size() != 2 * spans) {
    file.refuse("its scalar quantizer has " + std::to_string(trained.size()) +
                " trained numbers instead of " + std::to_string(2 * spans));
  }
  std::vector<Span> all(dimension, {0, 0});
  for (std::size_t e = 0; spans > 0 && e < dimension; ++e) {
    const std::size_t of = std::min(e, spans - 1);
    all[e] = {trained[of], trained[spans + of]};
  }
  return all;
}

template <class Number>
void read_numbers(InputFile& file, std::span<float> elements, std::size_t dimension) {
  std::vector<Number> row(dimension);
  for (std::size_t first = 0; first < elements.size(); first += dimension) {
    file.read(row.data(), dimension * sizeof(Number));
    std::copy(row.begin(), row.end(), elements.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

void read_codes(InputFile& file, Kind kind, const std::vector<Span>& spans,
                std::span<float> elements) {
  const std::size_t dimension = spans.size();
  if (kind == Kind::f16) return read_numbers<Half>(file, elements, dimension);
  if (kind == Kind::bf16) return read_numbers<BFloat16>(file, elements, dimension);
  read_numbers<std::uint8_t>(file, elements, dimension);
  for (std::size_t i = 0; kind != Kind::u8 && i < elements.size(); ++i) {
    const float code = elements[i];
    elements[i] = kind == Kind::i8 ? code - 128 : spans[i % dimension](code);
  }
}

}  // namespace

QuantizedVectors read_quantized(InputFile& file, std::size_t n, std::size_t dimension) {
  const Kind kind = read_kind(file);
  file.read<std::int32_t>();  // the statistic
  file.read<float>();         // its argument
  const auto dimension_there = file.read<std::uint64_t>();
  const auto code_bytes = file.read<std::uint64_t>();
  const auto trained = file.read_array<float>(file.read<std::uint64_t>());
  const std::vector<Span> spans = spans_of(file, kind, trained, dimension);
  const auto bytes = file.read<std::uint64_t>();
  if (dimension_there != dimension || code_bytes != dimension * bytes_of_element(kind) ||
      bytes != n * code_bytes) {
    file.refuse("its codes do not have the size of its vectors");
  }
  file.expect_left(bytes);
  QuantizedVectors vectors{std::vector<float>(n * dimension), storage_of(kind)};
  read_codes(file, kind, spans, vectors.elements);
  return vectors;
}

void write_quantizer(OutputFile& file, Storage storage, std::size_t n, std::size_t dimension) {
  const std::uint64_t code_bytes = dimension * sizeof(std::uint16_t);
  file.write(storage == Storage::f16 ? Kind::f16 : Kind::bf16);
  file.write(std::int32_t{0});  // of what FAISS trains by itself
  file.write(0.0F);
  file.write(std::uint64_t{dimension});
  file.write(code_bytes);
  file.write(std::uint64_t{0});  // nothing is trained
  file.write(n * code_bytes);
}

void write_quantized_vector(OutputFile& file, Storage storage, const std::vector<float>& vector) {
  for (const float x : vector) {
    file.write(storage == Storage::f16 ? Half::nearest(x).bits : BFloat16::nearest(x).bits);
  }
}

}  // namespace concord::interchange
