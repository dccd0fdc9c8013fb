// A Proposer that hands batches to a device while it works, and to the CPU otherwise.
//
// Batches too small to pay for a launch go to the CPU, and so do those that the device does not
// take, and what a seal asks about the neighbors of tombstones. From the device's first failure on,
// all batches go to the CPU, beginning with the batch that was under way. The choice changes no
// proposal, and a failure leaves the committed graph as it was. A difference that a ProposalCheck
// finds is a failure of the device.
// Thread-safety: used by the one building thread.
#pragma once

#include <concord/error.hpp>
#include <functional>
#include <memory>

#include "common/build/proposal_check.hpp"
#include "common/build/proposer.hpp"

namespace concord::core {

class HybridProposer final : public RepairingProposer {
 public:
  /// `device` may be null. `device_failed` is called once, when it is given up. `check` sees what
  /// the device does; null if nobody checks.
  HybridProposer(Proposer* device, RepairingProposer& cpu, NodeId smallest_device_batch,
                 std::function<void(const Error&)> device_failed, ProposalCheck* check = nullptr);
  /// Waits for what was begun on the device and not finished.
  ~HybridProposer() override;

  /// What was begun on the device is waited for no more: the device's threads are another
  /// process's.
  void forget_device() noexcept;

  void start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) override;
  const ProposalBatch* finish(const StopRequest& stop) override;
  LinkChanges* changes_of(const ProposalBatch& batch) override;
  const ListScores& score(const OverfullLists& batch) override;
  std::span<const Edge> relate(const Neighborhoods& sets) override;
  std::span<const NodeId> propose_again(std::span<const ListName> lists) override;
  void drain() override;
  void sealed() override;

 private:
  template <class Call>
  bool try_device(const Call& call);
  void give_up(const Error& error);

  Proposer* device_;
  RepairingProposer& cpu_;
  NodeId smallest_device_batch_;
  std::function<void(const Error&)> device_failed_;
  ProposalCheck* check_;
  struct Batch {
    Epoch epoch;
    NodeId begin = 0;
    NodeId end = 0;
    bool on_device = false;  ///< begun there and not finished
  } batch_;
};

}  // namespace concord::core
