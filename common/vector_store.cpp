#include "common/vector_store.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concord/error.hpp>
#include <string>

#include "common/key.hpp"

namespace concord::core {

VectorStore::VectorStore(const IndexParams& params)
    : dimension_(params.dimension),
      stride_((params.dimension + 7) / 8 * 8),
      metric_(params.metric),
      data_(std::size_t{kMaxNodes} * stride_) {}

void VectorStore::write(std::size_t first, MatrixView<const float> vectors, ThreadPool& pool,
                        std::size_t number) {
  std::atomic<std::size_t> first_bad{vectors.rows};
  pool.parallel_for(vectors.rows, 256, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      if (try_prepare(vectors.row(r), mutable_row(first + r))) continue;
      std::size_t seen = first_bad.load();
      while (r < seen && !first_bad.compare_exchange_weak(seen, r)) {
      }
      return;
    }
  });
  if (first_bad < vectors.rows) refuse(vectors.row(first_bad), "vector", number + first_bad);
}

void VectorStore::prepare(const float* vector, float* out, const char* what,
                          std::size_t number) const {
  if (!try_prepare(vector, out)) refuse(vector, what, number);
}

// The sum is in double and in order, so that it is the same everywhere and cannot overflow.
bool VectorStore::try_prepare(const float* vector, float* out) const noexcept {
  double squared_norm = 0;
  for (std::uint32_t e = 0; e < dimension_; ++e)
    squared_norm += double{vector[e]} * double{vector[e]};
  if (!std::isfinite(squared_norm)) return false;
  if (metric_ == Metric::cosine) {
    const double scale = squared_norm > 0 ? 1 / std::sqrt(squared_norm) : 0;
    for (std::uint32_t e = 0; e < dimension_; ++e) out[e] = static_cast<float>(vector[e] * scale);
  } else {
    if (squared_norm > kMaxSquaredNorm) return false;
    std::copy(vector, vector + dimension_, out);
  }
  std::fill(out + dimension_, out + stride_, 0.0f);
  return true;
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
