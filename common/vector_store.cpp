#include "common/vector_store.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <concord/error.hpp>
#include <string>
#include <utility>

#include "common/key.hpp"
#include "common/number_text.hpp"

namespace concord::core {
namespace {

std::size_t most_elements(std::size_t stride) { return std::size_t{kMaxNodes} * stride; }

// The sum is in double and in order, so that it is the same everywhere and cannot overflow.
double squared_norm(const float* vector, std::uint32_t dimension) noexcept {
  double sum = 0;
  for (std::uint32_t e = 0; e < dimension; ++e) sum += double{vector[e]} * double{vector[e]};
  return sum;
}

// True only where squared_norm is at most kMaxSquaredNorm, and quick to tell of nearly all vectors:
// the squares of 65,536 such elements, as many as a vector may have, sum up to less than 1e35.
bool is_small(const float* vector, std::uint32_t dimension) noexcept {
  constexpr float kSmall = 1e15F;
  static_assert(1e35 < kMaxSquaredNorm);
  std::uint32_t large = 0;  // no branch, so that several elements are compared at once
  for (std::uint32_t e = 0; e < dimension; ++e) large |= std::abs(vector[e]) <= kSmall ? 0 : 1;
  return large == 0;
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
bool narrow_row(const float* vector, std::size_t dimension, std::size_t stride,
                Byte* out) noexcept {
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

template <class Byte>
bool is_narrow(const float* elements, std::size_t count) noexcept {
  std::array<Byte, 256> unused;
  for (std::size_t e = 0; e < count; e += unused.size()) {
    const std::size_t some = std::min(unused.size(), count - e);
    if (!narrow_row(elements + e, some, some, unused.data())) return false;
  }
  return true;
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

std::byte* VectorStore::begin_import(Element element, std::size_t rows) {
  if (element == Element::f32 && this->element() != Element::f32) {
    turn_to_floats(0);
  } else if (element == Element::i8) {
    publish(Element::i8);
  }
  resize(rows);
  return element == Element::f32 ? reinterpret_cast<std::byte*>(floats_.data())
                                 : reinterpret_cast<std::byte*>(bytes_.data());
}

void VectorStore::narrow() {
  const Element element = narrowest(size_);
  if (element == this->element()) return;
  if (this->element() == Element::f32) {
    VirtualArray<std::uint8_t> bytes(most_elements(stride_));
    VirtualArray<float> nothing(0);
    bytes.resize(size_ * stride_);
    for (std::size_t i = 0; i < size_; ++i) {
      std::uint8_t* const row = bytes.data() + i * stride_;
      (void)read_as(element, i, 1, row);
    }
    bytes_ = std::move(bytes);
    floats_ = std::move(nothing);
  }
  publish(element);
}

void VectorStore::map(VirtualArray<float> rows) noexcept {
  size_ = rows.size() / stride_;
  floats_ = std::move(rows);
  publish(Element::f32);
}

void VectorStore::map(VirtualArray<std::uint8_t> rows, Element element) noexcept {
  size_ = rows.size() / stride_;
  bytes_ = std::move(rows);
  publish(element);
}

Element VectorStore::narrowest(std::size_t n) const noexcept {
  const StoredRows from = rows();
  const std::size_t count = n * stride_;
  if (from.element == Element::u8 || metric_ == Metric::cosine) return from.element;
  if (from.element == Element::i8) {
    const auto* const bytes = static_cast<const std::int8_t*>(from.data);
    return std::any_of(bytes, bytes + count, [](std::int8_t x) { return x < 0; }) ? Element::i8
                                                                                  : Element::u8;
  }
  const auto* const floats = static_cast<const float*>(from.data);
  if (is_narrow<std::uint8_t>(floats, count)) return Element::u8;
  return is_narrow<std::int8_t>(floats, count) ? Element::i8 : Element::f32;
}

const void* VectorStore::read_as(Element element, std::size_t first, std::size_t n,
                                 std::uint8_t* buffer) const noexcept {
  const StoredRows from = rows();
  if (element == Element::f32) return static_cast<const float*>(from.data) + first * stride_;
  // Bytes that could be either have the same bits.
  if (from.element != Element::f32) {
    return static_cast<const std::uint8_t*>(from.data) + first * stride_;
  }
  const auto* const floats = static_cast<const float*>(from.data) + first * stride_;
  const std::size_t count = n * stride_;
  if (element == Element::u8) {
    narrow_row(floats, count, count, buffer);
  } else {
    narrow_row(floats, count, count, reinterpret_cast<std::int8_t*>(buffer));
  }
  return buffer;
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
           return !narrow_row(vectors.row(r), dimension_, stride_, rows + (first + r) * stride_);
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
  // Nearly all vectors are small, and the sum of the squares waits for each addition in turn.
  const bool needs_norm = metric_ == Metric::cosine || !is_small(vector, dimension_);
  const double norm = needs_norm ? squared_norm(vector, dimension_) : 0;
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

bool VectorStore::try_narrow(const float* row, Element element, std::uint8_t* out) const noexcept {
  if (element == Element::u8) return narrow_row(row, stride_, stride_, out);
  return narrow_row(row, stride_, stride_, reinterpret_cast<std::int8_t*>(out));
}

bool VectorStore::is_stored_form(const float* row) const noexcept {
  return (is_small(row, dimension_) || squared_norm(row, dimension_) <= kMaxSquaredNorm) &&
         std::all_of(row + dimension_, row + stride_,
                     [](float x) { return std::bit_cast<std::uint32_t>(x) == 0; });
}

bool VectorStore::has_stored_form(std::size_t i) const noexcept {
  const StoredRows from = rows();
  if (from.element == Element::f32) {
    return is_stored_form(static_cast<const float*>(from.data) + i * stride_);
  }
  const auto* const row = static_cast<const std::uint8_t*>(from.data) + i * stride_;
  return std::all_of(row + dimension_, row + stride_, [](std::uint8_t x) { return x == 0; });
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
              name + " has a squared norm above " + text_of(static_cast<float>(kMaxSquaredNorm)) +
                  ", beyond which distances overflow float; scale the data down");
}

void VectorStore::check_shape(const MatrixView<const float>& matrix, const char* what) const {
  if (matrix.rows == 0) return;
  if (matrix.cols != dimension_) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " have " + std::to_string(matrix.cols) +
                    " columns, the index has dimension " + std::to_string(dimension_) +
                    (matrix.rows == dimension_ ? "; are they transposed?" : ""));
  }
  if (matrix.data == nullptr || matrix.stride < matrix.cols) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(what) + " need data and a stride of at least the number of columns");
  }
}

}  // namespace concord::core
