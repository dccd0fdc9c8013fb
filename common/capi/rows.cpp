#include "common/capi/rows.hpp"

#include <algorithm>
#include <string>

#include "common/base/half.hpp"
#include "common/capi/guard.hpp"

namespace concord::capi {
namespace {

template <class Element>
void widen(const concord_matrix& from, std::size_t first, std::size_t count, float* to) {
  const auto* data = static_cast<const Element*>(from.data) + first * from.stride;
  for (std::size_t r = 0; r < count; ++r, data += from.stride) {
    to = std::transform(data, data + from.cols, to,
                        [](Element element) { return static_cast<float>(element); });
  }
}

std::size_t product(std::size_t a, std::size_t b) {
  if (b == 0 || a <= ~std::size_t{0} / b) return a * b;
  throw Error(ErrorCode::out_of_memory, "no memory for " + std::to_string(a) + " rows of " +
                                            std::to_string(b) + " elements as floats");
}

}  // namespace

Rows::Rows(const concord_matrix* matrix, const char* name) : matrix_(expect(matrix, name)) {
  const std::string of = name;
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::invalid_parameter, message);
  };
  if (matrix_.stride == 0) matrix_.stride = matrix_.cols;
  if (matrix_.zero != 0) refuse(of + ".zero is not 0");
  if (matrix_.element < CONCORD_ELEMENT_F32 || matrix_.element > CONCORD_ELEMENT_I8) {
    refuse(of + ".element is " + std::to_string(matrix_.element) +
           "; allowed are 0 (F32) to 4 (I8)");
  }
  if (matrix_.stride < matrix_.cols) {
    refuse(of + ".stride is " + std::to_string(matrix_.stride) + " and below cols, which is " +
           std::to_string(matrix_.cols) + "; allowed are cols and more, and 0 for cols");
  }
  if (matrix_.data == nullptr && matrix_.rows > 0) {
    refuse(of + ".data is NULL, and there are " + std::to_string(matrix_.rows) + " rows");
  }
}

MatrixView<const float> Rows::floats(std::size_t first, std::size_t count) {
  if (are_floats()) {
    const auto* data = static_cast<const float*>(matrix_.data);
    return {first == 0 ? data : data + first * matrix_.stride, count, matrix_.cols, matrix_.stride};
  }
  copy_.resize(product(count, matrix_.cols));
  switch (matrix_.element) {
    case CONCORD_ELEMENT_F16:
      widen<core::Half>(matrix_, first, count, copy_.data());
      break;
    case CONCORD_ELEMENT_BF16:
      widen<core::BFloat16>(matrix_, first, count, copy_.data());
      break;
    case CONCORD_ELEMENT_U8:
      widen<std::uint8_t>(matrix_, first, count, copy_.data());
      break;
    default:
      widen<std::int8_t>(matrix_, first, count, copy_.data());
  }
  return {copy_.data(), count, matrix_.cols};
}

std::size_t Rows::rows_of_a_piece() const noexcept {
  constexpr std::size_t kFloats = (std::size_t{1} << 20) / sizeof(float);
  return std::max<std::size_t>(1, kFloats / std::max<std::size_t>(1, matrix_.cols));
}

std::span<const std::uint64_t> labels_of(const std::uint64_t* labels, std::size_t count) {
  return array_of(labels, count, "labels");
}

Hits::Hits(const concord_hits* hits, std::size_t queries) {
  const concord_hits& given = expect(hits, "hits");
  if (given.queries != queries) {
    throw Error(ErrorCode::dimension_mismatch, "hits.queries is " + std::to_string(given.queries) +
                                                   ", and there are " + std::to_string(queries) +
                                                   " queries; both must be equal");
  }
  if (queries > 0 && given.k > 0) {
    expect(given.labels, "hits.labels");
    expect(given.distances, "hits.distances");
  }
  labels = {given.labels, queries, given.k};
  distances = {given.distances, queries, given.k};
  if (given.counts == nullptr) own_counts.resize(queries);
  counts = {given.counts == nullptr ? own_counts.data() : given.counts, queries};
}

}  // namespace concord::capi
