// One graph, defined by the data: the digest does not depend on threads, instruction set, how calls
// to add are split, or a file in between.

#include <limits>

#include "cpu/isa.hpp"
#include "tests/support/float_control.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

RuntimeOptions threads(unsigned n) {
  RuntimeOptions options;
  options.threads = n;
  options.device = "cpu";
  return options;
}

/// How vectors are kept.
struct Kept {
  Storage storage;
  Codes codes;
};

class Determinism : public testing::TestWithParam<std::tuple<Metric, Kept>> {
 protected:
  Determinism()
      : n_(scaled(3000, 600)),
        params_(make_params(17, 6, 40, 300, std::get<Metric>(GetParam()))),
        data_(make_data(Shape::clustered, n_, 17)) {
    params_.codes = std::get<Kept>(GetParam()).codes;
    params_.storage = std::get<Kept>(GetParam()).storage;
    Index index(params_, threads(2));
    EXPECT_EQ(index.add(data_.view()), n_);
    expect_sound(index.audit());
    digest_ = index.digest();
    EXPECT_THAT(digest_, testing::MatchesRegex("[0-9a-f]{32}"));
  }

  // Adds rows up to `end` in steps that `next(first)` chooses.
  template <class Next>
  void grow(Index& index, std::size_t end, const Next& next) {
    while (index.size() < end) {
      const std::size_t first = index.size();
      const std::size_t count =
          std::min<std::size_t>(std::max<std::size_t>(1, next(first)), end - first);
      ASSERT_EQ(index.add(data_.slice(first, count)), count);
    }
  }

  std::size_t n_;
  IndexParams params_;
  Matrix data_;
  std::string digest_;
};

TEST_P(Determinism, AcrossThreads) {
  for (const unsigned count : {1u, 2u, 7u}) {
    Index index(params_, threads(count));
    index.add(data_.view());
    EXPECT_EQ(index.digest(), digest_) << count << " threads";
    EXPECT_EQ(index.stats().threads, count);
  }
}

TEST_P(Determinism, AcrossInstructionSets) {
  for (const cpu::DistanceKernels* const kernels : cpu::compiled_kernels()) {
    const std::string isa = kernels->isa;
    if (!cpu::is_supported(*kernels)) {
      std::cout << "skipped " << isa << ": this machine does not support it\n";
      continue;
    }
    const ScopedEnvironment forced("CONCORD_ISA", isa);
    Index index(params_, threads(2));
    index.add(data_.view());
    EXPECT_EQ(index.stats().isa, isa);
    EXPECT_EQ(index.digest(), digest_) << isa;
  }
}

TEST_P(Determinism, AcrossSplits) {
  for (const std::size_t step : {std::size_t{1000}, std::size_t{1}, std::size_t{333}}) {
    Index index(params_, threads(2));
    grow(index, n_, [&](std::size_t) { return step; });
    EXPECT_EQ(index.digest(), digest_) << "steps of " << step;
  }
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Index index(params_, threads(seed % 2 == 0 ? 1 : 3));
    grow(index, n_, [&](std::size_t first) { return hash(seed, first) % (seed < 2 ? 10 : 900); });
    EXPECT_EQ(index.digest(), digest_) << "seed " << seed;
  }
}

TEST_P(Determinism, AcrossExplicitLabelsThatEqualTheImplicit) {
  std::vector<std::uint64_t> labels(n_);
  for (std::size_t i = 0; i < n_; ++i) labels[i] = i;
  Index index(params_, threads(2));
  index.add(data_.view(), labels);
  EXPECT_EQ(index.digest(), digest_);
}

TEST_P(Determinism, AcrossFilesInBetween) {
  std::vector<std::size_t> cuts = {0, 1, 2, 5, n_ / 2, n_ - 1, n_};
  for (std::uint64_t i = 0; i < 6; ++i) cuts.push_back(hash(3, i) % n_);
  // Exactly at, just before and just after a seal.
  const core::Epoch epoch = core::Epoch::of(static_cast<core::NodeId>(n_ / 2), params_.epoch_limit);
  for (const core::NodeId cut : {epoch.begin, epoch.begin + 1, epoch.end - 1}) cuts.push_back(cut);
  const TempPath path("index");
  for (const std::size_t cut : cuts) {
    Index index(params_, threads(2));
    grow(index, cut, [&](std::size_t) { return n_; });
    const std::string before = index.digest();
    index.save(path);
    Index loaded = Index::load(path, threads(1));
    EXPECT_EQ(loaded.digest(), before) << "cut at " << cut;
    EXPECT_EQ(loaded.params(), params_);
    EXPECT_EQ(loaded.size(), cut);
    expect_sound(loaded.audit());
    loaded.save(path);
    EXPECT_EQ(Index::load(path, threads(1)).digest(), before);
    grow(loaded, n_, [&](std::size_t first) { return hash(cut, first) % 700; });
    EXPECT_EQ(loaded.digest(), digest_) << "cut at " << cut;
  }
}

// A file every few insertions, so that every state of an epoch passes through one.
TEST_P(Determinism, AcrossManyFiles) {
  const TempPath path("index");
  Index index(params_, threads(1));
  while (index.size() < n_) {
    const std::size_t step = 1 + hash(9, index.size()) % (n_ / 20);
    grow(index, std::min(n_, index.size() + step), [&](std::size_t) { return step; });
    index.save(path);
    index = Index::load(path, threads(1));
  }
  EXPECT_EQ(index.digest(), digest_);
}

INSTANTIATE_TEST_SUITE_P(MetricsAndKept, Determinism,
                         testing::Combine(testing::ValuesIn(kAllMetrics),
                                          testing::Values(Kept{Storage::automatic, Codes::none},
                                                          Kept{Storage::automatic, Codes::sq8},
                                                          Kept{Storage::automatic, Codes::sq4},
                                                          Kept{Storage::f16, Codes::none},
                                                          Kept{Storage::bf16, Codes::sq8})),
                         [](const auto& test) {
                           const Kept& kept = std::get<Kept>(test.param);
                           return std::string(to_string(std::get<Metric>(test.param))) + "_" +
                                  to_string(kept.storage) + "_" + to_string(kept.codes);
                         });

// Codes are made when an index is opened.
TEST(Determinism, OfCodesAcrossTheFloatEnvironmentOfWhoOpensTheIndex) {
  const Matrix data = make_data(Shape::random, 1200, 17);
  const Matrix queries = make_data(Shape::random, 50, 17, 3);
  IndexParams params = make_params(17, 4, 20, 64);
  params.codes = Codes::sq8;
  Index usual(params, threads(1));
  usual.add(data.slice(0, 600));
  const TempPath file;
  usual.save(file);
  std::optional<OddFloatControl> odd(std::in_place);
  Index loaded = Index::load(file, threads(1));
  const Index mapped = Index::map(file, MapCheck::on_open, threads(1));
  odd.reset();
  const SearchParams search{.k = 5, .ef = 10, .rescore = 5};
  const SearchResult expected = usual.search(queries.view(), search);
  EXPECT_EQ(loaded.search(queries.view(), search).labels, expected.labels);
  EXPECT_EQ(mapped.search(queries.view(), search).labels, expected.labels);
  usual.add(data.slice(600, 600));
  loaded.add(data.slice(600, 600));
  EXPECT_EQ(loaded.digest(), usual.digest());
}

// A caller that flushes denormals or rounds up, as after -ffast-math, gets the same graph.
TEST(Determinism, AcrossTheCallersFloatEnvironment) {
  Matrix data = make_data(Shape::random, 600, 5);
  for (float& x : data.values) x *= 0x1p-70f;                      // squares are denormal
  for (std::size_t r = 0; r < data.rows; ++r) data.row(r)[4] = 1;  // but those of no norm
  Index usual(make_params(5, 4, 20, 64), threads(2));
  usual.add(data.view());
  const std::string digest = usual.digest();
  const SearchResult found = usual.search(data.view());
  std::optional<OddFloatControl> odd(std::in_place);
  Index index(make_params(5, 4, 20, 64), threads(3));
  index.add(data.view());
  const SearchResult again = index.search(data.view());
  const SearchResult alone = index.search(data.slice(0, 1));
  const SearchResult exact = index.exact_search(data.slice(0, 1), 1);
  const bool is_in_place = odd->is_in_place();
  odd.reset();
  EXPECT_TRUE(is_in_place) << "the caller's settings are put back";
  EXPECT_EQ(index.digest(), digest);
  EXPECT_EQ(again.labels, found.labels);
  EXPECT_EQ(again.distances, found.distances);
  EXPECT_EQ(alone.distances[1], found.distances[1]);
  EXPECT_GT(found.distances[1], 0) << "the data do not test denormals";
  EXPECT_LT(found.distances[1], std::numeric_limits<float>::min());
  EXPECT_EQ(exact.distances[0], 0);
}

TEST(Determinism, TheSameIndexGivesTheSameFile) {
  const Matrix data = make_data(Shape::duplicate, 700, 5);
  const TempPath a("a");
  const TempPath b("b");
  Index first(make_params(5, 3, 20, 100), threads(1));
  first.add(data.view());
  first.save(a);
  Index second(make_params(5, 3, 20, 100), threads(3));
  for (std::size_t i = 0; i < 700; i += 70) second.add(data.slice(i, 70));
  second.save(b);
  EXPECT_EQ(read_file(a), read_file(b));
  Index::load(a).save(b);
  EXPECT_EQ(read_file(a), read_file(b));
}

TEST(Determinism, TheDigestTellsDifferentIndexesApart) {
  const Matrix data = make_data(Shape::random, 50, 3);
  std::vector<std::string> digests;
  const auto note = [&](const IndexParams& params, MatrixView<const float> rows,
                        std::uint64_t label) {
    Index index(params, threads(1));
    std::vector<std::uint64_t> labels(rows.rows);
    for (std::size_t i = 0; i < rows.rows; ++i) labels[i] = label + i;
    index.add(rows, labels);
    digests.push_back(index.digest());
  };
  const IndexParams params = make_params(3, 4, 20, 16);
  note(params, data.view(), 0);
  note(params, data.view(), 1);
  note(params, data.slice(0, 49), 0);
  note(params, data.slice(0, 0), 0);
  for (int field = 0; field < 5; ++field) {
    IndexParams other = params;
    if (field == 0) other.metric = Metric::cosine;
    if (field == 1) other.M = 5;
    if (field == 2) other.ef_construction = 21;
    if (field == 3) other.seed = 43;
    if (field == 4) other.epoch_limit = 17;
    note(other, data.view(), 0);
    note(other, data.slice(0, 0), 0);
  }
  Matrix changed = data;
  changed.row(20)[1] += 0.25f;
  note(params, changed.view(), 0);
  std::sort(digests.begin(), digests.end());
  EXPECT_EQ(std::adjacent_find(digests.begin(), digests.end()), digests.end());
}

}  // namespace
}  // namespace concord::test
