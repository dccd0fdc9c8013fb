#include "cuda/mirror_nodes.hpp"

#include <concord/error.hpp>
#include <cstring>
#include <string>
#include <utility>

#include "cuda/caller_memory.hpp"

namespace concord::cuda {
namespace {

constexpr std::size_t kStagingBytes = std::size_t{4} << 20;
constexpr std::size_t kReserve = std::size_t{256} << 20;  // left to others on the device

std::string mebibytes(std::size_t bytes) {
  const std::size_t tenths = (bytes * 10 + (std::size_t{1} << 19)) >> 20;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

}  // namespace

MirrorNodes::MirrorNodes(Device& device, MirrorStreams& streams, const core::Contents& contents,
                         DeviceStats& stats)
    : device_(device),
      streams_(streams),
      graph_(contents.graph),
      vectors_(contents.vectors),
      labels_(contents.labels),
      stats_(stats),
      d_vectors_(device),
      d_levels_(device),
      d_upper_offset_(device),
      d_links_{DeviceBuffer<NodeId>(device), DeviceBuffer<NodeId>(device)},
      tombstones_(device, streams, contents.graph, stats),
      d_labels_(device),
      staging_{Staging(device), Staging(device)} {}

MirrorView MirrorNodes::view() const noexcept {
  MirrorView view;
  view.vectors = d_vectors_.data();
  view.stride = vectors_.stride();
  view.dimension = vectors_.dimension();
  view.links = d_links_[0].data();
  view.upper_links = d_links_[1].data();
  view.upper_offset = d_upper_offset_.data();
  view.levels = d_levels_.data();
  view.gone = tombstones_.gone().data();
  view.M = graph_.params().M;
  view.metric = graph_.params().metric;
  view.n = uploaded_;
  return view;
}

// ----------------------------------------------------------------------------------------- memory

bool MirrorNodes::reserve(std::size_t scratch, std::size_t deltas) {
  const Room wanted = room_for(graph_.announced(), graph_.upper().size());
  const bool fits = room_.holds(wanted);
  if (fits && scratch == 0) return true;
  const auto needed = [&](const Room& room) {
    return (fits ? 0 : missing(room) + deltas) + scratch;
  };
  std::size_t available = available_bytes();
  if (give_way_ && needed(wanted) + (fits ? 0 : transient_bytes()) > available) {
    give_way_();
    available = available_bytes();
  }
  const std::size_t held = device_.held_bytes();
  if (needed(wanted) > available) {
    throw Error(ErrorCode::out_of_memory, "the device mirror of " + std::to_string(wanted.nodes) +
                                              " vectors needs " + mebibytes(held + needed(wanted)) +
                                              " of device memory, " + mebibytes(held + available) +
                                              " are allowed or free");
  }
  if (fits) return true;
  // If there is space, more than is asked for, so that growth is rare.
  const Room least = room_for(std::max(wanted.nodes, room_.nodes),
                              std::max(wanted.upper_lists, room_.upper_lists));
  const Room most =
      least.nodes == room_.nodes && least.upper_lists == room_.upper_lists
          ? least
          : room_for(std::max(wanted.nodes, room_.nodes + room_.nodes / 4),
                     std::max(wanted.upper_lists, room_.upper_lists + room_.upper_lists / 4));
  for (const Room& room : {most, least}) {
    if (needed(room) + transient_bytes() > available) continue;
    grow(room);
    return true;
  }
  // The host has all that the arrays hold. As much as there is space for, because it has a price.
  const double share = std::min(1.0, static_cast<double>(available - needed(least)) /
                                         static_cast<double>(needed(most) - needed(least) + 1));
  const auto part = [&](std::size_t from, std::size_t to) {
    return from + static_cast<std::size_t>(static_cast<double>(to - from) * share);
  };
  begin_anew(room_for(part(least.nodes, most.nodes), part(least.upper_lists, most.upper_lists)));
  return false;
}

std::size_t MirrorNodes::available_bytes() {
  const std::size_t held = device_.held_bytes();
  const std::size_t free = device_.memory().free;
  if (device_.limit() == 0) return free - std::min(free, kReserve);
  return std::min(device_.limit() - std::min(held, device_.limit()), free);
}

std::size_t MirrorNodes::missing(const Room& room) const noexcept {
  return d_vectors_.missing(room.nodes * vectors_.stride()) + d_levels_.missing(room.nodes) +
         d_upper_offset_.missing(room.nodes) + d_links_[0].missing(room.nodes * width(0)) +
         d_links_[1].missing(std::max<std::size_t>(1, room.upper_lists) * width(1)) +
         (room.mortals == 0 ? 0 : tombstones_.gone().missing(room.mortals) + tombstones_.missing());
}

// Growing keeps an array until its content has moved, one array at a time.
std::size_t MirrorNodes::transient_bytes() const noexcept {
  return std::max({d_vectors_.bytes(), d_links_[0].bytes(), d_links_[1].bytes()});
}

// Calls grow(buffer, elements in use, elements that `room` needs).
template <class Grow>
void MirrorNodes::for_each_array(const Room& room, const Grow& grow) {
  const std::size_t stride = vectors_.stride();
  const std::size_t upper_lists = std::max<std::size_t>(1, room.upper_lists);
  grow(d_vectors_, uploaded_ * stride, room.nodes * stride);
  grow(d_levels_, std::size_t{uploaded_}, room.nodes);
  grow(d_upper_offset_, std::size_t{uploaded_}, room.nodes);
  grow(d_links_[0], room_.nodes * width(0), room.nodes * width(0));
  grow(d_links_[1], room_.upper_lists * width(1), upper_lists * width(1));
  grow(tombstones_.gone(), room_.mortals, room.mortals);
  room_ = {room.nodes, upper_lists, room.mortals};
}

void MirrorNodes::grow(const Room& room) {
  for_each_array(room, [&](auto& buffer, std::size_t used, std::size_t size) {
    grow_buffer(buffer, used, size);
  });
}

// At no moment is more memory held than in the end.
void MirrorNodes::begin_anew(const Room& room) {
  streams_.drain();
  for_each_array(room, [&](auto& buffer, std::size_t, std::size_t size) {
    buffer.ensure(size);
    if (buffer.size() == 0) return;  // nobody has died
    device_.fill_async(buffer.data(), 0xFF, buffer.bytes(), streams_.compute());
  });
  device_.drain(streams_.compute());  // other streams write to them
  uploaded_ = 0;
  tombstones_.forget();
}

void MirrorNodes::forget_all() {
  streams_.drain();
  forget(0);
  tombstones_.forget();
  DeviceBuffer<NodeId>& gone = tombstones_.gone();
  if (gone.size() > 0) device_.fill_async(gone.data(), 0xFF, gone.bytes(), streams_.compute());
}

// Moves the `used` first elements; the rest is kNoNode, which an empty list consists of.
template <class T>
void MirrorNodes::grow_buffer(DeviceBuffer<T>& buffer, std::size_t used, std::size_t size) {
  if (size <= buffer.size()) return;
  const Stream stream = streams_.compute();
  DeviceBuffer<T> larger(device_);
  larger.ensure(size);
  try {
    if (used > 0) device_.copy_async(larger.data(), buffer.data(), used * sizeof(T), stream);
    device_.fill_async(larger.data() + used, 0xFF, (size - used) * sizeof(T), stream);
  } catch (...) {
    device_.drain(stream);  // `larger` goes
    throw;
  }
  device_.drain(stream);  // the old memory goes, and other streams write to the new
  buffer = std::move(larger);
}

// ----------------------------------------------------------------------------------------- upload

void MirrorNodes::upload(NodeId end) {
  if (end <= uploaded_) return;
  const std::size_t count = end - uploaded_;
  bring_vectors(end);
  upload_levels(end);
  upload_array(d_upper_offset_.data() + uploaded_, graph_.upper_offsets().data() + uploaded_,
               count);
  streams_.publish();
  uploaded_ = end;
}

// Labels have room for as many nodes as the other arrays. They come anew if that was too little.
bool MirrorNodes::upload_labels(NodeId end) {
  if (end > d_labels_.size()) {
    if (d_labels_.missing(room_.nodes) > available_bytes()) return false;
    streams_.drain();
    labelled_ = 0;
    d_labels_.ensure(room_.nodes);
  }
  if (end <= labelled_) return true;
  upload_array(d_labels_.data() + labelled_, labels_.data() + labelled_, end - labelled_);
  streams_.publish();
  labelled_ = end;
  return true;
}

void MirrorNodes::withdraw_vectors() noexcept {
  if (offered_.rows > 0) device_.drain(streams_.copy_in());
  offered_ = {};
}

void MirrorNodes::bring_vectors(NodeId end) {
  const NodeId taken = offered_.rows == 0 ? end : std::clamp(offered_first_, uploaded_, end);
  upload_vectors(uploaded_, taken);
  if (taken == end) return;
  device_.take_rows_async(
      take_task(offered_, taken - offered_first_, end - taken, vectors_, graph_.params().metric,
                d_vectors_.data() + std::size_t{taken} * vectors_.stride()),
      streams_.copy_in());
}

// As floats, however the host keeps them.
void MirrorNodes::upload_vectors(NodeId begin, NodeId end) {
  const std::size_t stride = vectors_.stride();
  const std::size_t at_once = std::max<std::size_t>(1, kStagingBytes / (stride * sizeof(float)));
  for (std::size_t first = begin; first < end; first += at_once) {
    const std::size_t count = std::min(at_once, end - first);
    upload_piece(d_vectors_.data() + first * stride, count * stride * sizeof(float),
                 [&](void* to) { vectors_.copy(first, count, static_cast<float*>(to)); });
  }
}

void MirrorNodes::upload_levels(NodeId end) {
  for (NodeId first = uploaded_; first < end;) {
    const NodeId count = std::min(end - first, static_cast<NodeId>(kStagingBytes));
    upload_piece(d_levels_.data() + first, count, [&](void* to) {
      auto* const levels = static_cast<std::uint8_t*>(to);
      std::copy_n(graph_.levels().data() + first, count, levels);
      for (NodeId j = 0; graph_.copies().any() && j < count; ++j) {
        if (graph_.copies().is_copy(first + j)) levels[j] = kCopyLevel;
      }
    });
    first += count;
  }
}

template <class T>
void MirrorNodes::upload_array(T* d_to, const T* from, std::size_t count) {
  constexpr std::size_t kAtOnce = kStagingBytes / sizeof(T);
  for (std::size_t done = 0; done < count; done += kAtOnce) {
    const std::size_t piece = std::min(kAtOnce, count - done);
    upload_piece(d_to + done, piece * sizeof(T),
                 [&](void* to) { std::memcpy(to, from + done, piece * sizeof(T)); });
  }
}

// `fill(to)` writes the piece to pinned memory.
template <class Fill>
void MirrorNodes::upload_piece(void* d_to, std::size_t bytes, const Fill& fill) {
  const Stream stream = streams_.copy_in();
  Staging& staging = staging_[next_staging_];
  next_staging_ ^= 1;
  device_.synchronize(staging.free);
  if (staging.timed) stats_.copy_in_seconds += device_.elapsed(staging.begin, staging.free);
  staging.memory.ensure(std::max(kStagingBytes, bytes));
  fill(staging.memory.data());
  device_.record(staging.begin, stream);
  device_.copy_async(d_to, staging.memory.data(), bytes, stream);
  device_.record(staging.free, stream);
  staging.timed = true;
  stats_.bytes_in += bytes;
}

}  // namespace concord::cuda
