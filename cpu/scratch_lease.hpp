// How the threads of a search come by their scratch (private to the Searcher).
// Thread-safety: any number of threads; none waits for another.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "common/threads/thread_number.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/searcher.hpp"

namespace concord::cpu {

/// Scratch borrowed for the length of a scope. A thread looks first where it looked last time, so
/// that threads seldom meet. It looks with relaxed loads: what follows decides. Who takes scratch
/// (acquire) has what its last user did before giving it back (release).
class Searcher::Lease {
 public:
  explicit Lease(const Searcher& searcher) : searcher_(searcher) {
    for (std::size_t i = 0; i < kSlots && !scratch_; ++i) {
      Slot& slot = slot_at(i);
      if (slot.idle.load(std::memory_order_relaxed) == nullptr) continue;
      scratch_.reset(slot.idle.exchange(nullptr, std::memory_order_acquire));
    }
    if (!scratch_) scratch_ = std::make_unique<Scratch>();
    scratch_->query.resize(searcher.vectors_.stride());
    scratch_->query_bytes.resize(searcher.vectors_.stride());
    const core::CodeStore& codes = searcher.vectors_.codes();
    if (codes.is_used()) scratch_->query_code.resize(codes.query_bytes());
    scratch_->counts = {};
  }
  ~Lease() {
    for (std::size_t i = 0; i < kSlots; ++i) {
      Slot& slot = slot_at(i);
      Scratch* none = nullptr;
      if (slot.idle.load(std::memory_order_relaxed) != nullptr) continue;
      const std::size_t bytes = sizeof(Scratch) + scratch_->bytes();
      if (!slot.idle.compare_exchange_strong(none, scratch_.get(), std::memory_order_release))
        continue;
      static_cast<void>(scratch_.release());  // whoever takes it next owns it
      slot.bytes.store(bytes, std::memory_order_relaxed);
      return;
    }
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Scratch& operator*() const { return *scratch_; }

 private:
  [[nodiscard]] Slot& slot_at(std::size_t i) const noexcept {
    return searcher_.slots_[(core::thread_number() + i) % kSlots];
  }

  const Searcher& searcher_;
  std::unique_ptr<Scratch> scratch_;
};

/// Runs body(first, last, scratch) for all of n things, a lease per chunk, and sums the counts.
template <class Lease, class Searcher, class Body>
SearchCounts for_each_query(const Searcher& searcher, std::size_t n, std::size_t chunk,
                            core::ThreadPool& pool, const Body& body) {
  std::atomic<std::uint64_t> distances{0};
  std::atomic<std::uint64_t> hops{0};
  std::atomic<std::uint64_t> rescored{0};
  const auto run = [&](unsigned, std::size_t first, std::size_t last) {
    const Lease lease(searcher);
    body(first, last, *lease);
    distances += (*lease).counts.distances;
    hops += (*lease).counts.hops;
    rescored += (*lease).counts.rescored;
  };
  if (n <= chunk) {
    if (n > 0) run(0, 0, n);
  } else {
    pool.parallel_for(n, chunk, run);
  }
  return {distances, hops, rescored};
}

}  // namespace concord::cpu
