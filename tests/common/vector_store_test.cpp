// Vectors as they are stored: padded, normalised for cosine, refused where distances could fail.

#include "common/vector_store.hpp"

#include <cmath>
#include <limits>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::make_params;

TEST(VectorStore, PadsWithZerosOverWhateverWasThere) {
  for (const std::uint32_t dimension : {1u, 7u, 8u, 9u, 33u}) {
    VectorStore store(make_params(dimension, 16, 10, 16));
    ThreadPool pool(2);
    EXPECT_EQ(store.stride() % 8, 0u);
    EXPECT_GE(store.stride(), dimension);
    EXPECT_LT(store.stride(), dimension + 8);
    store.resize(3);
    std::fill(store.mutable_row(0), store.mutable_row(3), 99.0f);
    const test::Matrix data = test::make_data(test::Shape::random, 3, dimension);
    store.write(0, data.view(), pool);
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::uint32_t e = 0; e < store.stride(); ++e) {
        EXPECT_EQ(store.row(r)[e], e < dimension ? data.row(r)[e] : 0);
      }
    }
  }
}

TEST(VectorStore, NormalisesForCosineWhateverTheScale) {
  VectorStore store(make_params(3, 16, 10, 16, Metric::cosine));
  std::vector<float> out(store.stride());
  for (const float scale : {1e-44f, 1e-30f, 1.0f, 1e18f, 1e38f}) {
    const float vector[3] = {scale, -scale, scale};
    store.prepare(vector, out.data(), "vector", 0);
    double norm = 0;
    for (const float x : out) norm += double{x} * double{x};
    EXPECT_NEAR(norm, 1, 1e-6) << scale;
    EXPECT_EQ(out[0], -out[1]);
  }
  const float zero[3] = {0, 0, 0};
  store.prepare(zero, out.data(), "vector", 0);
  for (const float x : out) EXPECT_EQ(x, 0);
}

TEST(VectorStore, RefusesWhatWouldOverflowAndTakesWhatWouldNot) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    VectorStore store(make_params(2, 16, 10, 16, metric));
    std::vector<float> out(store.stride());
    const auto limit = static_cast<float>(std::sqrt(kMaxSquaredNorm));
    const float below[2] = {std::nextafter(limit, 0.0f), 0};
    const float above[2] = {std::nextafter(limit, 1e38f) * 1.0001f, 0};
    store.prepare(below, out.data(), "vector", 0);
    test::expect_error(ErrorCode::invalid_vector, {"vector 7", "squared norm", "scale"},
                       [&] { store.prepare(above, out.data(), "vector", 7); });
  }
}

TEST(VectorStore, NamesTheFirstBadVectorWhicheverThreadFindsIt) {
  VectorStore store(make_params(4, 16, 10, 16));
  ThreadPool pool(4);
  test::Matrix data = test::make_data(test::Shape::random, 5000, 4);
  data.row(4999)[0] = std::numeric_limits<float>::infinity();
  data.row(1300)[2] = -std::numeric_limits<float>::infinity();
  data.row(700)[3] = std::numeric_limits<float>::quiet_NaN();
  data.row(701)[3] = std::numeric_limits<float>::quiet_NaN();
  store.resize(5000);
  for (int round = 0; round < 20; ++round) {
    test::expect_error(ErrorCode::invalid_vector, {"vector 700 ", "NaN", "element 3", "finite"},
                       [&] { store.write(0, data.view(), pool); });
  }
  data.row(700)[3] = data.row(701)[3] = 0;
  test::expect_error(ErrorCode::invalid_vector, {"vector 1300 ", "infinity", "element 2"},
                     [&] { store.write(0, data.view(), pool); });
}

TEST(VectorStore, RefusesOtherShapes) {
  const VectorStore store(make_params(4, 16, 10, 16));
  const float data[8] = {};
  test::expect_error(ErrorCode::dimension_mismatch, {"5 columns", "dimension 4"}, [&] {
    store.check_shape({data, 1, 5}, "vectors");
  });
  test::expect_error(ErrorCode::dimension_mismatch, {"stride"}, [&] {
    store.check_shape({data, 2, 4, 3}, "vectors");
  });
  test::expect_error(ErrorCode::dimension_mismatch, {"data"}, [&] {
    store.check_shape({nullptr, 1, 4}, "vectors");
  });
  store.check_shape({nullptr, 0, 0}, "vectors");
}

}  // namespace
}  // namespace concord::core
