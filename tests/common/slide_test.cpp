// A slide gives memory back and changes nothing else, whenever it happens
// (common/contents/slide.hpp).

#include "common/contents/slide.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "common/contents/digest.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;

/// When the memory of unlinked nodes is given back: between any two operations, or never.
enum class When { never, always, sometimes, when_due, at_the_front };

/// An index driven one operation at a time. All of one seed do the same. Elements are numbers below
/// `grid`: with a small one there are copies.
class Life {
 public:
  Life(const IndexParams& params, When when, bool own_labels, std::uint64_t seed,
       std::uint64_t grid)
      : when_(when),
        own_labels_(own_labels),
        seed_(seed),
        grid_(grid),
        pool_(1),
        contents_(params, &gate_),
        committer_(contents_.graph, stats_),
        proposer_(contents_, cpu::for_metric(cpu::choose_kernels(), params.metric), pool_, stats_) {
  }

  void step(std::uint64_t removals_of_100, bool oldest_first) {
    const std::uint64_t kind = draw(100);
    if (kind < removals_of_100 && !alive_.empty()) {
      remove(oldest_first ? alive_.begin()->first : draw_alive());
    } else if (kind < removals_of_100 + 5 && !alive_.empty()) {
      const std::uint64_t label = draw_alive();
      insert(contents_.labels.find(label, contents_.graph.size()), label);
    } else if (kind >= 98) {
      if (!contents_.graph.pending().empty()) committer_.seal(proposer_);
    } else {
      insert(kNoNode, own_labels_ ? draw(1000000) * 1000 + draw_count() % 1000 : kNoLabel);
    }
    if (committer_.seal_is_due()) committer_.seal(proposer_);
    give_memory_back();
  }

  void give_memory_back() {
    const bool can = contents_.graph.unlinked() > 0;
    const bool now =
        when_ == When::always || (when_ == When::sometimes && hash(seed_, turn_++) % 9 == 0);
    if (can && when_ == When::at_the_front) {
      core::give_front_back(contents_);
    } else if (can && now) {
      core::slide(contents_);
      committer_.find_overfull();
    } else if (when_ == When::when_due &&
               core::give_memory_back(contents_, core::EmptySlots::in_passing)) {
      committer_.find_overfull();
    }
  }

  /// All that is asked for is there.
  void check() {
    const AuditReport report = core::audit(contents_.graph);
    ASSERT_TRUE(report.ok) << report.messages[0];
    ASSERT_TRUE(core::is_sound(contents_.graph, pool_));
    ASSERT_EQ(contents_.graph.living(), alive_.size());
    if (when_ == When::always) {
      ASSERT_EQ(contents_.graph.unlinked(), 0u);
    }
    std::vector<float> row(contents_.vectors.stride());
    for (const auto& [label, first] : alive_) {
      const NodeId node = contents_.labels.find(label, contents_.graph.size());
      ASSERT_NE(node, kNoNode) << "label " << label;
      contents_.vectors.copy(node, 1, row.data());
      ASSERT_EQ(row[0], first);
    }
    for (const std::uint64_t label : gone_) {
      if (alive_.contains(label)) continue;
      ASSERT_EQ(contents_.labels.find(label, contents_.graph.size()), kNoNode) << label;
    }
  }
  [[nodiscard]] std::string digest() const {
    return core::to_hex(core::Digester(contents_).finish());
  }
  [[nodiscard]] const core::Graph& graph() const { return contents_.graph; }

 private:
  void remove(std::uint64_t label) {
    contents_.graph.reserve_deaths(1);
    contents_.graph.remove(contents_.labels.find(label, contents_.graph.size()));
    alive_.erase(label);
    gone_.push_back(label);
  }
  void insert(NodeId old, std::uint64_t label) {
    core::Graph& graph = contents_.graph;
    const NodeId node = graph.size();
    const std::uint64_t automatic = graph.insertions();
    std::vector<float> vector(graph.params().dimension);
    for (float& x : vector) x = static_cast<float>(draw(grid_));
    if (draw(300) == 0) vector[0] += 0.5f;  // bytes become floats
    graph.reserve(node + 1);
    contents_.vectors.resize(node + 1);
    contents_.vectors.write(node, {vector.data(), 1, vector.size()}, pool_);
    const bool is_own = label != kNoLabel;
    contents_.labels.append(is_own ? std::span(&label, 1) : std::span<const std::uint64_t>(), 1,
                            automatic, {&old, 1});
    const std::span replaced(&old, old == kNoNode ? 0 : 1);
    contents_.announce(node + 1, replaced, pool_);
    proposer_.start(graph.epoch(), node, node + 1, {});
    committer_.commit(*proposer_.finish({}));
    contents_.discard_announced();
    alive_[is_own ? label : automatic] = vector[0];
  }
  std::uint64_t draw(std::uint64_t below) { return hash(seed_ + 77, ++drawn_) % below; }
  [[nodiscard]] std::uint64_t draw_count() const { return drawn_; }
  std::uint64_t draw_alive() {
    return std::next(alive_.begin(), static_cast<std::ptrdiff_t>(draw(alive_.size())))->first;
  }

  When when_;
  bool own_labels_;
  std::uint64_t seed_;
  std::uint64_t grid_;
  std::uint64_t drawn_ = 0;
  std::uint64_t turn_ = 0;
  core::ThreadPool pool_;
  core::ReaderGate gate_;
  core::Contents contents_;
  BuildStats stats_;
  core::Committer committer_;
  cpu::CpuProposer proposer_;
  std::map<std::uint64_t, float> alive_;  // labels, with the first element of their vectors
  std::vector<std::uint64_t> gone_;
};

TEST(Slide, ChangesNeitherTheDigestNorTheFuture) {
  std::uint64_t slides = 0;
  for (const std::uint32_t M : {2u, 3u, 16u}) {
    for (const std::uint32_t epoch_limit : {1u, 7u, 64u, 4096u}) {
      for (std::uint64_t seed = 1; seed <= scaled(3); ++seed) {
        SCOPED_TRACE(testing::Message()
                     << "M " << M << ", epoch_limit " << epoch_limit << ", seed " << seed);
        IndexParams params = make_params(3, M, 12, epoch_limit);
        params.seed = seed;
        const bool own_labels = seed % 2 == 0;
        std::vector<std::unique_ptr<Life>> lives;
        for (const When when :
             {When::never, When::always, When::sometimes, When::when_due, When::at_the_front}) {
          lives.push_back(std::make_unique<Life>(params, when, own_labels, seed, 8));
        }
        for (int i = 0; i < 500; ++i) {
          const std::uint64_t removals = i < 150 ? 10 : i < 300 ? 48 : i < 400 ? 85 : 30;
          for (const auto& life : lives) life->step(removals, i % 100 < 50);
          const std::string digest = lives[0]->digest();
          for (std::size_t l = 1; l < lives.size(); ++l) {
            ASSERT_EQ(lives[l]->digest(), digest) << "life " << l << ", operation " << i;
          }
          if (i % 7 != 0 && i < 495) continue;
          for (const auto& life : lives) life->check();
          if (HasFatalFailure()) return;
        }
        slides += lives[1]->graph().slides() + lives[3]->graph().slides();
      }
    }
  }
  EXPECT_GT(slides, 1000u);
}

// A window over time: its nodes move seldom, and its memory is bounded all the same. A node of
// which a copy lives would stay, so there are none.
TEST(Slide, OfAWindowIsSeldom) {
  Life life(make_params(3, 4, 12, 32), When::when_due, false, 1, 1000);
  for (int i = 0; i < 300; ++i) life.step(0, true);
  NodeId most = 0;
  for (int i = 0; i < 6000; ++i) {
    life.step(47, true);
    most = std::max(most, life.graph().size());
  }
  life.check();
  EXPECT_LT(life.graph().slides(), 20u);
  EXPECT_GT(life.graph().slides(), 2u);
  EXPECT_LT(most, 6 * 600u);
}

}  // namespace
}  // namespace concord::test
