// Beam search, greedy descent and the search of the live graph against naive ones, which forget
// nothing; for all ids and for some (common/search/accept.hpp).

#include "cpu/beam_search.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "common/search/results.hpp"
#include "cpu/search.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/search_seam.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::Key;
using core::NodeId;
using test::GraphBuilder;

Key key_of(const Scorer& scorer, const Query& query, NodeId node) {
  float distance = 0;
  scorer.score(query, &node, 1, &distance);
  return core::make_key(distance, node);
}

// Always expands the closest unexpanded of the best ef accepted and of all others seen so far,
// unless it is behind the last of ef accepted ones or farther than `factor` times the k-th; forgets
// nothing and keeps what is too far. Returns the accepted.
template <class Accept = core::AllIds>
std::vector<Key> naive_search(const test::Links& links, std::uint32_t layer, const Scorer& scorer,
                              const Query& query, NodeId from, std::size_t ef,
                              std::size_t k = std::numeric_limits<std::size_t>::max(),
                              float factor = 1, const Accept& accept = {}) {
  std::set<Key> best;
  std::set<Key> open;  // not expanded, accepted or not
  std::set<NodeId> visited = {from};
  const auto see = [&](NodeId id) {
    const Key key = key_of(scorer, query, id);
    open.insert(key);
    if (accept(id)) best.insert(key);
    if (best.size() > ef) open.erase(best.extract(std::prev(best.end())).value());
  };
  see(from);
  while (!open.empty()) {
    const Key next = *open.begin();
    if (best.size() == ef && next > *best.rbegin()) break;
    if (best.size() >= k &&
        core::key_distance(next) >
            core::key_distance(*std::next(best.begin(), static_cast<std::ptrdiff_t>(k) - 1)) *
                factor) {
      break;
    }
    open.erase(next);
    for (const NodeId id : links[core::key_id(next)][layer]) {
      if (visited.insert(id).second) see(id);
    }
  }
  return {best.begin(), best.end()};
}

// The graph of `data`, of 6 dimensions.
std::unique_ptr<GraphBuilder> build(const test::Matrix& data, std::size_t n, std::uint32_t M = 4) {
  auto made = std::make_unique<GraphBuilder>(test::make_params(6, M, 30, 512), data);
  GraphBuilder& builder = *made;
  while (builder.graph.size() < n) {
    const core::Epoch& epoch = builder.graph.epoch();
    builder.commit(builder.propose(epoch, builder.graph.size(),
                                   std::min<NodeId>(epoch.end, static_cast<NodeId>(n))));
    builder.seal_if_due();
  }
  return made;
}

TEST(BeamSearch, EqualsANaiveSearchThatForgetsNothing) {
  for (const test::Shape shape :
       {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
    const std::size_t n = test::scaled(6000, 1500);
    const test::Matrix data = test::make_data(shape, n, 6);
    const auto built = build(data, n);
    const GraphBuilder& builder = *built;
    const test::Links rows = test::all_links(builder.graph);
    const Scorer scorer(builder.vectors, for_metric(choose_kernels(), Metric::l2sq));
    const core::EntryPoint entry = builder.graph.entry_point();
    Scratch scratch;
    for (std::size_t q = 0; q < 60; ++q) {
      std::vector<float> vector(builder.vectors.stride());
      std::vector<std::uint8_t> bytes(vector.size());
      for (std::size_t e = 0; e < 6; ++e) vector[e] = test::hashed_float(77, q, e);
      const Query query = scorer.as_query(vector.data(), bytes.data());
      for (const std::size_t ef : {1u, 2u, 10u, 100u, 1500u}) {
        for (const std::uint32_t layer : {0u, 1u}) {
          const auto read = [&](NodeId node, const auto& visit) {
            builder.graph.visit_live(builder.graph.live(), node, layer, visit);
          };
          beam_search(
              scorer, query, key_of(scorer, query, entry.node), ef, read, [](NodeId) {},
              core::UnlimitedReach{}, core::AllIds{}, scratch);
          std::vector<Key> found;
          for (std::size_t i = 0; i < scratch.list.size(); ++i) {
            EXPECT_EQ(scratch.list[i] & core::kExpanded, core::kExpanded);
            found.push_back(scratch.list[i] & ~core::kExpanded);
          }
          ASSERT_EQ(found, naive_search(rows, layer, scorer, query, entry.node, ef))
              << "ef " << ef << " layer " << layer;
        }
      }
    }
  }
}

// What is too far is not kept, and the table of visited nodes begins small and grows; neither may
// show.
TEST(BeamSearch, WithinAReachFindsTheNearestOfANaiveSearch) {
  for (const test::Shape shape :
       {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
    const std::size_t n = test::scaled(4000, 1500);
    const test::Matrix data = test::make_data(shape, n, 6);
    const auto built = build(data, n);
    const test::Links rows = test::all_links(built->graph);
    const Scorer scorer(built->vectors, for_metric(choose_kernels(), Metric::l2sq));
    const NodeId entry = built->graph.entry_point().node;
    const auto read = [&](NodeId node, const auto& visit) {
      built->graph.visit_live(built->graph.live(), node, 0, visit);
    };
    Scratch scratch;
    std::size_t ended_early = 0;
    for (std::size_t q = 0; q < 60; ++q) {
      std::vector<float> vector(built->vectors.stride());
      std::vector<std::uint8_t> bytes(vector.size());
      for (std::size_t e = 0; e < 6; ++e) {
        vector[e] = q % 3 == 0 ? data.row(q * 7)[e] : test::hashed_float(78, q, e);
      }
      const Query query = scorer.as_query(vector.data(), bytes.data());
      const Key from = key_of(scorer, query, entry);
      for (const std::uint32_t k : {1u, 5u, 40u}) {
        for (const std::size_t ef : {40u, 700u}) {
          for (const float factor : {1.0f, 1.1f, 2.0f, 1e20f}) {
            const core::AdaptiveReach reach{k, factor};
            beam_search(
                scorer, query, from, ef, read, [](NodeId) {}, reach, core::AllIds{}, scratch);
            std::vector<Key> found;
            for (std::size_t i = 0; i < std::min<std::size_t>(k, scratch.list.size()); ++i) {
              found.push_back(scratch.list[i] & ~core::kExpanded);
            }
            std::vector<Key> expected = naive_search(rows, 0, scorer, query, entry, ef, k, factor);
            ended_early += scratch.list.size() < std::min(ef, n);
            expected.resize(std::min<std::size_t>(k, expected.size()));
            ASSERT_EQ(found, expected) << "k " << k << " ef " << ef << " factor " << factor;
          }
        }
      }
    }
    EXPECT_GT(ended_early, 100u);
  }
}

// The ids that a search of `built` may return, of several kinds: a random share of all, all but the
// nearest to the query, all but the entry point, none, all.
std::vector<test::IdSet> id_sets(const GraphBuilder& built, const Scorer& scorer,
                                 const Query& query, std::uint64_t seed) {
  const NodeId n = built.graph.size();
  std::vector<Key> near(n);
  for (NodeId id = 0; id < n; ++id) near[id] = key_of(scorer, query, id);
  std::sort(near.begin(), near.end());
  std::vector<test::IdSet> sets;
  for (const std::uint64_t percent : {0u, 2u, 50u, 98u, 100u}) {
    sets.emplace_back(n, [&](NodeId id) { return test::hash(seed, id) % 100 < percent; });
  }
  for (const std::size_t nearest : {1u, 30u, 300u}) {
    sets.emplace_back(n, [&](NodeId id) { return key_of(scorer, query, id) >= near[nearest]; });
  }
  const NodeId entry = built.graph.entry_point().node;
  sets.emplace_back(n, [&](NodeId id) { return id != entry; });
  return sets;
}

TEST(BeamSearch, ReturnsAcceptedIdsAsTheDefinitionSays) {
  for (const test::Shape shape :
       {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
    const std::size_t n = test::scaled(2000, 1200);
    const test::Matrix data = test::make_data(shape, n, 6);
    const auto built = build(data, n);
    const test::Links links = test::all_links(built->graph);
    const Scorer scorer(built->vectors, for_metric(choose_kernels(), Metric::l2sq));
    const NodeId entry = built->graph.entry_point().node;
    const auto read = [&](NodeId node, const auto& visit) {
      built->graph.visit_live(built->graph.live(), node, 0, visit);
    };
    Scratch scratch;
    for (std::size_t q = 0; q < 8; ++q) {
      std::vector<float> vector(built->vectors.stride());
      std::vector<std::uint8_t> bytes(vector.size());
      for (std::size_t e = 0; e < 6; ++e) vector[e] = test::hashed_float(79, q, e);
      const Query query = scorer.as_query(vector.data(), bytes.data());
      const Key from = key_of(scorer, query, entry);
      for (const test::IdSet& accept : id_sets(*built, scorer, query, q)) {
        for (const std::size_t ef : {1u, 12u, 200u}) {
          SCOPED_TRACE("others " + std::to_string(accept.others()) + " ef " + std::to_string(ef));
          const auto search = [&](const auto& reach, std::size_t k) {
            beam_search(
                scorer, query, from, ef, read, [](NodeId) {}, reach, accept, scratch);
            std::vector<Key> found;
            for (std::size_t i = 0; i < std::min(k, scratch.list.size()); ++i) {
              found.push_back(scratch.list.key(i));
            }
            return found;
          };
          ASSERT_EQ(search(core::UnlimitedReach{}, ef),
                    naive_search(links, 0, scorer, query, entry, ef, ef + 1, 1, accept));
          for (const float factor : {1.0f, 1.3f, core::kUnlimitedReach}) {
            const std::uint32_t k = ef == 1 ? 1 : 10;
            std::vector<Key> expected =
                naive_search(links, 0, scorer, query, entry, ef, k, factor, accept);
            expected.resize(std::min<std::size_t>(k, expected.size()));
            ASSERT_EQ(search(core::AdaptiveReach{k, factor}, k), expected) << "factor " << factor;
          }
        }
      }
    }
  }
}

// What is not accepted takes no place: a list that the nearest ids filled would return nothing.
TEST(BeamSearch, FindsWhatIsBehindManyIdsThatItMayNotReturn) {
  constexpr NodeId kHidden = 1000;
  constexpr std::size_t kWidth = 40;
  const test::Matrix data = test::make_data(test::Shape::random, 4000, 6);
  const auto built = build(data, data.rows, 16);
  const Scorer scorer(built->vectors, for_metric(choose_kernels(), Metric::l2sq));
  const auto read = [&](NodeId node, const auto& visit) {
    built->graph.visit_live(built->graph.live(), node, 0, visit);
  };
  Scratch scratch;
  std::size_t right = 0;
  for (std::size_t q = 0; q < 20; ++q) {
    std::vector<float> vector(built->vectors.stride());
    std::copy_n(data.row(q * 100), 6, vector.begin());
    std::vector<std::uint8_t> bytes(vector.size());
    const Query query = scorer.as_query(vector.data(), bytes.data());
    std::vector<Key> near(data.rows);
    for (NodeId id = 0; id < near.size(); ++id) near[id] = key_of(scorer, query, id);
    std::sort(near.begin(), near.end());
    const test::IdSet accept(static_cast<NodeId>(near.size()),
                             [&](NodeId id) { return key_of(scorer, query, id) >= near[kHidden]; });
    beam_search(
        scorer, query, key_of(scorer, query, built->graph.entry_point().node), kWidth, read,
        [](NodeId) {}, core::UnlimitedReach{}, accept, scratch);
    ASSERT_EQ(scratch.list.size(), kWidth);
    for (std::size_t i = 0; i < 10; ++i) right += scratch.list.key(i) == near[kHidden + i];
  }
  EXPECT_GE(right, 190u) << "of 200";
}

Key naive_descent(const GraphBuilder& built, const test::Links& links, const Scorer& scorer,
                  const Query& query) {
  const core::EntryPoint entry = built.graph.entry_point();
  Key closest = key_of(scorer, query, entry.node);
  for (std::uint32_t layer = entry.level; layer > 0; --layer) {
    for (Key from = 0; from != closest;) {
      from = closest;
      for (const NodeId id : links[core::key_id(from)][layer]) {
        closest = std::min(closest, key_of(scorer, query, id));
      }
    }
  }
  return closest;
}

// From the entry point to the collector: of all ids, and of some, the k nearest and those within a
// radius.
TEST(Search, CollectsTheCandidatesOfTheDefinition) {
  const std::size_t n = test::scaled(2000, 1200);
  const test::Matrix data = test::make_data(test::Shape::clustered, n, 6);
  const auto built = build(data, n);
  const test::Links links = test::all_links(built->graph);
  const MetricKernels& kernels = for_metric(choose_kernels(), Metric::l2sq);
  const Scorer scorer(built->vectors, kernels);
  const SearchParams params{.k = 10, .ef = 60};
  Scratch scratch;
  std::vector<Key> nearest(params.k);
  std::vector<Key> within(params.ef);
  std::uint32_t count = 0;
  const auto check = [&](const float* vector, const Query& query, const auto& accept) {
    const Key from = naive_descent(*built, links, scorer, query);
    std::vector<Key> all = naive_search(links, 0, scorer, query, core::key_id(from), params.ef,
                                        params.ef + 1, 1, accept);
    std::vector<Key> first(all.begin(),
                           all.begin() + std::min<std::ptrdiff_t>(10, all.end() - all.begin()));
    search_query(built->graph, built->vectors, kernels, vector, params, accept,
                 core::KNearest{params.k, nearest.data(), &count}, 0, scratch);
    ASSERT_EQ(count, first.size());
    first.resize(params.k, core::kWorstKey);
    ASSERT_EQ(nearest, first);
    const float radius = all.empty() ? 0 : core::key_distance(all[all.size() / 2]);
    std::erase_if(all, [&](Key key) { return core::key_distance(key) > radius; });
    search_query(built->graph, built->vectors, kernels, vector, params, accept,
                 test::WithinRadius{radius, params.ef, within.data(), &count}, 0, scratch);
    ASSERT_EQ(std::vector<Key>(within.begin(), within.begin() + count), all);
  };
  for (std::size_t q = 0; q < 20; ++q) {
    std::vector<float> vector(built->vectors.stride());
    std::vector<std::uint8_t> bytes(vector.size());
    for (std::size_t e = 0; e < 6; ++e) vector[e] = test::hashed_float(80, q, e);
    const Query query = scorer.as_query(vector.data(), bytes.data());
    check(vector.data(), query, core::AllIds{});
    for (const test::IdSet& accept : id_sets(*built, scorer, query, q))
      check(vector.data(), query, accept);
  }
}

// 1 − x·y of a vector and itself may come out below zero, and a factor would make it smaller still.
TEST(Reach, IsNeverLessThanTheKthDistance) {
  for (const float kth : {-1.2e-7f, -0.0f, 0.0f, 1e-45f, 0.3f, 3e38f}) {
    for (const float slack : {0.0f, 1e-7f, 0.1f, 1e18f}) {
      EXPECT_GE(core::reach(kth, core::reach_factor(slack)), kth) << kth << " " << slack;
    }
  }
}

TEST(GreedyDescent, EndsAtANodeThatNoNeighborImprovesOn) {
  const test::Matrix data = test::make_data(test::Shape::random, 2000, 4);
  GraphBuilder builder(test::make_params(4, 3, 20, 64), data);
  for (int i = 0; i < 2000; ++i) builder.step();
  const test::Links rows = test::all_links(builder.graph);
  const Scorer scorer(builder.vectors, for_metric(choose_kernels(), Metric::l2sq));
  Scratch scratch;
  for (std::size_t q = 0; q < 200; ++q) {
    std::vector<float> vector(builder.vectors.stride());
    std::vector<std::uint8_t> bytes(vector.size());
    for (std::size_t e = 0; e < 4; ++e) vector[e] = test::hashed_float(5, q, e);
    const Query query = scorer.as_query(vector.data(), bytes.data());
    Key closest = key_of(scorer, query, builder.graph.entry_point().node);
    for (std::uint32_t layer = builder.graph.entry_point().level + 1; layer-- > 0;) {
      const auto read = [&](NodeId node, const auto& visit) {
        builder.graph.visit_live(builder.graph.live(), node, layer, visit);
      };
      const Key from = closest;
      closest = greedy_descent(scorer, query, from, read, scratch);
      ASSERT_LE(closest, from);
      for (const NodeId id : rows[core::key_id(closest)][layer]) {
        ASSERT_LT(closest, key_of(scorer, query, id));
      }
    }
  }
}

}  // namespace
}  // namespace concord::cpu
