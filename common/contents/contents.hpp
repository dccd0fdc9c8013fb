// What an index holds: the graph over ids, and for each id a vector and a label.
//
// Invariant: all three hold the ids [0, graph.size()), those of removed vectors included until
// slide.hpp gives their memory back. While an addition runs, all three may also hold the ids that
// were announced and are not committed yet.
// Thread-safety: one writer; readers as each part allows. Those who read vectors or labels beside
// the writer have entered the ReaderGate.
#pragma once

#include "common/contents/copy_finder.hpp"
#include "common/graph/graph.hpp"
#include "common/store/label_map.hpp"
#include "common/store/vector_store.hpp"

namespace concord::core {

struct Contents {
  /// Empty. Borrows `readers`, which the writer waits for before it frees memory; null if nobody
  /// reads beside the writer.
  explicit Contents(const IndexParams& params, const ReaderGate* readers = nullptr)
      : gate(readers),
        graph(params, readers),
        vectors(params, readers),
        labels(readers, &graph.tombstones()) {}

  /// Announces the nodes before `end`, whose vectors are written and labels appended. Those in
  /// `replaced` ([end − size], or empty) will be replaced, or none for kNoNode. Throws
  /// Error(out_of_memory) and std::bad_alloc; then discard_announced() restores what was.
  void announce(NodeId end, std::span<const NodeId> replaced, ThreadPool& pool) {
    graph.announce(end);
    if (!replaced.empty()) {
      graph.reserve_deaths(replaced.size());
      graph.announce_replacements(replaced);
    }
    copy_finder.announce_copies(graph, vectors, pool);
  }
  /// Behind each commit: codes may need the vectors that are there now. Throws as
  /// VectorStore::count_insertions().
  void note_insertions(ThreadPool& pool) {
    vectors.count_insertions(graph.insertions(), graph.size(), pool);
  }
  /// Drops what was announced and never committed.
  void discard_announced() noexcept {
    graph.discard_announced();
    labels.truncate(graph.size());
    vectors.resize(graph.size());
  }

  /// A slide is not considered while fewer nodes are unlinked.
  NodeId least_unlinked_to_slide = 0;

  const ReaderGate* gate;
  Graph graph;
  VectorStore vectors;
  LabelMap labels;
  CopyFinder copy_finder;
};

}  // namespace concord::core
