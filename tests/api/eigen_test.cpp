// Eigen matrices in and out without a copy.

#include <concord/eigen.hpp>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using RowMajor = RowMajorMatrix<float>;

TEST(Eigen, ViewsBorrowTheMatrix) {
  RowMajor matrix = RowMajor::Random(6, 5);
  const MatrixView<const float> whole = view(matrix);
  EXPECT_EQ(whole.data, matrix.data());
  EXPECT_EQ(whole.rows, 6u);
  EXPECT_EQ(whole.cols, 5u);
  EXPECT_EQ(whole.stride, 5u);

  const MatrixView<const float> block = view(matrix.block(1, 2, 4, 3));
  EXPECT_EQ(block.data, &matrix(1, 2));
  EXPECT_EQ(block.rows, 4u);
  EXPECT_EQ(block.cols, 3u);
  EXPECT_EQ(block.stride, 5u);
  EXPECT_EQ(block.row(3)[2], matrix(4, 4));

  const Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>> map(matrix.data(), 3, 4,
                                                                Eigen::OuterStride<>(7));
  EXPECT_EQ(view(map).stride, 7u);
  EXPECT_EQ(view(map).data, matrix.data());

  const Eigen::MatrixXf columns = matrix.transpose();
  EXPECT_EQ(view(columns.transpose()).data, columns.data());
  EXPECT_EQ(view(columns.transpose()).rows, 6u);
}

TEST(Eigen, AVectorIsOneVectorWhicheverWayItStands) {
  const Eigen::VectorXf column = Eigen::VectorXf::Random(5);
  const Eigen::RowVectorXf row = column.transpose();
  for (const MatrixView<const float>& one : {view(column), view(row)}) {
    EXPECT_EQ(one.rows, 1u);
    EXPECT_EQ(one.cols, 5u);
    EXPECT_EQ(one.row(0)[4], column[4]);
  }
  const Eigen::Vector3f fixed(1, 2, 3);
  EXPECT_EQ(view(fixed).cols, 3u);
  const RowMajor matrix = RowMajor::Random(4, 5);
  EXPECT_EQ(view(matrix.row(2)).data, &matrix(2, 0));
  EXPECT_EQ(view(matrix.row(2)).cols, 5u);
}

TEST(Eigen, RefusesElementsThatDoNotStandTogether) {
  const RowMajor matrix = RowMajor::Random(4, 6);
  expect_error(ErrorCode::dimension_mismatch, {"side by side"}, [&] { view(matrix.col(2)); });
  using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  const Eigen::Map<const RowMajor, 0, Stride> map(matrix.data(), 2, 3, Stride(12, 2));
  expect_error(ErrorCode::dimension_mismatch, {"side by side"}, [&] { view(map); });
}

TEST(Eigen, IndexesAndReturnsMatrices) {
  const RowMajor data = RowMajor::Random(300, 8);
  Index index(make_params(8, 6, 40, 64));
  EXPECT_EQ(index.add(view(data)), 300u);
  Index twin(make_params(8, 6, 40, 64));
  twin.add({data.data(), 300, 8});
  EXPECT_EQ(index.digest(), twin.digest());

  const SearchResult result = index.search(view(data.topRows(20)));
  const auto found = labels(result);
  const auto far = distances(result);
  EXPECT_EQ(found.data(), result.labels.data());
  EXPECT_EQ(far.data(), result.distances.data());
  EXPECT_EQ(found.rows(), 20);
  EXPECT_EQ(found.cols(), 10);
  for (Eigen::Index q = 0; q < 20; ++q) {
    EXPECT_EQ(found(q, 0), static_cast<std::uint64_t>(q));
    EXPECT_EQ(far(q, 0), 0);
  }
  const Eigen::VectorXf one = data.row(7).transpose();
  EXPECT_EQ(index.search(view(one)).labels[0], 7u);
}

}  // namespace
}  // namespace concord::test
