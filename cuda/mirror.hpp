// The device mirror: vectors, levels and lists of one version of the graph in device memory.
//
// The lists are those that proposals of one epoch read, or the live ones, which searches read.
// Going from one to the other uploads only lists that differ. This class knows which version is
// held and which lists each seal has changed. MirrorNodes has the memory and uploads what never
// changes; MirrorDeltas brings lists to the device.
//
// An empty epoch follows a seal that unlinks tombstones. So the epoch behind it and the next one
// read the same version, which is known here by the later of the two. If a seal was not told, all
// lists are written anew; behind a slide (common/contents/slide.hpp) all else is uploaded anew too.
//
// Invariants: if a version is held, all lists of its nodes are those of version_for(held_epoch_);
// if the live lists are held, they are those of the graph at held_size_ nodes. Work given to
// compute() later sees them.
// Thread-safety: one thread at a time. All members may throw what Device throws; after that the
// mirror may only be destroyed.
#pragma once

#include <array>
#include <concord/cuda.hpp>
#include <concord/stats.hpp>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "common/contents/contents.hpp"
#include "common/threads/thread_pool.hpp"
#include "cuda/mirror_deltas.hpp"
#include "cuda/mirror_nodes.hpp"
#include "cuda/mirror_streams.hpp"

namespace concord::cuda {

class Mirror {
 public:
  /// Borrows its arguments.
  Mirror(Device& device, const core::Contents& contents, core::ThreadPool& pool,
         DeviceStats& stats);
  ~Mirror();

  /// Room for all announced nodes and for the deltas; see MirrorNodes::reserve. The mirror may hold
  /// no node and no version afterwards. Comes first where the graph may have slid or changed.
  void reserve(std::size_t scratch);
  /// Memory that may be allocated beside what is held.
  [[nodiscard]] std::size_t available_bytes() { return nodes_.available_bytes(); }
  /// Who holds memory that can be made anew frees it by `give_way`, which reserve() calls where
  /// memory is short.
  void make_others_give_way(std::function<void()> give_way) {
    nodes_.make_others_give_way(std::move(give_way));
  }
  void forget_nodes(NodeId size) noexcept { nodes_.forget(size); }
  void offer_vectors(NodeId first, DeviceMatrixView<const float> vectors) noexcept {
    nodes_.offer_vectors(first, vectors);
  }
  void withdraw_vectors() noexcept { nodes_.withdraw_vectors(); }
  /// Work given to compute() from here on sees nodes [0, end).
  void upload_nodes(NodeId end) { nodes_.upload(end); }
  /// Work given to compute() from here on knows who is dead, also for views of the announced nodes
  /// before `end`. REQUIRES a graph that stands still.
  void bring_deaths(NodeId end) { nodes_.bring_deaths(end); }

  [[nodiscard]] bool upload_labels(NodeId end) { return nodes_.upload_labels(end); }
  [[nodiscard]] const std::uint64_t* labels() const noexcept { return nodes_.labels(); }

  /// The open epoch has just been sealed: notes which lists have changed. `links` are the epoch's,
  /// if the device has proposed all of it; they must stay until their version is held.
  void sealed(std::optional<ProposedEpoch> links);
  /// Stages the lists that sealed() has noted. May run while the next epoch is committed.
  void stage_sealed();
  /// Whether the noted lists complete the version of this epoch; else the mirror must be written
  /// anew.
  [[nodiscard]] bool is_staged_for(const core::Epoch& epoch) const noexcept {
    return staged_for_ != 0 && staged_for_ == version_of(epoch);
  }
  /// Makes the lists those that proposals of `epoch` read.
  void hold_version(const core::Epoch& epoch);
  /// Makes the lists the live ones.
  void hold_live();

  /// Work given to `stream` from now on sees the uploaded nodes.
  void wait_for_nodes(Stream stream) { streams_.publish_to(stream); }
  /// The calling thread waits until the device works for the mirror no more.
  void drain() noexcept { streams_.drain(); }
  /// For kernels on compute().
  [[nodiscard]] MirrorView view() const noexcept;
  [[nodiscard]] Stream compute() const noexcept { return streams_.compute(); }

 private:
  static constexpr std::uint32_t kNoEpoch = ~std::uint32_t{0};
  using Lists = std::array<std::vector<core::ListIndex>, kTables>;

  /// The last epoch that reads the same version as this one.
  [[nodiscard]] std::uint32_t version_of(const core::Epoch& epoch) const noexcept;
  /// The epoch before the open one in which lists have changed.
  [[nodiscard]] std::uint32_t last_sealed() const noexcept;
  /// Forgets what is held if ids have changed, or a seal was not told.
  void notice_changes();
  void forget_lists() noexcept;
  static ListSpans spans(const Lists& lists) noexcept { return {lists[0], lists[1]}; }
  /// Lists that the open epoch has changed.
  [[nodiscard]] ListSpans touched() const noexcept;
  /// Fills changed_ with the lists that `epoch` or its seal has changed, unless a later one has.
  void learn_changes(std::uint32_t epoch);

  const core::Graph& graph_;
  MirrorStreams streams_;
  MirrorNodes nodes_;
  MirrorDeltas deltas_;

  std::uint64_t slides_;  ///< of the graph, as of what is held
  std::uint32_t open_;    ///< the open epoch, likewise

  Lists changed_;  ///< in changed_in_ or at its seal
  std::uint32_t changed_in_ = kNoEpoch;

  Lists sealed_lists_;                         ///< noted by sealed()
  std::optional<ProposedEpoch> sealed_links_;  ///< what other lists gain
  core::SealedVersion sealed_version_;         ///< as which they are read
  std::uint32_t staged_for_ = 0;

  enum class Holds { nothing, version, live };
  Holds holds_ = Holds::nothing;
  std::uint32_t held_epoch_ = 0;  ///< if holds_ is version
  NodeId held_size_ = 0;          ///< of the graph, if holds_ is live
};

}  // namespace concord::cuda
