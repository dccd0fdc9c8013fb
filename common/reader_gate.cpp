#include "common/reader_gate.hpp"

#include <chrono>
#include <thread>

#include "common/thread_number.hpp"

namespace concord::core {

ReaderGate::Stripe& ReaderGate::own_stripe() const noexcept {
  return stripes_[thread_number() % kStripes];
}

// Twice: a reader may have read the side before it changed and be counted there only afterwards.
// Such a one sees what is new, but the next wait would look at the other side and miss it.
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
