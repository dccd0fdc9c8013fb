// SimtTeam: CudaTeam's widths without a device.
//
// A team of 32 … 256 threads runs as fibers of one host thread: warps of 32 lanes, groups of 8,
// ballots, shuffles and barriers that really wait for one another, in an order drawn from a seed.
// They switch at atomics as well. So a unit test takes the code paths that a device takes, and a
// missing sync, a divergent collective or a dependence on the order of atomics shows as a wrong
// result or as an abort. Test code; one thread only.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "cuda/team.hpp"

namespace concord::cuda::testing {

/// Threads that meet at collectives: a warp or a block.
struct Meeting {
  std::uint32_t members = 0;
  std::uint32_t arrived = 0;
  std::uint32_t generation = 0;
  const char* operation = nullptr;
  std::vector<std::uint64_t> values[2];
};

/// Runs a function in `threads` fibers.
class SimtBlock {
 public:
  SimtBlock(std::uint32_t threads, std::uint64_t seed) : random_(seed), fibers_(threads) {
    block_.members = threads;
    warps_.resize(threads / 32);
    for (Meeting& warp : warps_) warp.members = 32;
    for (Meeting* meeting : all_meetings()) {
      for (auto& values : meeting->values) values.resize(meeting->members);
    }
  }

  void run(const std::function<void(SimtBlock&, std::uint32_t)>& body) {
    body_ = &body;
    for (std::uint32_t t = 0; t < fibers_.size(); ++t) start(t);
    std::vector<std::uint32_t> order(fibers_.size());
    for (std::uint32_t t = 0; t < order.size(); ++t) order[t] = t;
    for (std::size_t done = 0; done < fibers_.size();) {
      std::shuffle(order.begin(), order.end(), random_);
      bool progress = false;
      for (std::uint32_t t : order) {
        Fiber& fiber = fibers_[t];
        if (fiber.done || (fiber.waits_for && fiber.waits_for->generation == fiber.generation)) {
          continue;
        }
        progress = true;
        current_ = t;
        swapcontext(&scheduler_, &fiber.context);
        done += fiber.done ? 1 : 0;
      }
      if (!progress) fail("threads wait for collectives that others never reach");
    }
  }

  /// All members' values, once all have called it with the same operation.
  const std::uint64_t* meet(Meeting& meeting, std::uint32_t member, const char* operation,
                            std::uint64_t value) {
    if (meeting.arrived != 0 && meeting.operation != operation) fail("divergent collectives");
    meeting.operation = operation;
    const std::uint32_t generation = meeting.generation;
    std::uint64_t* const values = meeting.values[generation & 1].data();
    values[member] = value;
    if (++meeting.arrived == meeting.members) {
      meeting.arrived = 0;
      ++meeting.generation;
    } else {
      Fiber& fiber = fibers_[current_];
      fiber.waits_for = &meeting;
      fiber.generation = generation;
      swapcontext(&fiber.context, &scheduler_);
      fiber.waits_for = nullptr;
    }
    return values;
  }

  /// Lets others go first now and then.
  void maybe_yield() {
    if (random_() % 4 == 0) swapcontext(&fibers_[current_].context, &scheduler_);
  }

  Meeting& block() { return block_; }
  Meeting& warp(std::uint32_t index) { return warps_[index]; }

 private:
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    const Meeting* waits_for = nullptr;
    std::uint32_t generation = 0;
    bool done = false;
  };
  static constexpr std::size_t kStackBytes = 256 * 1024;

  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "SimtTeam: %s\n", what);
    std::abort();
  }
  std::vector<Meeting*> all_meetings() {
    std::vector<Meeting*> all{&block_};
    for (Meeting& warp : warps_) all.push_back(&warp);
    return all;
  }

  static void enter(unsigned low, unsigned high) {
    auto* const self = reinterpret_cast<SimtBlock*>(std::uintptr_t{high} << 32 | low);
    const std::uint32_t thread = self->current_;
    (*self->body_)(*self, thread);
    self->fibers_[thread].done = true;
  }
  void start(std::uint32_t thread) {
    Fiber& fiber = fibers_[thread];
    fiber.done = false;
    fiber.waits_for = nullptr;
    if (!fiber.stack) fiber.stack.reset(new char[kStackBytes]);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler_;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(&SimtBlock::enter), 2,
                static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
  }

  std::minstd_rand random_;
  std::vector<Fiber> fibers_;
  ucontext_t scheduler_;
  Meeting block_;
  std::vector<Meeting> warps_;
  const std::function<void(SimtBlock&, std::uint32_t)>* body_ = nullptr;
  std::uint32_t current_ = 0;
};

template <std::uint32_t kTeamThreads>
class SimtTeam {
 public:
  static constexpr std::uint32_t kThreads = kTeamThreads;
  static constexpr std::uint32_t kWarpSize = 32;
  static constexpr std::uint32_t kWarps = kThreads / kWarpSize;
  static constexpr std::uint32_t kGroupSize = 8;
  static constexpr std::uint32_t kGroupsPerWarp = kWarpSize / kGroupSize;
  static constexpr std::uint32_t kGroups = kThreads / kGroupSize;

  SimtTeam(SimtBlock& block, std::uint32_t thread) : block_(block), thread_(thread) {}

  std::uint32_t rank() const { return thread_; }
  std::uint32_t warp() const { return thread_ / 32; }
  std::uint32_t lane() const { return thread_ % 32; }
  std::uint32_t group() const { return lane() / 8; }
  std::uint32_t group_lane() const { return thread_ % 8; }

  void sync() { block_.meet(block_.block(), thread_, "sync", 0); }
  bool any(bool p) {
    const std::uint64_t* const all = block_.meet(block_.block(), thread_, "any", p ? 1 : 0);
    for (std::uint32_t t = 0; t < kThreads; ++t) {
      if (all[t] != 0) return true;
    }
    return false;
  }
  std::uint32_t ballot(bool p) {
    const std::uint64_t* const all = meet_warp("ballot", p ? 1 : 0);
    std::uint32_t bits = 0;
    for (std::uint32_t j = 0; j < 32; ++j) bits |= static_cast<std::uint32_t>(all[j]) << j;
    return bits;
  }
  template <class T>
  T shuffle(T v, std::uint32_t from) {
    return exchange("shuffle", v, from);
  }
  template <class T>
  T shuffle_xor(T v, std::uint32_t mask) {
    return exchange("shuffle_xor", v, lane() ^ mask);
  }

  std::uint32_t atomic_add(std::uint32_t* p, std::uint32_t v) {
    block_.maybe_yield();
    const std::uint32_t old = *p;
    *p += v;
    return old;
  }
  void atomic_min(std::uint32_t* p, std::uint32_t v) {
    block_.maybe_yield();
    if (v < *p) *p = v;
  }
  void atomic_or(std::uint32_t* p, std::uint32_t v) {
    block_.maybe_yield();
    *p |= v;
  }
  void add_counter(unsigned long long* p, unsigned long long v) { *p += v; }
  std::uint64_t load_relaxed(const std::uint64_t* p) {
    const std::uint64_t v = *p;
    block_.maybe_yield();
    return v;
  }
  void store_relaxed(std::uint64_t* p, std::uint64_t v) { *p = v; }
  void prefetch(const void*) {}
  Float4 load4(const float* p) { return *reinterpret_cast<const Float4*>(p); }

  core::Key min(core::Key key) {
    const std::uint64_t* const all = meet_warp("min", key);
    return *std::min_element(all, all + kWarpSize);
  }
  /// By counting the smaller ones: no barrier more than CudaTeam's has.
  template <std::uint32_t kMost, class Moved>
  void sort(core::Key* keys, std::uint32_t n, Moved&& moved) {
    std::array<core::Key, kMost / kThreads + 1> held;
    std::array<std::uint32_t, kMost / kThreads + 1> places{};
    for (std::uint32_t j = thread_; j < n; j += kThreads) {
      held[j / kThreads] = keys[j];
      for (std::uint32_t other = 0; other < n; ++other) {
        places[j / kThreads] += keys[other] < keys[j] ? 1 : 0;
      }
    }
    sync();
    for (std::uint32_t j = thread_; j < n; j += kThreads) {
      keys[places[j / kThreads]] = held[j / kThreads];
      moved(places[j / kThreads], j);
    }
  }

 private:
  const std::uint64_t* meet_warp(const char* operation, std::uint64_t value) {
    return block_.meet(block_.warp(warp()), lane(), operation, value);
  }
  template <class T>
  T exchange(const char* operation, T v, std::uint32_t from) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t));
    std::uint64_t bits = 0;
    std::memcpy(&bits, &v, sizeof v);
    bits = meet_warp(operation, bits)[from % 32];
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }

  SimtBlock& block_;
  std::uint32_t thread_;
};

}  // namespace concord::cuda::testing
