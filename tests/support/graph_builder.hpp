// The parts behind an Index, driven by hand: one node, one batch or one seal at a time.
#pragma once

#include <concord/params.hpp>
#include <string>
#include <vector>

#include "common/build/committer.hpp"
#include "common/build/proposer.hpp"
#include "common/contents/contents.hpp"
#include "common/graph/audit.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/isa.hpp"
#include "cpu/proposer.hpp"
#include "tests/support/data_sets.hpp"

namespace concord::test {

IndexParams make_params(std::uint32_t dimension, std::uint32_t M, std::uint32_t ef_construction,
                        std::uint32_t epoch_limit, Metric metric = Metric::l2sq);

/// The links of every layer of a graph: [node][layer] → ids in order.
using Links = std::vector<std::vector<std::vector<core::NodeId>>>;
Links all_links(const core::Graph& graph);

/// Vectors and graph of `data`, announced as a whole and committed as asked.
class GraphBuilder {
 public:
  /// `cutters` help with seals, if it is not null.
  GraphBuilder(const IndexParams& params, const Matrix& data, unsigned threads = 1,
               core::Cutters* cutters = nullptr);

  /// What the CPU proposes for [begin, end) of `epoch`, from the graph as it is now.
  core::ProposalBatch propose(const core::Epoch& epoch, core::NodeId begin, core::NodeId end);
  /// Commits the next node, sealing where that is due.
  void step();
  void commit(const core::ProposalBatch& batch) { committer.commit(batch); }
  void seal_if_due();
  [[nodiscard]] AuditReport audit() const { return core::audit(graph); }

  BuildStats stats;
  core::ThreadPool pool;
  core::Contents contents;
  core::VectorStore& vectors = contents.vectors;
  core::Graph& graph = contents.graph;
  core::Committer committer;
  cpu::CpuProposer proposer;
};

/// A proposer whose answers are arbitrary but legal: committing and sealing must keep every
/// invariant whatever is proposed. Deterministic in `seed`.
class ArbitraryProposer final : public core::RepairingProposer {
 public:
  enum class Habit {
    anything,    ///< M earlier nodes of the layer at random
    first_node,  ///< all link to the layer's first node alone
    first_few,   ///< one to three of the layer's first nodes
    one_recent,  ///< the node before, alone
    one_random,  ///< a tree: one earlier node at random
    hubs,        ///< one node, drawn so that a few take nearly all
    mixed,       ///< another habit for each node
  };
  static constexpr Habit kAllHabits[] = {Habit::anything,   Habit::first_node, Habit::first_few,
                                         Habit::one_recent, Habit::one_random, Habit::hubs,
                                         Habit::mixed};
  static std::string name_of(Habit habit);

  ArbitraryProposer(const core::Graph& graph, Habit habit, std::uint64_t seed)
      : graph_(graph), habit_(habit), seed_(seed) {}

  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end,
             const core::StopRequest& stop) override;
  const core::ProposalBatch* finish(const core::StopRequest& stop) override;
  const core::ListScores& score(const core::OverfullLists& batch) override;
  std::span<const core::Edge> relate(const core::Neighborhoods& sets) override;
  std::span<const core::NodeId> propose_again(std::span<const core::ListName> lists) override;
  void sealed() override { ++seals; }

  unsigned seals = 0;

 private:
  void propose(core::NodeId node, std::uint32_t layer, core::NodeId* out);
  std::uint64_t draw(std::uint64_t below);

  const core::Graph& graph_;
  Habit habit_;
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  core::ProposalBatch batches_[2];
  unsigned current_ = 0;
  core::ListScores scores_;
  std::vector<core::Edge> edges_;
  std::vector<core::NodeId> again_;
};

}  // namespace concord::test
