// Data sources: synthetic vectors, held-out queries, and the messages for wrong ones.
#include "bench/tool/data_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "bench/tool/interpolate.hpp"
#include "bench/tool/synthetic.hpp"
#include "bench/tool/table.hpp"
#include "bench/tool/vec_files.hpp"
#include "tests/bench/temp_dir.hpp"

namespace concord::bench {
namespace {

using testing::HasSubstr;

TEST(Synthetic, DependsOnSeedAndNumberAlone) {
  const SyntheticSpec spec{10000, 20, 3};
  const FloatMatrix all = synthetic_vectors(spec, 0, 10000, 1);
  EXPECT_EQ(synthetic_vectors(spec, 0, 10000, 3).values, all.values);
  const FloatMatrix part = synthetic_vectors(spec, 5000, 10, 2);
  EXPECT_TRUE(std::equal(part.values.begin(), part.values.end(), all.row(5000)));
  EXPECT_NE(synthetic_vectors({10000, 20, 4}, 0, 1, 1).values, std::vector<float>(20));
}

/// The mean squared distance to the nearest other vector, relative to that of any two.
double nearness(const SyntheticSpec& spec) {
  const FloatMatrix vectors = synthetic_vectors(spec, 0, spec.rows, 1);
  double nearest_sum = 0;
  double sum = 0;
  for (std::size_t a = 0; a < vectors.rows; ++a) {
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t b = 0; b < vectors.rows; ++b) {
      if (a == b) continue;
      double distance = 0;
      for (std::size_t c = 0; c < vectors.cols; ++c) {
        distance += std::pow(vectors.row(a)[c] - vectors.row(b)[c], 2);
      }
      nearest = std::min(nearest, distance);
      sum += distance / static_cast<double>(vectors.rows - 1);
    }
    nearest_sum += nearest;
  }
  return nearest_sum / sum;
}

TEST(Synthetic, NearestAreFartherInMoreLatentDimensionsAndWithMoreClusters) {
  EXPECT_GT(nearness({400, 64, 1, 32, 1}), 4 * nearness({400, 64, 1, 4, 1}));
  EXPECT_GT(nearness({400, 64, 1, 16, 4096}), 1.2 * nearness({400, 64, 1, 16, 4}));
}

TEST(Synthetic, ParsesAndRefuses) {
  EXPECT_EQ(parse_synthetic("1000,32").rows, 1000U);
  EXPECT_EQ(parse_synthetic("1000,32,9").seed, 9U);
  for (const char* text : {"", "5", "5,", "0,3", "3,0", "a,b", "1,2,3,4", "-1,2", "5,70000"}) {
    EXPECT_THROW((void)parse_synthetic(text), InputError) << text;
  }
}

DataSource file_source(const std::filesystem::path& path) {
  DataSource source;
  source.dataset = path;
  return source;
}

TEST(DataSet, HoldsOutQueriesWhereThereAreNone) {
  const TempDir dir;
  FloatMatrix vectors(100, 1);
  std::iota(vectors.values.begin(), vectors.values.end(), 0.0F);
  write_vectors(dir.file("v.fbin"), vectors);
  const DataSet data = load_data_set(file_source(dir.file("v.fbin")), Need::train_and_queries);
  EXPECT_EQ(data.train.rows, 90U);
  EXPECT_THAT(data.queries.values, testing::ElementsAre(9, 19, 29, 39, 49, 59, 69, 79, 89, 99));
  EXPECT_EQ(data.train.values[9], 10.0F);
  EXPECT_EQ(load_data_set(file_source(dir.file("v.fbin")), Need::train).train.rows, 100U);
  EXPECT_EQ(load_data_set(file_source(dir.file("v.fbin")), Need::queries).queries.rows, 100U);
}

TEST(DataSet, TakesQueriesAndNeighborsFromFiles) {
  const TempDir dir;
  write_vectors(dir.file("v.fbin"), FloatMatrix(20, 3));
  write_vectors(dir.file("q.fvecs"), FloatMatrix(2, 3));
  write_ids(dir.file("n.ivecs"), IdMatrix(2, 5));
  DataSource source = file_source(dir.file("v.fbin"));
  source.queries = dir.file("q.fvecs");
  source.ground_truth = dir.file("n.ivecs");
  const DataSet data = load_data_set(source, Need::train_and_queries);
  EXPECT_EQ(data.train.rows, 20U);
  EXPECT_EQ(data.queries.rows, 2U);
  EXPECT_EQ(data.neighbors.cols, 5U);

  write_vectors(dir.file("q.fvecs"), FloatMatrix(2, 4));
  EXPECT_THAT(message_of<InputError>([&] { (void)load_data_set(source, Need::train_and_queries); }),
              HasSubstr("dimension 4"));
  write_vectors(dir.file("q.fvecs"), FloatMatrix(3, 3));
  EXPECT_THAT(message_of<InputError>([&] { (void)load_data_set(source, Need::train_and_queries); }),
              HasSubstr("2 rows for 3 queries"));
}

TEST(DataSet, EveryFormatIsRefusedWhereItIsNotFinite) {
  const TempDir dir;
  FloatMatrix vectors(20, 3);
  vectors.values[7] = std::numeric_limits<float>::infinity();
  for (const char* name : {"v.fbin", "v.fvecs"}) {
    write_vectors(dir.file(name), vectors);
    const DataSource source = file_source(dir.file(name));
    for (const Need need : {Need::train, Need::queries}) {
      EXPECT_THAT(message_of<InputError>([&] { (void)load_data_set(source, need); }),
                  HasSubstr(" 2 has an infinity at element 1; every element must be finite"));
    }
  }
}

TEST(DataSet, TypesMayBeInUpperCase) {
  const TempDir dir;
  write_vectors(dir.file("V.FBIN"), FloatMatrix(20, 3));
  EXPECT_EQ(load_data_set(file_source(dir.file("V.FBIN")), Need::train).train.rows, 20U);
}

TEST(DataSet, WrongSourcesAreExplained) {
  const auto error = [](const DataSource& source) {
    return message_of<InputError>([&] { (void)load_data_set(source, Need::train); });
  };
  EXPECT_THAT(error(file_source("v.csv")), HasSubstr("allowed are .hdf5, .fvecs"));
  EXPECT_THAT(error({}), HasSubstr("--dataset"));
  DataSource column = file_source("v.fbin");
  column.column = "embedding";
  EXPECT_THAT(error(column), HasSubstr("--column is for .npz and .parquet"));
  DataSource both = file_source("v.fbin");
  both.synthetic = "10,2";
  EXPECT_THAT(error(both), HasSubstr("either --dataset"));
}

TEST(Interpolate, LogRateOverRecall) {
  const std::vector<CurvePoint> curve{{0.8, 10000}, {0.9, 1000}, {1.0, 100}};
  EXPECT_NEAR(rate_at(curve, 0.85).value(), std::sqrt(1e7), 1e-6);
  EXPECT_EQ(rate_at(curve, 1.0).value(), 100);
  EXPECT_FALSE(rate_at(curve, 0.7).has_value());
  const std::vector<CurvePoint> other{{0.96, 500}, {0.99, 50}};
  EXPECT_EQ(common_recall(curve, other, 0.95).value(), 0.96);
  EXPECT_FALSE(common_recall({}, other, 0.95).has_value());
}

TEST(Table, GroupsDigitsAndAlignsColumns) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  Table table({"name", "n"});
  table.add_row({"a", "1,000"});
  EXPECT_EQ(table.text(), "  name      n\n  a     1,000\n");
}

}  // namespace
}  // namespace concord::bench
