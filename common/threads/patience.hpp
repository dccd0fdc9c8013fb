// A writer that lets readers end whom it has disturbed.
//
// A reader begins again if the writer has taken away meanwhile what it looks for. A reader that has
// begun again a few times asks the writer to wait, and the writer waits before it takes more away.
// So each reader begins again a few times at most, however long it takes.
// Invariant: no answer depends on it, and the writer waits for those alone whom it has disturbed:
// while it waits, it disturbs nobody else.
// Thread-safety: any number of readers, of which none waits for the writer or for another; one
// writer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace concord::core {

class Patience {
 public:
  /// The tries of one reader.
  class Tries {
   public:
    explicit Tries(const Patience& of_writer) noexcept : asked_(of_writer.asked_) {}
    ~Tries() {
      if (begun_again_ == kMost) asked_.fetch_sub(1);
    }
    Tries(const Tries&) = delete;
    Tries& operator=(const Tries&) = delete;
    /// The reader begins again.
    void again() noexcept {
      if (begun_again_ < kMost && ++begun_again_ == kMost) asked_.fetch_add(1);
    }

   private:
    static constexpr int kMost = 3;  // without asking
    std::atomic<std::uint32_t>& asked_;
    int begun_again_ = 0;
  };

  /// Returns when no reader asks for it. Called by the writer before it takes anything away. What
  /// it takes away just as a reader begins to ask makes that reader begin once more.
  void wait() const noexcept {
    while (asked_.load() != 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  /// In a forked child: no other thread asks. REQUIRES that the thread that forked does not.
  void after_fork() noexcept { asked_ = 0; }

 private:
  mutable std::atomic<std::uint32_t> asked_{0};
};

}  // namespace concord::core
