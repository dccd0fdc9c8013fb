// What the CPU proposes and scores, against naive code that follows the definitions.

#include "cpu/proposer.hpp"

#include <algorithm>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::Key;
using core::NodeId;
using test::GraphBuilder;

float distance(const GraphBuilder& builder, NodeId a, NodeId b) {
  const std::size_t stride = builder.vectors.stride();
  std::vector<float> rows(2 * stride);
  builder.vectors.copy(a, 1, rows.data());
  builder.vectors.copy(b, 1, rows.data() + stride);
  float result = 0;
  for_metric(kScalarKernels, builder.graph.params().metric)
      .f32.range(rows.data(), rows.data() + stride, stride, 1, &result);
  return result;
}

// The neighbor selection heuristic on keys in order.
std::vector<NodeId> naive_selection(const GraphBuilder& builder, const std::vector<Key>& nearest) {
  std::vector<NodeId> kept;
  for (const Key key : nearest) {
    if (kept.size() == builder.graph.params().M) break;
    const bool dominated = std::any_of(kept.begin(), kept.end(), [&](NodeId other) {
      return distance(builder, core::key_id(key), other) < core::key_distance(key);
    });
    if (!dominated) kept.push_back(core::key_id(key));
  }
  return kept;
}

// With ef_construction above the number of nodes a search finds all of the layer, so a proposal is
// the heuristic over everything before the node.
TEST(CpuProposer, ProposesTheSelectionFromAllEarlierNodesWhereEfAllowsIt) {
  for (const Metric metric : test::kAllMetrics) {
    for (const test::Shape shape :
         {test::Shape::random, test::Shape::clustered, test::Shape::duplicate, test::Shape::u8}) {
      // By codes as well, since all that a walk finds is scored exactly.
      IndexParams params = test::make_params(5, 5, 1000, 40, metric);
      params.codes = shape == test::Shape::duplicate ? Codes::none : Codes::sq8;
      GraphBuilder builder(params, test::make_data(shape, 500, 5));
      for (NodeId node = 0; node < 500; ++node) {
        const core::ProposalBatch batch = builder.propose(builder.graph.epoch(), node, node + 1);
        for (std::uint32_t layer = 0; layer <= builder.graph.level(node); ++layer) {
          std::vector<Key> nearest;
          for (NodeId id = 0; id < node; ++id) {
            if (builder.graph.level(id) < layer) continue;
            nearest.push_back(core::make_key(distance(builder, node, id), id));
          }
          std::sort(nearest.begin(), nearest.end());
          const auto proposed = batch.neighbors(node, layer);
          ASSERT_EQ(std::vector<NodeId>(proposed.begin(), proposed.end()),
                    naive_selection(builder, nearest))
              << "node " << node << " layer " << layer;
        }
        builder.commit(batch);
        builder.seal_if_due();
      }
    }
  }
}

TEST(CpuProposer, FindsTheTailExactlyHoweverSmallEf) {
  GraphBuilder builder(test::make_params(3, 4, 1, 4096),
                       test::make_data(test::Shape::random, 400, 3));
  for (NodeId node = 0; node < 400; ++node) {
    const core::ProposalBatch batch = builder.propose(builder.graph.epoch(), node, node + 1);
    const NodeId tail = builder.graph.version_for(builder.graph.epoch()).end;
    if (node > tail) {
      Key nearest = core::kWorstKey;
      for (NodeId id = tail; id < node; ++id) {
        nearest = std::min(nearest, core::make_key(distance(builder, node, id), id));
      }
      const auto proposed = batch.neighbors(node, 0);
      ASSERT_EQ(proposed.size(), 1u) << "ef_construction is 1";
      ASSERT_LE(core::make_key(distance(builder, node, proposed[0]), proposed[0]), nearest);
    }
    builder.commit(batch);
    builder.seal_if_due();
  }
}

TEST(CpuProposer, ProposesTheSameOnAnyThreadsAndKernels) {
  std::vector<std::vector<NodeId>> all;
  for (const std::string& isa : test::supported_isas()) {
    for (const unsigned threads : {1u, 5u}) {
      const test::ScopedEnvironment forced("CONCORD_ISA", isa);
      GraphBuilder builder(test::make_params(19, 6, 40, 128),
                           test::make_data(test::Shape::clustered, 900, 19), threads);
      std::vector<NodeId> ids;
      while (builder.graph.size() < 900) {
        const core::Epoch& epoch = builder.graph.epoch();
        const auto batch =
            builder.propose(epoch, builder.graph.size(), std::min<NodeId>(epoch.end, 900));
        ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
        builder.commit(batch);
        builder.seal_if_due();
      }
      all.push_back(ids);
    }
  }
  for (const auto& ids : all) EXPECT_EQ(ids, all[0]);
}

TEST(CpuProposer, ScoresListsByDefinition) {
  for (const Metric metric : test::kAllMetrics) {
    for (const std::uint32_t M : {2u, 16u, 64u}) {
      GraphBuilder builder(test::make_params(4, M, 10, 64, metric),
                           test::make_data(test::Shape::duplicate, 400, 4), 3);
      core::OverfullLists batch;
      for (std::uint32_t r = 0; r < 20; ++r) {
        const auto first = static_cast<std::uint32_t>(batch.ids.size());
        const std::uint32_t count = 1 + static_cast<std::uint32_t>(test::hash(r, M) % (4 * M));
        for (std::uint32_t j = 0; j < count; ++j) batch.ids.push_back((r * 31 + j * 7 + 1) % 400);
        batch.lists.push_back({r * 11 % 400, r % 2, first, count});
      }
      const core::ListScores& scores = builder.proposer.score(batch);
      for (const core::OverfullList& row : batch.lists) {
        const auto id = [&](std::uint32_t j) { return batch.ids[row.first + j]; };
        std::vector<Key> sorted;
        for (std::uint32_t j = 0; j < row.count; ++j) {
          sorted.push_back(core::make_key(distance(builder, row.node, id(j)), id(j)));
        }
        std::sort(sorted.begin(), sorted.end());
        for (std::uint32_t b = 0; b < row.count; ++b) {
          const NodeId neighbor = core::key_id(sorted[b]);
          ASSERT_EQ(id(scores.ranking[row.first + b]), neighbor);
          for (std::uint32_t a = 0; a < 64 * scores.words; ++a) {
            const bool expected = a < b && distance(builder, core::key_id(sorted[a]), neighbor) <
                                               core::key_distance(sorted[b]);
            const std::uint64_t word =
                scores.dominators[std::size_t{row.first + b} * scores.words + a / 64];
            ASSERT_EQ((word >> (a % 64) & 1) != 0, expected)
                << "row " << row.node << ' ' << a << ' ' << b;
          }
        }
      }
    }
  }
}

TEST(CpuProposer, CountsItsWork) {
  GraphBuilder builder(test::make_params(4, 4, 20, 64),
                       test::make_data(test::Shape::random, 500, 4), 2);
  for (int i = 0; i < 500; ++i) builder.step();
  EXPECT_EQ(builder.stats.commit.count, 500u);
  EXPECT_GT(builder.stats.distances, 500u * 20);
  EXPECT_GT(builder.stats.hops, 500u);
  EXPECT_GT(builder.stats.descent.count, 450u);
  EXPECT_GE(builder.stats.selection.count, 500u);
  EXPECT_GT(builder.stats.score.count, 0u);
  EXPECT_GT(builder.stats.seal.count, 0u);
  EXPECT_GT(builder.stats.beam_search.seconds, 0);
}

}  // namespace
}  // namespace concord::cpu
