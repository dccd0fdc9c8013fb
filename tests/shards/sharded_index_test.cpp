// A ShardedIndex is what one Index is: exact_search to the last bit, every shard by its digest.

#include <algorithm>
#include <numeric>
#include <tuple>

#include "tests/shards/sharded_world.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 5;

IndexParams small(Metric metric = Metric::l2sq) {
  return make_params(kDimension, 4, 20, 8, metric);
}

struct Case {
  Shape shape;
  Metric metric;
  ShardParams shards;
  bool labelled;
};

void expect_one_index(const Case& c, std::size_t n) {
  SCOPED_TRACE(testing::Message() << to_string(c.shape) << ", " << to_string(c.metric) << ", "
                                  << c.shards.shards << " shards, block " << c.shards.block
                                  << ", n " << n << (c.labelled ? ", labelled" : ""));
  const Matrix data = make_data(c.shape, n, kDimension);
  const Matrix queries = make_data(c.shape, 9, kDimension, 2);
  const std::vector<std::uint64_t> labels =
      c.labelled ? permuted_labels(n) : std::vector<std::uint64_t>();
  Index one(small(c.metric), on_cpu());
  ShardedIndex sharded(small(c.metric), c.shards, {on_cpu(), {}});
  if (c.labelled) {
    one.add(data.view(), labels);
    EXPECT_EQ(sharded.add(data.view(), labels), n);
  } else {
    one.add(data.view());
    EXPECT_EQ(sharded.add(data.view()), n);
  }
  EXPECT_EQ(sharded.labels(), one.labels());
  EXPECT_EQ(sharded.resume_at(), n);
  for (const std::uint32_t k : {0U, 1U, 3U, 10U, static_cast<std::uint32_t>(n + 3)}) {
    expect_equal(sharded.exact_search(queries.view(), k), one.exact_search(queries.view(), k));
    // With ef ≥ n a search finds what is there.
    const SearchParams all{k, static_cast<std::uint32_t>(n + 3)};
    expect_equal(sharded.search(queries.view(), all), one.exact_search(queries.view(), k));
  }
  expect_sound(sharded.audit());
}

TEST(ShardedIndex, ExactSearchIsThatOfOneIndex) {
  for (const Shape shape : {Shape::random, Shape::duplicate, Shape::constant, Shape::u8}) {
    for (const Metric metric : kAllMetrics) {
      for (const std::uint32_t shards : {2U, 3U, 8U}) {
        for (const std::uint32_t block : {1U, 7U}) {
          for (const bool labelled : {false, true}) {
            expect_one_index({shape, metric, {shards, block}, labelled}, 150);
          }
        }
      }
    }
  }
}

TEST(ShardedIndex, HoldsFewerVectorsThanShardsAndThoseAroundTheBlocks) {
  for (std::uint32_t shards = 1; shards <= 5; ++shards) {
    for (const std::uint32_t block : {1U, 2U, 4U}) {
      for (std::size_t n = 0; n <= 5; ++n) {
        expect_one_index({Shape::random, Metric::l2sq, {shards, block}, false}, n);
      }
      for (const std::size_t n : {shards * block - 1, shards * block, shards * block + 1}) {
        expect_one_index({Shape::duplicate, Metric::l2sq, {shards, block}, n > 2}, n);
      }
    }
  }
}

TEST(ShardedIndex, AShardIsTheIndexOfItsVectors) {
  for (const ShardParams shards : {ShardParams{1, 1}, {2, 1}, {3, 7}, {5, 64}}) {
    const Matrix data = make_data(Shape::clustered, 700, kDimension);
    ShardedIndex index(small(), shards, {on_cpu(3), {}});
    index.add(data.view());
    expect_lone_shards(index, data, data.rows);
  }
}

TEST(ShardedIndex, OneShardIsAnIndex) {
  const Matrix data = make_data(Shape::random, 300, kDimension);
  Index one(small(), on_cpu());
  ShardedIndex sharded(small(), {}, {on_cpu(), {}});
  one.add(data.view());
  sharded.add(data.view());
  EXPECT_EQ(sharded.shard(0).digest(), one.digest());
  expect_equal(sharded.search(data.slice(0, 20)), one.search(data.slice(0, 20)));
}

// Whatever splits the calls or shares the work.
TEST(ShardedIndex, DigestDependsOnNeitherThreadsNorCalls) {
  const Matrix data = make_data(Shape::random, 3000, kDimension);
  std::vector<std::string> digests;
  for (const unsigned threads : {1U, 2U, 5U}) {
    for (const std::size_t step : {std::size_t{3000}, std::size_t{777}, std::size_t{13}}) {
      ShardedIndex index(make_params(kDimension, 4, 20, 64), {3, 2}, {on_cpu(threads), {}});
      for (std::size_t first = 0; first < data.rows; first += step) {
        index.add(data.slice(first, std::min(step, data.rows - first)));
      }
      digests.push_back(index.digest());
      EXPECT_EQ(digests.back(), digests.front()) << threads << " threads, " << step << " a call";
    }
  }
}

TEST(ShardedIndex, DigestTellsLayoutsApart) {
  const auto digest = [](const ShardParams& shards) {
    return ShardedIndex(small(), shards, {on_cpu(), {}}).digest();
  };
  EXPECT_NE(digest({1, 1}), digest({2, 1}));
  EXPECT_NE(digest({2, 1}), digest({2, 2}));
  EXPECT_EQ(digest({2, 1}), digest({2, 1}));
}

// What each shard finds alone, sorted: nothing of the library's merge.
TEST(ShardedIndex, SearchMergesWhatTheShardsFind) {
  const std::size_t n = 2000;
  const Matrix data = make_data(Shape::duplicate, n, kDimension);
  const Matrix queries = make_data(Shape::clustered, 70, kDimension, 3);
  for (const unsigned threads : {1U, 3U}) {
    ShardedIndex index(small(), {3, 5}, {on_cpu(threads), {}});
    index.add(data.view());
    for (const SearchParams& how :
         {SearchParams{7, 7}, SearchParams{10, 40}, SearchParams{3, 64, 0.1F}}) {
      const SearchResult found = index.search(queries.view(), how);
      std::vector<SearchResult> of;
      for (std::uint32_t s = 0; s < 3; ++s)
        of.push_back(index.shard(s).search(queries.view(), how));
      for (std::size_t q = 0; q < queries.rows; ++q) {
        std::vector<std::pair<float, std::uint64_t>> all;  // labels are positions
        for (const SearchResult& r : of) {
          for (std::uint32_t j = 0; j < r.counts[q]; ++j) {
            all.emplace_back(r.distances[q * how.k + j], r.labels[q * how.k + j]);
          }
        }
        std::sort(all.begin(), all.end());
        ASSERT_EQ(found.counts[q], std::min<std::size_t>(how.k, all.size()));
        for (std::uint32_t j = 0; j < found.counts[q]; ++j) {
          EXPECT_EQ(found.labels[q * how.k + j], all[j].second);
          EXPECT_EQ(found.distances[q * how.k + j], all[j].first);
        }
      }
    }
  }
}

TEST(ShardedIndex, AnswersToASingleQueryAndToMany) {
  const Matrix data = make_data(Shape::random, 900, kDimension);
  ShardedIndex index(small(), {4, 1}, {on_cpu(2), {}});
  index.add(data.view());
  const SearchResult all = index.search(data.view());
  for (const std::size_t q : {std::size_t{0}, std::size_t{450}, std::size_t{899}}) {
    const SearchResult one = index.search(data.slice(q, 1));
    EXPECT_TRUE(std::equal(one.labels.begin(), one.labels.end(),
                           all.labels.begin() + static_cast<std::ptrdiff_t>(q * all.k)));
  }
}

TEST(ShardedIndex, FindsVectorsByLabel) {
  const Matrix data = make_data(Shape::random, 30, kDimension);
  const std::vector<std::uint64_t> labels = permuted_labels(30);
  ShardedIndex index(small(), {4, 3}, {on_cpu(), {}});
  index.add(data.view(), labels);
  for (std::size_t i = 0; i < 30; ++i) {
    ASSERT_TRUE(index.contains(labels[i]));
    const std::vector<float> vector = index.vector(labels[i]);
    EXPECT_TRUE(std::equal(vector.begin(), vector.end(), data.row(i)));
  }
  EXPECT_FALSE(index.contains(4));
  expect_error(ErrorCode::unknown_label, {"4"}, [&] { (void)index.vector(4); });
}

TEST(ShardedIndex, SumsFiguresAndCountsAQueryOnce) {
  const Matrix data = make_data(Shape::random, 500, kDimension);
  ShardedIndex index(small(), {3, 1}, {on_cpu(2), {}});
  index.add(data.view());
  (void)index.search(data.slice(0, 40));
  const Stats stats = index.stats();
  EXPECT_EQ(stats.size, 500U);
  EXPECT_EQ(stats.search.queries, 40U);
  EXPECT_EQ(stats.build.commit.count, 500U);
  EXPECT_EQ(stats.threads, 2U);
  EXPECT_EQ(stats.device.name, "cpu");
  EXPECT_EQ(
      std::accumulate(stats.level_histogram.begin(), stats.level_histogram.end(), std::uint64_t{0}),
      500U);
  std::uint64_t distances = 0;
  std::uint64_t bytes = 0;
  for (std::uint32_t s = 0; s < 3; ++s) {
    distances += index.shard(s).stats().search.distances;
    bytes += index.shard(s).memory().total();
  }
  EXPECT_GT(distances, 0U);
  EXPECT_EQ(stats.search.distances, distances);
  EXPECT_EQ(index.memory().total(), bytes);
  EXPECT_EQ(index.audit().nodes, 500U);
}

TEST(ShardedIndex, RefusesWhatIsOutOfRange) {
  expect_error(ErrorCode::invalid_parameter, {"shards is 0", "1024"}, [] {
    ShardedIndex(small(), {0, 1}, {on_cpu(), {}});
  });
  expect_error(ErrorCode::invalid_parameter, {"shards is 1025"}, [] {
    ShardedIndex(small(), {1025, 1}, {on_cpu(), {}});
  });
  expect_error(ErrorCode::invalid_parameter, {"block is 0"}, [] {
    ShardedIndex(small(), {1, 0}, {on_cpu(), {}});
  });
  expect_error(ErrorCode::invalid_parameter, {"threads"}, [] {
    ShardedIndex(small(), {2, 1}, {on_cpu(1025), {}});
  });
  ShardedIndex index(small(), {2, 1}, {on_cpu(), {}});
  expect_error(ErrorCode::invalid_parameter, {"no shard 2"}, [&] { (void)index.shard(2); });
  const Matrix data = make_data(Shape::random, 40, kDimension);
  index.add(data.view());
  expect_error(ErrorCode::invalid_parameter, {"k is 65537"}, [&] {
    (void)index.search(data.view(), {65537, 64});
  });
  expect_error(ErrorCode::invalid_parameter, {"k is 65537"},
               [&] { (void)index.exact_search(data.view(), 65537); });
  expect_error(ErrorCode::dimension_mismatch, {"queries have 4 columns"}, [&] {
    (void)index.search({data.values.data(), 2, 4});
  });
  Matrix bad = data;
  bad.row(33)[2] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorCode::invalid_vector, {"query 33"}, [&] { (void)index.search(bad.view()); });
  expect_error(ErrorCode::invalid_vector, {"query 33"},
               [&] { (void)index.exact_search(bad.view(), 3); });
}

TEST(ShardedIndex, RuntimeChangesNoResultAndNothingIfRefused) {
  const Matrix data = make_data(Shape::random, 600, kDimension);
  ShardedIndex index(small(), {3, 1}, {on_cpu(1), {}});
  index.add(data.slice(0, 300));
  index.set_runtime({on_cpu(3), {"cpu", "cpu"}});
  EXPECT_EQ(index.stats().threads, 3U);
  expect_error(ErrorCode::invalid_parameter, {"nonsense"}, [&] {
    index.set_runtime({on_cpu(2), {"cpu", "cpu", "nonsense"}});
  });
  EXPECT_EQ(index.stats().threads, 3U);
  index.add(data.slice(300, 300));
  expect_lone_shards(index, data, 600);
}

TEST(ShardedIndex, MovesAndIsAssigned) {
  const Matrix data = make_data(Shape::random, 50, kDimension);
  ShardedIndex a(small(), {2, 1}, {on_cpu(), {}});
  a.add(data.view());
  const std::string digest = a.digest();
  ShardedIndex b(std::move(a));
  EXPECT_EQ(b.digest(), digest);
  ShardedIndex c(small(), {5, 1}, {on_cpu(), {}});
  c = std::move(b);
  EXPECT_EQ(c.digest(), digest);
  EXPECT_EQ(c.shards(), 2U);
}

}  // namespace
}  // namespace concord::test
