// Additions whose vectors come from a RowSource: the same bytes as from a matrix however they are
// cut, and the index as it was where a source fails or gives what it should not.

#include <stdexcept>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

struct SourceFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(RowSource, GivesTheBytesOfAMatrixHoweverItIsCut) {
  const std::size_t n = 700;
  const Matrix data = make_data(Shape::clustered, n, 5);
  std::vector<std::uint64_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = hash(9, i);
  for (const Metric metric : kAllMetrics) {
    const IndexParams params = make_params(5, 4, 20, 60, metric);
    Index whole(params);
    whole.add(data.view(), labels);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{37}, n}) {
      Index index(params);
      std::vector<float> copy;  // the memory of a stretch goes when the next is asked for
      const std::size_t added = index.add_from(
          [&](std::size_t first) {
            const std::size_t rows = std::min(piece, n - first);
            copy = std::vector<float>(data.row(first), data.row(first) + rows * 5);
            return MatrixView<const float>(copy.data(), rows, 5);
          },
          n, labels);
      EXPECT_EQ(added, n);
      EXPECT_EQ(index.digest(), whole.digest());
    }
  }
}

TEST(RowSource, WithoutLabelsNumbersTheVectors) {
  const Matrix data = make_data(Shape::random, 20, 3);
  Index index(make_params(3, 4, 10, 16));
  index.add(data.slice(0, 5));
  index.add_from([&](std::size_t first) { return data.slice(5 + first, 15 - first); }, 15);
  EXPECT_EQ(index.labels().back(), 19u);
  EXPECT_EQ(index.add_from([&](std::size_t) { return data.slice(0, 1); }, 0), 0u);
}

TEST(RowSource, ThatFailsLeavesTheIndexAsItWas) {
  const Matrix data = make_data(Shape::random, 300, 4);
  Matrix bad = make_data(Shape::random, 10, 4);
  bad.row(7)[2] = std::numeric_limits<float>::quiet_NaN();
  const Matrix wide = make_data(Shape::random, 10, 5);
  Index index(make_params(4, 4, 20, 60));
  index.add(data.view());
  const std::string before = index.digest();

  EXPECT_THROW(index.add_from(
                   [&](std::size_t first) -> MatrixView<const float> {
                     if (first > 0) throw SourceFailed("second stretch");
                     return data.slice(0, 100);
                   },
                   200),
               SourceFailed);
  const auto refused = [&](ErrorCode code, const RowSource& source, std::size_t count,
                           std::span<const std::uint64_t> labels = {}) {
    try {
      index.add_from(source, count, labels);
      ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
    EXPECT_EQ(index.digest(), before);
  };
  const RowSource good = [&](std::size_t first) { return data.slice(first, 1); };
  const std::vector<std::uint64_t> two_labels{1000, 1001};
  const std::vector<std::uint64_t> known_labels{1000, 7};
  const std::vector<std::uint64_t> no_labels{1000, kNoLabel};
  refused(ErrorCode::dimension_mismatch, good, 3, two_labels);
  refused(ErrorCode::duplicate_label, good, 2, known_labels);
  refused(ErrorCode::invalid_parameter, good, 2, no_labels);
  refused(
      ErrorCode::dimension_mismatch, [&](std::size_t) { return data.slice(0, 0); }, 5);
  refused(
      ErrorCode::dimension_mismatch, [&](std::size_t) { return data.slice(0, 6); }, 5);
  refused(
      ErrorCode::dimension_mismatch, [&](std::size_t) { return wide.view(); }, 10);
  refused(
      ErrorCode::invalid_vector, [&](std::size_t) { return bad.view(); }, 10);
  EXPECT_EQ(index.digest(), before);
}

}  // namespace
}  // namespace concord::test
