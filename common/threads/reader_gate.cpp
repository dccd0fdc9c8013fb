#include "common/threads/reader_gate.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/threads/thread_number.hpp"

namespace concord::core {

ReaderGate::Stripe& ReaderGate::own_stripe() const noexcept {
  return stripes_[thread_number() % kStripes];
}

// A counter that was zero once after the call began counts nobody who had entered before it.
bool ReaderGate::is_empty() const noexcept {
  return std::all_of(stripes_.begin(), stripes_.end(), [](const Stripe& stripe) {
    return stripe.inside[0].load() == 0 && stripe.inside[1].load() == 0;
  });
}

// Twice, because a reader may read the side before it changes and be counted there only afterwards.
// That reader sees what is new, but the next wait would look at the other side and miss it.
void ReaderGate::wait_for_readers() const noexcept {
  for (int turn = 0; turn < 2; ++turn) {
    const std::uint32_t before = side_.fetch_xor(1);
    for (Stripe& stripe : stripes_) {
      while (stripe.inside[before].load() != 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
    }
  }
}

}  // namespace concord::core
