// A proposer that passes everything on to another, for tests to override what they watch.
// Thread-safety: as the other's.
#pragma once

#include "common/build/proposer.hpp"

namespace concord::test {

class RelayingProposer : public core::RepairingProposer {
 public:
  explicit RelayingProposer(core::RepairingProposer& to) : to_(to) {}
  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end,
             const core::StopRequest& stop) override {
    to_.start(epoch, begin, end, stop);
  }
  const core::ProposalBatch* finish(const core::StopRequest& stop) override {
    return to_.finish(stop);
  }
  core::LinkChanges* changes_of(const core::ProposalBatch& batch) override {
    return to_.changes_of(batch);
  }
  const core::ListScores& score(const core::OverfullLists& batch) override {
    return to_.score(batch);
  }
  std::span<const core::Edge> relate(const core::Neighborhoods& sets) override {
    return to_.relate(sets);
  }
  std::span<const core::NodeId> propose_again(std::span<const core::ListName> lists) override {
    return to_.propose_again(lists);
  }
  void drain() override { to_.drain(); }
  void sealed() override { to_.sealed(); }

 private:
  core::RepairingProposer& to_;
};

}  // namespace concord::test
