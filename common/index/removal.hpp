// A removal from an index, in two steps: all that can be refused, then the change.
//
// Up to run() nothing of the index has changed, and there is memory for the removals. So several
// indexes can take a step together: if one refuses its part, none changes.
// Thread-safety: one thread at a time; between leave() and run() the thread may change.
#pragma once

#include <concord/index.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/index/deferred_log.hpp"
#include "common/index/index_access.hpp"

namespace concord {

class IndexAccess::Removal {
 public:
  /// Keeps other writers out until it is destroyed. Borrows `labels`. Throws as Index::remove.
  Removal(Index& index, std::span<const std::uint64_t> labels);
  /// The same of labels that the caller has looked up. REQUIRES that they are those of `nodes`,
  /// which live, each once, and no other writer since.
  Removal(Index& index, std::span<const std::uint64_t> labels, std::vector<core::NodeId> nodes);
  ~Removal();
  Removal(const Removal&) = delete;
  Removal& operator=(const Removal&) = delete;

  /// Lets those in who need the graph to stand still, until run().
  void leave() noexcept;
  /// Removes the vectors, once. The record of all is on disk before the first is removed. Throws
  /// Error(io) before that, and Error(out_of_memory) or std::bad_alloc at a seal.
  void run(DeferredLog& log);

 private:
  struct State;
  void take(std::span<const std::uint64_t> labels, std::vector<core::NodeId> nodes);
  std::unique_ptr<State> state_;
};

}  // namespace concord
