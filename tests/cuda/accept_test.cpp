// The search of a team that may not return all ids, and that collects otherwise, against the
// definition in common/search/accept.hpp: HostTeam and emulated threads.

#include <gtest/gtest.h>

#include "tests/cuda/reference.hpp"
#include "tests/cuda/simt_kernels.hpp"
#include "tests/support/search_seam.hpp"

namespace concord::cuda::testing {
namespace {

using concord::test::IdSet;
using concord::test::WithinRadius;

constexpr std::uint32_t kQueries = 3;
constexpr std::uint32_t kNearest = 10;
constexpr std::uint32_t kWidth = 50;

WorldSpec spec(Metric metric, Data data, std::uint32_t M, std::uint64_t seed) {
  return {.dimension = 9,
          .metric = metric,
          .data = data,
          .M = M,
          .sealed = 250,
          .tail = 0,
          .queries = kQueries,
          .seed = seed};
}

// The ids that a search may return: a share of all at random, all but those nearest to the first
// query, all but the entry point, none, all.
std::vector<IdSet> id_sets(const World& world, const Reference& reference) {
  std::vector<IdSet> sets;
  for (const std::uint64_t percent : {0u, 10u, 90u, 100u}) {
    sets.emplace_back(world.n, [&](NodeId id) { return (id * 2654435761u >> 8) % 100 < percent; });
  }
  const std::vector<Key> near = reference.exact(world.queries.row(0), world.n);
  sets.emplace_back(
      world.n, [&](NodeId id) { return reference.key(world.queries.row(0), id) >= near[150]; });
  sets.emplace_back(world.n, [&](NodeId id) { return id != world.entry().node; });
  return sets;
}

void host_search(const MirrorView& view, const SearchTask& task, const IdSet& accept,
                 const auto& results) {
  const BeamLayout layout = beam_layout(task.ef, 2 * view.M, view.dimension);
  SimtShared shared(layout.bytes + merge_layout(accept.others()).bytes);
  HostTeam team;
  with_metric(view.metric, [&](auto l2) {
    for (std::uint32_t q = 0; q < task.count; ++q) {
      search_query<l2.value>(team, view, task, accept, results, q, shared.data(), layout);
    }
  });
}

template <class Search>
void expect_nearest(const World& world, const SearchTask& task, const IdSet& accept,
                    const Search& search, std::vector<std::vector<Key>> expected) {
  std::vector<Key> out(std::size_t{kQueries} * kNearest, 1);
  std::vector<std::uint32_t> counts(kQueries, 99);
  search(world, task, accept, core::KNearest{kNearest, out.data(), counts.data()});
  for (std::uint32_t q = 0; q < kQueries; ++q) {
    if (expected[q].size() > kNearest) expected[q].resize(kNearest);
    ASSERT_EQ(counts[q], expected[q].size());
    expected[q].resize(kNearest, kWorstKey);
    const auto first = out.begin() + q * kNearest;
    ASSERT_EQ(std::vector<Key>(first, first + kNearest), expected[q]);
  }
}

template <class Search>
void expect_within(const World& world, const SearchTask& task, const IdSet& accept,
                   const Search& search, std::vector<std::vector<Key>> expected) {
  const auto& some = expected[0];
  const float radius = some.empty() ? 0 : core::key_distance(some[some.size() / 2]);
  std::vector<Key> out(std::size_t{kQueries} * kWidth, 1);
  std::vector<std::uint32_t> counts(kQueries, 99);
  search(world, task, accept, WithinRadius{radius, kWidth, out.data(), counts.data()});
  for (std::uint32_t q = 0; q < kQueries; ++q) {
    std::erase_if(expected[q], [&](Key key) { return core::key_distance(key) > radius; });
    const auto first = out.begin() + q * kWidth;
    ASSERT_EQ(std::vector<Key>(first, first + counts[q]), expected[q]);
  }
}

/// Calls search(world, task, accept, results) in each world, for each set of ids, and compares.
template <class Search>
void expect_definition(const std::vector<WorldSpec>& worlds, const Search& search) {
  for (const WorldSpec& spec : worlds) {
    const World world(spec);
    const Reference reference(world);
    for (const IdSet& accept : id_sets(world, reference)) {
      for (const float factor : {core::kUnlimitedReach, 1.2f}) {
        SCOPED_TRACE(spec.name() + ", others " + std::to_string(accept.others()) + ", factor " +
                     std::to_string(factor));
        SearchTask task;
        task.queries = world.queries.row(0);
        task.query_stride = world.queries.stride;
        task.count = kQueries;
        task.k = kNearest;
        task.ef = kWidth;
        task.reach_factor = factor;
        task.entry = world.entry();
        std::vector<std::vector<Key>> expected;
        for (std::uint32_t q = 0; q < kQueries; ++q) {
          expected.push_back(reference.candidates(world.queries.row(q), task.entry, task.k, task.ef,
                                                  factor, accept));
        }
        expect_nearest(world, task, accept, search, expected);
        expect_within(world, task, accept, search, expected);
      }
    }
  }
}

TEST(AcceptedIds, AreFoundByHostTeamAsTheDefinitionSays) {
  expect_definition(
      {spec(Metric::l2sq, Data::random, 4, 1), spec(Metric::cosine, Data::clustered, 8, 2),
       spec(Metric::inner_product, Data::duplicates, 16, 3), spec(Metric::l2sq, Data::grid, 64, 4),
       spec(Metric::l2sq, Data::constant, 5, 5)},
      [](const World& world, const SearchTask& task, const IdSet& accept, const auto& results) {
        host_search(world.view(), task, accept, results);
      });
}

TEST(AcceptedIds, AreFoundByAWarpAsTheDefinitionSays) {
  expect_definition(
      {spec(Metric::l2sq, Data::random, 4, 1)},
      [](const World& world, const SearchTask& task, const IdSet& accept, const auto& results) {
        simt_search<32>(world.view(), task, 1, accept, results);
      });
}

TEST(AcceptedIds, AreFoundByABlockAsTheDefinitionSays) {
  expect_definition(
      {spec(Metric::cosine, Data::duplicates, 16, 3)},
      [](const World& world, const SearchTask& task, const IdSet& accept, const auto& results) {
        simt_search<128>(world.view(), task, 2, accept, results);
      });
}

}  // namespace
}  // namespace concord::cuda::testing
