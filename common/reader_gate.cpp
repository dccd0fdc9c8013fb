#include "common/reader_gate.hpp"

#include <chrono>
#include <thread>

namespace concord::core {

ReaderGate::Stripe& ReaderGate::own_stripe() const noexcept {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t stripe = threads.fetch_add(1, std::memory_order_relaxed);
  return stripes_[stripe % kStripes];
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
