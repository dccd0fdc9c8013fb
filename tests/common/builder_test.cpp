// The pipeline: failures and cancellation at any point leave a valid graph which, continued, is the
// one that was never interrupted.

#include "common/build/builder.hpp"

#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/graph_builder.hpp"
#include "tests/support/relaying_proposer.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::GraphBuilder;
using test::Links;

constexpr NodeId kNodes = 600;

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// Forwards to the CPU's proposer and throws at the chosen call.
class FailingProposer final : public test::RelayingProposer {
 public:
  FailingProposer(RepairingProposer& inner, int fail_at)
      : RelayingProposer(inner), left_(fail_at) {}

  void start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) override {
    count();
    RelayingProposer::start(epoch, begin, end, stop);
  }
  const ProposalBatch* finish(const StopRequest& stop) override {
    count();
    return RelayingProposer::finish(stop);
  }
  const ListScores& score(const OverfullLists& batch) override {
    ++scores;
    count();
    return RelayingProposer::score(batch);
  }

  int scores = 0;

 private:
  void count() {
    if (left_-- == 0) throw Interrupted();
  }
  int left_;
};

class Builder : public testing::Test {
 protected:
  Builder() : data_(test::make_data(test::Shape::clustered, kNodes, 6)) {
    GraphBuilder builder(params_, data_);
    EXPECT_TRUE(insert_announced(builder.graph, builder.committer, builder.proposer, {}));
    expected_ = test::all_links(builder.graph);
    EXPECT_EQ(expected_.size(), kNodes);
  }

  IndexParams params_ = test::make_params(6, 3, 20, 50);
  test::Matrix data_;
  Links expected_;
};

TEST_F(Builder, GivesTheGraphOfSingleSteps) {
  GraphBuilder builder(params_, data_);
  for (NodeId node = 0; node < kNodes; ++node) builder.step();
  EXPECT_EQ(test::all_links(builder.graph), expected_);
}

TEST_F(Builder, SurvivesAFailureOfTheProposerAtAnyCall) {
  bool failed_in_score = false;
  for (int fail_at = 0;; ++fail_at) {
    GraphBuilder builder(params_, data_);
    FailingProposer failing(builder.proposer, fail_at);
    bool failed = false;
    int scores_before = 0;
    try {
      insert_announced(builder.graph, builder.committer, failing, {});
    } catch (const Interrupted&) {
      failed = true;
      scores_before = failing.scores;
    }
    if (!failed) {
      EXPECT_GT(fail_at, 20) << "the test should interrupt more often";
      break;
    }
    failed_in_score |= builder.committer.seal_is_due() && scores_before > 0;
    test::expect_sound(builder.audit());
    ASSERT_TRUE(insert_announced(builder.graph, builder.committer, builder.proposer, {}));
    ASSERT_EQ(test::all_links(builder.graph), expected_) << "failed at call " << fail_at;
  }
  EXPECT_TRUE(failed_in_score);
}

TEST_F(Builder, StopsWhereProgressSaysSoAndGoesOnToTheSameGraph) {
  for (const unsigned threads : {1u, 3u}) {
    for (const int stop_at : {1, 2, 3, 7, 15, 31}) {
      GraphBuilder builder(params_, data_, threads);
      int calls = 0;
      std::uint64_t last_done = 0;
      // Sleeping makes every question of the pipeline reach the callback.
      const bool complete =
          insert_announced(builder.graph, builder.committer, builder.proposer,
                           [&](std::uint64_t done, std::uint64_t total) {
                             std::this_thread::sleep_for(std::chrono::milliseconds(21));
                             EXPECT_EQ(total, kNodes);
                             EXPECT_GE(done, last_done);
                             EXPECT_EQ(done, builder.graph.size());
                             last_done = done;
                             return ++calls < stop_at;
                           });
      ASSERT_FALSE(complete);
      EXPECT_EQ(calls, stop_at) << "the callback is not asked again";
      EXPECT_LT(builder.graph.size(), kNodes);
      test::expect_sound(builder.audit());
      builder.graph.discard_announced();
      test::expect_sound(builder.audit());
      builder.graph.announce(kNodes);
      ASSERT_TRUE(insert_announced(builder.graph, builder.committer, builder.proposer, {}));
      ASSERT_EQ(test::all_links(builder.graph), expected_);
    }
  }
}

TEST_F(Builder, AThrowingCallbackLeavesAValidGraph) {
  for (const int throw_at : {1, 4, 12}) {
    GraphBuilder builder(params_, data_, 2);
    int calls = 0;
    const auto insert = [&] {
      insert_announced(builder.graph, builder.committer, builder.proposer,
                       [&](std::uint64_t, std::uint64_t) -> bool {
                         std::this_thread::sleep_for(std::chrono::milliseconds(21));
                         if (++calls == throw_at) throw Interrupted();
                         return true;
                       });
    };
    EXPECT_THROW(insert(), Interrupted);
    test::expect_sound(builder.audit());
    ASSERT_TRUE(insert_announced(builder.graph, builder.committer, builder.proposer, {}));
    ASSERT_EQ(test::all_links(builder.graph), expected_);
  }
}

TEST_F(Builder, ReportsTheEnd) {
  GraphBuilder builder(params_, data_);
  std::uint64_t last = 0;
  EXPECT_TRUE(insert_announced(builder.graph, builder.committer, builder.proposer,
                               [&](std::uint64_t done, std::uint64_t) {
                                 last = done;
                                 return true;
                               }));
  EXPECT_EQ(last, kNodes);
}

}  // namespace
}  // namespace concord::core
