// The presets that an index remembers.
//
// Invariant: in order of (k, recall), no two for the same.
// Thread-safety: all members from any thread; after_fork() in a child.
#pragma once

#include <concord/tuning.hpp>
#include <mutex>
#include <new>
#include <vector>

#include "common/graph/graph.hpp"
#include "common/threads/fair_lock.hpp"

namespace concord {

class Presets {
 public:
  static constexpr std::size_t kMost = 1000;  ///< so that their file is short
  /// Takes a preset in, in the place of one for the same recall and k. Throws std::bad_alloc or
  /// Error(invalid_parameter) with nothing changed.
  void put(const Preset& preset);
  void replace(std::vector<Preset> all);
  [[nodiscard]] std::vector<Preset> all() const;
  /// That of the least goal for k that is at least `recall`, for an index with this graph. Throws
  /// Error(unknown_preset).
  [[nodiscard]] Preset find(double recall, std::uint32_t k, const core::Graph& graph) const;
  /// What another thread was changing is forgotten, and its memory with it.
  void after_fork() noexcept {
    if (lock_.after_fork(false)) new (&all_) std::vector<Preset>;
  }

 private:
  using Hold = std::lock_guard<core::FairLock>;
  mutable core::FairLock lock_;
  std::vector<Preset> all_;
};

}  // namespace concord
