#include "common/store/scalar_code.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "common/base/exact_math.hpp"

namespace concord::core {
namespace {

constexpr float kMostOfVector = 255;
constexpr float kMostOfQuery = 63;

// The nearest integer of a small number, to even: this sum has it in its lowest bits.
std::int32_t nearest(float x) noexcept {
  constexpr float kShift = 0x1.8p23F;
  return static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x + kShift) -
                                   std::bit_cast<std::uint32_t>(kShift));
}

// 1 / step, or 0 where elements hardly differ: then one code serves all.
float inverse_of(float step) noexcept {
  return step >= std::numeric_limits<float>::min() ? 1 / step : 0;
}

// By bits, which order magnitudes and are compared several at once.
float largest_magnitude(const float* x, std::size_t dimension) noexcept {
  std::uint32_t most = 0;
  for (std::size_t e = 0; e < dimension; ++e) {
    most = std::max(most, std::bit_cast<std::uint32_t>(x[e]) & 0x7FFFFFFFu);
  }
  return std::bit_cast<float>(most);
}

double square_of(double x) noexcept { return x * x; }

// In double and in this order, so that it is the same everywhere and several are added at once.
template <class T>
float squared_norm(const T* x, std::size_t dimension) noexcept {
  std::array<double, 8> sums{};
  std::size_t e = 0;
  for (; e + sums.size() <= dimension; e += sums.size()) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += square_of(x[e + i]);
  }
  for (; e < dimension; ++e) sums[0] += square_of(x[e]);
  return static_cast<float>(((sums[0] + sums[4]) + (sums[1] + sums[5])) +
                            ((sums[2] + sums[6]) + (sums[3] + sums[7])));
}

template <class T>
void encode_as(const T* x, std::size_t dimension, Metric metric, std::byte* code) noexcept {
  const auto [least, most] = std::minmax_element(x, x + dimension);
  CodeNumbers numbers;
  numbers.low = static_cast<float>(*least);
  numbers.step = (static_cast<float>(*most) - numbers.low) / kMostOfVector;
  numbers.square = metric == Metric::l2sq ? squared_norm(x, dimension) : 0;
  const float inverse = inverse_of(numbers.step);
  for (std::size_t e = 0; e < dimension; ++e) {
    const std::int32_t c = nearest((static_cast<float>(x[e]) - numbers.low) * inverse);
    code[e] = static_cast<std::byte>(std::clamp(c, 0, static_cast<std::int32_t>(kMostOfVector)));
  }
  const std::size_t end = code_bytes(static_cast<std::uint32_t>(dimension)) - sizeof numbers;
  std::fill(code + dimension, code + end, std::byte{0});
  std::memcpy(code + end, &numbers, sizeof numbers);
}

}  // namespace

void encode(Element element, const void* x, std::uint32_t dimension, Metric metric,
            std::byte* code) noexcept {
  with_type(element, [&]<class T>(std::type_identity<T>) {
    encode_as(static_cast<const T*>(x), dimension, metric, code);
  });
}

void encode_query(const float* query, std::uint32_t dimension, Metric metric,
                  std::uint8_t* code) noexcept {
  const float step = largest_magnitude(query, dimension) / kMostOfQuery;
  const float inverse = inverse_of(step);
  constexpr auto kMost = static_cast<std::int32_t>(kMostOfQuery);
  std::uint8_t* const codes = code + sizeof(QueryCode);
  std::int32_t sum = 0;
  for (std::uint32_t e = 0; e < dimension; ++e) {
    const std::int32_t c = std::clamp(nearest(query[e] * inverse), -kMost, kMost);
    codes[e] = static_cast<std::uint8_t>(c);
    sum += c;
  }
  std::fill(codes + dimension, codes + code_bytes(dimension), std::uint8_t{0});
  const bool is_l2 = metric == Metric::l2sq;
  const float scale = (is_l2 ? -2.0f : -1.0f) * step;
  const QueryCode numbers{scale, scale * static_cast<float>(sum),
                          is_l2 ? squared_norm(query, dimension) : 1.0f, 0};
  std::memcpy(code, &numbers, sizeof numbers);
}

}  // namespace concord::core
