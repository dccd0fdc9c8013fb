#include "common/store/scalar_code.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/base/nearest_integer.hpp"
#include "common/store/code_arithmetic.hpp"

namespace concord::core {
namespace {

constexpr std::int32_t kMostOfVector = 255;
constexpr std::int32_t kMostOfQuery = 63;
constexpr std::int32_t kMiddle = 128;

template <class T>
float mean_of(const T* x, std::size_t dimension) noexcept {
  return static_cast<float>(sum_of(dimension, [x](std::size_t e) -> double { return x[e]; }) /
                            static_cast<double>(dimension));
}

// The squared distance to a vector whose elements are all `mean`.
template <class T>
float deviation_of(const T* x, std::size_t dimension, float mean) noexcept {
  return static_cast<float>(sum_of(dimension, [x, mean](std::size_t e) {
    const double deviation = static_cast<double>(x[e]) - double{mean};
    return deviation * deviation;
  }));
}

float scaled(float mean, std::size_t dimension) noexcept {
  return static_cast<float>(mean * std::sqrt(static_cast<double>(dimension)));
}

template <class T>
void encode_as(const T* x, std::size_t dimension, Metric metric, std::byte* code) noexcept {
  const auto [least, most] = std::minmax_element(x, x + dimension);
  const auto low = static_cast<float>(*least);
  const float mean = mean_of(x, dimension);
  const float step = (static_cast<float>(*most) - low) / static_cast<float>(kMostOfVector);
  const float square = metric == Metric::l2sq ? deviation_of(x, dimension, mean) : 0;
  const CodeNumbers numbers{step, square, scaled(mean, dimension)};
  const float inverse = inverse_of(step);
  for (std::size_t e = 0; e < dimension; ++e) {
    const std::int32_t c = nearest_integer((static_cast<float>(x[e]) - low) * inverse);
    code[e] = static_cast<std::byte>(std::clamp(c, 0, kMostOfVector));
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
  const float mean = mean_of(query, dimension);
  const float largest =
      largest_of(dimension, [query, mean](std::size_t e) { return query[e] - mean; });
  const float step = largest / static_cast<float>(kMostOfQuery);
  const float inverse = inverse_of(step);
  std::uint8_t* const codes = code + sizeof(QueryCode);
  std::int32_t sum = 0;
  for (std::uint32_t e = 0; e < dimension; ++e) {
    const std::int32_t c =
        std::clamp(nearest_integer((query[e] - mean) * inverse), -kMostOfQuery, kMostOfQuery);
    codes[e] = static_cast<std::uint8_t>(c);
    sum += c;
  }
  std::fill(codes + dimension, codes + code_bytes(dimension), std::uint8_t{0});
  const float scaled_mean = scaled(mean, dimension);
  QueryCode numbers{-step, 1, 0, 0, -scaled_mean, kMiddle * sum, {}};
  if (metric == Metric::l2sq) {
    numbers.scale = -2 * step;
    numbers.square = deviation_of(query, dimension, mean);
    numbers.less = scaled_mean;
    numbers.factor = 1;
  }
  std::memcpy(code, &numbers, sizeof numbers);
}

}  // namespace concord::core
