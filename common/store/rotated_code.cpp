#include "common/store/rotated_code.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "common/base/mix64.hpp"
#include "common/base/nearest_integer.hpp"
#include "common/store/code_arithmetic.hpp"

namespace concord::core {
namespace {

constexpr std::int32_t kMostOfQuery = 127;
constexpr float kMost = 15;
constexpr unsigned kTurns = 2;

/// The greatest element as a share of the scales' greatest step.
constexpr std::array<float, 12> kScales = {0.4F,  0.455F, 0.51F, 0.565F, 0.62F, 0.675F,
                                           0.73F, 0.785F, 0.84F, 0.895F, 0.95F, 1.005F};

double square_of(const float* z, std::size_t n) noexcept {
  return sum_of(n, [z](std::size_t e) { return double{z[e]} * double{z[e]}; });
}

double product_of(const float* a, const float* b, std::size_t n) noexcept {
  return sum_of(n, [a, b](std::size_t e) { return double{a[e]} * double{b[e]}; });
}

float most_of(const float* z, std::size_t n) noexcept {
  return largest_of(n, [z](std::size_t e) { return z[e]; });
}

// Stages of strides h and 2h: each of four elements h apart becomes the sum or the difference of
// two, twice.
struct Four {
  float a, b, c, d;
  [[nodiscard]] Four mixed() const noexcept {
    const float sum = a + b;
    const float difference = a - b;
    const float other_sum = c + d;
    const float other_difference = c - d;
    return {sum + other_sum, difference + other_difference, sum - other_sum,
            difference - other_difference};
  }
};

void first_two_stages(float* z, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; i += 4) {
    const Four mixed = Four{z[i], z[i + 1], z[i + 2], z[i + 3]}.mixed();
    z[i] = mixed.a;
    z[i + 1] = mixed.b;
    z[i + 2] = mixed.c;
    z[i + 3] = mixed.d;
  }
}

// Four of them at once. REQUIRES h ≥ 4.
void two_stages(float* z, std::size_t n, std::size_t h) noexcept {
  for (std::size_t first = 0; first < n; first += 4 * h) {
    for (std::size_t j = first; j < first + h; j += 4) {
      std::array<Four, 4> mixed;
      for (std::size_t i = 0; i < 4; ++i) {
        mixed[i] = Four{z[j + i], z[j + i + h], z[j + i + 2 * h], z[j + i + 3 * h]}.mixed();
      }
      for (std::size_t i = 0; i < 4; ++i) {
        z[j + i] = mixed[i].a;
        z[j + i + h] = mixed[i].b;
        z[j + i + 2 * h] = mixed[i].c;
        z[j + i + 3 * h] = mixed[i].d;
      }
    }
  }
}

// The Hadamard transform of n = 2^j elements, which keeps lengths.
void butterflies(float* z, std::size_t n) noexcept {
  std::size_t h = 1;
  if (n >= 4) {
    first_two_stages(z, n);
    h = 4;
  }
  for (; 4 * h <= n; h *= 4) two_stages(z, n, h);
  for (; 2 * h <= n; h *= 2) {
    for (std::size_t i = 0; i < h; ++i) {
      const float a = z[i];
      z[i] = a + z[i + h];
      z[i + h] = a - z[i + h];
    }
  }
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
  for (std::size_t e = 0; e < n; ++e) z[e] *= scale;
}

// c_e as a float; 0 for NaN.
float level_of(float z, float inverse) noexcept {
  constexpr float kShift = 0x1.8p23F;  // the sum has no room for a fraction
  const float x = z * inverse + kMost / 2;
  const float above = x > 0 ? x : 0;
  const float within = above < kMost ? above : kMost;
  return (within + kShift) - kShift;
}

struct Fit {
  double cosine = -1;  ///< its square, times |z|²
  float inverse = 0;
  float product = 0;  ///< ⟨z, v⟩
};

Fit fit_of(const float* z, std::size_t n, float inverse) noexcept {
  std::array<float, 16> products{};
  std::array<float, 16> squares{};
  const auto add = [&](std::size_t i, float x) {
    const float v = 2 * level_of(x, inverse) - kMost;
    products[i] += x * v;
    squares[i] += v * v;
  };
  std::size_t e = 0;
  for (; e + products.size() <= n; e += products.size()) {
    for (std::size_t i = 0; i < products.size(); ++i) add(i, z[e + i]);
  }
  for (std::size_t i = 0; e < n; ++i, ++e) add(i, z[e]);
  for (std::size_t width = products.size() / 2; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) {
      products[i] += products[i + width];
      squares[i] += squares[i + width];
    }
  }
  return {double{products[0]} * double{products[0]} / double{squares[0]}, inverse, products[0]};
}

Fit best_fit(const float* z, std::size_t n) noexcept {
  const float widest = most_of(z, n) / (kMost / 2);
  Fit best;
  for (const float scale : kScales) {
    const Fit fit = fit_of(z, n, inverse_of(widest * scale));
    if (fit.cosine > best.cosine) best = fit;
  }
  return best;
}

}  // namespace

RotatedCoder::RotatedCoder(std::uint32_t dimension, Metric metric, std::uint64_t seed)
    : dimension_(dimension),
      metric_(metric),
      block_(std::bit_floor(dimension)),
      signs_(std::size_t{kTurns} * dimension),
      sums_(dimension),
      centre_(dimension) {
  constexpr std::uint64_t kRotation = 0x726F746174696F6E;  // not the levels' numbers
  for (std::size_t i = 0; i < signs_.size(); ++i) {
    signs_[i] = (mix64(mix64(seed ^ kRotation) + i / 64) >> i % 64 & 1) != 0 ? -1.0F : 1.0F;
  }
}

void RotatedCoder::count_in(Element element, const void* x) noexcept {
  widen(element, x, dimension_, centre_.data());
  for (std::uint32_t e = 0; e < dimension_; ++e) sums_[e] += double{centre_[e]};
  if (++counted_ == kCentreVectors) fix_centre();
}

void RotatedCoder::restore(std::span<const double> sums, std::uint32_t counted) noexcept {
  std::copy(sums.begin(), sums.end(), sums_.begin());
  counted_ = counted;
  if (has_centre()) fix_centre();
}

void RotatedCoder::fix_centre() noexcept {
  for (std::uint32_t e = 0; e < dimension_; ++e) {
    centre_[e] = static_cast<float>(sums_[e] / kCentreVectors);
  }
}

void RotatedCoder::rotate(float* z) const noexcept {
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    const float* const signs = signs_.data() + std::size_t{turn} * dimension_;
    for (std::uint32_t e = 0; e < dimension_; ++e) z[e] *= signs[e];
    butterflies(z, block_);
    if (block_ < dimension_) butterflies(z + (dimension_ - block_), block_);
  }
}

void RotatedCoder::encode(Element element, const void* x, float* scratch,
                          std::byte* code) const noexcept {
  float* const z = scratch;
  widen(element, x, dimension_, z);
  for (std::uint32_t e = 0; e < dimension_; ++e) z[e] -= centre_[e];
  double rest = metric_ == Metric::l2sq ? 0 : -product_of(centre_.data(), z, dimension_);
  rotate(z);
  const double square = square_of(z, dimension_);
  if (metric_ == Metric::l2sq) rest = square;
  const Fit fit = best_fit(z, dimension_);
  const double factor = fit.product > 0 ? square / double{fit.product} : 0;
  const RotatedNumbers numbers{static_cast<float>(factor), static_cast<float>(rest)};
  const std::size_t half = (std::size_t{dimension_} + 1) / 2;
  const auto level = [&](std::size_t e) {
    return static_cast<unsigned>(level_of(z[e], fit.inverse));
  };
  for (std::size_t e = 0; e < half; ++e) {
    const unsigned high = half + e < dimension_ ? level(half + e) : 0;
    code[e] = static_cast<std::byte>(level(e) | high << 4);
  }
  const std::size_t end = rotated_code_bytes(dimension_) - sizeof numbers;
  std::fill(code + half, code + end, std::byte{0});
  std::memcpy(code + end, &numbers, sizeof numbers);
}

std::size_t RotatedCoder::query_bytes() const noexcept {
  return sizeof(RotatedQuery) + 2 * rotated_code_bytes(dimension_) + dimension_ * sizeof(float);
}

void RotatedCoder::encode_query(const float* query, std::uint8_t* code) const noexcept {
  const std::size_t row = rotated_code_bytes(dimension_);
  const std::size_t half = (std::size_t{dimension_} + 1) / 2;
  std::uint8_t* const low = code + sizeof(RotatedQuery);
  std::uint8_t* const high = low + row;
  auto* const z = reinterpret_cast<float*>(high + row);  // room at the end of the buffer
  for (std::uint32_t e = 0; e < dimension_; ++e) z[e] = query[e] - centre_[e];
  rotate(z);
  const float step = most_of(z, dimension_) / static_cast<float>(kMostOfQuery);
  const float inverse = inverse_of(step);
  std::int32_t sum = 0;
  const auto write = [&](std::size_t first, std::size_t n, std::uint8_t* out) {
    for (std::size_t e = 0; e < n; ++e) {
      const std::int32_t c =
          std::clamp(nearest_integer(z[first + e] * inverse), -kMostOfQuery, kMostOfQuery);
      out[e] = static_cast<std::uint8_t>(c);
      sum += c;
    }
    std::fill(out + n, out + row, std::uint8_t{0});
  };
  write(0, half, low);
  write(half, dimension_ - half, high);
  RotatedQuery numbers{-step, 0, static_cast<std::int32_t>(kMost) * sum, 0};
  if (metric_ == Metric::l2sq) {
    numbers.scale = -2 * step;
    numbers.rest = static_cast<float>(square_of(z, dimension_));
  } else {
    numbers.rest = static_cast<float>(1 - product_of(centre_.data(), query, dimension_));
  }
  std::memcpy(code, &numbers, sizeof numbers);
}

}  // namespace concord::core
