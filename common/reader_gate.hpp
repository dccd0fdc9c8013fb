// Readers that never wait, and a writer who can tell when the last of them has left.
//
// A reader enters for the length of one call. The writer puts something new in place of what
// readers may be using, waits until all who entered before have left, and only then frees the old
// one (read-copy-update; McKenney's SRCU with counters on two sides). What is replaced is stored
// and loaded with sequential consistency, as the counters are: a reader whose entry the writer has
// not seen then sees what is new. Thread-safety: enter() and leaving from any thread, wait-free;
// wait_for_readers() from one thread at a time, which must not have entered.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace concord::core {

class ReaderGate {
 public:
  class Reader {
   public:
    explicit Reader(std::atomic<std::uint32_t>& count) noexcept : count_(count) {
      count_.fetch_add(1);
    }
    ~Reader() { count_.fetch_sub(1, std::memory_order_release); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    std::atomic<std::uint32_t>& count_;
  };

  [[nodiscard]] Reader enter() const noexcept { return Reader(own_stripe().inside[side_.load()]); }

  /// Returns when every reader that had entered before the call has left.
  void wait_for_readers() const noexcept;

 private:
  static constexpr std::size_t kStripes = 16;  // so that readers on many cores share no cache line
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint32_t>, 2> inside{};
  };
  [[nodiscard]] Stripe& own_stripe() const noexcept;

  mutable std::array<Stripe, kStripes> stripes_;
  mutable std::atomic<std::uint32_t> side_{0};
};

}  // namespace concord::core
