// Searches with groups of a public Index against their definition, written down once more, and what
// must not change an answer.

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <map>
#include <set>
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
using GroupKeys = std::vector<std::uint64_t>;  ///< of each id

GroupKeys random_groups(std::size_t n, std::size_t count) {
  GroupKeys keys(n);
  for (std::size_t i = 0; i < n; ++i) keys[i] = 1000 + hash(8, i) % count;
  return keys;
}

/// One group has nearly all, the others one vector each.
GroupKeys one_large_group(std::size_t n) {
  GroupKeys keys(n, 5);
  for (std::size_t i = 0; i < n; i += 97) keys[i] = ~i;
  return keys;
}

/// `keys` are of nodes, each with what it stands for.
std::vector<core::Key> pick(const std::vector<std::vector<core::Key>>& keys,
                            const GroupKeys& groups, std::size_t k, std::size_t hits,
                            std::size_t half, std::size_t& groups_in_half) {
  std::map<std::uint64_t, std::size_t> taken;
  std::vector<core::Key> picked;
  groups_in_half = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (const core::Key key : keys[i]) {
      const core::NodeId id = core::key_id(key);
      if (id < groups.size() && (taken.contains(groups[id]) || taken.size() < k)) {
        if (taken[groups[id]]++ < hits) picked.push_back(key);
      }
    }
    if (i < half) groups_in_half = taken.size();
  }
  return picked;
}

/// The definition. Counts in `searches` how often a list was enough.
std::vector<core::Key> by_definition(NaiveFilter& naive, const float* vector,
                                     const SearchParams& params, const GroupKeys& groups,
                                     std::size_t hits, std::size_t& searches) {
  const std::size_t count = std::set<std::uint64_t>(groups.begin(), groups.end()).size();
  std::size_t in_half = 0;
  for (std::uint32_t ef = std::max(params.ef, params.k); ef <= naive.matches() / 16; ef *= 2) {
    std::vector<std::vector<core::Key>> list;
    for (const core::Key node : naive.search_nodes(vector, {ef, ef})) {
      list.push_back(naive.expanded({node}));
    }
    if (naive.has_scanned()) break;
    const auto picked = pick(list, groups, params.k, hits, ef / 2, in_half);
    if (in_half < std::min<std::size_t>(params.k, count)) continue;
    ++searches;
    return picked;
  }
  return pick({naive.all(vector)}, groups, params.k, hits, 0, in_half);
}

/// Compares an index at rest, whose labels are ids, with the definition.
class Oracle {
 public:
  explicit Oracle(const Index& index)
      : index_(index),
        contents_(IndexAccess::contents(index)),
        kernels_(cpu::for_metric(cpu::kScalarKernels, index.params().metric)) {}

  void expect_the_definition(const Matrix& queries, const GroupKeys& keys, const Groups& groups,
                             const Filter* filter = nullptr,
                             const std::vector<std::uint8_t>& mask = {}) {
    const core::FloatEnvironment environment;
    const core::Graph& graph = contents_.graph;
    const auto alive = [&](core::NodeId id) {
      return !graph.tombstones().any() || !graph.tombstones().is_dead(id, graph.size());
    };
    std::vector<core::NodeId> ids;
    const std::size_t end = filter == nullptr ? graph.size() : mask.size();
    for (core::NodeId id = 0; id < end; ++id) {
      if (filter == nullptr || mask[id] != 0) ids.push_back(id);
    }
    NaiveFilter naive(graph, contents_.vectors, kernels_, ids, alive);
    for (const SearchParams& params : {SearchParams{5, 8}, SearchParams{1, 3}, SearchParams{20, 10},
                                       SearchParams{700, 10}, SearchParams{0, 10}}) {
      for (const std::uint32_t hits : {1u, 3u, 90u}) {
        const SearchOptions options{.filter = filter, .groups = &groups, .group_hits = hits};
        compare(naive, queries, params, options, keys);
      }
    }
  }

  std::size_t searches = 0;  ///< answers that needed no scan

 private:
  void compare(NaiveFilter& naive, const Matrix& queries, const SearchParams& params,
               const SearchOptions& options, const GroupKeys& keys) {
    SCOPED_TRACE("k " + std::to_string(params.k) + " hits " + std::to_string(options.group_hits));
    const SearchResult found = index_.search(queries.view(), params, options);
    ASSERT_EQ(found.k, params.k * options.group_hits);
    std::vector<float> vector(contents_.vectors.stride());
    for (std::size_t q = 0; q < queries.rows; ++q) {
      contents_.vectors.prepare(queries.view().row(q), vector.data(), "query", q);
      const std::vector<core::Key> wanted =
          by_definition(naive, vector.data(), params, keys, options.group_hits, searches);
      ASSERT_EQ(found.counts[q], wanted.size()) << "query " << q;
      for (std::size_t j = 0; j < wanted.size(); ++j) {
        const std::size_t at = q * found.k + j;
        ASSERT_EQ(core::make_key(found.distances[at], static_cast<core::NodeId>(found.labels[at])),
                  wanted[j])
            << "query " << q << " place " << j;
      }
    }
  }

  const Index& index_;
  const core::Contents& contents_;
  const cpu::MetricKernels& kernels_;
};

TEST(GroupSearch, IsTheDefinition) {
  for (const Shape shape : {Shape::random, Shape::clustered, Shape::duplicate, Shape::u8}) {
    SCOPED_TRACE(to_string(shape));
    const std::size_t n = scaled(1500, 800);
    const Matrix data = make_data(shape, n, 24);
    const Matrix queries = make_data(shape, 4, 24, 9);
    const Index index = index_of(data, 8, Metric::l2sq, data.rows, 256);
    Oracle oracle(index);
    for (const GroupKeys& keys : {random_groups(n, 300), random_groups(n, 20), random_groups(n, 2),
                                  one_large_group(n), GroupKeys(n, 7)}) {
      oracle.expect_the_definition(queries, keys, Groups::of_keys(index, keys));
    }
    EXPECT_GT(oracle.searches, 40u);
  }
}

TEST(GroupSearch, WithFiltersAndRemovalsIsTheDefinition) {
  const std::size_t n = 1600;
  const Matrix data = make_data(Shape::clustered, n + 300, 960);
  const Matrix queries = make_data(Shape::clustered, 3, 960, 9);
  Index index = index_of(data, 8, Metric::l2sq, n, 256);
  const GroupKeys keys = random_groups(n, 60);
  const Groups groups = Groups::of_keys(index, keys);
  std::vector<std::uint8_t> mask(n);
  for (std::size_t i = 0; i < n; ++i) mask[i] = hash(4, i) % 10 < 6 ? 1 : 0;
  const Filter filter = Filter::of_mask(index, mask);
  for (const bool has_changed : {false, true}) {
    if (has_changed) {  // later vectors have no group, removed ones are not found
      index.add(data.slice(n, 300));
      index.remove(Labels{0, 1, 2, 3, 500, 501, 1599, 1700});
    }
    Oracle oracle(index);
    oracle.expect_the_definition(queries, keys, groups);
    oracle.expect_the_definition(queries, keys, groups, &filter, mask);
    EXPECT_GT(oracle.searches, 10u);
  }
  EXPECT_EQ(groups.size(), n);
  EXPECT_EQ(groups.count(), 60u);
  EXPECT_GE(groups.bytes(), 4 * n);
}

// Whatever is asked: as many groups as there are, no more vectors of each than asked for.
// Nodes slide when the vectors are flushed, so ids change. The groups stay with the vectors.
TEST(GroupSearch, GoesOnOverSlides) {
  const std::size_t n = 3000;
  const Matrix data = make_data(Shape::clustered, n + 500, 24);
  const Matrix queries = make_data(Shape::clustered, 6, 24, 5);
  const GroupKeys keys = random_groups(n, 90);
  Index index = index_of(data, 8, Metric::l2sq, n, 256);
  const Groups groups = Groups::of_keys(index, keys);
  const auto mask = random_mask(n, 700, 3);
  const Filter filter = Filter::of_mask(index, mask);
  const std::uint64_t slides = IndexAccess::contents(index).graph.slides();
  for (const std::uint64_t round : {0u, 1u, 2u}) {
    Labels removed;
    for (std::uint64_t label = round; label < n; label += 5) removed.push_back(label);
    index.remove(removed);
    index.add(data.slice(n + 100 * round, 100));
    index.flush();
    ASSERT_EQ(IndexAccess::contents(index).graph.slides(), slides + round + 1);
    for (const Filter* of : {static_cast<const Filter*>(nullptr), &filter}) {
      const auto size = static_cast<std::uint32_t>(index.size());
      const SearchResult all = index.exact_search(queries.view(), size, {.filter = of});
      const SearchResult found = index.exact_search(
          queries.view(), 10, {.filter = of, .groups = &groups, .group_hits = 2});
      const SearchResult walked = index.search(queries.view(), {10, 64},
                                               {.filter = of, .groups = &groups, .group_hits = 2});
      for (std::size_t q = 0; q < queries.rows; ++q) {
        std::map<std::uint64_t, std::size_t> taken;
        Labels wanted;
        for (std::size_t i = 0; i < all.counts[q]; ++i) {
          const std::uint64_t label = all.labels[q * size + i];
          if (label >= n) continue;  // it came later, and has no group
          if (!taken.contains(keys[label]) && taken.size() == 10) continue;
          if (taken[keys[label]]++ < 2) wanted.push_back(label);
        }
        const auto row = found.labels.begin() + static_cast<std::ptrdiff_t>(q * 20);
        ASSERT_EQ(Labels(row, row + found.counts[q]), wanted) << "query " << q;
        std::set<std::uint64_t> of_walk;
        for (std::size_t i = 0; i < walked.counts[q]; ++i) {
          of_walk.insert(keys.at(walked.labels[q * 20 + i]));
        }
        EXPECT_EQ(of_walk.size(), 10u);
      }
    }
  }
}

// Named after what a reviewer found: queries behind one that was searched got its hits where the
// last vector was removed between the two.
TEST(GroupSearch, OfQueriesWhoseVectorsAreRemovedMeanwhileGivesNoOthers) {
  const Matrix data = make_data(Shape::random, 40, 8);
  const Matrix queries = make_data(Shape::random, 3000, 8, 5);
  for (int round = 0; round < 20; ++round) {
    Index index = index_of(data, 8, Metric::l2sq, data.rows, 256);
    const Groups groups = Groups::of_keys(index, GroupKeys(40, 1));
    const Labels all = index.labels();
    std::atomic<bool> done{false};
    std::thread writer([&] {
      index.remove(all);
      done = true;
    });
    do {
      const SearchResult found = index.search(queries.view(), {1, 1}, {.groups = &groups});
      for (std::size_t q = 0; q < queries.rows; ++q) {
        if (found.counts[q] == 0) continue;
        float distance = 0;
        const float* const row = data.row(found.labels[q]);
        for (std::size_t i = 0; i < 8; ++i) {
          distance += (row[i] - queries.row(q)[i]) * (row[i] - queries.row(q)[i]);
        }
        ASSERT_NEAR(found.distances[q], distance, 1e-3 * distance) << "query " << q;
      }
    } while (!done);
    writer.join();
  }
}

TEST(GroupSearch, ReturnsAsManyGroupsAsThereAre) {
  const std::size_t n = 2000;
  const Matrix data = make_data(Shape::clustered, n, 16);
  const Matrix queries = make_data(Shape::clustered, 10, 16, 3);
  const Index index = index_of(data, 6, Metric::l2sq, data.rows, 256);
  for (const std::size_t count : {1u, 2u, 9u, 10u, 11u, 2000u}) {
    const GroupKeys keys = random_groups(n, count);
    const std::size_t there = std::set<std::uint64_t>(keys.begin(), keys.end()).size();
    const Groups groups = Groups::of_keys(index, keys);
    ASSERT_EQ(groups.count(), there);
    for (const std::uint32_t k : {1u, 10u, 3000u}) {
      for (const std::uint32_t hits : {1u, 4u}) {
        const SearchOptions options{.groups = &groups, .group_hits = hits};
        const SearchResult found = index.search(queries.view(), {k, 20}, options);
        const SearchResult exact = index.exact_search(queries.view(), k, options);
        for (std::size_t q = 0; q < queries.rows; ++q) {
          std::map<std::uint64_t, std::size_t> counts;
          for (std::size_t j = 0; j < found.counts[q]; ++j) {
            ++counts[keys[found.labels[q * found.k + j]]];
          }
          ASSERT_EQ(counts.size(), std::min<std::size_t>(k, there));
          for (const auto& [key, of_group] : counts) ASSERT_LE(of_group, hits);
          ASSERT_LE(found.counts[q], exact.counts[q]);
        }
      }
    }
  }
}

TEST(GroupSearch, DependsOnNoThreadSplitOrKernel) {
  const std::size_t n = 3000;
  const Matrix data = make_data(Shape::clustered, n, 32);
  const Matrix queries = make_data(Shape::clustered, 60, 32, 3);
  SearchResult first;
  for (const std::string& isa : supported_isas()) {
    const ScopedEnvironment environment("CONCORD_ISA", isa);
    Index index = index_of(data, 8, Metric::l2sq, data.rows, 256);
    const Groups groups = Groups::of_keys(index, random_groups(n, 90));
    const SearchOptions options{.groups = &groups, .group_hits = 2};
    for (const unsigned threads : {1u, 2u, 8u}) {
      index.set_runtime(on_threads(threads));
      const SearchResult whole = index.search(queries.view(), {10, 24}, options);
      if (first.k == 0) first = whole;
      ASSERT_EQ(whole.labels, first.labels) << isa << threads;
      ASSERT_EQ(whole.distances, first.distances);
    }
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const SearchResult alone = index.search(queries.slice(q, 1), {10, 24}, options);
      ASSERT_TRUE(std::equal(alone.labels.begin(), alone.labels.end(),
                             first.labels.begin() + static_cast<std::ptrdiff_t>(20 * q)));
    }
  }
}

TEST(GroupSearch, OfFewAndOfNoVectors) {
  const Matrix data = make_data(Shape::random, 5, 3);
  for (std::size_t n = 0; n <= 5; ++n) {
    const Index index = index_of(data, 4, Metric::l2sq, n, 256);
    GroupKeys keys(n);
    for (std::size_t i = 0; i < n; ++i) keys[i] = i / 2;
    const Groups groups = Groups::of_keys(index, keys);
    const SearchResult found = index.search(data.view(), {10, 64}, {.groups = &groups});
    EXPECT_EQ(found.counts, std::vector<std::uint32_t>(5, static_cast<std::uint32_t>((n + 1) / 2)));
  }
}

TEST(GroupSearch, RefusesWhatItCannotDo) {
  const Matrix data = make_data(Shape::random, 300, 4);
  const Index index = index_of(data, 4, Metric::l2sq, data.rows, 256);
  const Index other = index_of(data, 4, Metric::l2sq, data.rows, 256);
  const std::string digest = index.digest();
  Groups groups = Groups::of_keys(index, GroupKeys(300, 1));
  const Groups foreign = Groups::of_keys(other, GroupKeys(300, 1));
  const auto query = data.slice(0, 1);
  const auto refuses = [&](const std::vector<std::string>& words, const SearchParams& params,
                           const SearchOptions& options) {
    expect_error(ErrorCode::invalid_parameter, words,
                 [&] { (void)index.search(query, params, options); });
  };
  refuses({"another index"}, {}, {.groups = &foreign});
  refuses({"group_hits is 0", "1 to 65536"}, {}, {.groups = &groups, .group_hits = 0});
  refuses({"products to 65536"}, {.k = 256}, {.groups = &groups, .group_hits = 257});
  refuses({"slack is 0.1", "infinity"}, {10, 64, 0.1f}, {.groups = &groups});
  expect_error(ErrorCode::invalid_parameter, {"takes no groups"},
               [&] { (void)index.range_search(query, 1.0f, {}, {.groups = &groups}); });
  expect_error(ErrorCode::invalid_parameter, {"299", "300"},
               [&] { (void)Groups::of_keys(index, GroupKeys(299)); });
  const Groups moved = std::move(groups);
  refuses({"moved from"}, {}, {.groups = &groups});
  EXPECT_EQ(moved.size(), 300u);
  EXPECT_EQ(index.digest(), digest);
}

TEST(GroupSearch, BesideAWriterIsOfItsGroups) {
  const std::size_t before = 1600;
  const std::size_t n = scaled(5000, 2500);
  const Matrix data = make_data(Shape::clustered, n, 16);
  const Matrix queries = make_data(Shape::clustered, 6, 16, 3);
  Index index = index_of(data, 5, Metric::l2sq, before, 256);
  const GroupKeys keys = random_groups(before, 40);
  const Groups groups = Groups::of_keys(index, keys);
  std::atomic<bool> is_done{false};
  std::vector<std::thread> readers;
  for (unsigned r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      do {
        for (const std::uint32_t k : {5u, 40u}) {
          const SearchResult found = index.search(queries.view(), {k, 10}, {.groups = &groups});
          for (std::size_t q = 0; q < queries.rows; ++q) {
            std::set<std::uint64_t> met;
            for (std::size_t j = 0; j < found.counts[q]; ++j) {
              const std::uint64_t label = found.labels[q * k + j];
              ASSERT_LT(label, before);
              ASSERT_TRUE(met.insert(keys[label]).second);
            }
            ASSERT_EQ(met.size(), k);
          }
        }
      } while (!is_done);
    });
  }
  for (std::size_t at = before; at < n; at += 50) {
    index.add(data.slice(at, std::min<std::size_t>(50, n - at)));
    if (at % 500 == 100) index.remove(Labels{at - before, at + 1});
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(GroupSearch, AnswersAreThoseInTheTree) {
  std::uint64_t digest = 0;
  for (const Shape shape : {Shape::clustered, Shape::u8}) {
    const std::size_t n = 3000;
    const Matrix data = make_data(shape, n, 32);
    const Matrix queries = make_data(shape, 30, 32, 3);
    const Index index = index_of(data, 8, Metric::l2sq, data.rows, 256);
    for (const std::size_t count : {900u, 60u, 12u}) {
      const Groups groups = Groups::of_keys(index, random_groups(n, count));
      const SearchResult found =
          index.search(queries.view(), {10, 20}, {.groups = &groups, .group_hits = 2});
      for (const std::uint64_t label : found.labels) digest = hash(digest, label);
    }
  }
  EXPECT_EQ(digest, 7296573418374777781u);
}

}  // namespace
}  // namespace concord::test
