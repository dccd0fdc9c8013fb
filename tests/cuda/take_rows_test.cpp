// Rows taken from device memory are those that VectorStore writes, to the bit; rows that it refuses
// are noticed.
#include "cuda/take_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cuda/caller_memory.hpp"
#include "tests/cuda/simt_kernels.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/host_kernels.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using cuda::TakeTask;

/// Data that rounds in every way: mixed magnitudes, denormals, zeros.
Matrix rough_data(std::size_t rows, std::size_t cols) {
  Matrix data = make_data(Shape::random, rows, cols);
  for (std::size_t r = 0; r < rows; ++r) {
    const float scales[] = {1.0f, 1e-3f, 3e-39f, 1e15f, 1e-30f, 0.0f};
    for (std::size_t e = 0; e < cols; ++e) {
      data.row(r)[e] *= scales[r % 6] * (1.0f + 1.0f / static_cast<float>(3 + hash(r, e) % 97));
    }
  }
  return data;
}

class TakeRows : public testing::Test {
 protected:
  void expect_as_stored(Matrix data, Metric metric, bool emulated) {
    const auto dimension = static_cast<std::uint32_t>(data.cols);
    const IndexParams params = make_params(dimension, 4, 10, 100, metric);
    for (std::size_t r = 0; r < data.rows; ++r) {
      if (!core::is_large_enough(core::VectorForm(params), data.row(r))) data.row(r)[0] = 1.0f;
    }
    core::VectorStore store(params);
    core::ThreadPool pool(1);
    store.resize(data.rows);
    store.write(0, data.view(), pool);
    std::vector<float> taken(data.rows * store.stride(), 7.0f);
    const TakeTask task =
        cuda::take_task({data.values.data(), data.rows, data.cols}, 0,
                        static_cast<std::uint32_t>(data.rows), store, metric, taken.data());
    emulated ? cuda::testing::simt_take_rows(task, 5) : cuda::run_take_rows(task);
    std::vector<float> stored(taken.size());
    store.copy(0, data.rows, stored.data());
    EXPECT_EQ(std::memcmp(taken.data(), stored.data(), taken.size() * sizeof(float)), 0)
        << "metric " << static_cast<int>(metric) << ", dimension " << dimension;
  }
};

TEST_F(TakeRows, AreThoseOfTheStore) {
  for (const Metric metric : kAllMetrics) {
    for (const std::size_t dimension : {1u, 3u, 8u, 100u, 129u, 1536u}) {
      for (const std::size_t rows : {1u, 31u, 32u, 100u}) {
        expect_as_stored(rough_data(rows, dimension), metric, false);
      }
      expect_as_stored(rough_data(70, dimension), metric, true);
    }
    for (const Shape shape : kAllShapes) {
      expect_as_stored(make_data(shape, 200, 24), metric, false);
    }
  }
}

// Host and device refuse the same rows, in every place of a block.
class RefusedRows : public testing::TestWithParam<Metric> {
 protected:
  static constexpr std::size_t kDimension = 9;

  /// Of 45 rows, one of which may have to be refused.
  void expect_as_by_the_store(Matrix& data, std::size_t place) const {
    SCOPED_TRACE(testing::Message() << data.row(place)[place % kDimension] << " at " << place);
    const core::VectorStore store(make_params(kDimension, 4, 10, 100, GetParam()));
    std::vector<float> expected(store.stride());
    bool refused_by_store = false;
    try {
      store.prepare(data.row(place), expected.data(), "vector", 0);
    } catch (const Error&) {
      refused_by_store = true;
      expected.assign(expected.size(), 0.0f);
    }
    std::uint32_t largest = 0;
    cuda::run_find_largest({data.values.data(), kDimension, kDimension, 45, &largest});
    for (const bool emulated : {false, true}) {
      std::vector<float> taken(45 * store.stride(), 7.0f);
      std::uint32_t refused = 0;
      TakeTask task = cuda::take_task({data.values.data(), 45, kDimension}, 0, 45, store,
                                      GetParam(), taken.data());
      task.refused = &refused;
      if (place % 2 == 0) task.largest = &largest;  // looked at before or not: the same
      emulated ? cuda::testing::simt_take_rows(task, 5) : cuda::run_take_rows(task);
      EXPECT_EQ(refused, refused_by_store ? 1u : 0u);
      EXPECT_EQ(std::memcmp(&taken[place * store.stride()], expected.data(),
                            expected.size() * sizeof(float)),
                0);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(TakeRows, RefusedRows, testing::ValuesIn(kAllMetrics));

TEST_P(RefusedRows, AreNoticedAndBecomeZeros) {
  const float most = std::numeric_limits<float>::max();
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       -std::numeric_limits<float>::infinity(),
                       most,
                       most / 16,
                       1e19f,
                       1.0f};
  for (const float value : bad) {
    for (const std::size_t place : {0u, 31u, 32u, 44u}) {
      Matrix data = make_data(Shape::random, 45, kDimension);
      data.row(place)[place % kDimension] = value;
      expect_as_by_the_store(data, place);
    }
  }
}

// The largest magnitude alone does not tell of a row of equal elements that it must be refused.
TEST_P(RefusedRows, AreNoticedBesideTheLimit) {
  const double limit = std::sqrt(core::kMaxSquaredNorm / kDimension);
  for (const double share : {0.5, 0.7, 0.72, 0.999999, 1.000001, 1.5, 2.9}) {
    for (const std::size_t place : {0u, 44u}) {
      Matrix data = make_data(Shape::random, 45, kDimension);
      std::fill_n(data.row(place), kDimension, static_cast<float>(limit * share));
      expect_as_by_the_store(data, place);
    }
  }
}

}  // namespace
}  // namespace concord::test
