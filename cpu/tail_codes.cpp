#include "cpu/tail_codes.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <new>

#include "common/base/nearest_integer.hpp"

namespace concord::cpu {

using core::NodeId;

namespace {

constexpr float kMost = 127;
constexpr double kMaxSquare = 1e37;  // so that no sum of two overflows
constexpr float kInfinity = std::numeric_limits<float>::infinity();

float rounded_up(double x) noexcept { return std::nextafter(static_cast<float>(x), kInfinity); }
float rounded_down(double x) noexcept { return std::nextafter(static_cast<float>(x), -kInfinity); }

// Half way between the least and the greatest element of some vectors: codes have a sign, so they
// are finest around it.
float middle(const core::VectorStore& vectors, NodeId begin, NodeId end) {
  constexpr NodeId kSome = 64;
  float least = kInfinity;
  float most = -kInfinity;
  std::vector<float> widened(vectors.stride());
  for (NodeId id = begin; id < std::min(end, begin + kSome); ++id) {
    const float* const x = vectors.read(id, widened.data());
    const auto [low, high] = std::minmax_element(x, x + vectors.dimension());
    least = std::min(least, *low);
    most = std::max(most, *high);
  }
  return least / 2 + most / 2;
}

// The largest |x_e − centre|; by bits, which order magnitudes and are compared several at once.
float farthest(const float* x, std::size_t dimension, float centre) noexcept {
  std::uint32_t most = 0;
  for (std::size_t e = 0; e < dimension; ++e) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[e] - centre) & 0x7FFFFFFFu;
    most = std::max(most, bits);
  }
  return std::bit_cast<float>(most);
}

// Sums of terms term(e), e < n, four at once.
template <class Term>
double sum_of(std::size_t n, const Term& term) noexcept {
  std::array<double, 4> sums{};
  std::size_t e = 0;
  for (; e + 4 <= n; e += 4) {
    for (std::size_t i = 0; i < 4; ++i) sums[i] += term(e + i);
  }
  for (; e < n; ++e) sums[0] += term(e);
  return sums[0] + sums[1] + sums[2] + sums[3];
}

double square_of(double x) noexcept { return x * x; }

}  // namespace

bool TailCodes::pay_for(const core::VectorStore& vectors) noexcept {
  constexpr std::uint32_t kFewest = 128;
  return !core::are_bytes(vectors.element()) && vectors.stride() >= kFewest;
}

bool TailCodes::hold(const core::VectorStore& vectors, NodeId begin, NodeId end,
                     core::ThreadPool& pool) noexcept {
  constexpr std::size_t kAtOnce = 16;
  try {
    if (codes_.empty() || begin < first_ || begin > end_) {
      begin_at(vectors, begin, end);
    } else {
      drop_before(begin);
    }
    make_room(std::max(end, end_) - first_);
    const NodeId from = end_;
    pool.for_each(std::max(end, from) - from, kAtOnce,
                  [&](std::size_t i) { encode(vectors, from + static_cast<NodeId>(i)); });
    end_ = std::max(end, from);
    return true;
  } catch (const std::bad_alloc&) {
    clear();
    return false;
  }
}

void TailCodes::begin_at(const core::VectorStore& vectors, NodeId begin, NodeId end) {
  first_ = end_ = begin;
  steps_ = (vectors.dimension() + 3) / 4;
  rounding_ = 2 * (vectors.stride() / 32.0 + 16) * 0x1p-24;
  centre_ = middle(vectors, begin, end);
}

void TailCodes::drop_before(NodeId begin) noexcept {
  const std::size_t places = (begin - first_) / kCodeGroup * kCodeGroup;
  const auto drop = [](auto& from, std::size_t count) {
    from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count));
  };
  drop(codes_, places / kCodeGroup * group_bytes());
  drop(sum_, places);
  for (auto* const numbers : {&scale_, &square_, &error_, &base_}) drop(*numbers, places);
  first_ += static_cast<NodeId>(places);
}

void TailCodes::make_room(std::size_t places) {
  const std::size_t groups = (places + kCodeGroup - 1) / kCodeGroup;
  codes_.resize(groups * group_bytes());
  sum_.resize(groups * kCodeGroup);
  for (auto* const numbers : {&scale_, &square_, &error_, &base_}) {
    numbers->resize(groups * kCodeGroup);
  }
}

void TailCodes::truncate(NodeId end) noexcept {
  if (end <= first_) return clear();
  end_ = std::min(end_, end);
}

void TailCodes::clear() noexcept {
  first_ = end_ = 0;
  std::vector<std::uint8_t>().swap(codes_);
  std::vector<std::int32_t>().swap(sum_);
  for (auto* const numbers : {&scale_, &square_, &error_, &base_}) {
    std::vector<float>().swap(*numbers);
  }
}

void TailCodes::encode(const core::VectorStore& vectors, NodeId id) {
  const std::size_t dimension = vectors.dimension();
  const std::size_t place = id - first_;
  std::vector<float> widened(vectors.element() == core::Element::f32 ? 0 : vectors.stride());
  const float* const x = vectors.read(id, widened.data());
  const float most = farthest(x, dimension, centre_);
  float scale = most / kMost;
  // Of a vector that has no such scale the code is the centre itself.
  const double most_square = square_of(most) * static_cast<double>(dimension);
  if (scale < std::numeric_limits<float>::min() || most_square > kMaxSquare) scale = 0;
  const float inverse = scale > 0 ? 1 / scale : 0;

  std::int64_t squares = 0;
  std::int32_t sum = 0;
  double errors = 0;
  for (std::size_t step = 0; step < steps_; ++step) {
    std::uint8_t* const four = four_codes(place, step);
    for (std::size_t i = 0; i < 4; ++i) {
      const std::size_t e = 4 * step + i;
      std::int32_t code = 0;
      if (e < dimension) {
        const std::int32_t near = core::nearest_integer((x[e] - centre_) * inverse);
        code = std::clamp<std::int32_t>(near, -127, 127);
        errors += square_of(double{x[e]} - double{centre_} - double{scale} * code);
      }
      four[i] = static_cast<std::uint8_t>(code + 128);
      sum += code;
      squares += std::int64_t{code} * code;
    }
  }
  sum_[place] = sum;
  scale_[place] = scale;
  square_[place] = static_cast<float>(double{scale} * double{scale} * static_cast<double>(squares));
  // The last term is more than the sum in double may be off.
  const double slack = 0x1p-40 * std::sqrt(static_cast<double>(dimension)) *
                       (std::abs(double{centre_}) + double{most});
  error_[place] = rounded_up(std::sqrt(errors) * (1 + 0x1p-20) + slack);
  base_[place] = 0;
  if (metric_ != Metric::l2sq) {
    const double norm = sum_of(dimension, [x](std::size_t e) { return square_of(x[e]); });
    base_[place] = rounded_down(-norm / 2 * (1 + rounding_));
  }
}

CodeQuery TailCodes::query(NodeId id, std::int8_t* buffer) const noexcept {
  const std::size_t place = id - first_;
  const std::uint8_t* from =
      codes_.data() + place / kCodeGroup * group_bytes() + place % kCodeGroup * 4;
  for (std::size_t step = 0; step < steps_; ++step, from += kCodeGroup * 4) {
    for (std::size_t i = 0; i < 4; ++i) {
      buffer[4 * step + i] = static_cast<std::int8_t>(from[i] - 128);
    }
  }
  const float base = metric_ == Metric::l2sq ? -0x1p-126f : base_[place] + (1.0f - 0x1p-20f);
  return {buffer, 128 * sum_[place], scale_[place], square_[place], error_[place], base};
}

void TailCodes::bound(const CodeQuery* queries, std::size_t count, std::size_t place, std::size_t n,
                      float* out, std::size_t out_stride) const noexcept {
  const CodeRows rows{codes_.data() + place / kCodeGroup * group_bytes(),
                      steps_,
                      scale_.data() + place,
                      square_.data() + place,
                      error_.data() + place,
                      base_.data() + place};
  const auto slope =
      static_cast<float>(metric_ == Metric::l2sq ? 1 - rounding_ : (1 - 0x1p-20) / 2);
  bounds_(queries, count, rows, n, slope, out, out_stride);
}

std::size_t TailCodes::bytes() const noexcept {
  return codes_.capacity() + sum_.capacity() * sizeof(std::int32_t) +
         (scale_.capacity() + square_.capacity() + error_.capacity() + base_.capacity()) *
             sizeof(float);
}

}  // namespace concord::cpu
