// Readers that never wait, and a writer who can tell when the last of them has left.
//
// A reader enters for the length of one call. The writer replaces something that readers may be
// using, waits until all readers that had entered have left, and only then frees the old one
// (read-copy-update; McKenney's SRCU with counters on two sides).
// Invariant: pointers to replaced things are stored and loaded with sequential consistency, like
// the counters. So a reader whose entry the writer has not seen reads the new pointer: in the one
// order of all these operations its entry comes behind the writer's look at the counter, which
// comes behind the store. What else the writer stored before that pointer the reader has acquired
// with it, so it reads the pointer first. Checked by tests/models/reader_gate.pml.
// Thread-safety: any thread may enter and leave, wait-free. One thread at a time may call
// wait_for_readers(), and it must not have entered; is_empty() is for the same thread.
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
    // Acquired by the writer, who reads the counter: what it frees then was read before. Later
    // entries by others keep that order, because they add to the same counter (a release sequence).
    ~Reader() { count_.fetch_sub(1, std::memory_order_release); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    std::atomic<std::uint32_t>& count_;
  };

  [[nodiscard]] Reader enter() const noexcept { return Reader(own_stripe().inside[side_.load()]); }

  /// Returns when every reader that had entered before the call has left.
  void wait_for_readers() const noexcept;
  /// True if all readers that had entered before the call have left; false if some may be inside.
  [[nodiscard]] bool is_empty() const noexcept;
  /// In a forked child: nobody is inside. REQUIRES that the thread that forked had not entered.
  void after_fork() noexcept {
    for (Stripe& stripe : stripes_) {
      for (std::atomic<std::uint32_t>& count : stripe.inside) count = 0;
    }
  }

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
