// Filtered searches of a public Index against the rule written down once more (naive_filter.hpp),
// by whatever way the rule goes; and what must not change an answer.

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <map>
#include <thread>

#include "common/base/float_environment.hpp"
#include "common/index/index_access.hpp"
#include "cpu/isa.hpp"
#include "tests/support/naive_filter.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Labels = std::vector<std::uint64_t>;
using Mask = std::vector<std::uint8_t>;

Mask window(std::size_t n, std::size_t first, std::size_t last) {
  Mask mask(n);
  for (std::size_t i = 0; i < n; ++i) mask[i] = first <= i && i < last ? 1 : 0;
  return mask;
}

/// The `count` vectors that an exact search finds nearest to, or farthest from, a vector.
Mask ball(const Index& index, const Matrix& data, std::size_t center, std::size_t count) {
  const auto n = static_cast<std::uint32_t>(data.rows);
  const SearchResult by_distance = index.exact_search(data.slice(center, 1), n);
  Mask mask(n);
  for (std::size_t i = 0; i < count; ++i) mask[by_distance.labels[i]] = 1;
  return mask;
}

bool same(const SearchResult& a, const SearchResult& b) {
  return a.labels == b.labels && a.distances == b.distances && a.counts == b.counts;
}

/// Compares the searches of an index at rest, whose labels are ids, with the rule.
class Oracle {
 public:
  explicit Oracle(const Index& index)
      : index_(index),
        contents_(IndexAccess::contents(index)),
        kernels_(cpu::for_metric(cpu::kScalarKernels, index.params().metric)) {}

  void expect_the_rule(const Matrix& queries, const SearchParams& params, const Filter& filter,
                       const Mask& mask) {
    const core::FloatEnvironment environment;
    std::vector<core::NodeId> ids;
    for (core::NodeId id = 0; id < mask.size(); ++id) {
      if (mask[id] != 0) ids.push_back(id);
    }
    const core::Graph& graph = contents_.graph;
    const core::Tombstones& tombstones = graph.tombstones();
    NaiveFilter naive(graph, contents_.vectors, kernels_, ids, [&](core::NodeId id) {
      return !tombstones.any() || !tombstones.is_dead(id, graph.size());
    });
    const SearchResult found = index_.search(queries.view(), params, {.filter = &filter});
    std::vector<float> vector(contents_.vectors.stride());
    for (std::size_t q = 0; q < queries.rows; ++q) {
      contents_.vectors.prepare(queries.view().row(q), vector.data(), "query", q);
      const std::vector<core::Key> keys = naive.search(vector.data(), params);
      ASSERT_EQ(found.counts[q], keys.size()) << "query " << q;
      for (std::size_t j = 0; j < keys.size(); ++j) {
        ASSERT_EQ(core::make_key(found.distances[q * params.k + j],
                                 static_cast<core::NodeId>(found.labels[q * params.k + j])),
                  keys[j])
            << "query " << q << " place " << j << " matches " << ids.size();
      }
    }
    for (const auto& [way, count] : naive.ways) ways_[way] += count;
  }

  [[nodiscard]] std::size_t went(Way way) const {
    const auto found = ways_.find(way);
    return found == ways_.end() ? 0 : found->second;
  }

 private:
  const Index& index_;
  const core::Contents& contents_;
  const cpu::MetricKernels& kernels_;
  std::map<Way, std::size_t> ways_;
};

// Wide vectors, so that walks begin at a few hundred matches.
TEST(FilteredSearch, IsTheRuleWhicheverWayItGoes) {
  std::map<Way, std::size_t> ways;
  for (const std::uint32_t M : {4u, 16u}) {
    for (const Shape shape : {Shape::random, Shape::clustered, Shape::duplicate, Shape::u8}) {
      SCOPED_TRACE(to_string(shape) + " M " + std::to_string(M));
      const std::size_t n = scaled(2500, 1500);
      const Matrix data = make_data(shape, n, 960);
      const Matrix queries = make_data(shape, scaled(12, 2), 960, 9);
      const Index index = index_of(data, M);
      Oracle oracle(index);
      std::vector<Mask> masks;
      for (const std::size_t share : {999u, 900u, 500u, 200u, 100u, 70u}) {
        masks.push_back(random_mask(n, share, share));
      }
      masks.push_back(ball(index, data, 7, n / 10));
      masks.push_back(ball(index, data, 1400, n / 3));
      masks.push_back(window(n, 300, 700));
      for (const Mask& mask : masks) {
        const Filter filter = Filter::of_mask(index, mask);
        for (const SearchParams& params :
             {SearchParams{10, 8}, SearchParams{1, 20}, SearchParams{10, 64},
              SearchParams{5, 200, 0.1f}, SearchParams{64, 20}}) {
          oracle.expect_the_rule(queries, params, filter, mask);
        }
      }
      for (const Way way :
           {Way::scan, Way::walk, Way::costly, Way::at_this_rate, Way::fell_short}) {
        ways[way] += oracle.went(way);
      }
    }
  }
  for (const Way way : {Way::scan, Way::walk, Way::costly, Way::at_this_rate}) {
    EXPECT_GT(ways[way], full_scale() ? 20u : 0u) << static_cast<int>(way);
  }
}

TEST(FilteredSearch, IsTheRuleInAnyDimensionAndMetric) {
  for (const Metric metric : kAllMetrics) {
    for (const std::size_t dimension : {1u, 3u, 100u}) {
      SCOPED_TRACE(std::string(to_string(metric)) + " dimension " + std::to_string(dimension));
      const std::size_t n = dimension == 100 ? scaled(4000, 2500) : 20000;
      const Matrix data = make_data(Shape::random, n, dimension);
      const Matrix queries = make_data(Shape::random, scaled(8, 3), dimension, 9);
      const Index index = index_of(data, 6, metric);
      Oracle oracle(index);
      for (const std::size_t share : {990u, 850u, 40u}) {
        const Mask mask = random_mask(n, share, share);
        const Filter filter = Filter::of_mask(index, mask);
        oracle.expect_the_rule(queries, {10, 10}, filter, mask);
        if (metric != Metric::inner_product) {
          oracle.expect_the_rule(queries, {3, 300, 0.2f}, filter, mask);
        }
      }
      // Where few of the vectors differ, there are too few nodes to walk.
      EXPECT_EQ(oracle.went(Way::walk) > 0, 2 * index.stats().copies < n);
      EXPECT_GT(oracle.went(Way::scan), 0u);
    }
  }
}

// Walks by estimates, and what they find in the order of distances; scans as ever.
TEST(FilteredSearch, IsTheRuleByCodes) {
  for (const Metric metric : kAllMetrics) {
    for (const auto& [shape, codes] :
         {std::pair(Shape::random, Codes::sq8), std::pair(Shape::clustered, Codes::sq8),
          std::pair(Shape::duplicate, Codes::sq8), std::pair(Shape::u8, Codes::sq8),
          std::pair(Shape::random, Codes::sq4), std::pair(Shape::duplicate, Codes::sq4)}) {
      SCOPED_TRACE(std::string(to_string(metric)) + " " + to_string(shape) + " " +
                   to_string(codes));
      const std::size_t n = 1500;
      const Matrix data = make_data(shape, n, 300);
      const Matrix queries = make_data(shape, scaled(5, 2), 300, 9);
      IndexParams of_codes = make_params(300, 8, 40, 1024, metric);
      of_codes.codes = codes;
      Index index(of_codes, on_threads(2));
      index.add(data.view());
      Oracle oracle(index);
      for (const std::size_t share : {1000u, 900u, 400u, 40u}) {
        const Mask mask = random_mask(n, share, share);
        const Filter filter = Filter::of_mask(index, mask);
        for (const SearchParams& params :
             {SearchParams{10, 8}, SearchParams{1, 20}, SearchParams{.k = 10, .ef = 64},
              SearchParams{.k = 10, .ef = 64, .rescore = 1},
              SearchParams{.k = 10, .ef = 64, .rescore = 33},
              SearchParams{.k = 64, .ef = 20, .rescore = 500},
              SearchParams{.k = 10, .ef = 64, .use_codes = false}}) {
          oracle.expect_the_rule(queries, params, filter, mask);
        }
        if (metric != Metric::inner_product) {
          oracle.expect_the_rule(queries, {5, 200, 0.1f}, filter, mask);
        }
      }
      EXPECT_GT(oracle.went(Way::all), 0u);
      EXPECT_EQ(oracle.went(Way::walk) > 0, 2 * index.stats().copies < n);
      EXPECT_GT(oracle.went(Way::scan), 0u);
    }
  }
}

// Not a result short, not one too many; of what matches, the nearest where the rule scans.
TEST(FilteredSearch, ReturnsAsManyAsThereAre) {
  const std::size_t n = 3000;
  const Matrix data = make_data(Shape::clustered, n, 100);
  const Matrix queries = make_data(Shape::clustered, 20, 100, 9);
  const Index index = index_of(data, 4);
  for (const std::size_t matches : {0u, 1u, 2u, 9u, 10u, 11u, 1200u, 1500u, 2999u, 3000u}) {
    Mask mask(n);
    for (std::size_t i = 0; i < matches; ++i) mask[(i * 7 + 5) % n] = 1;
    const Filter filter = Filter::of_mask(index, mask);
    ASSERT_EQ(filter.matches(), matches);
    for (const std::uint32_t k : {0u, 1u, 10u, 2000u, 65536u}) {
      const SearchResult found = index.search(queries.view(), {k, 12}, {.filter = &filter});
      const auto wanted = static_cast<std::uint32_t>(std::min<std::size_t>(k, matches));
      ASSERT_EQ(found.counts, std::vector<std::uint32_t>(queries.rows, wanted));
      for (std::size_t q = 0; q < queries.rows; ++q) {
        for (std::size_t j = 0; j < wanted; ++j) ASSERT_EQ(mask[found.labels[q * k + j]], 1);
        for (std::size_t j = wanted; j < k; ++j) ASSERT_EQ(found.labels[q * k + j], kNoLabel);
      }
      const SearchResult exact = index.exact_search(queries.view(), k, {.filter = &filter});
      ASSERT_EQ(exact.counts, found.counts);
      if (matches <= 11 || (k >= 2000 && matches < n)) {
        ASSERT_TRUE(same(found, exact)) << matches << " k " << k;
      }
    }
  }
}

TEST(FilteredSearch, ExactSearchIsTheExactSearchOfAllLessWhatDoesNotMatch) {
  const std::size_t n = 1500;
  for (const Shape shape : {Shape::duplicate, Shape::u8}) {
    const Matrix data = make_data(shape, n, 24);
    const Index index = index_of(data, 8);
    const Matrix queries = make_data(shape, 37, 24, 3);
    const Mask mask = random_mask(n, 300, 5);
    const Filter filter = Filter::of_mask(index, mask);
    const SearchResult all = index.exact_search(queries.view(), n);
    const SearchResult found = index.exact_search(queries.view(), 50, {.filter = &filter});
    for (std::size_t q = 0; q < queries.rows; ++q) {
      std::size_t at = 0;
      for (std::size_t j = 0; j < n && at < 50; ++j) {
        if (mask[all.labels[q * n + j]] == 0) continue;
        ASSERT_EQ(found.labels[q * 50 + at], all.labels[q * n + j]);
        ASSERT_EQ(found.distances[q * 50 + at++], all.distances[q * n + j]);
      }
      ASSERT_EQ(found.counts[q], at);
    }
  }
}

TEST(FilteredSearch, WithAllMatchingIsTheSearchWithoutAFilter) {
  const Matrix data = make_data(Shape::clustered, 4000, 16);
  Index index = index_of(data, 6);
  const Matrix queries = make_data(Shape::clustered, 50, 16, 3);
  for (int round = 0; round < 2; ++round) {
    const Filter filter = Filter::of_range(index, 0, index.size());
    for (const SearchParams& params : {SearchParams{10, 64}, SearchParams{10, 100, 0.05f}}) {
      const auto before = index.stats().search;
      const SearchResult plain = index.search(queries.view(), params);
      const auto between = index.stats().search;
      EXPECT_TRUE(same(index.search(queries.view(), params, {.filter = &filter}), plain));
      const auto after = index.stats().search;
      EXPECT_EQ(after.distances - between.distances, between.distances - before.distances);
      EXPECT_EQ(after.hops - between.hops, between.hops - before.hops);
    }
    // Tombstones, which a filter that is made now does not match.
    if (round == 0) index.remove(Labels{5, 17, 300, 3999});
  }
}

/// Queries of many filters, and of none, in one batch.
struct Mixed {
  std::vector<Filter> filters;
  std::vector<const Filter*> of_query;

  Mixed(const Index& index, std::size_t queries) {
    const std::size_t n = index.size();
    for (const std::size_t share : {1u, 30u, 200u, 400u, 800u}) {
      filters.push_back(Filter::of_mask(index, random_mask(n, share, share)));
    }
    for (std::size_t q = 0; q < queries; ++q) {
      const std::size_t which = hash(4, q) % (filters.size() + 1);
      of_query.push_back(which < filters.size() ? &filters[which] : nullptr);
    }
  }
};

TEST(FilteredSearch, DependsOnNoThreadSplitKernelOrNeighborInTheBatch) {
  const std::size_t n = 4000;
  const Matrix data = make_data(Shape::clustered, n, 100);
  const Matrix queries = make_data(Shape::clustered, 120, 100, 3);
  SearchResult first;
  for (const std::string& isa : supported_isas()) {
    const ScopedEnvironment environment("CONCORD_ISA", isa);
    Index index = index_of(data, 8);
    const Mixed mixed(index, queries.rows);
    for (const unsigned threads : {1u, 2u, 8u}) {
      index.set_runtime(on_threads(threads));
      const SearchResult whole =
          index.search(queries.view(), {10, 12}, {.filters = mixed.of_query});
      if (first.k == 0) first = whole;
      ASSERT_TRUE(same(whole, first)) << isa << ' ' << threads << " threads";
    }
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const SearchResult alone =
          index.search(queries.slice(q, 1), {10, 12}, {.filter = mixed.of_query[q]});
      ASSERT_TRUE(std::equal(alone.labels.begin(), alone.labels.end(),
                             first.labels.begin() + static_cast<std::ptrdiff_t>(10 * q)));
      ASSERT_TRUE(std::equal(alone.distances.begin(), alone.distances.end(),
                             first.distances.begin() + static_cast<std::ptrdiff_t>(10 * q)));
    }
    const SearchResult exact = index.exact_search(queries.view(), 5, {.filters = mixed.of_query});
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const SearchResult alone =
          index.exact_search(queries.slice(q, 1), 5, {.filter = mixed.of_query[q]});
      ASSERT_TRUE(std::equal(alone.labels.begin(), alone.labels.end(),
                             exact.labels.begin() + static_cast<std::ptrdiff_t>(5 * q)));
    }
  }
}

// A filter of an index that has grown and lost vectors since: what came later does not match, what
// went is not found, and the rule counts what is left.
TEST(FilteredSearch, OfAnOlderFilterIsTheRuleForWhatIsLeftOfIt) {
  for (const bool flushed : {false, true}) {
    const std::size_t n = 3000;
    const Matrix data = make_data(Shape::clustered, n, 100);
    const Matrix queries = make_data(Shape::clustered, 15, 100, 3);
    Index index = index_of(data, 6, Metric::l2sq, 2200, 256);
    const Mask masks[] = {random_mask(2200, 900, 1), random_mask(2200, 700, 2),
                          random_mask(2200, 5, 3)};
    std::vector<Filter> filters;
    for (const Mask& mask : masks) filters.push_back(Filter::of_mask(index, mask));
    const Labels removed = {0, 7, 8, 9, 600, 1000, 1001, 2199};
    index.remove(removed);
    index.add(data.slice(2200, 500));
    index.remove(Labels{2201, 2, 11});
    if (flushed) index.flush();
    Oracle oracle(index);
    for (std::size_t f = 0; f < filters.size(); ++f) {
      ASSERT_EQ(filters[f].size(), 2200u);
      oracle.expect_the_rule(queries, {10, 12}, filters[f], masks[f]);
      oracle.expect_the_rule(queries, {10, 64, 0.1f}, filters[f], masks[f]);
      oracle.expect_the_rule(queries, {3000, 12}, filters[f], masks[f]);
    }
    EXPECT_GT(oracle.went(Way::walk), 0u);
    EXPECT_GT(oracle.went(Way::scan), 0u);
  }
}

TEST(FilteredSearch, FindsNothingWhereAllMatchesAreGone) {
  const Matrix data = make_data(Shape::random, 500, 8);
  Index index = index_of(data, 6);
  const Filter five = Filter::of_labels(index, Labels{1, 2, 3, 4, 5});
  const Filter all = Filter::of_range(index, 0, 500);
  index.remove(Labels{1, 3, 5});
  index.update(data.slice(0, 1), Labels{2});  // a new vector, which the filter has not seen
  EXPECT_EQ(index.search(data.slice(0, 1), {10, 64}, {.filter = &five}).counts[0], 1u);
  EXPECT_EQ(index.search(data.slice(0, 1), {600, 64}, {.filter = &all}).counts[0], 496u);
  index.remove(Labels{4});
  EXPECT_EQ(index.search(data.slice(0, 1), {10, 64}, {.filter = &five}).counts[0], 0u);
  EXPECT_EQ(index.exact_search(data.slice(0, 1), 10, {.filter = &five}).counts[0], 0u);
  EXPECT_EQ(five.matches(), 5u);
}

TEST(FilteredSearch, OfAMappedAndALoadedIndexIsThatOfTheSaved) {
  const std::size_t n = 2500;
  const Matrix data = make_data(Shape::clustered, n, 100);
  const Matrix queries = make_data(Shape::clustered, 30, 100, 3);
  const TempPath path("index");
  Labels labels;
  Index index(make_params(100, 8, 40, 256), on_threads(2));
  for (std::uint64_t i = 0; i < n; ++i) labels.push_back(5 * i + 1);
  index.add(data.view(), labels);
  const Mask mask = random_mask(n, 700, 3);
  const Filter filter = Filter::of_mask(index, mask);
  const SearchResult found = index.search(queries.view(), {10, 12}, {.filter = &filter});
  index.save(path);
  const Index mapped = Index::map(path, MapCheck::on_first_use, on_threads(2));
  const Index loaded = Index::load(path, on_threads(1));
  for (const Index* other : {&mapped, &loaded}) {
    const Filter there =
        Filter::of_predicate(*other, [&](std::uint64_t label) { return mask[label / 5] != 0; });
    EXPECT_TRUE(same(other->search(queries.view(), {10, 12}, {.filter = &there}), found));
  }
}

// All matches are in the open epoch, whose lists are over-full.
TEST(FilteredSearch, OfTheNewestVectorsIsTheRule) {
  const std::size_t n = 2600;
  const Matrix data = make_data(Shape::clustered, n, 100);
  const Matrix queries = make_data(Shape::clustered, 15, 100, 3);
  Index index = index_of(data, 6, Metric::l2sq, n, 2048);
  Oracle oracle(index);
  for (const std::size_t first : {n - 500, n - 2200}) {
    const Filter filter = Filter::of_range(index, first, n);
    oracle.expect_the_rule(queries, {10, 12}, filter, window(n, first, n));
  }
  EXPECT_GT(oracle.went(Way::walk), 0u);
}

// A filter's answer beside a writer is complete at every moment, and of its snapshot.
TEST(FilteredSearch, BesideAWriterAlwaysFindsAllThatItShould) {
  const std::size_t n = scaled(9000, 3000);
  const std::size_t before = 1600;
  const Matrix data = make_data(Shape::clustered, n, 100);
  const Matrix queries = make_data(Shape::clustered, 8, 100, 3);
  Index index = index_of(data, 5, Metric::l2sq, before, 128);
  const std::vector<Filter> filters = {Filter::of_mask(index, random_mask(before, 900, 1)),
                                       Filter::of_mask(index, random_mask(before, 10, 2)),
                                       Filter::of_range(index, 0, before)};
  std::atomic<bool> is_done{false};
  std::vector<std::thread> readers;
  for (unsigned r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      do {
        for (const Filter& filter : filters) {
          const SearchResult found = index.search(queries.view(), {1500, 20}, {.filter = &filter});
          const auto wanted =
              static_cast<std::uint32_t>(std::min<std::size_t>(1500, filter.matches()));
          for (const std::uint32_t count : found.counts) {
            ASSERT_LE(count, wanted);
            ASSERT_GE(count + 60, wanted);  // the writer removes no more of them
          }
          for (const std::uint64_t label : found.labels) {
            ASSERT_TRUE(label == kNoLabel || label < before) << label;
          }
          const Filter now = Filter::of_range(index, 100, 200);
          ASSERT_LE((now & filter).size(), filter.size());
        }
      } while (!is_done);
    });
  }
  for (std::size_t at = before; at < n; at += 50) {
    index.add(data.slice(at, std::min<std::size_t>(50, n - at)));
    if (at % 500 == 100) index.remove(Labels{at / 10, at + 1});
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
}

// One number for the answers of all ways, in the tree: a change of the rule is seen, and is seen to
// be one on every machine.
TEST(FilteredSearch, AnswersAreThoseInTheTree) {
  std::uint64_t digest = 0;
  for (const Shape shape : {Shape::clustered, Shape::u8}) {
    const std::size_t n = 3000;
    const Matrix data = make_data(shape, n, 100);
    const Matrix queries = make_data(shape, 40, 100, 3);
    const Index index = index_of(data, 8);
    for (const std::size_t share : {950u, 700u, 450u, 20u}) {
      const Filter filter = Filter::of_mask(index, random_mask(n, share, share));
      for (const SearchParams& params : {SearchParams{10, 12}, SearchParams{2, 100, 0.1f}}) {
        const SearchResult found = index.search(queries.view(), params, {.filter = &filter});
        for (const std::uint64_t label : found.labels) digest = hash(digest, label);
      }
    }
  }
  EXPECT_EQ(digest, 12087626695459611649u);
}

}  // namespace
}  // namespace concord::test
