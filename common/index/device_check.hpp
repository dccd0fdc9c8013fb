// The check of a device's work by the CPU: a share of its proposals and scores is computed again
// and compared, so that memory or kernels that are wrong without an error are found.
//
// The CPU computes on a thread of the check, beside the device and the committing thread, which
// waits only where the check takes longer than the device. It reads the graph as the submitting
// thread of a device does: as it was sealed, beside commits, and not beside a seal.
// Thread-safety: used by the one building thread.
#pragma once

#include <concord/index.hpp>
#include <memory>
#include <vector>

#include "common/build/proposal_check.hpp"
#include "common/contents/contents.hpp"
#include "common/index/device_slot.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/isa.hpp"

namespace concord {

class DeviceCheck final : public core::ProposalCheck {
 public:
  /// Borrows its arguments, whose `pool` says on how many threads it computes. Costs nothing before
  /// the first work of a device.
  DeviceCheck(double share, const core::Contents& contents, const cpu::MetricKernels& kernels,
              const core::ThreadPool& pool, DeviceSlot& slot);
  ~DeviceCheck() override;

  void start(const core::Epoch& epoch, core::NodeId begin, core::NodeId end) override;
  void compare(const core::ProposalBatch& batch) override;
  void start(const core::OverfullLists& batch) override;
  void compare(const core::OverfullLists& batch, const core::ListScores& scores) override;
  void drain() override;

 private:
  struct Work;
  /// Throws as compare() if an id is not one of an earlier node of its layer.
  void expect_possible(const core::ProposalBatch& batch) const;
  template <class Compute>
  void post(const Compute& compute);

  double share_;
  const core::Contents& contents_;
  const cpu::MetricKernels& kernels_;
  const core::ThreadPool& pool_;
  DeviceSlot& slot_;
  unsigned forks_;                    ///< before this was made
  std::vector<core::NodeId> nodes_;   ///< of the batch started last, those that are checked
  std::vector<std::uint32_t> lists_;  ///< likewise, by their numbers
  std::unique_ptr<Work> work_;        ///< null before the first check; its thread reads nodes_
};

}  // namespace concord
