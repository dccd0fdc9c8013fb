// The plain vector formats: what is written is read again; damaged files are named and explained.
#include "bench/tool/vec_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/bench/temp_dir.hpp"

namespace concord::bench {
namespace {

using testing::HasSubstr;

FloatMatrix numbered(std::size_t rows, std::size_t cols) {
  FloatMatrix matrix(rows, cols);
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    matrix.values[i] = static_cast<float>(i % 100);
  }
  return matrix;
}

std::string error_reading(const std::filesystem::path& path) {
  return message_of<InputError>([&] { (void)read_vectors(path); });
}

class Formats : public testing::TestWithParam<std::string> {};

TEST_P(Formats, ReadsWhatItWrote) {
  const TempDir dir;
  const auto path = dir.file("v" + GetParam());
  const FloatMatrix written = numbered(7, 5);
  write_vectors(path, written);
  const FloatMatrix read = read_vectors(path);
  EXPECT_EQ(read.rows, 7U);
  EXPECT_EQ(read.cols, 5U);
  EXPECT_EQ(read.values, written.values);
}

TEST_P(Formats, LimitTakesTheFirstRows) {
  const TempDir dir;
  const auto path = dir.file("v" + GetParam());
  const FloatMatrix written = numbered(7, 5);
  write_vectors(path, written);
  const FloatMatrix read = read_vectors(path, 3);
  EXPECT_EQ(read.rows, 3U);
  EXPECT_EQ(read.values, std::vector<float>(written.values.begin(), written.values.begin() + 15));
  EXPECT_EQ(read_vectors(path, 99).rows, 7U);
}

TEST_P(Formats, EveryTruncationIsAnError) {
  const TempDir dir;
  const auto path = dir.file("v" + GetParam());
  write_vectors(path, numbered(3, 5));
  const auto full = std::filesystem::file_size(path);
  const std::size_t row = full / 3;
  for (auto size = full - 1; size > 0; --size) {
    std::filesystem::resize_file(path, size);
    if (GetParam().ends_with("vecs") && size % row == 0) continue;  // whole rows are a whole file
    EXPECT_THAT(error_reading(path), HasSubstr(path.string())) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Formats,
                         testing::Values(".fvecs", ".bvecs", ".fbin", ".u8bin", ".i8bin"),
                         [](const auto& test) { return test.param.substr(1); });

TEST(VecFiles, MoreRowsThanOneBlock) {
  const TempDir dir;
  const FloatMatrix written = numbered(30000, 100);
  for (const char* name : {"v.fvecs", "v.u8bin"}) {
    write_vectors(dir.file(name), written);
    EXPECT_EQ(read_vectors(dir.file(name)).values, written.values) << name;
  }
}

TEST(VecFiles, IdsRoundTrip) {
  const TempDir dir;
  IdMatrix ids(3, 4);
  for (std::uint32_t i = 0; i < 12; ++i) ids.values[i] = 4000000000U - i;
  for (const char* name : {"n.ivecs", "n.ibin"}) {
    write_ids(dir.file(name), ids);
    EXPECT_EQ(read_ids(dir.file(name)).values, ids.values) << name;
  }
}

TEST(VecFiles, BigAnnGroundTruthCarriesDistances) {
  const TempDir dir;
  Bytes()
      .put(2U)
      .put(2U)
      .put(10U)
      .put(11U)
      .put(12U)
      .put(13U)
      .put(0.5F)
      .put(0.6F)
      .put(0.7F)
      .put(0.8F)
      .write(dir.file("gt.ibin"));
  EXPECT_EQ(read_ids(dir.file("gt.ibin")).values, (std::vector<std::uint32_t>{10, 11, 12, 13}));
}

TEST(VecFiles, HeaderThatOverflowsIsRefusedBeforeAllocating) {
  const TempDir dir;
  Bytes().put(0xffffffffU).put(0xffffffU).put(1.0F).write(dir.file("v.fbin"));
  EXPECT_THAT(error_reading(dir.file("v.fbin")), HasSubstr("truncated"));
  Bytes().put(0xffffffffU).put(0xffffffffU).write(dir.file("w.fbin"));
  EXPECT_THAT(error_reading(dir.file("w.fbin")), HasSubstr("dimension"));
  Bytes().put(-1).put(1.0F).write(dir.file("v.fvecs"));
  EXPECT_THAT(error_reading(dir.file("v.fvecs")), HasSubstr("dimension"));
}

TEST(VecFiles, TrailingBytesAreRefused) {
  const TempDir dir;
  Bytes().put(1U).put(1U).put(1.0F).put(2.0F).write(dir.file("v.fbin"));
  EXPECT_THAT(error_reading(dir.file("v.fbin")), HasSubstr("too long"));
}

TEST(VecFiles, RowOfAnotherDimensionIsNamed) {
  const TempDir dir;
  Bytes().put(1).put(1.0F).put(2).put(2.0F).write(dir.file("v.fvecs"));
  EXPECT_THAT(error_reading(dir.file("v.fvecs")), HasSubstr("row 1 has dimension 2"));
}

TEST(VecFiles, ValuesThatDoNotFitAreRefused) {
  const TempDir dir;
  FloatMatrix matrix(1, 1);
  for (const float value : {0.5F, 256.0F, -1.0F, std::nanf("")}) {
    matrix.values[0] = value;
    EXPECT_THROW(write_vectors(dir.file("v.u8bin"), matrix), InputError) << value;
  }
  matrix.values[0] = -128.0F;
  write_vectors(dir.file("v.i8bin"), matrix);
  EXPECT_EQ(read_vectors(dir.file("v.i8bin")).values, matrix.values);
}

TEST(VecFiles, WrongKindsSayWhatIsAllowed) {
  const TempDir dir;
  EXPECT_THAT(error_reading(dir.file("v.csv")), HasSubstr(".fvecs, .bvecs, .ivecs, .fbin"));
  EXPECT_THAT(error_reading(dir.file("v.ibin")), HasSubstr("row numbers"));
  EXPECT_THAT(error_reading(dir.file("gone.fbin")), HasSubstr("No such file"));
  EXPECT_THROW((void)read_ids(dir.file("v.fbin")), InputError);
  EXPECT_THROW(write_vectors("/nonexistent/v.fbin", FloatMatrix(1, 1)), InputError);
}

}  // namespace
}  // namespace concord::bench
