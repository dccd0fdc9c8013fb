// The edges of the API: tiny indexes, odd sizes, bad input. Every refusal is a typed error that
// says what is allowed, and leaves the index as it was.

#include <cmath>
#include <limits>

#include "tests/support/graph_builder.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

SearchParams search_params(std::uint32_t k, std::uint32_t ef) {
  SearchParams params;
  params.k = k;
  params.ef = ef;
  return params;
}

TEST(Tiny, IndexesAnswerAnyK) {
  for (const Metric metric : kAllMetrics) {
    for (std::size_t n = 0; n <= 5; ++n) {
      const Matrix data = make_data(Shape::random, n + 1, 3);
      Index index(make_params(3, 2, 4, 7, metric));
      EXPECT_EQ(index.add(data.slice(0, n)), n);
      EXPECT_EQ(index.size(), n);
      EXPECT_EQ(index.empty(), n == 0);
      expect_sound(index.audit());
      for (const std::uint32_t k : {0u, 1u, 3u, 5u, 6u, 100u, 65536u}) {
        for (const std::uint32_t ef : {1u, 2u, 100u, 65536u}) {
          const SearchResult found = index.search(data.view(), search_params(k, ef));
          const SearchResult exact = index.exact_search(data.view(), k);
          ASSERT_EQ(found.queries, n + 1);
          ASSERT_EQ(found.k, k);
          ASSERT_EQ(found.labels.size(), (n + 1) * k);
          ASSERT_EQ(found.distances.size(), (n + 1) * k);
          if (std::max(k, ef) >= n) {  // the beam holds the whole index
            ASSERT_EQ(found.labels, exact.labels);
            ASSERT_EQ(found.distances, exact.distances);
            ASSERT_EQ(found.counts, exact.counts);
          }
          for (const std::uint32_t count : found.counts)
            ASSERT_EQ(count, std::min<std::size_t>(k, n));
        }
      }
    }
  }
}

TEST(Tiny, AnEmptyBatchIsAnEmptyAnswer) {
  Index index(make_params(3, 4, 10, 16));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(index.search({nullptr, 0, 0}).queries, 0u);
    EXPECT_TRUE(index.search({nullptr, 0, 3}).labels.empty());
    EXPECT_TRUE(index.exact_search({}, 10).counts.empty());
    EXPECT_EQ(index.add({}), 0u);
    EXPECT_EQ(index.add({}, std::span<const std::uint64_t>{}), 0u);
    index.add(make_data(Shape::random, 20, 3).view());
  }
}

TEST(Tiny, KRaisesEf) {
  const Matrix data = make_data(Shape::random, 300, 3);
  Index index(make_params(3, 4, 20, 32));
  index.add(data.view());
  const SearchResult raised = index.search(data.slice(0, 20), search_params(50, 1));
  const SearchResult given = index.search(data.slice(0, 20), search_params(50, 50));
  EXPECT_EQ(raised.labels, given.labels);
  for (const std::uint32_t count : raised.counts) EXPECT_EQ(count, 50u);
}

TEST(Labels, MayBeTheHighestNumberButOne) {
  const Matrix data = make_data(Shape::random, 3, 2);
  const std::vector<std::uint64_t> labels = {0, kNoLabel - 1, kNoLabel - 2};
  Index index(make_params(2, 4, 20, 1));
  index.add(data.view(), labels);
  expect_error(ErrorCode::duplicate_label, {"18446744073709551614"},
               [&] { index.add(data.slice(0, 1), std::span(labels).subspan(1, 1)); });
  const TempPath path;
  index.save(path);
  const Index loaded = Index::load(path);
  EXPECT_TRUE(loaded.contains(kNoLabel - 1));
  EXPECT_EQ(loaded.vector(kNoLabel - 1), std::vector<float>(data.row(1), data.row(1) + 2));
  const SearchResult found = loaded.search(data.slice(1, 1), search_params(5, 10));
  EXPECT_EQ(found.counts[0], 3u);
  EXPECT_EQ(found.labels[0], kNoLabel - 1);
  EXPECT_EQ(found.distances[0], 0.0f);
  EXPECT_EQ(found.labels[3], kNoLabel);
  EXPECT_EQ(found.distances[3], std::numeric_limits<float>::infinity());
}

TEST(Dimension, MayBeTheLargest) {
  constexpr std::uint32_t kDimension = 65536;
  const Matrix data = make_data(Shape::random, 12, kDimension);
  for (const Metric metric : kAllMetrics) {
    std::string digest;
    for (const std::string& isa : supported_isas()) {
      const ScopedEnvironment forced("CONCORD_ISA", isa);
      Index index(make_params(kDimension, 2, 4, 4, metric));
      index.add(data.view());
      expect_sound(index.audit());
      if (digest.empty()) digest = index.digest();
      EXPECT_EQ(index.digest(), digest) << isa;
      const TempPath path;
      index.save(path);
      const Index loaded = Index::load(path);
      EXPECT_EQ(loaded.digest(), digest);
      EXPECT_EQ(loaded.search(data.view(), search_params(3, 12)).labels,
                index.exact_search(data.view(), 3).labels);
    }
  }
  expect_error(ErrorCode::invalid_parameter, {"dimension", "65536"},
               [] { Index(make_params(kDimension + 1, 2, 4, 4)); });
}

TEST(Views, MayHaveAStride) {
  const Matrix dense = make_data(Shape::clustered, 400, 6);
  Matrix wide(400, 11);
  std::fill(wide.values.begin(), wide.values.end(), kNaN);
  for (std::size_t r = 0; r < 400; ++r) std::copy(dense.row(r), dense.row(r) + 6, wide.row(r) + 2);
  const MatrixView<const float> strided(wide.values.data() + 2, 400, 6, 11);
  Index a(make_params(6, 4, 20, 50));
  a.add(dense.view());
  Index b(make_params(6, 4, 20, 50));
  b.add(strided);
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_EQ(a.search(dense.view()).labels, b.search(strided).labels);

  std::vector<std::uint64_t> labels(400 * 9, 5);
  std::vector<float> distances(400 * 7, 5);
  std::vector<std::uint32_t> counts(400);
  b.search(strided, search_params(4, 30), {labels.data(), 400, 4, 9}, {distances.data(), 400, 4, 7},
           counts);
  const SearchResult expected = a.search(dense.view(), search_params(4, 30));
  for (std::size_t q = 0; q < 400; ++q) {
    for (std::size_t j = 0; j < 9; ++j) {
      ASSERT_EQ(labels[q * 9 + j], j < 4 ? expected.labels[q * 4 + j] : 5);
    }
    for (std::size_t j = 0; j < 7; ++j) {
      ASSERT_EQ(distances[q * 7 + j], j < 4 ? expected.distances[q * 4 + j] : 5);
    }
  }
}

TEST(Views, MayBeMisaligned) {
  const Matrix dense = make_data(Shape::random, 200, 5);
  std::vector<float> memory(200 * 5 + 1);
  std::copy(dense.values.begin(), dense.values.end(), memory.begin() + 1);
  Index a(make_params(5, 4, 20, 50));
  a.add(dense.view());
  Index b(make_params(5, 4, 20, 50));
  b.add({memory.data() + 1, 200, 5});
  EXPECT_EQ(a.digest(), b.digest());
}

TEST(Content, CanBeReadBack) {
  const Matrix data = make_data(Shape::random, 30, 5);
  Index index(make_params(5, 4, 20, 50));
  std::vector<std::uint64_t> labels(30);
  for (std::size_t i = 0; i < 30; ++i) labels[i] = hash(1, i);
  index.add(data.view(), labels);
  EXPECT_EQ(index.labels(), labels);
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_TRUE(index.contains(labels[i]));
    EXPECT_EQ(index.vector(labels[i]), std::vector<float>(data.row(i), data.row(i) + 5));
    EXPECT_EQ(index.search(data.slice(i, 1), search_params(1, 50)).labels[0], labels[i]);
  }
  EXPECT_FALSE(index.contains(0));
}

TEST(Content, MovesWithTheIndex) {
  const Matrix data = make_data(Shape::random, 100, 5);
  Index a(make_params(5, 4, 20, 50));
  a.add(data.slice(0, 60));
  Index b(std::move(a));
  Index c(make_params(2, 3, 20, 50));
  c = std::move(b);
  c.add(data.slice(60, 40));
  Index whole(make_params(5, 4, 20, 50));
  whole.add(data.view());
  EXPECT_EQ(c.digest(), whole.digest());
}

TEST(Runtime, MayChangeAtAnyTime) {
  const Matrix data = make_data(Shape::clustered, 600, 5);
  Index whole(make_params(5, 4, 20, 50));
  whole.add(data.view());
  Index index(make_params(5, 4, 20, 50));
  for (std::size_t i = 0; i < 600; i += 100) {
    RuntimeOptions options;
    options.threads = static_cast<unsigned>(1 + i / 100);
    index.set_runtime(options);
    EXPECT_EQ(index.stats().threads, options.threads);
    index.add(data.slice(i, 100));
  }
  EXPECT_EQ(index.digest(), whole.digest());
}

// ------------------------------------------------------------------------------- refused
// parameters

TEST(BadParameters, AreRefusedWithTheRangeAllowed) {
  struct Bad {
    const char* field;
    const char* range;
    void (*set)(IndexParams&);
  };
  const Bad all[] = {
      {"dimension", "1 to 65536", [](IndexParams& p) { p.dimension = 0; }},
      {"dimension", "1 to 65536", [](IndexParams& p) { p.dimension = 65537; }},
      {"dimension", "1 to 65536", [](IndexParams& p) { p.dimension = ~0u; }},
      {"metric", "0 to 2", [](IndexParams& p) { p.metric = static_cast<Metric>(3); }},
      {"M", "2 to 64", [](IndexParams& p) { p.M = 0; }},
      {"M", "2 to 64", [](IndexParams& p) { p.M = 1; }},
      {"M", "2 to 64", [](IndexParams& p) { p.M = 65; }},
      {"ef_construction", "1 to 1024", [](IndexParams& p) { p.ef_construction = 0; }},
      {"ef_construction", "1 to 1024", [](IndexParams& p) { p.ef_construction = 1025; }},
      {"epoch_limit", "1 to 65536", [](IndexParams& p) { p.epoch_limit = 0; }},
      {"epoch_limit", "1 to 65536", [](IndexParams& p) { p.epoch_limit = 65537; }},
  };
  for (const Bad& bad : all) {
    IndexParams params = make_params(4, 16, 100, 256);
    bad.set(params);
    expect_error(ErrorCode::invalid_parameter, {bad.field, bad.range},
                 [&] { Index index(params); });
  }
}

TEST(BadParameters, OfSearchesAreRefused) {
  const Matrix data = make_data(Shape::random, 20, 3);
  Index index(make_params(3, 4, 10, 16));
  index.add(data.view());
  const auto search = [&](std::uint32_t k, std::uint32_t ef) {
    return [&index, &data, k, ef] {
      static_cast<void>(index.search(data.slice(0, 1), search_params(k, ef)));
    };
  };
  expect_error(ErrorCode::invalid_parameter, {"ef", "1 to 65536"}, search(1, 0));
  expect_error(ErrorCode::invalid_parameter, {"ef", "1 to 65536"}, search(1, 65537));
  expect_error(ErrorCode::invalid_parameter, {"k", "0 to 65536"}, search(65537, 10));
  expect_error(ErrorCode::invalid_parameter, {"k", "0 to 65536"}, search(~0u, 10));
  expect_error(ErrorCode::invalid_parameter, {"k", "65536"},
               [&] { static_cast<void>(index.exact_search(data.slice(0, 1), 65537)); });
  for (const float slack : {-0.1f, -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    expect_error(ErrorCode::invalid_parameter, {"slack is ", "; allowed are 0 to infinity"}, [&] {
      static_cast<void>(index.search(data.slice(0, 1), {.k = 1, .ef = 10, .slack = slack}));
    });
  }
  Index similar(make_params(3, 4, 10, 16, Metric::inner_product));
  similar.add(data.view());
  expect_error(ErrorCode::invalid_parameter, {"slack", "inner_product", "infinity"}, [&] {
    static_cast<void>(similar.search(data.slice(0, 1), {.k = 1, .ef = 10, .slack = 0.5f}));
  });
}

TEST(BadParameters, ThreadCountsAreRefused) {
  RuntimeOptions options;
  const IndexParams params = make_params(3, 4, 10, 16);
  for (const unsigned threads : {1025u, 10'000u, ~0u}) {
    options.threads = threads;
    expect_error(ErrorCode::invalid_parameter, {"threads is " + std::to_string(threads), "1024"},
                 [&] { Index index(params, options); });
  }
  Index index(params);
  index.add(make_data(Shape::random, 20, 3).view());
  const std::string digest = index.digest();
  expect_error(ErrorCode::invalid_parameter, {"threads", "1024"},
               [&] { index.set_runtime(options); });
  EXPECT_EQ(index.digest(), digest);
  const TempPath path;
  index.save(path);
  expect_error(ErrorCode::invalid_parameter, {"threads", "1024"},
               [&] { Index::load(path, options); });
}

TEST(BadParameters, SharesToCheckAreRefused) {
  const IndexParams params = make_params(3, 4, 10, 16);
  Index index(params);
  for (const double share :
       {-0.001, 1.001, -std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    RuntimeOptions options;
    options.threads = 7;
    options.checked_share = share;
    expect_error(ErrorCode::invalid_parameter, {"checked_share is ", "allowed are 0 to 1"},
                 [&] { Index other(params, options); });
    expect_error(ErrorCode::invalid_parameter, {"checked_share is ", "allowed are 0 to 1"},
                 [&] { index.set_runtime(options); });
    EXPECT_NE(index.stats().threads, 7u);
  }
  for (const double share : {0.0, 0.001, 1.0}) {
    RuntimeOptions options;
    options.checked_share = share;
    index.set_runtime(options);
  }
}

TEST(BadParameters, UnknownDevicesAreRefused) {
  const IndexParams params = make_params(3, 4, 10, 16);
  Index index(params);
  for (const char* device :
       {"", "nonsense", "gpu1", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999"}) {
    RuntimeOptions options;
    options.device = device;
    const std::vector<std::string> words = {"device '" + std::string(device) + "'",
                                            "auto, cpu, cuda and cuda:K"};
    expect_error(ErrorCode::invalid_parameter, words, [&] { Index other(params, options); });
    expect_error(ErrorCode::invalid_parameter, words, [&] { index.set_runtime(options); });
  }
  RuntimeOptions absent;
  absent.device = "cuda:4096";
  expect_error(ErrorCode::unsupported, {"cuda:4096", "auto"}, [&] { Index other(params, absent); });
}

TEST(BadParameters, UnknownKernelsAreRefused) {
  const ScopedEnvironment forced("CONCORD_ISA", "nonsense");
  expect_error(ErrorCode::invalid_parameter,
               {"CONCORD_ISA=nonsense", "scalar, avx2, avx512, neon and neon-dotprod"},
               [] { Index index(make_params(3, 4, 10, 16)); });
}

TEST(BadParameters, MetricNames) {
  for (const Metric metric : kAllMetrics) EXPECT_EQ(metric_from_string(to_string(metric)), metric);
  for (const char* name : {"l2", "L2", "SqEuclidean", "L2SQ"}) {
    EXPECT_EQ(metric_from_string(name), Metric::l2sq);
  }
  for (const char* name : {"ip", "IP", "Dot"}) {
    EXPECT_EQ(metric_from_string(name), Metric::inner_product);
  }
  for (const char* name : {"angular", "cos", "COSINE"}) {
    EXPECT_EQ(metric_from_string(name), Metric::cosine);
  }
  for (const char* name : {"", "hamming", "l2 ", "Euclidean"}) {
    expect_error(ErrorCode::invalid_parameter, {"metric", "l2sq, inner_product and cosine"},
                 [&] { metric_from_string(name); });
  }
  expect_error(ErrorCode::invalid_parameter, {"euclidean", "squared distances"},
               [&] { metric_from_string("euclidean"); });
}

// ------------------------------------------------------------------------------------ refused
// input

class BadInput : public testing::TestWithParam<Metric> {
 protected:
  BadInput()
      : index_(make_params(4, 3, 20, 40, GetParam())), data_(make_data(Shape::random, 150, 4)) {
    std::vector<std::uint64_t> labels(150);
    for (std::size_t i = 0; i < 150; ++i) labels[i] = 1000 + 7 * i;
    index_.add(data_.view(), labels);
    digest_ = index_.digest();
  }

  template <class Action>
  void expect_refused(ErrorCode code, const std::vector<std::string>& words, Action&& action) {
    expect_error(code, words, action);
    EXPECT_EQ(index_.size(), 150u);
    EXPECT_EQ(index_.digest(), digest_);
    expect_sound(index_.audit());
  }
  // The index goes on as if nothing had been refused.
  void expect_unharmed() {
    const Matrix more = make_data(Shape::random, 100, 4, 9);
    Index twin(make_params(4, 3, 20, 40, GetParam()));
    std::vector<std::uint64_t> labels = index_.labels();
    twin.add(data_.view(), labels);
    for (Index* index : {&index_, &twin}) index->add(more.view());
    EXPECT_EQ(index_.digest(), twin.digest());
  }

  Index index_;
  Matrix data_;
  std::string digest_;
};

TEST_P(BadInput, VectorsThatAreNotFinite) {
  for (const float bad : {kNaN, kInfinity, -kInfinity}) {
    for (const std::size_t row : {0u, 57u, 599u}) {
      Matrix more = make_data(Shape::random, 600, 4, 3);
      more.row(row)[2] = bad;
      expect_refused(ErrorCode::invalid_vector,
                     {"vector " + std::to_string(row) + " ", "element 2", "finite"},
                     [&] { index_.add(more.view()); });
      expect_refused(ErrorCode::invalid_vector, {"query " + std::to_string(row) + " ", "finite"},
                     [&] { static_cast<void>(index_.search(more.view())); });
      expect_refused(ErrorCode::invalid_vector, {"query " + std::to_string(row) + " ", "finite"},
                     [&] { static_cast<void>(index_.exact_search(more.view(), 3)); });
    }
  }
  expect_unharmed();
}

TEST_P(BadInput, TheFirstOfSeveralBadQueriesIsNamed) {
  Matrix queries = make_data(Shape::random, 400, 4, 3);
  for (std::size_t q = 30; q < 400; ++q) queries.row(q)[0] = kNaN;
  for (int round = 0; round < 20; ++round) {
    expect_error(ErrorCode::invalid_vector, {"query 30 "},
                 [&] { static_cast<void>(index_.search(queries.view())); });
  }
}

TEST_P(BadInput, NormsThatWouldOverflow) {
  Matrix more = make_data(Shape::random, 3, 4, 3);
  std::fill(more.row(1), more.row(1) + 4, 1e19f);
  if (GetParam() == Metric::cosine) {  // normalised, so any scale will do
    Index index(make_params(4, 3, 20, 40, Metric::cosine));
    EXPECT_EQ(index.add(more.view()), 3u);
    EXPECT_NEAR(index.vector(1)[0], 0.5f, 1e-6);
    return;
  }
  expect_refused(ErrorCode::invalid_vector, {"vector 1 ", "squared norm", "scale"},
                 [&] { index_.add(more.view()); });
  expect_refused(ErrorCode::invalid_vector, {"query 1 ", "squared norm above 4.2535293e+37"},
                 [&] { static_cast<void>(index_.search(more.view())); });
  expect_unharmed();
}

// Squares of 1e-25 are no floats: all distances would be 0.
TEST_P(BadInput, NormsThatWouldUnderflow) {
  Matrix more = make_data(Shape::random, 3, 4, 3);
  for (float& x : more.values) x *= 1e-25f;
  if (GetParam() != Metric::l2sq) {  // 1 - x·y is right
    Index index(make_params(4, 3, 20, 40, GetParam()));
    EXPECT_EQ(index.add(more.view()), 3u);
    return;
  }
  std::fill(more.row(0), more.row(0) + 4, 0.0f);
  expect_refused(ErrorCode::invalid_vector, {"vector 1 ", "squared norm below 1e-30", "scale"},
                 [&] { index_.add(more.view()); });
  expect_unharmed();
  const SearchResult found = index_.search(more.view());  // as queries they are right
  EXPECT_GT(found.distances[0], 0.0f);
}

// What is not refused has the distances of the same data at another scale, to the last bit.
TEST(SmallNorms, KeepTheirDistances) {
  const Matrix data = make_data(Shape::random, 400, 8, 3);
  Matrix small = data;
  const float scale = std::ldexp(1.0f, -50);
  for (float& x : small.values) x *= scale;
  Index index(make_params(8, 4, 20, 40));
  Index other(make_params(8, 4, 20, 40));
  index.add(data.view());
  other.add(small.view());
  const SearchResult expected = index.exact_search(data.view(), 10);
  const SearchResult found = other.exact_search(small.view(), 10);
  EXPECT_EQ(found.labels, expected.labels);
  EXPECT_EQ(other.search(small.view()).labels, index.search(data.view()).labels);
  for (std::size_t i = 0; i < found.distances.size(); ++i) {
    ASSERT_EQ(found.distances[i], expected.distances[i] * scale * scale);
  }
}

TEST_P(BadInput, OtherDimensions) {
  for (const std::size_t columns : {0u, 1u, 3u, 5u, 400u}) {
    const Matrix more = make_data(Shape::random, 2, std::max<std::size_t>(1, columns), 3);
    const MatrixView<const float> view(more.values.data(), 2, columns);
    const std::vector<std::string> words = {std::to_string(columns) + " columns", "dimension 4"};
    expect_refused(ErrorCode::dimension_mismatch, words, [&] { index_.add(view); });
    expect_refused(ErrorCode::dimension_mismatch, words,
                   [&] { static_cast<void>(index_.search(view)); });
    expect_refused(ErrorCode::dimension_mismatch, words,
                   [&] { static_cast<void>(index_.exact_search(view, 1)); });
  }
  expect_refused(ErrorCode::dimension_mismatch, {"stride"}, [&] {
    index_.add({data_.values.data(), 2, 4, 3});
  });
  expect_refused(ErrorCode::dimension_mismatch, {"data"}, [&] { index_.add({nullptr, 2, 4}); });
  expect_unharmed();
}

TEST_P(BadInput, MoreRowsThanAnIndexCanNumber) {
  for (const std::size_t rows : {std::size_t{1} << 31, std::size_t{1} << 33, ~std::size_t{0} - 149,
                                 ~std::size_t{0} - 3, ~std::size_t{0}}) {
    expect_refused(ErrorCode::capacity, {"at most 2147483646"}, [&] {
      index_.add({data_.values.data(), rows, 4});
    });
  }
  expect_unharmed();
}

TEST_P(BadInput, MoreQueriesThanMemoryHoldsAnswersFor) {
#if defined(CONCORD_UNDER_ASAN) || defined(CONCORD_UNDER_TSAN)
  GTEST_SKIP() << "sanitizers end the program where operator new fails";
#endif
  for (const std::size_t rows : {std::size_t{1} << 45, ~std::size_t{0} / 8, ~std::size_t{0}}) {
    const MatrixView<const float> queries(data_.values.data(), rows, 4);
    expect_refused(ErrorCode::out_of_memory, {"smaller batches"},
                   [&] { static_cast<void>(index_.search(queries)); });
    expect_refused(ErrorCode::out_of_memory, {"smaller batches"},
                   [&] { static_cast<void>(index_.exact_search(queries, 3)); });
  }
}

TEST_P(BadInput, Labels) {
  const Matrix more = make_data(Shape::random, 5, 4, 3);
  const auto add = [&](std::vector<std::uint64_t> labels) {
    return [this, &more, labels] { index_.add(more.view(), labels); };
  };
  expect_refused(ErrorCode::duplicate_label, {"label 8", "vector 4", "twice in the call"},
                 add({5, 8, 6, 7, 8}));
  expect_refused(ErrorCode::duplicate_label, {"label 1007", "already in the index"},
                 add({5, 8, 1007, 7, 9}));
  expect_refused(ErrorCode::invalid_parameter,
                 {"vector 2", "18446744073709551615", "0 to 18446744073709551614"},
                 add({5, 8, kNoLabel, 7, kNoLabel}));
  expect_refused(ErrorCode::dimension_mismatch, {"4 labels for 5 vectors"}, add({1, 2, 3, 4}));
  expect_refused(ErrorCode::dimension_mismatch, {"0 labels for 5 vectors"}, add({}));
  expect_refused(ErrorCode::dimension_mismatch, {"6 labels for 5 vectors"},
                 add({1, 2, 3, 4, 5, 6}));
  EXPECT_FALSE(index_.contains(5));
  expect_unharmed();
}

TEST_P(BadInput, ImplicitLabelsThatExplicitOnesTook) {
  Index index(make_params(4, 3, 20, 40, GetParam()));
  index.add(data_.slice(0, 2), std::vector<std::uint64_t>{3, 70});
  const std::string digest = index.digest();
  expect_error(ErrorCode::duplicate_label, {"label 3", "already in the index"},
               [&] { index.add(data_.slice(2, 5)); });
  expect_error(ErrorCode::duplicate_label, {"automatic labels begin at 2", "from 71 on"},
               [&] { index.add(data_.slice(2, 5)); });
  EXPECT_EQ(index.digest(), digest);
  index.add(data_.slice(2, 1));  // takes label 2
  EXPECT_TRUE(index.contains(2));
}

TEST_P(BadInput, UnknownLabels) {
  for (const std::uint64_t label : {0ull, 149ull, 1001ull, ~0ull}) {
    EXPECT_FALSE(index_.contains(label));
    expect_refused(ErrorCode::unknown_label, {"no vector has label " + std::to_string(label)},
                   [&] { static_cast<void>(index_.vector(label)); });
  }
}

TEST_P(BadInput, ResultArraysOfAnotherShape) {
  std::vector<std::uint64_t> labels(100);
  std::vector<float> distances(100);
  std::vector<std::uint32_t> counts(100);
  const auto search = [&](std::size_t rows, std::size_t cols, std::size_t stride, std::size_t n) {
    return [&, rows, cols, stride, n] {
      index_.search(data_.slice(0, 3), search_params(5, 10), {labels.data(), rows, cols, stride},
                    {distances.data(), 3, 5}, std::span(counts).first(n));
    };
  };
  search(3, 5, 5, 3)();
  for (const auto& action : {search(2, 5, 5, 3), search(3, 4, 4, 3), search(3, 5, 5, 2),
                             search(3, 5, 5, 4), search(3, 5, 4, 3), search(3, 5, 0, 3)}) {
    expect_refused(ErrorCode::dimension_mismatch, {"3 rows of 5"}, action);
  }
  expect_refused(ErrorCode::dimension_mismatch, {"3 rows of 5"}, [&] {
    index_.search(data_.slice(0, 3), search_params(5, 10), {nullptr, 3, 5},
                  {distances.data(), 3, 5}, std::span(counts).first(3));
  });
  expect_refused(ErrorCode::dimension_mismatch, {"3 rows of 5"}, [&] {
    index_.search(data_.slice(0, 3), search_params(5, 10), {labels.data(), 3, 5},
                  {distances.data(), 3, 5, 2}, std::span(counts).first(3));
  });
}

INSTANTIATE_TEST_SUITE_P(Metrics, BadInput, testing::ValuesIn(kAllMetrics),
                         [](const auto& test) { return to_string(test.param); });

TEST(Errors, HaveANameForEveryCode) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::cuda); ++code) {
    EXPECT_STRNE(to_string(static_cast<ErrorCode>(code)), "unknown");
  }
  const Error error(ErrorCode::io, "text");
  EXPECT_EQ(error.code(), ErrorCode::io);
  EXPECT_STREQ(error.what(), "text");
  EXPECT_EQ(Error(error).code(), ErrorCode::io);
}

}  // namespace
}  // namespace concord::test
