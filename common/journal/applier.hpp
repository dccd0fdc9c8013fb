// Brings records of a journal into an index, with the code that committed their batches before.
//
// A record that the index has already is told by its counts: they say how many nodes were inserted
// and removed up to it, ever. A flush changes neither, and does nothing the second time.
// A record is refused with Error(corrupt_file) if it does not fit the index, has vectors or labels
// that add, update and remove would refuse, or has proposals that no proposer makes.
// Thread-safety: one thread, the writer of the index.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "common/build/committer.hpp"
#include "common/build/proposer.hpp"
#include "common/contents/contents.hpp"
#include "common/graph/current_ranks.hpp"
#include "common/graph/graph.hpp"
#include "common/journal/record.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::core {

/// The index that gets the records, and the proposer that scores lists at its seals.
struct ReplayTarget {
  Contents& contents;
  Committer& committer;
  ThreadPool& pool;
  RepairingProposer& scorer;
};

class Applier {
 public:
  /// Borrows all that the target refers to.
  explicit Applier(const ReplayTarget& target) : target_(target) {}

  /// Does the record's operations, or compares its vectors if the index has had them. Throws
  /// Error(corrupt_file, out_of_memory, capacity); then the index must not be used.
  void apply(const Record& record);

 private:
  void compare(const Record& record);
  void remove(const Record& record);
  void add(const Record& record);
  void add_vectors(const Record& record);
  void add_labels(const Record& record, std::span<const NodeId> replaced);
  /// What an update's vectors replace: empty for an insert.
  [[nodiscard]] std::vector<NodeId> find_replaced(const Record& record) const;
  void announce(NodeId end, std::span<const NodeId> replaced);
  void read_proposals(const Record& record);
  [[nodiscard]] bool has_links_of_copies() const;
  /// Makes ids of the ranks in a list.
  void read_list(NodeId node, std::uint32_t layer);
  void seal_if_due();
  template <class Use>
  void for_rows(const Record& record, const Use& use);

  ReplayTarget target_;
  std::vector<float> floats_;
  ProposalBatch batch_;
  CurrentRanks ranks_;
};

}  // namespace concord::core
