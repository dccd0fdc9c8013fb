// What is written as an hnswlib or FAISS file comes back with every edge, and goes on growing.

#include <cmath>
#include <numeric>

#include "tests/interchange/edges.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using interchange::Adopt;

enum class Format { hnswlib, faiss };

void save(Format format, const Index& index, const std::filesystem::path& path) {
  if (format == Format::hnswlib) return interchange::save_hnswlib(index, path);
  interchange::save_faiss(index, path);
}

Index load(Format format, const std::filesystem::path& path, const IndexParams& params,
           Adopt adopt = Adopt::graph, unsigned threads = 1) {
  if (format == Format::hnswlib) {
    return interchange::load_hnswlib(path, {params.dimension, params.metric}, adopt,
                                     on_cpu(threads));
  }
  return interchange::load_faiss(path, adopt, on_cpu(threads));
}

std::vector<std::uint64_t> spread_labels(std::size_t n) {
  std::vector<std::uint64_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = hash(9, i) >> 1;
  return labels;
}

// FAISS has no cosine, so such an index comes back as one of inner products.
Metric metric_in(Format format, Metric metric) {
  return format == Format::faiss && metric == Metric::cosine ? Metric::inner_product : metric;
}

struct Case {
  Format format;
  Metric metric;
  Shape shape;
  std::size_t rows;
  std::uint32_t M;
  Storage storage = Storage::automatic;

  [[nodiscard]] IndexParams params() const {
    IndexParams of = make_params(9, M, 30, 1024, metric);
    of.storage = storage;
    return of;
  }
};

class RoundTrip : public testing::TestWithParam<Case> {};

TEST_P(RoundTrip, KeepsEveryEdgeLabelAndVector) {
  const Case& c = GetParam();
  Index index(c.params(), on_cpu(2));
  const Matrix data = make_data(c.shape, c.rows + 200, 9);
  index.add(data.slice(0, c.rows), spread_labels(c.rows));
  TempPath path;
  save(c.format, index, path);
  Index loaded = load(c.format, path, index.params());

  expect_sound(loaded.audit());
  IndexParams expected = index.params();
  expected.metric = metric_in(c.format, c.metric);
  EXPECT_EQ(loaded.params(), expected);
  EXPECT_EQ(loaded.labels(), index.labels());
  EXPECT_EQ(edges_of(loaded), edges_of(index));
  for (const std::uint64_t label : index.labels()) {
    const std::vector<float> before = index.vector(label);
    const std::vector<float> after = loaded.vector(label);
    for (std::size_t e = 0; e < before.size(); ++e) {
      // Normalised vectors are normalised again.
      ASSERT_NEAR(after[e], before[e], c.metric == Metric::cosine ? 1e-6f : 0);
    }
  }
  if (c.metric != Metric::cosine) {
    EXPECT_EQ(loaded.search(data.view()).labels, index.search(data.view()).labels);
  }
  loaded.add(data.slice(c.rows, 200));
  expect_sound(loaded.audit());
}

class VectorsAlone : public testing::TestWithParam<Case> {};

TEST_P(VectorsAlone, GiveTheIndexThatAddBuilds) {
  const Case& c = GetParam();
  Index index(c.params(), on_cpu());
  index.add(make_data(c.shape, c.rows, 9).view(), spread_labels(c.rows));
  TempPath path;
  save(c.format, index, path);
  EXPECT_EQ(load(c.format, path, index.params(), Adopt::vectors).digest(), index.digest());
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Format format : {Format::hnswlib, Format::faiss}) {
    for (const Metric metric : kAllMetrics)
      cases.push_back({format, metric, Shape::random, 900, 8});
    for (const Shape shape : {Shape::sorted, Shape::constant, Shape::duplicate, Shape::huge_norm}) {
      cases.push_back({format, Metric::l2sq, shape, 420, 2});
    }
    for (const std::size_t rows : {1u, 2u, 3u}) {
      cases.push_back({format, Metric::l2sq, Shape::random, rows, 4});
    }
    cases.push_back({format, Metric::l2sq, Shape::random, scaled(6000, 2000), 16});
  }
  for (const Storage storage : {Storage::f16, Storage::bf16}) {  // hnswlib has no such files
    for (const Metric metric : kAllMetrics)
      cases.push_back({Format::faiss, metric, Shape::clustered, 700, 8, storage});
    cases.push_back({Format::faiss, Metric::l2sq, Shape::random, 1, 4, storage});
  }
  return cases;
}
// Where the file gives back the very vectors that went in.
std::vector<Case> exact_cases() {
  std::vector<Case> cases = all_cases();
  std::erase_if(cases, [](const Case& c) { return c.metric == Metric::cosine; });
  return cases;
}
std::string name_of(const testing::TestParamInfo<Case>& test) {
  return std::string(test.param.format == Format::hnswlib ? "hnswlib_" : "faiss_") +
         to_string(test.param.metric) + "_" + to_string(test.param.shape) + "_" +
         std::to_string(test.param.rows) + "_" + to_string(test.param.storage);
}
INSTANTIATE_TEST_SUITE_P(All, RoundTrip, testing::ValuesIn(all_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(All, VectorsAlone, testing::ValuesIn(exact_cases()), name_of);

class BothFormats : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(All, BothFormats, testing::Values(Format::hnswlib, Format::faiss),
                         [](const auto& test) {
                           return std::string(test.param == Format::hnswlib ? "hnswlib" : "faiss");
                         });

TEST_P(BothFormats, HoldListsLongerThanMaxDegree) {
  Index index(make_params(3, 2, 12, 1024), on_cpu());
  index.add(make_data(Shape::duplicate, 420, 3).view());
  std::size_t longest = 0;
  std::size_t longest_above = 0;
  for (const auto& node : edges_of(index)) {
    longest = std::max(longest, node[0].size());
    for (std::size_t layer = 1; layer < node.size(); ++layer)
      longest_above = std::max(longest_above, node[layer].size());
  }
  ASSERT_GT(longest, 4u) << "nothing is overflowed in layer 0";
  ASSERT_GT(longest_above, 2u) << "nothing is overflowed above";
  TempPath path;
  save(GetParam(), index, path);
  EXPECT_EQ(edges_of(load(GetParam(), path, index.params())), edges_of(index));
}

TEST_P(BothFormats, GiveTheSameIndexForEveryNumberOfThreads) {
  // Levels of another seed: the layers above 0 are built anew, in parallel.
  IndexParams params = make_params(8, 4, 40, 1024);
  params.seed = 7;
  Index index(params, on_cpu());
  index.add(make_data(Shape::clustered, 3000, 8).view());
  TempPath path;
  save(GetParam(), index, path);
  const Index alone = load(GetParam(), path, params);
  expect_sound(alone.audit());
  EXPECT_NE(edges_of(alone), edges_of(index)) << "the levels are the same: nothing was built anew";
  for (const unsigned threads : {2u, 5u}) {
    EXPECT_EQ(load(GetParam(), path, params, Adopt::graph, threads).digest(), alone.digest());
  }
  EXPECT_GT(alone.stats().build.distances, 0u);
}

TEST_P(BothFormats, AreWrittenInTheSameBytesAgain) {
  Index index(make_params(5, 4, 30, 1024), on_cpu());
  index.add(make_data(Shape::random, 300, 5).view());
  TempPath first;
  TempPath second;
  save(GetParam(), index, first);
  save(GetParam(), index, second);
  EXPECT_EQ(read_file(first), read_file(second));
}

// Those that are still tombstones, those that a seal has unlinked, and those that were replaced.
TEST_P(BothFormats, LeaveRemovedVectorsOut) {
  const Matrix data = make_data(Shape::clustered, 700, 6);
  Index index(make_params(6, 6, 40, 128), on_cpu());
  index.add(data.slice(0, 500));
  std::vector<std::uint64_t> labels(150);
  std::iota(labels.begin(), labels.end(), 100);
  index.remove(labels);
  std::iota(labels.begin(), labels.end(), 300);
  index.update(data.slice(500, 150), labels);
  ASSERT_GT(index.stats().tombstones, 0u);
  const std::string digest = index.digest();
  TempPath path;
  save(GetParam(), index, path);
  EXPECT_EQ(index.digest(), digest);
  const Index loaded = load(GetParam(), path, index.params());
  expect_sound(loaded.audit());
  EXPECT_EQ(loaded.labels(), index.labels());
  for (const std::uint64_t label : {0u, 99u, 250u, 300u, 449u, 450u}) {
    EXPECT_EQ(loaded.vector(label), index.vector(label)) << label;
  }
  index.remove(index.labels());
  save(GetParam(), index, path);
  EXPECT_TRUE(load(GetParam(), path, index.params()).empty());
}

TEST_P(BothFormats, HoldAnEmptyIndex) {
  const Index empty(make_params(7, 5, 12, 1024), on_cpu());
  TempPath path;
  save(GetParam(), empty, path);
  Index loaded = load(GetParam(), path, empty.params());
  EXPECT_EQ(loaded.size(), 0u);
  EXPECT_EQ(loaded.params(), empty.params());
  loaded.add(make_data(Shape::random, 50, 7).view());
  expect_sound(loaded.audit());
}

TEST_P(BothFormats, AreNotWrittenWhereTheyCannotBe) {
  const Index index(make_params(7, 5, 12, 1024), on_cpu());
  TempPath path;
  expect_error(ErrorCode::io, {"nowhere"},
               [&] { save(GetParam(), index, path.path() / "nowhere" / "x"); });
  expect_error(ErrorCode::io, {"missing", "No such file"},
               [&] { load(GetParam(), path.path().parent_path() / "missing", index.params()); });
  expect_error(ErrorCode::corrupt_file, {"regular file"},
               [&] { load(GetParam(), "/dev/null", index.params()); });
}

TEST(SaveFaiss, RefusesLabelsThatFaissCannotHoldAndLeavesNoFile) {
  Index index(make_params(2, 4, 20, 1024), on_cpu());
  index.add(make_data(Shape::random, 3, 2).view(),
            std::vector<std::uint64_t>{1, std::uint64_t{1} << 63, 2});
  TempPath path;
  expect_error(ErrorCode::unsupported, {"9223372036854775808", "9223372036854775807"},
               [&] { interchange::save_faiss(index, path); });
  EXPECT_TRUE(std::filesystem::is_empty(path.path().parent_path()));
  interchange::save_hnswlib(index, path);
  EXPECT_EQ(load(Format::hnswlib, path, index.params()).labels(), index.labels());
}

TEST_P(BothFormats, AreNotWrittenOverTheIndexesOwnFiles) {
  const TempPath path;
  Index index = Index::open(path, make_params(2, 4, 20, 64), Durability::system, on_cpu());
  index.add(make_data(Shape::random, 10, 2).view());
  index.compact();
  const std::string digest = index.digest();
  for (const char* suffix : {"", ".journal"}) {
    expect_error(ErrorCode::invalid_parameter, {"compact()"},
                 [&] { save(GetParam(), index, path.path().string() + suffix); });
  }
  save(GetParam(), index, path.path().string() + ".copy");
  index = Index(make_params(2, 4, 20, 64), on_cpu());  // closes it
  EXPECT_EQ(Index::open(path, Durability::system, on_cpu()).digest(), digest);
}

}  // namespace
}  // namespace concord::test
