#include "cuda/mirror.hpp"

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <cstring>
#include <string>

#include "cuda/caller_memory.hpp"

namespace concord::cuda {
namespace {

constexpr std::size_t kStagingBytes = std::size_t{4} << 20;
constexpr std::size_t kReserve = std::size_t{256} << 20;  // left to others on the device
constexpr std::size_t kRowsAtOnce = 16384;                // of a rewrite
constexpr std::size_t kGatherChunk = 256;                 // rows a thread takes at a time

std::string mebibytes(std::size_t bytes) {
  const std::size_t tenths = (bytes * 10 + (std::size_t{1} << 19)) >> 20;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

}  // namespace

Mirror::Delta::Part::Part(Device& device)
    : index(device), ids(device), d_index(device), d_ids(device) {}

Mirror::Delta::Delta(Device& device)
    : parts{Part(device), Part(device)}, copy_begin(device), copied(device), applied(device) {}

Mirror::Mirror(Device& device, const core::Graph& graph, const core::VectorStore& vectors,
               core::ThreadPool& pool, DeviceStats& stats)
    : device_(device),
      graph_(graph),
      vectors_(vectors),
      pool_(pool),
      stats_(stats),
      d_vectors_(device),
      d_levels_(device),
      d_upper_offset_(device),
      d_rows_{DeviceBuffer<NodeId>(device), DeviceBuffer<NodeId>(device)},
      more_{Continuations(device), Continuations(device)},
      copy_in_(device, Priority::normal),
      compute_(device, Priority::normal),
      nodes_ready_(device),
      staging_{Staging(device), Staging(device)},
      deltas_{Delta(device), Delta(device)} {}

// Memory must not go while the device works on it.
Mirror::~Mirror() {
  device_.drain(copy_in_);
  device_.drain(compute_);
}

std::uint32_t Mirror::width(unsigned kind) const noexcept {
  return graph_.table(kind).max_degree();
}

MirrorView Mirror::view() const noexcept {
  MirrorView view;
  view.vectors = d_vectors_.data();
  view.stride = vectors_.stride();
  view.dimension = vectors_.dimension();
  view.rows = d_rows_[0].data();
  view.upper_rows = d_rows_[1].data();
  view.upper_offset = d_upper_offset_.data();
  view.levels = d_levels_.data();
  view.more_rows = more_[0].d_pieces.data();
  view.more_upper_rows = more_[1].d_pieces.data();
  view.has_continued = content_ == Content::live && more_[0].count + more_[1].count > 0;
  view.M = graph_.params().M;
  view.metric = graph_.params().metric;
  view.n = uploaded_;
  return view;
}

// ---------------------------------------------------------------------------------- memory, nodes

// A node changes its own row and those of its neighbors; cutting these changes as many again.
std::size_t Mirror::delta_allowance() const noexcept {
  const IndexParams& p = graph_.params();
  const std::size_t changed = std::size_t{p.epoch_limit} * 2 * (p.M + 1);
  std::size_t bytes = 0;
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    const std::size_t rows = std::min(graph_.table(kind).size(), std::max(changed, kRowsAtOnce));
    for (const Delta& delta : deltas_) {
      bytes += delta.parts[kind].d_index.missing(rows);
      bytes += delta.parts[kind].d_ids.missing(rows * width(kind));
    }
  }
  return bytes;
}

void Mirror::reserve(std::size_t scratch) {
  const std::size_t nodes = graph_.announced();
  const std::size_t upper_rows = graph_.table(1).size();
  const bool fits = nodes <= capacity_ && upper_rows <= row_capacity_[1];
  if (fits && scratch == 0) return;
  const std::size_t held = device_.held_bytes();
  const std::size_t free = device_.memory().free;
  const std::size_t available =
      device_.limit() > 0 ? std::min(device_.limit() - std::min(held, device_.limit()), free)
                          : free - std::min(free, kReserve);
  const auto missing = [&](std::size_t n, std::size_t upper) {
    return d_vectors_.missing(n * vectors_.stride()) + d_levels_.missing(n) +
           d_upper_offset_.missing(n) + d_rows_[0].missing(n * width(0)) +
           d_rows_[1].missing(std::max<std::size_t>(1, upper) * width(1)) + delta_allowance();
  };
  // Growing keeps an array until its content has moved, one array at a time.
  const std::size_t transient =
      fits ? 0 : std::max(d_vectors_.bytes(), std::max(d_rows_[0].bytes(), d_rows_[1].bytes()));
  const auto needed = [&](std::size_t n, std::size_t upper) {
    return (fits ? 0 : missing(n, upper) + transient) + scratch;
  };
  if (needed(nodes, upper_rows) > available) {
    throw Error(ErrorCode::out_of_memory,
                "the device mirror of " + std::to_string(nodes) + " vectors needs " +
                    mebibytes(held + needed(nodes, upper_rows)) + " of device memory, " +
                    mebibytes(held + available) + " are allowed or free");
  }
  if (fits) return;
  // More than is asked for, so that growth is rare, where there is room.
  const std::size_t more = std::max<std::size_t>(nodes, capacity_ + capacity_ / 4);
  const std::size_t more_upper =
      std::max<std::size_t>(upper_rows, row_capacity_[1] + row_capacity_[1] / 4);
  if (needed(more, more_upper) <= available) return grow(more, more_upper);
  grow(nodes, std::max(upper_rows, row_capacity_[1]));
}

void Mirror::grow(std::size_t nodes, std::size_t upper_rows) {
  grow_buffer(d_vectors_, std::size_t{uploaded_} * vectors_.stride(), nodes * vectors_.stride());
  grow_buffer(d_levels_, uploaded_, nodes);
  grow_buffer(d_upper_offset_, uploaded_, nodes);
  grow_buffer(d_rows_[0], row_capacity_[0] * width(0), nodes * width(0));
  grow_buffer(d_rows_[1], row_capacity_[1] * width(1),
              std::max<std::size_t>(1, upper_rows) * width(1));
  capacity_ = static_cast<NodeId>(nodes);
  row_capacity_[0] = nodes;
  row_capacity_[1] = std::max<std::size_t>(1, upper_rows);
}

// Moves the `used` first elements; the rest is kNoNode, which an empty row consists of.
template <class T>
void Mirror::grow_buffer(DeviceBuffer<T>& buffer, std::size_t used, std::size_t size) {
  if (size <= buffer.size()) return;
  DeviceBuffer<T> larger(device_);
  larger.ensure(size);
  try {
    if (used > 0) device_.copy_async(larger.data(), buffer.data(), used * sizeof(T), compute_);
    device_.fill_async(larger.data() + used, 0xFF, (size - used) * sizeof(T), compute_);
  } catch (...) {
    device_.drain(compute_);  // `larger` goes
    throw;
  }
  device_.drain(compute_);  // the old memory goes, and other streams write to the new
  buffer = std::move(larger);
}

// Through pinned memory, so that the caller's thread only copies memory: `fill(to)` writes one
// piece.
template <class Fill>
void Mirror::upload_piece(void* d_to, std::size_t bytes, const Fill& fill) {
  Staging& staging = staging_[next_staging_];
  next_staging_ ^= 1;
  device_.synchronize(staging.free);
  if (staging.timed) stats_.copy_in_seconds += device_.elapsed(staging.begin, staging.free);
  staging.memory.ensure(std::max(kStagingBytes, bytes));
  fill(staging.memory.data());
  device_.record(staging.begin, copy_in_);
  device_.copy_async(d_to, staging.memory.data(), bytes, copy_in_);
  device_.record(staging.free, copy_in_);
  staging.timed = true;
  stats_.bytes_in += bytes;
}

template <class T>
void Mirror::upload(T* d_to, const T* from, std::size_t count) {
  constexpr std::size_t kAtOnce = kStagingBytes / sizeof(T);
  for (std::size_t done = 0; done < count; done += kAtOnce) {
    const std::size_t piece = std::min(kAtOnce, count - done);
    upload_piece(d_to + done, piece * sizeof(T),
                 [&](void* to) { std::memcpy(to, from + done, piece * sizeof(T)); });
  }
}

// As floats, however the host keeps them.
void Mirror::upload_vectors(float* d_to, NodeId begin, NodeId end) {
  const std::size_t stride = vectors_.stride();
  const std::size_t at_once = std::max<std::size_t>(1, kStagingBytes / (stride * sizeof(float)));
  for (std::size_t first = begin; first < end; first += at_once) {
    const std::size_t count = std::min(at_once, end - first);
    upload_piece(d_to + (first - begin) * stride, count * stride * sizeof(float),
                 [&](void* to) { vectors_.copy(first, count, static_cast<float*>(to)); });
  }
}

void Mirror::withdraw_vectors() noexcept {
  if (offered_.rows > 0) device_.drain(copy_in_);
  offered_ = {};
}

void Mirror::bring_vectors(NodeId end) {
  const std::size_t stride = vectors_.stride();
  const NodeId taken = offered_.rows == 0 ? end : std::clamp(offered_first_, uploaded_, end);
  upload_vectors(d_vectors_.data() + uploaded_ * stride, uploaded_, taken);
  if (taken == end) return;
  device_.take_rows_async(take_task(offered_, taken - offered_first_, end - taken, vectors_,
                                    graph_.params().metric, d_vectors_.data() + taken * stride),
                          copy_in_);
}

void Mirror::upload_nodes(NodeId end) {
  if (end <= uploaded_) return;
  const std::size_t count = end - uploaded_;
  bring_vectors(end);
  upload(d_levels_.data() + uploaded_, graph_.levels().data() + uploaded_, count);
  upload(d_upper_offset_.data() + uploaded_, graph_.upper_offsets().data() + uploaded_, count);
  device_.record(nodes_ready_, copy_in_);
  device_.wait(compute_, nodes_ready_);
  uploaded_ = end;
}

// ------------------------------------------------------------------------------------------- rows

// Waits until the delta's memory is in no use: a delta may have been staged and never applied.
void Mirror::finish_copies(Delta& delta) {
  device_.synchronize(delta.copied);
  device_.synchronize(delta.applied);
  if (delta.timed) stats_.copy_in_seconds += device_.elapsed(delta.copy_begin, delta.copied);
  delta.timed = false;
}

// Gathers rows into pinned memory and starts their copy; work on the device goes on meanwhile.
void Mirror::stage(Delta& delta, const RowLists& rows, Version version) {
  finish_copies(delta);
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    Delta::Part& part = delta.parts[kind];
    const core::RowTable& table = graph_.table(kind);
    const std::uint32_t w = width(kind);
    part.count = rows[kind].size();
    part.index.ensure(part.count);
    part.ids.ensure(part.count * w);
    part.d_index.ensure(part.index.size());
    part.d_ids.ensure(part.ids.size());
    pool_.parallel_for(
        part.count, kGatherChunk, [&](unsigned, std::size_t first, std::size_t last) {
          std::array<NodeId, core::kMaxScored> ids;
          for (std::size_t j = first; j < last; ++j) {
            const core::RowIndex row = rows[kind][j];
            const std::uint32_t n = version == nullptr
                                        ? table.read(row, ids.data())
                                        : graph_.read_sealed_row(*version, table, row, ids.data());
            part.index[j] = row;
            write_row(kind, {ids.data(), n}, part.ids.data() + j * w);
          }
        });
    if (part.count == 0) continue;
    if (!delta.timed) device_.record(delta.copy_begin, copy_in_);
    delta.timed = true;
    device_.copy_async(part.d_index.data(), part.index.data(), part.count * sizeof(std::uint32_t),
                       copy_in_);
    device_.copy_async(part.d_ids.data(), part.ids.data(), part.count * w * sizeof(NodeId),
                       copy_in_);
    stats_.bytes_in += part.count * (w + 1) * sizeof(NodeId);
  }
  device_.record(delta.copied, copy_in_);
}

void Mirror::write_row(unsigned kind, std::span<const NodeId> ids, NodeId* out) {
  const std::uint32_t w = width(kind);
  while (ids.size() > w) {
    std::copy_n(ids.begin(), w - 1, out);
    ids = ids.subspan(w - 1);
    const std::uint32_t piece = more_[kind].count.fetch_add(1, std::memory_order_relaxed);
    out[w - 1] = kContinued | piece;
    out = more_[kind].pieces.data() + std::size_t{piece} * w;
  }
  std::fill(std::copy(ids.begin(), ids.end(), out), out + w, kNoNode);
}

void Mirror::apply(Delta& delta) {
  device_.wait(compute_, delta.copied);
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    const Delta::Part& part = delta.parts[kind];
    if (part.count == 0) continue;
    ScatterTask task;
    task.row_index = part.d_index.data();
    task.ids = part.d_ids.data();
    task.count = static_cast<std::uint32_t>(part.count);
    task.width = width(kind);
    task.rows = d_rows_[kind].data();
    device_.scatter_async(task, compute_);
  }
  device_.record(delta.applied, compute_);
  delta.waiting = false;
}

// Brings the rows forward to those of `epoch`, as far as the waiting deltas reach.
void Mirror::apply_waiting(std::uint32_t epoch) {
  for (const unsigned older : {next_delta_, next_delta_ ^ 1}) {
    Delta& delta = deltas_[older];
    if (!delta.waiting || delta.epoch > epoch) continue;
    apply(delta);
    held_epoch_ = delta.epoch;
  }
}

// Known from the seal, or read from the rows' headers where the seal was not seen: the index was
// loaded, or the device opened, within the epoch.
void Mirror::learn_changes(std::uint32_t epoch) {
  if (changed_in_ == epoch) return;
  const std::array<std::size_t, kKinds> counts = {
      graph_.size(), graph_.size() < graph_.announced() ? graph_.upper_offsets()[graph_.size()]
                                                        : graph_.table(1).size()};
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    changed_[kind].clear();
    for (core::RowIndex row = 0; row < counts[kind]; ++row) {
      if (graph_.table(kind).header(row).touched_epoch == epoch) changed_[kind].push_back(row);
    }
  }
  changed_in_ = epoch;
}

void Mirror::sealed() {
  staged_for_ = 0;
  const std::uint32_t open = graph_.epoch().number;
  if (content_ == Content::version) {
    reserve(0);  // nodes of small batches may have come that are beyond the capacity
    // The epoch just sealed has been proposed, so the version it read is no longer wanted.
    apply_waiting(open);
  }
  // A version that was written as a whole within its own epoch lacks the seal's before, too.
  const bool behind = content_ == Content::version && held_epoch_ + 1 == open;
  std::vector<core::RowIndex> rows[kKinds];
  if (behind) learn_changes(open - 2);
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    if (behind) rows[kind] = std::move(changed_[kind]);
    changed_[kind] = graph_.table(kind).touched();
    rows[kind].insert(rows[kind].end(), changed_[kind].begin(), changed_[kind].end());
    if (!behind) continue;
    std::sort(rows[kind].begin(), rows[kind].end());
    rows[kind].erase(std::unique(rows[kind].begin(), rows[kind].end()), rows[kind].end());
  }
  changed_in_ = open - 1;
  if (content_ != Content::version || (!behind && held_epoch_ != open)) {
    content_ = Content::nothing;
    return;
  }
  for (unsigned kind = 0; kind < kKinds; ++kind) sealed_rows_[kind] = std::move(rows[kind]);
  staged_for_ = open + 1;
  sealed_version_ = graph_.version_for(graph_.epoch().next(graph_.params().epoch_limit));
}

void Mirror::stage_sealed() {
  if (staged_for_ == 0) return;
  Delta& delta = deltas_[next_delta_];
  stage(delta, {sealed_rows_[0], sealed_rows_[1]}, &sealed_version_);
  delta.epoch = staged_for_;
  delta.waiting = true;
  next_delta_ ^= 1;
}

// Versions of the open epoch and of the next, and the live graph, differ in rows that the last
// sealed epoch and the open one have changed.
void Mirror::hold_version(const core::Epoch& epoch) {
  const core::SealedVersion version = graph_.version_for(epoch);
  if (content_ == Content::version) apply_waiting(epoch.number);
  if (content_ == Content::version && held_epoch_ == epoch.number) return;
  staged_for_ = 0;  // what was noted at the last seal no longer continues these rows
  const std::uint32_t open = graph_.epoch().number;
  const bool close =
      content_ == Content::live ||
      (content_ == Content::version && (held_epoch_ == open || held_epoch_ == open + 1));
  if (close) {
    learn_changes(open - 1);
    write_rows({changed_[0], changed_[1]}, &version);
    write_rows({graph_.table(0).touched(), graph_.table(1).touched()}, &version);
  } else {
    write_all(&version);
  }
  content_ = Content::version;
  held_epoch_ = epoch.number;
}

void Mirror::hold_live() {
  if (content_ == Content::live && held_size_ == graph_.size()) return;
  staged_for_ = 0;
  device_.synchronize(nodes_ready_);  // an earlier copy of the continuations may be under way
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    // A row of at most twice its width has two continuations at most.
    const std::size_t ids = 2 * graph_.table(kind).spilled().size() * width(kind);
    more_[kind].count = 0;
    more_[kind].pieces.ensure(ids);
    more_[kind].d_pieces.ensure(more_[kind].pieces.size());
  }
  if (content_ == Content::nothing) {
    write_all(nullptr);
  } else {
    if (content_ == Content::version)
      hold_version(graph_.epoch().next(graph_.params().epoch_limit));
    write_rows({graph_.table(0).touched(), graph_.table(1).touched()}, nullptr);
  }
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    const std::size_t bytes = std::size_t{more_[kind].count} * width(kind) * sizeof(NodeId);
    if (bytes == 0) continue;
    device_.copy_async(more_[kind].d_pieces.data(), more_[kind].pieces.data(), bytes, copy_in_);
    stats_.bytes_in += bytes;
  }
  device_.record(nodes_ready_, copy_in_);
  device_.wait(compute_, nodes_ready_);
  content_ = Content::live;
  held_size_ = graph_.size();
}

void Mirror::write_rows(const RowLists& rows, Version version) {
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    for (std::size_t first = 0; first < rows[kind].size(); first += kRowsAtOnce) {
      RowLists piece;
      piece[kind] = rows[kind].subspan(first, std::min(kRowsAtOnce, rows[kind].size() - first));
      Delta& delta = deltas_[next_delta_];
      next_delta_ ^= 1;
      stage(delta, piece, version);
      apply(delta);
    }
  }
}

void Mirror::write_all(Version version) {
  for (Delta& delta : deltas_) delta.waiting = false;
  const NodeId nodes = version == nullptr ? graph_.size() : version->end;
  std::array<std::size_t, kKinds> counts = {nodes, graph_.table(1).size()};
  if (nodes < graph_.announced()) counts[1] = graph_.upper_offsets()[nodes];
  std::vector<core::RowIndex> indices[kKinds];
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    indices[kind].resize(counts[kind]);
    for (std::size_t r = 0; r < counts[kind]; ++r)
      indices[kind][r] = static_cast<core::RowIndex>(r);
    if (d_rows_[kind].size() > 0) {
      device_.fill_async(d_rows_[kind].data(), 0xFF, d_rows_[kind].bytes(), compute_);
    }
  }
  write_rows({indices[0], indices[1]}, version);
}

}  // namespace concord::cuda
