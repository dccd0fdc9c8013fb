// HybridProposer: which side is asked for which batch, and what happens when the device fails.
#include "common/build/hybrid_proposer.hpp"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <vector>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

/// Writes down what it is asked, and fails when told to.
class Scribe final : public core::RepairingProposer {
 public:
  explicit Scribe(std::string name) : name_(std::move(name)) {}

  void start(const core::Epoch&, core::NodeId begin, core::NodeId end,
             const core::StopRequest&) override {
    note("start " + std::to_string(begin) + "-" + std::to_string(end));
  }
  const core::ProposalBatch* finish(const core::StopRequest&) override {
    note("finish");
    return &batch;
  }
  core::LinkChanges* changes_of(const core::ProposalBatch& of) override {
    note(&of == &batch ? "changes" : "no changes");
    return &of == &batch ? &changes : nullptr;
  }
  const core::ListScores& score(const core::OverfullLists&) override {
    note("score");
    return scores;
  }
  std::span<const core::Edge> relate(const core::Neighborhoods&) override {
    note("relate");
    return {};
  }
  std::span<const core::NodeId> propose_again(std::span<const core::ListName>) override {
    note("propose again");
    return {};
  }
  void sealed() override { note("sealed"); }

  static std::vector<std::string>& lines() {
    static std::vector<std::string> all;
    return all;
  }
  std::string fails_at;
  bool with_bad_alloc = false;
  core::ProposalBatch batch;
  core::LinkChanges changes;
  core::ListScores scores;

 private:
  void note(const std::string& call) {
    lines().push_back(name_ + " " + call);
    if (fails_at.empty() || !call.starts_with(fails_at)) return;
    if (with_bad_alloc) throw std::bad_alloc();
    throw Error(ErrorCode::cuda, "no more");
  }
  std::string name_;
};

/// Writes down what it is asked, and finds a difference when told to.
class Checker final : public core::ProposalCheck {
 public:
  void start(const core::Epoch&, core::NodeId begin, core::NodeId end) override {
    note("start " + std::to_string(begin) + "-" + std::to_string(end));
  }
  void compare(const core::ProposalBatch&) override { note("proposals"); }
  void start(const core::OverfullLists&) override { note("start scores"); }
  void compare(const core::OverfullLists&, const core::ListScores&) override { note("scores"); }
  void drain() override { note("drain"); }
  std::string differs_at;

 private:
  void note(const std::string& call) {
    Scribe::lines().push_back("check " + call);
    if (call == differs_at) throw Error(ErrorCode::cuda, "no match");
  }
};

class HybridProposerTest : public testing::Test {
 protected:
  HybridProposerTest() { Scribe::lines().clear(); }

  void start(core::HybridProposer& proposer, core::NodeId begin, core::NodeId end) {
    proposer.start({}, begin, end, {});
  }
  static core::OverfullLists lists(std::size_t count) {
    core::OverfullLists batch;
    batch.lists.resize(count);
    return batch;
  }
  std::function<void(const Error&)> failed() {
    return [this](const Error& error) { failures.emplace_back(error.what()); };
  }
  using Lines = std::vector<std::string>;

  Scribe device{"device"};
  Scribe cpu{"cpu"};
  std::vector<std::string> failures;
};

TEST_F(HybridProposerTest, BatchesGoByTheirSize) {
  core::HybridProposer proposer(&device, cpu, 10, failed());
  start(proposer, 0, 9);
  EXPECT_EQ(proposer.finish({}), &cpu.batch);
  start(proposer, 9, 19);
  EXPECT_EQ(proposer.finish({}), &device.batch);
  EXPECT_EQ(&proposer.score(lists(9)), &cpu.scores);
  EXPECT_EQ(&proposer.score(lists(10)), &device.scores);
  proposer.sealed();
  EXPECT_EQ(Scribe::lines(),
            (Lines{"cpu start 0-9", "cpu finish", "device start 9-19", "device finish", "cpu score",
                   "device score", "device sealed", "cpu sealed"}));
  EXPECT_TRUE(failures.empty());
}

TEST_F(HybridProposerTest, WithoutADeviceTheCpuDoesAll) {
  core::HybridProposer proposer(nullptr, cpu, 10, failed());
  start(proposer, 0, 100);
  EXPECT_EQ(proposer.finish({}), &cpu.batch);
  EXPECT_EQ(&proposer.score(lists(100)), &cpu.scores);
  proposer.sealed();
  EXPECT_TRUE(failures.empty());
}

TEST_F(HybridProposerTest, TheDeviceAloneAsksHowLinksDifferAndHearsOfEveryBatch) {
  core::HybridProposer proposer(&device, cpu, 10, failed());
  EXPECT_EQ(proposer.changes_of(device.batch), &device.changes);
  EXPECT_EQ(proposer.changes_of(cpu.batch), nullptr);
  EXPECT_EQ(Scribe::lines(), (Lines{"device changes", "device no changes"}));
  device.fails_at = "changes";
  EXPECT_EQ(proposer.changes_of(device.batch), nullptr);
  EXPECT_EQ(failures.size(), 1u);
  core::HybridProposer without(nullptr, cpu, 10, failed());
  EXPECT_EQ(without.changes_of(cpu.batch), nullptr);
}

TEST_F(HybridProposerTest, WhatTheDeviceDoesIsCheckedBeforeItIsUsed) {
  Checker check;
  core::HybridProposer proposer(&device, cpu, 10, failed(), &check);
  start(proposer, 0, 9);
  (void)proposer.finish({});
  start(proposer, 9, 19);
  EXPECT_EQ(proposer.finish({}), &device.batch);
  proposer.drain();
  (void)proposer.score(lists(9));
  EXPECT_EQ(&proposer.score(lists(10)), &device.scores);
  EXPECT_EQ(Scribe::lines(),
            (Lines{"cpu start 0-9", "cpu finish", "device start 9-19", "check start 9-19",
                   "device finish", "check proposals", "check drain", "cpu score",
                   "check start scores", "device score", "check scores"}));
  EXPECT_TRUE(failures.empty());
}

TEST_F(HybridProposerTest, ADifferenceGivesTheDeviceUpAndTheCpuDoesItAgain) {
  for (const char* at : {"proposals", "scores"}) {
    const bool in_proposals = std::string(at) == "proposals";
    Scribe::lines().clear();
    failures.clear();
    Checker check;
    check.differs_at = at;
    core::HybridProposer proposer(&device, cpu, 10, failed(), &check);
    start(proposer, 0, 50);
    EXPECT_EQ(proposer.finish({}), in_proposals ? &cpu.batch : &device.batch);
    EXPECT_EQ(&proposer.score(lists(50)), &cpu.scores);
    EXPECT_EQ(failures, std::vector<std::string>{"no match"});
    EXPECT_EQ(Scribe::lines(),
              in_proposals ? (Lines{"device start 0-50", "check start 0-50", "device finish",
                                    "check proposals", "check drain", "cpu start 0-50",
                                    "cpu finish", "cpu score"})
                           : (Lines{"device start 0-50", "check start 0-50", "device finish",
                                    "check proposals", "check start scores", "device score",
                                    "check scores", "check drain", "cpu score"}));
  }
}

// No thread of the check may read lists that the CPU changes from there on.
TEST_F(HybridProposerTest, TheCheckIsWaitedForWhenTheDeviceFails) {
  device.fails_at = "finish";
  Checker check;
  core::HybridProposer proposer(&device, cpu, 10, failed(), &check);
  start(proposer, 0, 50);
  EXPECT_EQ(proposer.finish({}), &cpu.batch);
  EXPECT_EQ(Scribe::lines(), (Lines{"device start 0-50", "check start 0-50", "device finish",
                                    "check drain", "cpu start 0-50", "cpu finish"}));
}

TEST_F(HybridProposerTest, AFailureAtAnyCallGivesTheDeviceUpForGood) {
  for (const char* call : {"start", "finish", "score", "sealed"}) {
    for (const bool with_bad_alloc : {false, true}) {
      device.fails_at = call;
      device.with_bad_alloc = with_bad_alloc;
      failures.clear();
      core::HybridProposer proposer(&device, cpu, 10, failed());
      start(proposer, 0, 50);
      const bool early = std::string(call) == "start" || std::string(call) == "finish";
      EXPECT_EQ(proposer.finish({}), early ? &cpu.batch : &device.batch);
      const bool scored = early || std::string(call) == "score";
      EXPECT_EQ(&proposer.score(lists(50)), scored ? &cpu.scores : &device.scores);
      proposer.sealed();
      ASSERT_EQ(failures.size(), 1u) << call;
      Scribe::lines().clear();
      start(proposer, 50, 100);
      EXPECT_EQ(proposer.finish({}), &cpu.batch);
      (void)proposer.score(lists(50));
      proposer.sealed();
      EXPECT_EQ(Scribe::lines(),
                (Lines{"cpu start 50-100", "cpu finish", "cpu score", "cpu sealed"}));
      EXPECT_EQ(failures.size(), 1u);
    }
  }
}

TEST_F(HybridProposerTest, ABatchThatFailsIsBegunAgainOnTheCpu) {
  device.fails_at = "finish";
  core::HybridProposer proposer(&device, cpu, 10, failed());
  start(proposer, 20, 50);
  EXPECT_EQ(proposer.finish({}), &cpu.batch);
  EXPECT_EQ(Scribe::lines(),
            (Lines{"device start 20-50", "device finish", "cpu start 20-50", "cpu finish"}));
}

TEST_F(HybridProposerTest, AnAbandonedBatchIsWaitedFor) {
  {
    core::HybridProposer proposer(&device, cpu, 10, failed());
    start(proposer, 0, 50);
  }
  EXPECT_EQ(Scribe::lines(), (Lines{"device start 0-50", "device finish"}));
  EXPECT_TRUE(failures.empty());

  device.fails_at = "finish";
  {
    core::HybridProposer proposer(&device, cpu, 10, failed());
    start(proposer, 0, 50);
  }
  EXPECT_EQ(failures.size(), 1u);
  core::HybridProposer throws(&device, cpu, 10, [](const Error& error) { throw error; });
  start(throws, 0, 50);  // its destructor must not let that out
}

TEST_F(HybridProposerTest, OtherExceptionsPass) {
  core::HybridProposer proposer(&device, cpu, 10, [](const Error&) { throw 7; });
  device.fails_at = "score";
  EXPECT_THROW((void)proposer.score(lists(50)), int);
  EXPECT_EQ(&proposer.score(lists(50)), &cpu.scores);
}

}  // namespace
}  // namespace concord::test
