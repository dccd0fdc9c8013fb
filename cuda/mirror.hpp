// The device mirror: vectors, levels and rows of one version of the graph in device memory.
//
// Vectors, levels and offsets are uploaded once; vectors that the caller has in device memory are
// taken there. Rows are those of the version that proposals of
// one epoch read, or the live ones for searches; moving from one to the other uploads only rows
// that differ: at each seal the changed rows are gathered into pinned memory and copied while the
// device still works on the older version, and scattered in stream order just before the newer one
// is read.
//
// Memory is planned in reserve(), before any work; the Device's limit keeps the budget.
// Thread-safety: one thread at a time. All members may throw what Device throws; after that the
// mirror is good for nothing but being destroyed.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <concord/cuda.hpp>
#include <concord/stats.hpp>
#include <span>
#include <vector>

#include "common/graph.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "cuda/buffer.hpp"

namespace concord::cuda {

class Mirror {
 public:
  /// Borrows its arguments.
  Mirror(Device& device, const core::Graph& graph, const core::VectorStore& vectors,
         core::ThreadPool& pool, DeviceStats& stats);
  ~Mirror();

  /// Room for all announced nodes. Throws Error(out_of_memory) with both sizes where that and
  /// `scratch` more bytes, which the caller is about to allocate, exceed the device's limit or its
  /// free memory; nothing is allocated then.
  void reserve(std::size_t scratch);
  /// Nodes from `size` on are, or will be, others than those uploaded.
  void forget_nodes(core::NodeId size) noexcept { uploaded_ = std::min(uploaded_, size); }
  /// Vectors of nodes from `first` on are also in the caller's device memory, validated and
  /// written: upload_nodes() takes them there, until withdraw_vectors().
  void offer_vectors(NodeId first, DeviceMatrixView<const float> rows) noexcept {
    offered_first_ = first;
    offered_ = rows;
  }
  /// The caller's memory is read no more when this returns.
  void withdraw_vectors() noexcept;
  /// Uploads what is missing of nodes [0, end); work given to compute() from here on sees them.
  void upload_nodes(core::NodeId end);

  /// The open epoch has just been sealed: notes which rows have changed.
  void sealed();
  /// Gathers the noted rows and starts their copy. May run while the next epoch is committed, which
  /// only appends to rows what this version does not hold.
  void stage_sealed();
  /// The epoch whose version the noted rows complete; 0 where the mirror must be written anew.
  [[nodiscard]] std::uint32_t staged_for() const noexcept { return staged_for_; }
  /// Makes the rows those that proposals of `epoch` read.
  void hold_version(const core::Epoch& epoch);
  /// Makes the rows the live ones.
  void hold_live();

  /// Work given to `stream` from now on sees the uploaded nodes.
  void wait_for_nodes(Stream stream) { device_.wait(stream, nodes_ready_); }
  /// For kernels on compute().
  [[nodiscard]] MirrorView view() const noexcept;
  [[nodiscard]] Stream compute() const noexcept { return compute_; }
  [[nodiscard]] core::NodeId uploaded() const noexcept { return uploaded_; }

 private:
  static constexpr unsigned kKinds = 2;  ///< layer 0, layers above
  static constexpr std::uint32_t kNoEpoch = ~std::uint32_t{0};

  /// Rows on their way to the device, in pinned memory and in device memory.
  struct Delta {
    explicit Delta(Device& device);
    struct Part {
      explicit Part(Device& device);
      PinnedBuffer<std::uint32_t> index;
      PinnedBuffer<NodeId> ids;
      DeviceBuffer<std::uint32_t> d_index;
      DeviceBuffer<NodeId> d_ids;
      std::size_t count = 0;
    };
    Part parts[kKinds];
    OwnedEvent copy_begin;
    OwnedEvent copied;
    OwnedEvent applied;
    bool timed = false;       ///< the copy's time is still to be taken
    bool waiting = false;     ///< staged, not applied
    std::uint32_t epoch = 0;  ///< the rows become those that proposals of this epoch read
  };
  using RowLists = std::array<std::span<const core::RowIndex>, kKinds>;
  /// null: the live rows.
  using Version = const core::SealedVersion*;

  [[nodiscard]] std::uint32_t width(unsigned kind) const noexcept;
  /// What the deltas may still take beyond what they have.
  [[nodiscard]] std::size_t delta_allowance() const noexcept;
  void grow(std::size_t nodes, std::size_t upper_rows);
  template <class T>
  void grow_buffer(DeviceBuffer<T>& buffer, std::size_t used, std::size_t size);
  template <class T>
  void upload(T* d_to, const T* from, std::size_t count);
  template <class Fill>
  void upload_piece(void* d_to, std::size_t bytes, const Fill& fill);
  void upload_vectors(float* d_to, core::NodeId begin, core::NodeId end);
  /// Of nodes [uploaded_, end): the offered ones are taken, those before are uploaded.
  void bring_vectors(NodeId end);

  /// Fills changed_ with the rows that `epoch` or its seal has changed, unless a later one has.
  void learn_changes(std::uint32_t epoch);
  void stage(Delta& delta, const RowLists& rows, Version version);
  void finish_copies(Delta& delta);
  void apply(Delta& delta);
  void apply_waiting(std::uint32_t epoch);
  /// Writes one row's ids to `out` ([width]), the rest of a row that is too long to continuations.
  void write_row(unsigned kind, std::span<const NodeId> ids, NodeId* out);
  void write_rows(const RowLists& rows, Version version);
  void write_all(Version version);

  Device& device_;
  const core::Graph& graph_;
  const core::VectorStore& vectors_;
  core::ThreadPool& pool_;
  DeviceStats& stats_;

  DeviceBuffer<float> d_vectors_;
  DeviceBuffer<std::uint8_t> d_levels_;
  DeviceBuffer<std::uint32_t> d_upper_offset_;
  DeviceBuffer<NodeId> d_rows_[kKinds];
  /// Live rows above max_degree go on here (views.hpp). All of them are among the rows touched in
  /// the open epoch, so each hold_live() writes them anew.
  struct Continuations {
    explicit Continuations(Device& device) : pieces(device), d_pieces(device) {}
    PinnedBuffer<NodeId> pieces;
    DeviceBuffer<NodeId> d_pieces;
    std::atomic<std::uint32_t> count{0};
  };
  Continuations more_[kKinds];
  std::size_t row_capacity_[kKinds] = {0, 0};
  NodeId capacity_ = 0;
  NodeId uploaded_ = 0;
  DeviceMatrixView<const float> offered_;  ///< of nodes from offered_first_ on
  NodeId offered_first_ = 0;

  OwnedStream copy_in_;
  OwnedStream compute_;
  OwnedEvent nodes_ready_;
  struct Staging {
    explicit Staging(Device& device) : memory(device), begin(device), free(device) {}
    PinnedBuffer<std::byte> memory;
    OwnedEvent begin;
    OwnedEvent free;
    bool timed = false;  ///< the copy's time is still to be taken
  };
  Staging staging_[2];
  unsigned next_staging_ = 0;

  Delta deltas_[2];
  unsigned next_delta_ = 0;                      ///< the older of the two
  std::vector<core::RowIndex> changed_[kKinds];  ///< in changed_in_ or at its seal
  std::uint32_t changed_in_ = kNoEpoch;

  std::vector<core::RowIndex> sealed_rows_[kKinds];  ///< noted by sealed()
  core::SealedVersion sealed_version_;               ///< as which they are read
  std::uint32_t staged_for_ = 0;

  enum class Content { nothing, version, live };
  Content content_ = Content::nothing;
  std::uint32_t held_epoch_ = 0;  ///< where content_ is version
  NodeId held_size_ = 0;          ///< of the graph, where content_ is live
};

}  // namespace concord::cuda
