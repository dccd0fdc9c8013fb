// Walks that end with fewer matches than there are (tests/support/islands.hpp): every kind of
// search must scan then, and so gives what the exact search gives.

#include <algorithm>
#include <concord/index.hpp>
#include <limits>

#include "common/base/float_environment.hpp"
#include "common/index/index_access.hpp"
#include "cpu/isa.hpp"
#include "tests/support/islands.hpp"
#include "tests/support/naive_filter.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

class ShortWalk : public testing::Test {
 protected:
  [[nodiscard]] SearchResult exact(std::uint32_t k, const SearchOptions& options) const {
    return index_.exact_search(islands_.queries.view(), k, options);
  }
  static void expect_same(const SearchResult& a, const SearchResult& b) {
    EXPECT_EQ(a.counts, b.counts);
    EXPECT_EQ(a.labels, b.labels);
    EXPECT_EQ(a.distances, b.distances);
  }
  /// Expects that the queries that were searched meanwhile have walked: a scan reads no list.
  template <class Search>
  void expect_walks(const Search& search) const {
    const std::uint64_t before = index_.stats().search.hops;
    search();
    EXPECT_GT(index_.stats().search.hops - before, Islands::kNear);
  }

  Islands islands_;
  Index index_ = index_of(islands_.data, Islands::M);
  Filter filter_ = Filter::of_mask(index_, islands_.mask);
  static constexpr std::uint32_t kWidth = Islands::kWidth;
};

// What the other tests rely on, by the rule written down once more.
TEST_F(ShortWalk, FallsShort) {
  const core::FloatEnvironment environment;
  const core::Contents& contents = IndexAccess::contents(index_);
  std::vector<core::NodeId> ids;
  for (core::NodeId id = 0; id < index_.size(); ++id) {
    if (islands_.mask[id] != 0) ids.push_back(id);
  }
  NaiveFilter naive(contents.graph, contents.vectors,
                    cpu::for_metric(cpu::kScalarKernels, Metric::l2sq), ids,
                    [](core::NodeId) { return true; });
  std::vector<float> vector(contents.vectors.stride());
  for (std::size_t q = 0; q < islands_.queries.rows; ++q) {
    contents.vectors.prepare(islands_.queries.view().row(q), vector.data(), "query", q);
    EXPECT_EQ(naive.search(vector.data(), {kWidth, kWidth}).size(), kWidth);
  }
  EXPECT_EQ(naive.ways[Way::fell_short], islands_.queries.rows);
}

TEST_F(ShortWalk, OfASearchIsAScan) {
  expect_walks([&] {
    expect_same(index_.search(islands_.queries.view(), {kWidth, kWidth}, {.filter = &filter_}),
                exact(kWidth, {.filter = &filter_}));
  });
}

// A group has vectors on both islands.
TEST_F(ShortWalk, OfASearchWithGroupsIsAScan) {
  std::vector<std::uint64_t> keys(index_.size());
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = i % 3;
  const Groups groups = Groups::of_keys(index_, keys);
  const SearchOptions options{.filter = &filter_, .groups = &groups, .group_hits = 50};
  expect_walks([&] {
    expect_same(index_.search(islands_.queries.view(), {3, kWidth}, options), exact(3, options));
  });
}

TEST_F(ShortWalk, OfARangeSearchIsAScan) {
  expect_walks([&] {
    const RangeResult all =
        index_.range_search(islands_.queries.view(), std::numeric_limits<float>::max(),
                            {.ef = kWidth}, {.filter = &filter_});
    EXPECT_EQ(all.labels.size(), Islands::kMatches * islands_.queries.rows);
  });
}

TEST_F(ShortWalk, OfACursorGoesOnByAScan) {
  for (std::size_t q = 0; q < islands_.queries.rows; ++q) {
    Cursor cursor = index_.cursor({islands_.queries.row(q), Islands::kDimension}, {.ef = 1},
                                  {.filter = &filter_});
    SearchResult page;
    expect_walks([&] { page = cursor.next(kWidth); });
    expect_same(page,
                index_.exact_search(islands_.queries.slice(q, 1), kWidth, {.filter = &filter_}));
    EXPECT_EQ(cursor.next(2 * Islands::kMatches).counts[0], Islands::kMatches - kWidth);
  }
}

}  // namespace
}  // namespace concord::test
