#include "common/build/hybrid_proposer.hpp"

#include <new>
#include <utility>

namespace concord::core {

HybridProposer::HybridProposer(Proposer* device, RepairingProposer& cpu,
                               NodeId smallest_device_batch,
                               std::function<void(const Error&)> device_failed,
                               ProposalCheck* check)
    : device_(device),
      cpu_(cpu),
      smallest_device_batch_(smallest_device_batch),
      device_failed_(std::move(device_failed)),
      check_(check) {}

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
  ProposalCheck* const check = std::exchange(check_, nullptr);
  try {  // its threads must not read lists that the CPU changes from here on
    device->drain();
  } catch (const std::exception&) {  // the first failure is the one to report
  }
  try {
    if (check != nullptr) check->drain();
  } catch (const std::exception&) {  // as well
  }
  device_failed_(error);
}

HybridProposer::~HybridProposer() {
  try {
    if (batch_.on_device) try_device([](Proposer& device) { device.finish({}); });
    drain();
  } catch (...) {
    // The exception is the caller's log's. The device is given up, and the addition already ends by
    // an exception.
  }
}

void HybridProposer::forget_device() noexcept {
  device_ = nullptr;
  check_ = nullptr;
  batch_.on_device = false;
}

void HybridProposer::start(const Epoch& epoch, NodeId begin, NodeId end, const StopRequest& stop) {
  batch_ = {epoch, begin, end, false};
  if (end - begin >= smallest_device_batch_ && device_ != nullptr && device_->takes(begin, end)) {
    batch_.on_device = try_device([&](Proposer& device) {
      device.start(epoch, begin, end, stop);
      if (check_ != nullptr) check_->start(epoch, begin, end);
    });
  }
  if (!batch_.on_device) cpu_.start(epoch, begin, end, stop);
}

const ProposalBatch* HybridProposer::finish(const StopRequest& stop) {
  if (!batch_.on_device) return cpu_.finish(stop);
  const ProposalBatch* batch = nullptr;
  batch_.on_device = false;
  const bool done = try_device([&](Proposer& device) {
    batch = device.finish(stop);
    if (check_ != nullptr && batch != nullptr) check_->compare(*batch);
  });
  if (done) return batch;
  cpu_.start(batch_.epoch, batch_.begin, batch_.end, stop);
  return cpu_.finish(stop);
}

// A batch of the CPU's as well: the device must know that it lacks one.
LinkChanges* HybridProposer::changes_of(const ProposalBatch& batch) {
  LinkChanges* changes = nullptr;
  try_device([&](Proposer& device) { changes = device.changes_of(batch); });
  return changes;
}

const ListScores& HybridProposer::score(const OverfullLists& batch) {
  const ListScores* scores = nullptr;
  const bool small = batch.lists.size() < smallest_device_batch_;
  const bool done = !small && try_device([&](Proposer& device) {
    if (check_ != nullptr) check_->start(batch);
    scores = &device.score(batch);
    if (check_ != nullptr) check_->compare(batch, *scores);
  });
  return done ? *scores : cpu_.score(batch);
}

std::span<const Edge> HybridProposer::relate(const Neighborhoods& sets) {
  return cpu_.relate(sets);
}

std::span<const NodeId> HybridProposer::propose_again(std::span<const ListName> lists) {
  return cpu_.propose_again(lists);
}

void HybridProposer::drain() {
  try_device([&](Proposer& device) {
    device.drain();
    if (check_ != nullptr) check_->drain();
  });
}

void HybridProposer::sealed() {
  try_device([](Proposer& device) { device.sealed(); });
  cpu_.sealed();
}

}  // namespace concord::core
