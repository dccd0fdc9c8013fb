#include "common/vector_store.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <concord/error.hpp>
#include <string>
#include <utility>

#include "common/key.hpp"

namespace concord::core {
namespace {

std::size_t most_elements(std::size_t stride) { return std::size_t{kMaxNodes} * stride; }

// The sum is in double and in order, so that it is the same everywhere and cannot overflow.
double squared_norm(const float* vector, std::uint32_t dimension) noexcept {
  double sum = 0;
  for (std::uint32_t e = 0; e < dimension; ++e) sum += double{vector[e]} * double{vector[e]};
  return sum;
}

bool is_allowed(double squared_norm, Metric metric) noexcept {
  return std::isfinite(squared_norm) &&
         (metric == Metric::cosine || squared_norm <= kMaxSquaredNorm);
}

// The lowest of n rows that `is_bad`; n if none is.
template <class IsBad>
std::size_t first_bad(std::size_t n, ThreadPool& pool, const IsBad& is_bad) {
  std::atomic<std::size_t> lowest{n};
  pool.parallel_for(n, 256, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end && r < lowest.load(std::memory_order_relaxed); ++r) {
      if (!is_bad(r)) continue;
      std::size_t seen = lowest.load();
      while (r < seen && !lowest.compare_exchange_weak(seen, r)) {
      }
      return;
    }
  });
  return lowest;
}

// Writes a row as bytes, padded with zeros. False if some element is not exactly one; −0 is not.
template <class Byte>
bool narrow(const float* vector, std::size_t dimension, std::size_t stride, Byte* out) noexcept {
  constexpr float kLeast = std::numeric_limits<Byte>::min();
  constexpr float kMost = std::numeric_limits<Byte>::max();
  std::uint32_t differences = 0;
  for (std::size_t e = 0; e < dimension; ++e) {
    const float x = vector[e];
    const float within = x > kLeast ? (x < kMost ? x : kMost) : kLeast;
    const auto number = static_cast<std::int32_t>(within);
    differences |=
        std::bit_cast<std::uint32_t>(static_cast<float>(number)) ^ std::bit_cast<std::uint32_t>(x);
    out[e] = static_cast<Byte>(number);
  }
  std::fill(out + dimension, out + stride, Byte{0});
  return differences == 0;
}

}  // namespace

// Normalised vectors are never bytes.
VectorStore::VectorStore(const IndexParams& params, const ReaderGate* gate)
    : dimension_(params.dimension),
      stride_((params.dimension + 7) / 8 * 8),
      metric_(params.metric),
      gate_(gate),
      bytes_(metric_ == Metric::cosine ? 0 : most_elements(stride_)),
      floats_(metric_ == Metric::cosine ? most_elements(stride_) : 0) {
  publish(metric_ == Metric::cosine ? Element::f32 : Element::u8);
}

void VectorStore::publish(Element element) noexcept {
  const void* const rows =
      element == Element::f32 ? static_cast<const void*>(floats_.data()) : bytes_.data();
  stored_.store(static_cast<const std::byte*>(rows) + static_cast<std::uintptr_t>(element));
}

void VectorStore::resize(std::size_t rows) {
  if (element() == Element::f32) {
    floats_.resize(rows * stride_);
  } else {
    bytes_.resize(rows * stride_);
  }
  size_ = rows;
}

void VectorStore::write(std::size_t first, MatrixView<const float> vectors, ThreadPool& pool,
                        std::size_t number) {
  if (element() != Element::f32) {
    if (write_bytes(first, vectors, pool)) return;
    check(vectors, pool, number);  // before all rows change for vectors that are then refused
    turn_to_floats(first);
  }
  const std::size_t bad = first_bad(vectors.rows, pool, [&](std::size_t r) {
    return !try_prepare(vectors.row(r), floats_.data() + (first + r) * stride_);
  });
  if (bad < vectors.rows) refuse(vectors.row(bad), "vector", number + bad);
}

void VectorStore::restore(std::size_t first, std::size_t n, const float* rows, ThreadPool& pool) {
  if (element() != Element::f32) {
    if (write_bytes(first, {rows, n, dimension_, stride_}, pool)) return;
    turn_to_floats(first);
  }
  std::copy(rows, rows + n * stride_, floats_.data() + first * stride_);
}

void VectorStore::map(VirtualArray<float> rows) noexcept {
  size_ = rows.size() / stride_;
  floats_ = std::move(rows);
  publish(Element::f32);
}

void VectorStore::copy(std::size_t first, std::size_t n, float* out) const noexcept {
  const StoredRows from = rows();
  if (from.element != Element::f32) return widen(from, first, n, out);
  const float* const floats = static_cast<const float*>(from.data) + first * stride_;
  std::copy(floats, floats + n * stride_, out);
}

void VectorStore::check(const MatrixView<const float>& vectors, ThreadPool& pool,
                        std::size_t number) const {
  const std::size_t bad = first_bad(vectors.rows, pool, [&](std::size_t r) {
    return !is_allowed(squared_norm(vectors.row(r), dimension_), metric_);
  });
  if (bad < vectors.rows) refuse(vectors.row(bad), "vector", number + bad);
}

bool VectorStore::write_bytes(std::size_t first, const MatrixView<const float>& vectors,
                              ThreadPool& pool) {
  if (element() == Element::u8) {
    if (write_as<std::uint8_t>(first, vectors, pool)) return true;
    if (!are_also_i8(first)) return false;
  }
  if (!write_as<std::int8_t>(first, vectors, pool)) return false;
  publish(Element::i8);
  return true;
}

template <class Byte>
bool VectorStore::write_as(std::size_t first, const MatrixView<const float>& vectors,
                           ThreadPool& pool) {
  auto* const rows = reinterpret_cast<Byte*>(bytes_.data());
  return first_bad(vectors.rows, pool, [&](std::size_t r) {
           return !narrow(vectors.row(r), dimension_, stride_, rows + (first + r) * stride_);
         }) == vectors.rows;
}

// Bytes below 128 mean the same with a sign and without.
bool VectorStore::are_also_i8(std::size_t rows) const noexcept {
  std::uint8_t all = 0;
  for (std::size_t e = 0; e < rows * stride_; ++e) all |= bytes_[e];
  return all < 128;
}

void VectorStore::widen(const StoredRows& from, std::size_t first, std::size_t n,
                        float* out) const noexcept {
  const auto* const bytes = static_cast<const std::uint8_t*>(from.data) + first * stride_;
  if (from.element == Element::u8) {
    std::copy(bytes, bytes + n * stride_, out);
  } else {
    const auto* const with_sign = reinterpret_cast<const std::int8_t*>(bytes);
    std::copy(with_sign, with_sign + n * stride_, out);
  }
}

void VectorStore::turn_to_floats(std::size_t rows) {
  VirtualArray<float> floats(most_elements(stride_));
  VirtualArray<std::uint8_t> nothing(0);
  floats.resize(size_ * stride_);
  copy(0, rows, floats.data());
  floats_ = std::move(floats);
  publish(Element::f32);
  if (gate_ != nullptr) gate_->wait_for_readers();
  bytes_ = std::move(nothing);
}

void VectorStore::prepare(const float* vector, float* out, const char* what,
                          std::size_t number) const {
  if (!try_prepare(vector, out)) refuse(vector, what, number);
}

bool VectorStore::try_prepare(const float* vector, float* out) const noexcept {
  const double norm = squared_norm(vector, dimension_);
  if (!is_allowed(norm, metric_)) return false;
  if (metric_ == Metric::cosine) {
    const double scale = norm > 0 ? 1 / std::sqrt(norm) : 0;
    for (std::uint32_t e = 0; e < dimension_; ++e) out[e] = static_cast<float>(vector[e] * scale);
  } else {
    std::copy(vector, vector + dimension_, out);
  }
  std::fill(out + dimension_, out + stride_, 0.0f);
  return true;
}

bool VectorStore::is_stored_form(const float* row) const noexcept {
  return squared_norm(row, dimension_) <= kMaxSquaredNorm &&
         std::all_of(row + dimension_, row + stride_,
                     [](float x) { return std::bit_cast<std::uint32_t>(x) == 0; });
}

void VectorStore::refuse(const float* vector, const char* what, std::size_t number) const {
  const std::string name = std::string(what) + " " + std::to_string(number);
  for (std::uint32_t e = 0; e < dimension_; ++e) {
    if (!std::isfinite(vector[e])) {
      throw Error(ErrorCode::invalid_vector,
                  name + " has " + (std::isnan(vector[e]) ? "NaN" : "an infinity") +
                      " at element " + std::to_string(e) + "; every element must be finite");
    }
  }
  throw Error(ErrorCode::invalid_vector,
              name + " has a squared norm above " + std::to_string(kMaxSquaredNorm) +
                  ", beyond which distances overflow float; scale the data down");
}

void VectorStore::check_shape(const MatrixView<const float>& matrix, const char* what) const {
  if (matrix.rows == 0) return;
  if (matrix.cols != dimension_) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " have " + std::to_string(matrix.cols) +
                    " columns, the index has dimension " + std::to_string(dimension_));
  }
  if (matrix.data == nullptr || matrix.stride < matrix.cols) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " need data and a stride of at least the number of columns");
  }
}

}  // namespace concord::core
