#include "cuda/mirror_deltas.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace concord::cuda {
namespace {

constexpr std::size_t kListsAtOnce = 16384;  // of write()
constexpr std::size_t kGatherChunk = 256;    // lists that a thread takes at a time

}  // namespace

MirrorDeltas::Delta::Part::Part(Device& device)
    : index(device), ids(device), d_index(device), d_ids(device) {}

MirrorDeltas::Delta::Delta(Device& device, MirrorStreams& streams, const MirrorNodes& nodes,
                           const core::Graph& graph, DeviceStats& stats)
    : parts{Part(device), Part(device)},
      links(device, streams, nodes, graph, stats),
      copy_begin(device),
      copied(device),
      applied(device) {}

MirrorDeltas::MirrorDeltas(Device& device, MirrorStreams& streams, const MirrorNodes& nodes,
                           const core::Graph& graph, core::ThreadPool& pool, DeviceStats& stats)
    : device_(device),
      streams_(streams),
      nodes_(nodes),
      graph_(graph),
      pool_(pool),
      stats_(stats),
      more_{Continuations(device), Continuations(device)},
      deltas_{Delta(device, streams, nodes, graph, stats),
              Delta(device, streams, nodes, graph, stats)} {}

// A node changes its own list and those of its neighbors; cutting these changes as many again.
std::size_t MirrorDeltas::allowance() const noexcept {
  const IndexParams& p = graph_.params();
  const std::size_t changed = std::size_t{p.epoch_limit} * 2 * (p.M + 1);
  std::size_t bytes = 0;
  for (unsigned t = 0; t < kTables; ++t) {
    const std::size_t lists = std::min(nodes_.table(t).size(), std::max(changed, kListsAtOnce));
    for (const Delta& delta : deltas_) {
      bytes += delta.parts[t].d_index.missing(lists);
      bytes += delta.parts[t].d_ids.missing(lists * nodes_.width(t));
    }
  }
  for (const Delta& delta : deltas_) bytes += delta.links.allowance();
  return bytes;
}

MirrorDeltas::Delta& MirrorDeltas::take_next() noexcept {
  Delta& delta = deltas_[next_delta_];
  next_delta_ ^= 1;
  return delta;
}

void MirrorDeltas::stage(const ListSpans& lists, const core::SealedVersion& version,
                         std::uint32_t epoch, const ProposedEpoch* links) {
  Delta& delta = take_next();
  fill(delta, lists, &version);
  delta.has_links = links != nullptr;
  if (delta.has_links) delta.links.stage(*links);
  delta.epoch = epoch;
  delta.waiting = true;
}

std::uint32_t MirrorDeltas::apply_staged(std::uint32_t held, std::uint32_t epoch) {
  for (const unsigned older : {next_delta_, next_delta_ ^ 1}) {
    Delta& delta = deltas_[older];
    if (!delta.waiting || delta.epoch > epoch) continue;
    apply(delta);
    held = delta.epoch;
  }
  return held;
}

void MirrorDeltas::write(const ListSpans& lists, Version version) {
  for (unsigned t = 0; t < kTables; ++t) {
    for (std::size_t first = 0; first < lists[t].size(); first += kListsAtOnce) {
      ListSpans piece;
      piece[t] = lists[t].subspan(first, std::min(kListsAtOnce, lists[t].size() - first));
      Delta& delta = take_next();
      fill(delta, piece, version);
      apply(delta);
    }
  }
}

void MirrorDeltas::write_all(Version version) {
  for (Delta& delta : deltas_) delta.waiting = false;
  const NodeId nodes = version == nullptr ? graph_.size() : version->end;
  const std::array<std::size_t, kTables> counts = {nodes, graph_.upper_lists_before(nodes)};
  std::vector<core::ListIndex> indices[kTables];
  for (unsigned t = 0; t < kTables; ++t) {
    indices[t].resize(counts[t]);
    std::iota(indices[t].begin(), indices[t].end(), core::ListIndex{0});
    const DeviceBuffer<NodeId>& links = nodes_.links(t);
    if (links.size() == 0) continue;
    device_.fill_async(links.data(), 0xFF, links.bytes(), streams_.compute());
  }
  write({indices[0], indices[1]}, version);
}

// --------------------------------------------------------------------------------------- one delta

void MirrorDeltas::fill(Delta& delta, const ListSpans& lists, Version version) {
  finish_copies(delta);
  delta.has_links = false;
  for (unsigned t = 0; t < kTables; ++t) {
    gather(delta.parts[t], t, lists[t], version);
    if (!lists[t].empty()) copy_in(delta, delta.parts[t], t);
  }
  device_.record(delta.copied, streams_.copy_in());
}

// Waits until the delta's memory is in no use: it may have been staged and never applied.
void MirrorDeltas::finish_copies(Delta& delta) {
  device_.synchronize(delta.copied);
  device_.synchronize(delta.applied);
  if (delta.timed) stats_.copy_in_seconds += device_.elapsed(delta.copy_begin, delta.copied);
  delta.timed = false;
}

void MirrorDeltas::gather(Delta::Part& part, unsigned t, std::span<const core::ListIndex> lists,
                          Version version) {
  const core::LinkTable& links = nodes_.table(t);
  const std::uint32_t width = nodes_.width(t);
  part.count = lists.size();
  part.index.ensure(part.count);
  part.ids.ensure(part.count * width);
  part.d_index.ensure(part.index.size());
  part.d_ids.ensure(part.ids.size());
  pool_.parallel_for(part.count, kGatherChunk, [&](unsigned, std::size_t first, std::size_t last) {
    std::array<NodeId, core::kMaxListCapacity> ids;
    for (std::size_t j = first; j < last; ++j) {
      const std::uint32_t n = version == nullptr
                                  ? links.read(lists[j], ids.data())
                                  : graph_.read_sealed_list(*version, links, lists[j], ids.data());
      part.index[j] = lists[j];
      write_list(t, {ids.data(), n}, part.ids.data() + j * width);
    }
  });
}

// Writes the ids of one list to `out`, and those beyond its width to continuations.
void MirrorDeltas::write_list(unsigned t, std::span<const NodeId> ids, NodeId* out) {
  const std::uint32_t width = nodes_.width(t);
  while (ids.size() > width) {
    std::copy_n(ids.begin(), width - 1, out);
    ids = ids.subspan(width - 1);
    const std::uint32_t piece = more_[t].count.fetch_add(1, std::memory_order_relaxed);
    out[width - 1] = kContinued | piece;
    out = more_[t].pieces.data() + std::size_t{piece} * width;
  }
  std::fill(std::copy(ids.begin(), ids.end(), out), out + width, kNoNode);
}

void MirrorDeltas::copy_in(Delta& delta, const Delta::Part& part, unsigned t) {
  const Stream stream = streams_.copy_in();
  const std::size_t ids = part.count * nodes_.width(t);
  if (!delta.timed) device_.record(delta.copy_begin, stream);
  delta.timed = true;
  device_.copy_async(part.d_index.data(), part.index.data(), part.count * sizeof(std::uint32_t),
                     stream);
  device_.copy_async(part.d_ids.data(), part.ids.data(), ids * sizeof(NodeId), stream);
  stats_.bytes_in += part.count * sizeof(std::uint32_t) + ids * sizeof(NodeId);
}

void MirrorDeltas::apply(Delta& delta) {
  device_.wait(streams_.compute(), delta.copied);
  if (delta.has_links) delta.links.append();
  for (unsigned t = 0; t < kTables; ++t) {
    const Delta::Part& part = delta.parts[t];
    if (part.count == 0) continue;
    ScatterTask task;
    task.list_index = part.d_index.data();
    task.ids = part.d_ids.data();
    task.count = static_cast<std::uint32_t>(part.count);
    task.width = nodes_.width(t);
    task.links = nodes_.links(t).data();
    device_.scatter_async(task, streams_.compute());
  }
  device_.record(delta.applied, streams_.compute());
  delta.waiting = false;
}

// ----------------------------------------------------------------------------------- continuations

void MirrorDeltas::begin_live() {
  streams_.synchronize();  // an earlier copy of the continuations may be under way
  for (unsigned t = 0; t < kTables; ++t) {
    // A list of at most twice its width has two continuations at most.
    const std::size_t ids = 2 * nodes_.table(t).overflowed().size() * nodes_.width(t);
    more_[t].count = 0;
    more_[t].pieces.ensure(ids);
    more_[t].d_pieces.ensure(more_[t].pieces.size());
  }
}

void MirrorDeltas::end_live() {
  for (unsigned t = 0; t < kTables; ++t) {
    const std::size_t bytes = std::size_t{more_[t].count} * nodes_.width(t) * sizeof(NodeId);
    if (bytes == 0) continue;
    device_.copy_async(more_[t].d_pieces.data(), more_[t].pieces.data(), bytes, streams_.copy_in());
    stats_.bytes_in += bytes;
  }
  streams_.publish();
}

void MirrorDeltas::show_continuations(MirrorView& view) const noexcept {
  view.more_links = more_[0].d_pieces.data();
  view.more_upper_links = more_[1].d_pieces.data();
  view.has_continued = more_[0].count + more_[1].count > 0;
}

}  // namespace concord::cuda
