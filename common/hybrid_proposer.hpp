// A Proposer that hands batches to a device while it works, and to the CPU otherwise.
//
// Which of the two proposes never changes a proposal: batches too small to pay for a launch go to
// the CPU, and from the first failure of the device on everything does, beginning with the batch
// that was under way. The committed graph is never touched by a failure.
// Thread-safety: used by the one building thread.
#pragma once

#include <concord/error.hpp>
#include <functional>
#include <memory>

#include "common/proposer.hpp"

namespace concord::core {

class HybridProposer final : public Proposer {
 public:
  /// `device` may be null. `device_failed` is called once, when it is given up.
  HybridProposer(Proposer* device, Proposer& cpu, NodeId smallest_device_batch,
                 std::function<void(const Error&)> device_failed);
  /// Waits for what was begun on the device and not finished.
  ~HybridProposer() override;

  void start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) override;
  const ProposalBatch* finish(const StopRequest& stop) override;
  const PruneScores& score(const PruneBatch& batch) override;
  void settle() override;
  void sealed() override;

 private:
  template <class Call>
  bool try_device(const Call& call);
  void give_up(const Error& error);

  Proposer* device_;
  Proposer& cpu_;
  NodeId smallest_device_batch_;
  std::function<void(const Error&)> device_failed_;
  struct Batch {
    Epoch epoch;
    NodeId begin = 0;
    NodeId end = 0;
    bool on_device = false;  ///< begun there and not finished
  } batch_;
};

}  // namespace concord::core
