#include "common/journal/applier.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <cstring>
#include <string>

#include "common/contents/slide.hpp"
#include "common/file/file_layout.hpp"
#include "common/graph/graph.hpp"

namespace concord::core {

using file::RecordKind;

void Applier::apply(const Record& record) {
  if (record.kind == RecordKind::mark) return;
  const Graph& graph = target_.contents.graph;
  const file::OperationCounts& after = record.after;
  const bool is_here =
      record.before.ids() == graph.insertions() && record.before.removals() == graph.removals();
  if (after.ids() <= graph.insertions() && after.removals() <= graph.removals() &&
      !(is_here && record.kind == RecordKind::flush)) {
    return compare(record);
  }
  // A removal that ran out of memory at a seal has been saved half done.
  const bool is_within = record.kind == RecordKind::remove &&
                         record.before.ids() == graph.insertions() &&
                         record.before.removals() < graph.removals();
  if (!is_here && !is_within) refuse_journal("the index file ends in the middle of a record");
  switch (record.kind) {
    case RecordKind::remove:
      remove(record);
      break;
    case RecordKind::flush:
      if (!graph.pending().empty()) target_.committer.seal(target_.scorer);
      break;
    default:
      add(record);
  }
  if (give_memory_back(target_.contents, EmptySlots::in_passing)) {
    target_.committer.find_overfull();
  }
}

// Calls use(number of the first row in the record, number of rows, the rows as floats) for some
// rows at a time.
template <class Use>
void Applier::for_rows(const Record& record, const Use& use) {
  const VectorStore& vectors = target_.contents.vectors;
  const std::size_t row_bytes = vectors.row_bytes(record.element);
  const std::size_t at_once = file::vectors_at_once(vectors.stride());
  for (std::size_t i = 0; i < record.vectors(); i += at_once) {
    const std::size_t some = std::min(at_once, record.vectors() - i);
    floats_.resize(some * vectors.stride());
    widen(record.element, record.rows.data() + i * row_bytes, floats_.size(), floats_.data());
    use(i, some, floats_.data());
  }
}

// The index file has been written since the journal was begun. It need not have all vectors any
// more.
void Applier::compare(const Record& record) {
  const Graph& graph = target_.contents.graph;
  const VectorStore& vectors = target_.contents.vectors;
  const LabelMap& labels = target_.contents.labels;
  NodeId node = graph.first_from(record.first());
  bool equal = true;
  std::vector<float> stored(vectors.stride());
  for_rows(record, [&](std::size_t first, std::size_t count, const float* rows) {
    for (; node < graph.size() && graph.insertion(node) < record.first() + first + count; ++node) {
      const auto i = static_cast<std::size_t>(graph.insertion(node) - record.first());
      vectors.copy(node, 1, stored.data());
      equal =
          equal &&
          labels.label(node) == (record.labels.empty() ? record.first() + i : record.labels[i]) &&
          std::memcmp(stored.data(), rows + (i - first) * vectors.stride(),
                      stored.size() * sizeof(float)) == 0;
    }
  });
  if (!equal) refuse_journal("it holds other vectors or labels than the index file");
}

void Applier::remove(const Record& record) {
  const LabelMap& labels = target_.contents.labels;
  Graph& graph = target_.contents.graph;
  seal_if_due();
  graph.reserve_deaths(record.labels.size());
  const auto done = static_cast<std::size_t>(graph.removals() - record.before.removals());
  for (const std::uint64_t label : record.labels.subspan(done)) {
    const NodeId node = labels.find(label, graph.size());
    if (node == kNoNode) {
      refuse_journal("it removes label " + std::to_string(label) + ", which no vector has");
    }
    graph.remove(node);
    seal_if_due();
  }
}

void Applier::add(const Record& record) {
  seal_if_due();
  const NodeId end = target_.contents.graph.size() + record.vectors();
  const std::vector<NodeId> replaced = find_replaced(record);
  target_.contents.graph.reserve(end);
  add_vectors(record);
  add_labels(record, replaced);
  announce(end, replaced);
  read_proposals(record);
  target_.committer.commit(batch_);
  target_.contents.note_insertions(target_.pool);
  target_.contents.discard_announced();
  seal_if_due();
}

void Applier::seal_if_due() {
  if (target_.committer.seal_is_due()) target_.committer.seal(target_.scorer);
}

std::vector<NodeId> Applier::find_replaced(const Record& record) const {
  std::vector<NodeId> replaced;
  if (record.kind != RecordKind::update) return replaced;
  for (const std::uint64_t label : record.labels) {
    replaced.push_back(target_.contents.labels.find(label, target_.contents.graph.size()));
  }
  const auto added = static_cast<std::uint64_t>(std::ranges::count(replaced, kNoNode));
  if (added == record.after.inserts - record.before.inserts) return replaced;
  refuse_journal("an update replaces other vectors than those of its labels");
}

void Applier::announce(NodeId end, std::span<const NodeId> replaced) {
  target_.contents.announce(end, replaced, target_.pool);
  const Graph& graph = target_.contents.graph;
  Epoch epoch = graph.epoch();
  if (graph.end_of_batch(graph.size(), epoch) != end) {
    refuse_journal("a record goes beyond its epoch");
  }
}

void Applier::add_vectors(const Record& record) {
  VectorStore& vectors = target_.contents.vectors;
  const NodeId begin = target_.contents.graph.size();
  vectors.resize(begin + record.vectors());
  for_rows(record, [&](std::size_t first, std::size_t count, const float* rows) {
    for (std::size_t i = 0; i < count; ++i) {
      if (vectors.is_stored_form(rows + i * vectors.stride())) continue;
      refuse_journal("vector " + std::to_string(record.first() + first + i) +
                     " is not one that the index would take");
    }
    vectors.restore(begin + first, count, rows, target_.pool);
  });
}

void Applier::add_labels(const Record& record, std::span<const NodeId> replaced) {
  try {
    target_.contents.labels.append(record.labels, record.vectors(), record.first(), replaced);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::duplicate_label) throw;
    refuse_journal(error.what());
  }
}

void Applier::read_proposals(const Record& record) {
  Graph& graph = target_.contents.graph;
  batch_.reset(graph.size(), graph.announced(), graph);
  decode_proposals(record.proposals, batch_);
  if (has_links_of_copies()) {  // of a version that made nodes of copies
    graph.forget_announced_copies();
    target_.contents.copy_finder.note_equals();
  }
  ranks_.follow(graph);
  for (NodeId node = batch_.begin; node < batch_.end; ++node) {
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) read_list(node, layer);
  }
}

bool Applier::has_links_of_copies() const {
  const Graph& graph = target_.contents.graph;
  for (NodeId node = batch_.begin; node < batch_.end; ++node) {
    if (!graph.copies().is_copy(node)) continue;
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      if (!batch_.neighbors(node, layer).empty()) return true;
    }
  }
  return false;
}

void Applier::read_list(NodeId node, std::uint32_t layer) {
  const Graph& graph = target_.contents.graph;
  NodeId* const ids = batch_.list(node, layer);
  const std::size_t count = batch_.neighbors(node, layer).size();
  for (NodeId* id = ids; id != ids + count; ++id) {
    *id = ranks_.node(*id);
    if (*id < node && graph.level(*id) >= layer && graph.is_linked(*id) && graph.gone(*id) > node &&
        std::find(ids, id, *id) == id)
      continue;
    refuse_journal("a proposal for vector " + std::to_string(graph.insertion(node)) +
                   " names itself, a later one, one of a lower layer, a removed one, a copy, or "
                   "one twice");
  }
}

}  // namespace concord::core
