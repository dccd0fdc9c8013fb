// A concord::Index or ShardedIndex that no Python program can use wrongly: arguments are checked,
// members take turns, long work releases the GIL and heeds Ctrl-C.
//
// Thread-safety: all members, called with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/index.hpp>
#include <concord/sharded_index.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <type_traits>

#include "array.hpp"
#include "index_lock.hpp"
#include "watch.hpp"

namespace concord::python {

template <class Core>
class PythonIndexOf;
using PythonIndex = PythonIndexOf<Index>;
struct PythonCursor;
using PythonShardedIndex = PythonIndexOf<ShardedIndex>;

template <class Core>
using RuntimeOf = std::conditional_t<std::is_same_v<Core, Index>, RuntimeOptions, ShardRuntime>;

/// With the log of Python's logging.
RuntimeOptions runtime_of_index(unsigned threads, const std::string& device);
/// Throws Error(invalid_parameter).
Durability to_durability(const std::string& name);

/// Whether all labels that an index has had since it was made or read fit int64.
struct LabelRange {
  bool is_known = false;
  bool fits = true;
  std::uint64_t begun = 0, ended = 0;  ///< calls of a replica's catch_up(), which bring labels
};

constexpr std::size_t kPieceBytes = 1 << 20;

/// `Core` is Index or ShardedIndex.
template <class Core>
class PythonIndexOf {
 public:
  PythonIndexOf(const IndexParams& params, unsigned threads,
                const std::string& device) requires std::is_same_v<Core, Index>;
  PythonIndexOf(const IndexParams& params, const ShardParams& shards, unsigned threads,
                const std::string& device) requires std::is_same_v<Core, ShardedIndex>;
  /// Reads and writes files: Concord's own, or those of another library.
  using Loader = std::function<Core(const std::filesystem::path&, RuntimeOf<Core>)>;
  using Saver = std::function<void(const Core&, const std::filesystem::path&)>;
  static PythonIndexOf* load(nanobind::bytes path, unsigned threads, const std::string& device,
                             const Loader& loader);

  /// `labels`: None or a one-dimensional array of uint64.
  std::size_t add(nanobind::handle vectors, nanobind::handle labels, nanobind::object progress);
  std::size_t update(nanobind::handle vectors, nanobind::handle labels, nanobind::object progress);
  std::size_t upsert(nanobind::handle vectors, nanobind::handle labels, nanobind::object progress);
  std::size_t remove(nanobind::handle labels);
  void flush();
  /// `rescore` is None for the library's choice. If `progress` ends the work, the queries that were
  /// not run have no neighbors.
  nanobind::object search(nanobind::handle queries, nanobind::handle k, nanobind::handle ef,
                          nanobind::handle slack, nanobind::handle rescore, bool use_codes,
                          nanobind::handle out, nanobind::handle progress) const;
  nanobind::object exact_search(nanobind::handle queries, nanobind::handle k, nanobind::handle out,
                                nanobind::handle progress) const;
  /// As search and exact_search, among the vectors that filters let match: None, a Filter for all
  /// queries, or a list with a Filter or None for each. `groups` is Groups or None.
  nanobind::object search_among(nanobind::handle queries, nanobind::handle k, nanobind::handle ef,
                                nanobind::handle slack, nanobind::handle rescore, bool use_codes,
                                nanobind::handle filters, nanobind::handle groups,
                                nanobind::handle group_hits, nanobind::handle out,
                                nanobind::handle progress) const;
  nanobind::object exact_search_among(nanobind::handle queries, nanobind::handle k,
                                      nanobind::handle filters, nanobind::handle out,
                                      nanobind::handle progress) const;
  /// A tuple (lims, labels, distances); `filters` is None as well.
  nanobind::object range_search(nanobind::handle queries, nanobind::handle radius,
                                nanobind::handle ef, nanobind::handle slack, nanobind::handle limit,
                                nanobind::handle filters, nanobind::handle progress) const;
  /// Filters of arrays with one dimension: a byte a vector, bits from number `offset` on, labels.
  Filter filter_of_mask(nanobind::handle mask) const;
  Filter filter_of_bits(nanobind::handle bits, std::size_t count, std::size_t offset) const;
  Filter filter_of_labels(nanobind::handle labels) const;
  Filter filter_of_range(std::size_t first, std::size_t last) const;
  /// A cursor of one query; `filter` is a Filter or None. It borrows this.
  PythonCursor* cursor(nanobind::handle query, nanobind::handle ef, nanobind::handle slack,
                       nanobind::handle filter) const;
  /// (labels, distances) of its next page, as long as it is.
  nanobind::object next_page(PythonCursor& cursor, nanobind::handle k) const;
  // --- tuning.cpp ---
  /// Presets and explanations are dictionaries of their members. Without `queries`, which is None,
  /// vectors of the index are taken.
  nanobind::dict tune(nanobind::handle queries, double recall, nanobind::handle k,
                      nanobind::handle sample) requires std::is_same_v<Core, Index>;
  [[nodiscard]] nanobind::list presets() const requires std::is_same_v<Core, Index>;
  /// (ef, slack, use_codes).
  [[nodiscard]] nanobind::tuple preset(
      double recall, nanobind::handle k) const requires std::is_same_v<Core, Index>;
  void remember(nanobind::dict preset) requires std::is_same_v<Core, Index>;
  [[nodiscard]] nanobind::dict explain(nanobind::handle query, std::uint64_t label,
                                       nanobind::handle k, nanobind::handle filter) const;

  /// `keys` is an array of uint64 with one dimension.
  Groups groups_of_keys(nanobind::handle keys) const;
  void save(nanobind::bytes path, const Saver& saver) const;
  /// The bytes that save writes.
  [[nodiscard]] nanobind::object insertion_numbers(
      nanobind::handle labels) const requires std::is_same_v<Core, Index>;
  [[nodiscard]] nanobind::object to_bytes() const requires std::is_same_v<Core, Index>;
  /// Calls `put` with them in pieces of at most kPieceBytes.
  void write(nanobind::object put) const requires std::is_same_v<Core, Index>;
  static PythonIndexOf* from_bytes(nanobind::handle content, unsigned threads,
                                   const std::string& device) requires std::is_same_v<Core, Index>;
  void compact();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool contains(std::uint64_t label) const;
  [[nodiscard]] nanobind::object vector(std::uint64_t label) const;
  /// Vectors [n, dim] of labels, an array of uint64 with one dimension. Where a label has none, the
  /// row is NaN if `or_nan`, else Error(unknown_label) is thrown.
  [[nodiscard]] nanobind::object vectors(nanobind::handle labels, bool or_nan) const;
  [[nodiscard]] nanobind::object labels() const;
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] nanobind::dict audit() const;
  [[nodiscard]] nanobind::dict stats() const;
  [[nodiscard]] nanobind::dict memory() const;

  [[nodiscard]] const IndexParams& params() const { return index_->params(); }  // never change
  /// For what only one kind of index has, and what needs no lock.
  [[nodiscard]] const Core& core() const { return *index_; }
  [[nodiscard]] unsigned threads() const { return threads_; }
  [[nodiscard]] const std::string& device() const { return device_; }
  [[nodiscard]] bool certificates() const { return certificates_; }
  [[nodiscard]] double checked_share() const { return checked_share_; }
  void set_runtime(unsigned threads, const std::string& device, bool certificates,
                   double checked_share);

 private:
  using Reading = std::shared_lock<IndexLock>;
  using Writing = std::unique_lock<IndexLock>;

  friend PythonIndex* shard_of(const PythonShardedIndex& whole, std::uint32_t number);
  friend class PythonReplica;

  PythonIndexOf(Core index, unsigned threads, std::string device)
      : PythonIndexOf(std::make_shared<Core>(std::move(index)), std::make_shared<IndexLock>(),
                      std::make_shared<LabelRange>(), threads, std::move(device), false) {
    range_->is_known = index_->size() == 0;
  }
  PythonIndexOf(std::shared_ptr<Core> index, std::shared_ptr<IndexLock> lock,
                std::shared_ptr<LabelRange> range, unsigned threads, std::string device,
                bool of_shards)
      : lock_(std::move(lock)),
        index_(std::move(index)),
        range_(std::move(range)),
        of_shards_(of_shards),
        threads_(threads),
        device_(std::move(device)) {}
  /// Throws Error(unsupported) for a shard of another index.
  void expect_own() const;

  std::size_t insert(const Array& vectors, std::span<const std::uint64_t> labels, Watch& watch);
  std::size_t add_from_host(const Array& vectors, std::span<const std::uint64_t> labels,
                            Watch& watch);
  template <class FromHost, class FromDevice>
  std::size_t replace(nanobind::handle vectors, nanobind::handle labels, nanobind::object progress,
                      const FromHost& from_host, const FromDevice& from_device);
  template <class Work>
  std::size_t change(std::span<const std::uint64_t> labels, const Work& work);
  template <class Piece, class Run>
  std::size_t in_pieces(const Array& queries, nanobind::handle progress, const Piece& piece,
                        const Run& run) const;
  [[nodiscard]] std::size_t workers() const;
  [[nodiscard]] std::size_t queries_per_piece(std::uint32_t ef) const;
  template <class Search>
  nanobind::object among(const Array& queries, std::uint32_t k, nanobind::handle filters,
                         nanobind::handle out, nanobind::handle progress, std::size_t piece,
                         const Search& search) const;
  template <class Work>
  auto read(const Work& work) const;
  /// Whether all labels are, and were, below 2^63; for members that hold the lock. One that is
  /// removed beside a search may be in its answer.
  [[nodiscard]] bool labels_fit() const;
  /// Also those of an answer, which the replica may have removed since.
  [[nodiscard]] bool labels_fit(std::span<const std::uint64_t> answer) const;
  /// Does `use`, without the GIL, unless it was done before: the first use of each part of a mapped
  /// file checks it, which takes long, and members that keep the GIL must not be the first.
  template <class Use>
  void use_first(bool& was_used, const Use& use) const;

  /// Shared by all calls but those that need the index to themselves; a shard has that of the
  /// whole.
  std::shared_ptr<IndexLock> lock_;
  IndexLock changing_;  ///< changes take turns; taken before lock_
  std::shared_ptr<Core> index_;
  std::shared_ptr<LabelRange> range_;  ///< guarded by the GIL; a shard has that of the whole
  const bool of_shards_;               ///< a shard of a ShardedIndex, for reading
  // Guarded by the GIL.
  mutable bool used_links_ = false, used_vectors_ = false, used_labels_ = false;
  unsigned threads_;
  std::string device_;
  bool certificates_ = true;
  double checked_share_ = RuntimeOptions{}.checked_share;
};

/// Shard `number`, for reading; it keeps the whole alive. Throws Error(invalid_parameter).
PythonIndex* shard_of(const PythonShardedIndex& whole, std::uint32_t number);

}  // namespace concord::python
