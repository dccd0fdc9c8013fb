// A proposer that passes everything on to another, for tests to override what they watch.
// Thread-safety: as the other's.
#pragma once

#include "common/proposer.hpp"

namespace concord::test {

class RelayingProposer : public core::Proposer {
 public:
  explicit RelayingProposer(core::Proposer& to) : to_(to) {}
  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end,
             const core::StopRequest& stop) override {
    to_.start(epoch, begin, end, stop);
  }
  const core::ProposalBatch* finish(const core::StopRequest& stop) override {
    return to_.finish(stop);
  }
  const core::PruneScores& score(const core::PruneBatch& batch) override {
    return to_.score(batch);
  }
  void settle() override { to_.settle(); }
  void sealed() override { to_.sealed(); }

 private:
  core::Proposer& to_;
};

}  // namespace concord::test
