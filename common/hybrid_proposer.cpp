#include "common/hybrid_proposer.hpp"

#include <new>
#include <utility>

namespace concord::core {

HybridProposer::HybridProposer(Proposer* device, Proposer& cpu, NodeId smallest_device_batch,
                               std::function<void(const Error&)> device_failed)
    : device_(device),
      cpu_(cpu),
      smallest_device_batch_(smallest_device_batch),
      device_failed_(std::move(device_failed)) {}

// False if there is no device (any more).
template <class Call>
bool HybridProposer::try_device(const Call& call) {
  if (device_ == nullptr) return false;
  try {
    call(*device_);
    return true;
  } catch (const Error& error) {
    give_up(error);
  } catch (const std::bad_alloc&) {
    give_up(Error(ErrorCode::out_of_memory, "no host memory for the device's work"));
  }
  return false;
}

void HybridProposer::give_up(const Error& error) {
  Proposer* const device = std::exchange(device_, nullptr);
  try {
    device->settle();                // its threads must not read what the CPU goes on to change
  } catch (const std::exception&) {  // the failure at hand is the one to report
  }
  device_failed_(error);
}

HybridProposer::~HybridProposer() {
  try {
    if (batch_.on_device) try_device([](Proposer& device) { device.finish({}); });
    settle();
  } catch (...) {
    // From the caller's log; the device is given up and whoever builds has an exception already.
  }
}

void HybridProposer::start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) {
  batch_ = {epoch, begin, end, false};
  if (end - begin >= smallest_device_batch_) {
    batch_.on_device = try_device([&](Proposer& device) { device.start(epoch, begin, end, stop); });
  }
  if (!batch_.on_device) cpu_.start(epoch, begin, end, stop);
}

const ProposalBatch* HybridProposer::finish(const StopRequest& stop) {
  if (!batch_.on_device) return cpu_.finish(stop);
  const ProposalBatch* batch = nullptr;
  batch_.on_device = false;
  if (try_device([&](Proposer& device) { batch = device.finish(stop); })) return batch;
  cpu_.start(batch_.epoch, batch_.begin, batch_.end, stop);
  return cpu_.finish(stop);
}

const PruneScores& HybridProposer::score(const PruneBatch& batch) {
  const PruneScores* scores = nullptr;
  const bool small = batch.rows.size() < smallest_device_batch_;
  if (!small && try_device([&](Proposer& device) { scores = &device.score(batch); }))
    return *scores;
  return cpu_.score(batch);
}

void HybridProposer::settle() {
  try_device([](Proposer& device) { device.settle(); });
}

void HybridProposer::sealed() {
  try_device([](Proposer& device) { device.sealed(); });
  cpu_.sealed();
}

}  // namespace concord::core
