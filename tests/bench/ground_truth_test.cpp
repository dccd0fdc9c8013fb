// Exact neighbors against a plain scan in double precision, and recall judged by them.
#include "bench/tool/ground_truth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bench/tool/exact_distance.hpp"
#include "bench/tool/recall.hpp"
#include "bench/tool/synthetic.hpp"

namespace concord::bench {
namespace {

FloatMatrix random_vectors(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  return synthetic_vectors({rows, cols, seed}, 0, rows, 2);
}

std::vector<std::pair<double, std::uint32_t>> scan(const FloatMatrix& vectors, const float* query,
                                                   Metric metric) {
  std::vector<std::pair<double, std::uint32_t>> all;
  for (std::uint32_t v = 0; v < vectors.rows; ++v) {
    all.emplace_back(exact_distance(metric, query, vectors.row(v), vectors.cols), v);
  }
  std::sort(all.begin(), all.end());
  return all;
}

void expect_exact(const FloatMatrix& vectors, const FloatMatrix& queries, Metric metric,
                  std::size_t k) {
  const GroundTruth truth = compute_ground_truth(vectors, queries, metric, k, 2);
  ASSERT_EQ(truth.k, std::min(k, vectors.rows));
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const auto expected = scan(vectors, queries.row(q), metric);
    for (std::size_t i = 0; i < truth.k; ++i) {
      EXPECT_EQ(truth.ids.row(q)[i], expected[i].second) << to_string(metric) << " " << q;
      EXPECT_EQ(truth.distances.row(q)[i], expected[i].first);
    }
  }
}

class AllMetrics : public testing::TestWithParam<Metric> {};

TEST_P(AllMetrics, EqualsAPlainScan) {
  for (const std::size_t cols : {1U, 3U, 33U, 100U}) {
    expect_exact(random_vectors(3000, cols, 1), random_vectors(70, cols, 2), GetParam(), 10);
  }
}

TEST_P(AllMetrics, TiesGoToTheLowerRow) {
  FloatMatrix vectors = random_vectors(500, 8, 1);
  for (std::size_t v = 50; v < 450; ++v) std::copy_n(vectors.row(7), 8, vectors.row(v));
  FloatMatrix queries = random_vectors(5, 8, 2);
  std::copy_n(vectors.row(7), 8, queries.row(0));
  expect_exact(vectors, queries, GetParam(), 10);
}

TEST_P(AllMetrics, CloseTogetherAndFarFromTheOrigin) {
  FloatMatrix vectors = random_vectors(2000, 24, 1);
  FloatMatrix queries = random_vectors(20, 24, 2);
  for (float& value : vectors.values) value = 1e4F + 0.01F * value;
  for (float& value : queries.values) value = 1e4F + 0.01F * value;
  expect_exact(vectors, queries, GetParam(), 10);
}

// Scores of single precision overflow, in part or all; an index would refuse such vectors.
TEST_P(AllMetrics, HugeNorms) {
  for (const float scale : {1e18F, 1e19F, 1e30F}) {
    FloatMatrix vectors = random_vectors(300, 8, 1);
    for (std::size_t i = 0; i < vectors.values.size(); i += 2) vectors.values[i] *= scale;
    expect_exact(vectors, random_vectors(5, 8, 2), GetParam(), 10);
    expect_exact(vectors, vectors, GetParam(), 10);
  }
}

TEST_P(AllMetrics, ZeroVectorsAndMoreThanThereAre) {
  const FloatMatrix zeros(20, 4);
  expect_exact(zeros, zeros, GetParam(), 5);
  expect_exact(random_vectors(4, 4, 1), random_vectors(3, 4, 2), GetParam(), 10);
}

INSTANTIATE_TEST_SUITE_P(Metrics, AllMetrics,
                         testing::Values(Metric::l2sq, Metric::inner_product, Metric::cosine),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(CheckedGroundTruth, TakesRightNeighborsAndRefusesWrongOnes) {
  const FloatMatrix vectors = random_vectors(1000, 16, 1);
  const FloatMatrix queries = random_vectors(50, 16, 2);
  const GroundTruth exact = compute_ground_truth(vectors, queries, Metric::l2sq, 20, 1);
  const auto checked = [&](const IdMatrix& stored) {
    return checked_ground_truth(vectors, queries, Metric::l2sq, 10, stored, 1);
  };
  EXPECT_EQ(checked(exact.ids).source, "stored");
  EXPECT_EQ(checked({}).source, "computed");

  IdMatrix wrong = exact.ids;
  std::swap(wrong.row(0)[9], wrong.row(0)[15]);
  EXPECT_NE(checked(wrong).source, "stored");
  IdMatrix out_of_range = exact.ids;
  out_of_range.row(49)[0] = 1000;
  const GroundTruth repaired = checked(out_of_range);
  EXPECT_NE(repaired.source, "stored");
  EXPECT_EQ(repaired.ids.row(49)[0], exact.ids.row(49)[0]);
}

class Recall : public testing::Test {
 protected:
  Recall() {
    for (std::size_t v = 0; v < vectors_.rows; ++v) {
      vectors_.row(v)[0] = static_cast<float>(v / 2);  // 0 0 1 1 2 2 …: every distance twice
    }
    truth_ = compute_ground_truth(vectors_, queries_, Metric::l2sq, 3, 1);
  }

  [[nodiscard]] double recall(const std::vector<std::uint64_t>& labels, std::uint32_t count = 3,
                              const std::vector<std::uint64_t>& index_labels = {}) const {
    const Judge judge(vectors_, queries_, Metric::l2sq, truth_, index_labels);
    return judge.recall(labels, labels.size(), std::vector<std::uint32_t>{count});
  }

  FloatMatrix vectors_{10, 1};
  FloatMatrix queries_{1, 1};
  GroundTruth truth_;
};

TEST_F(Recall, TiesOfTheLastAreRight) {
  EXPECT_EQ(recall({0, 1, 2}), 1.0);
  EXPECT_EQ(recall({0, 1, 3}), 1.0);
  EXPECT_EQ(recall({1, 2, 3}), 1.0);
}

TEST_F(Recall, FartherDuplicateUnknownAndMissingAreWrong) {
  EXPECT_DOUBLE_EQ(recall({0, 1, 4}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(recall({0, 0, 0}), 1.0 / 3);
  EXPECT_DOUBLE_EQ(recall({0, 1, 99}), 2.0 / 3);
  EXPECT_DOUBLE_EQ(recall({0, 1, 2}, 2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(recall({0, 1, kNoLabel}, 2), 2.0 / 3);
}

TEST_F(Recall, LabelsOfTheIndexAreMappedToRows) {
  std::vector<std::uint64_t> index_labels;
  for (std::uint64_t v = 0; v < 10; ++v) index_labels.push_back(1000 - v);
  EXPECT_EQ(recall({1000, 999, 998}, 3, index_labels), 1.0);
  EXPECT_EQ(recall({0, 1, 2}, 3, index_labels), 0.0);
}

}  // namespace
}  // namespace concord::bench
