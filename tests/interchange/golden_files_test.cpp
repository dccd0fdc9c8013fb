// Files that the real hnswlib and faiss-cpu wrote (golden/README.md) are adopted, searched and
// grow.

#include <cmath>

#include "tests/interchange/edges.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using interchange::Adopt;

constexpr std::size_t kRows = 500;
constexpr std::uint32_t kDimension = 12;

struct Golden {
  const char* name;
  Metric metric;
  std::uint64_t seed;
  bool has_labels;
  std::size_t deleted_every = 0;
  float within = 0;  ///< how far its elements are from the data at most
  Storage storage = Storage::automatic;

  [[nodiscard]] std::filesystem::path path() const {
    return std::filesystem::path(CONCORD_GOLDEN_FOLDER) / name;
  }
  [[nodiscard]] Index load(Adopt adopt, unsigned threads = 1) const {
    if (std::string(name).starts_with("faiss")) {
      return interchange::load_faiss(path(), adopt, on_cpu(threads));
    }
    return interchange::load_hnswlib(path(), {kDimension, metric}, adopt, on_cpu(threads));
  }
};

class GoldenFile : public testing::TestWithParam<Golden> {};
INSTANTIATE_TEST_SUITE_P(
    All, GoldenFile,
    testing::Values(
        Golden{"hnswlib-l2.bin", Metric::l2sq, 1, true},
        Golden{"hnswlib-ip.bin", Metric::inner_product, 2, true},
        Golden{"hnswlib-cosine-deleted.bin", Metric::cosine, 3, true, 7, 1e-6f},
        Golden{"faiss-l2.index", Metric::l2sq, 4, false},
        Golden{"faiss-ip-idmap.index", Metric::inner_product, 5, true},
        Golden{"faiss-l2-idmap2.index", Metric::l2sq, 6, true},
        Golden{"faiss-l2-fp16.index", Metric::l2sq, 7, false, 0, 0, Storage::f16},
        Golden{"faiss-ip-bf16.index", Metric::inner_product, 8, false, 0, 0x1p-6f, Storage::bf16},
        Golden{"faiss-l2-8bit-idmap.index", Metric::l2sq, 9, true, 0, 0.032f, Storage::f32}),
    [](const auto& test) {
      std::string name = test.param.name;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
      return name;
    });

TEST_P(GoldenFile, IsAdoptedWithItsVectorsAndLabels) {
  const Golden& golden = GetParam();
  const Matrix data = make_data(Shape::random, kRows, kDimension, golden.seed);
  for (const Adopt adopt : {Adopt::graph, Adopt::vectors}) {
    const Index index = golden.load(adopt);
    expect_sound(index.audit());
    EXPECT_EQ(index.params().metric, golden.metric);
    EXPECT_EQ(index.params().M, 6u);
    EXPECT_EQ(index.params().ef_construction, 80u);
    EXPECT_EQ(index.params().storage, golden.storage);
    std::size_t expected = 0;
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::uint64_t label = golden.has_labels ? 10 * r + 5 : r;
      const bool is_deleted = golden.deleted_every > 0 && r % golden.deleted_every == 0;
      ASSERT_EQ(index.contains(label), !is_deleted) << "row " << r;
      if (is_deleted) continue;
      ++expected;
      const std::vector<float> stored = index.vector(label);
      double squared_norm = 0;
      for (const float x : data.view()[r]) squared_norm += double{x} * double{x};
      const double scale = golden.metric == Metric::cosine ? 1 / std::sqrt(squared_norm) : 1;
      for (std::size_t e = 0; e < kDimension; ++e)
        ASSERT_NEAR(stored[e], data.row(r)[e] * scale, golden.within);
    }
    EXPECT_EQ(index.size(), expected);
  }
}

TEST_P(GoldenFile, FindsAsMuchAsAnIndexThatIsBuilt) {
  const Matrix queries = make_data(Shape::random, 300, kDimension, 99);
  const double adopted = recall_at_10(GetParam().load(Adopt::graph), queries, 40);
  const double built = recall_at_10(GetParam().load(Adopt::vectors), queries, 40);
  EXPECT_GE(adopted, built - 0.02);
  EXPECT_GE(adopted, 0.9);
}

TEST_P(GoldenFile, GivesTheSameIndexForEveryNumberOfThreads) {
  const std::string digest = GetParam().load(Adopt::graph, 1).digest();
  for (const unsigned threads : {2u, 4u}) {
    EXPECT_EQ(GetParam().load(Adopt::graph, threads).digest(), digest);
  }
}

TEST_P(GoldenFile, GrowsSaveAndLoad) {
  Index index = GetParam().load(Adopt::graph);
  std::vector<std::uint64_t> labels(300);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 1000000 + i;
  index.add(make_data(Shape::random, 300, kDimension, 50).view(), labels);
  expect_sound(index.audit());
  TempPath path;
  index.save(path);
  EXPECT_EQ(Index::load(path, on_cpu()).digest(), index.digest());
}

TEST(GoldenFiles, ThatAreNoGraphAreRefusedWithTheReason) {
  const std::filesystem::path folder(CONCORD_GOLDEN_FOLDER);
  expect_error(ErrorCode::unsupported, {"faiss-flat.index", "'IxF2'", "IndexHNSWFlat"},
               [&] { interchange::load_faiss(folder / "faiss-flat.index"); });
  expect_error(ErrorCode::corrupt_file, {"README.md"},
               [&] { interchange::load_faiss(folder / "README.md"); });
  expect_error(ErrorCode::corrupt_file, {"hnswlib-l2.bin"},
               [&] { interchange::load_faiss(folder / "hnswlib-l2.bin"); });
  expect_error(ErrorCode::corrupt_file, {"faiss-l2.index"}, [&] {
    interchange::load_hnswlib(folder / "faiss-l2.index", {kDimension, Metric::l2sq});
  });
}

TEST(GoldenFiles, InAnotherSpaceAreRefusedWithTheReason) {
  const auto path = std::filesystem::path(CONCORD_GOLDEN_FOLDER) / "hnswlib-l2.bin";
  expect_error(ErrorCode::dimension_mismatch, {"48 bytes", "dimension 13", "52"}, [&] {
    interchange::load_hnswlib(path, {13, Metric::l2sq});
  });
  expect_error(ErrorCode::corrupt_file, {"vector 0 ", "not normalised", "metric"}, [&] {
    interchange::load_hnswlib(path, {kDimension, Metric::cosine});
  });
  expect_error(ErrorCode::invalid_parameter, {"dimension is 0"}, [&] {
    interchange::load_hnswlib(path, {0, Metric::l2sq});
  });
}

}  // namespace
}  // namespace concord::test
