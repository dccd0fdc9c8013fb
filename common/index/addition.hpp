// An addition to an index, in steps: room, vectors and labels, then insertions.
//
// Up to the first insertion nothing of the index has changed that a caller can see, and the
// destructor drops what was not committed. So several indexes can take a step together: if one
// refuses its part, none changes.
// Thread-safety: one thread at a time; between leave() and insert() the thread may change.
#pragma once

#include <concord/index.hpp>
#include <memory>
#include <span>

#include "common/index/index_access.hpp"

namespace concord {

class IndexAccess::Addition {
 public:
  /// Keeps other writers out until it is destroyed. Throws Error(unsupported, io), and
  /// Error(invalid_parameter) in a callback of an addition.
  explicit Addition(Index& index);
  explicit Addition(Index::Impl& impl);
  ~Addition();
  Addition(const Addition&) = delete;
  Addition& operator=(const Addition&) = delete;

  /// Makes room for `count` vectors. Throws Error(capacity, out_of_memory).
  void reserve(std::size_t count);
  /// Has `write` bring the vectors, or some of them.
  void write(const WriteRows& write);
  /// Gives the vectors their labels, or numbers of insertion where `labels` is empty. Throws
  /// Error(duplicate_label, out_of_memory). A vector takes the place and the label of the node that
  /// is named for it in `replaced`: one for each vector, kNoNode for none, or empty.
  void label(std::span<const std::uint64_t> labels, std::span<const core::NodeId> replaced = {});
  /// Lets those in who need the graph to stand still, until insert().
  void leave() noexcept;
  /// Inserts the vectors up to number `end`, and makes them durable. Returns how many of all
  /// vectors are committed: fewer than `end` where `progress` cancelled. `there` is the vectors
  /// where device memory has them. Throws as Index::add.
  std::size_t insert(std::size_t end, const ProgressCallback& progress,
                     cuda::DeviceMatrixView<const float> there = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace concord
