// concord::Index: a hierarchical navigable small world (HNSW) index that is one graph, defined by
// the data, whoever computed it.
//
// The same parameters and the same vectors in the same order give the same bytes on CUDA, AVX-512,
// AVX2 and scalar code, with any number of threads and any split of the calls to add.
#pragma once

#include <concord/durability.hpp>
#include <concord/error.hpp>
#include <concord/export.hpp>
#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <concord/stats.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace concord {

/// Results of a batch: row q holds the `counts[q]` nearest found for query q, nearest first.
/// Places beyond counts[q] hold kNoLabel and +infinity. add takes no such label; a vector of a file
/// or journal that was written before it was refused may have it, and then stands before them.
struct SearchResult {
  std::size_t queries = 0;
  std::size_t k = 0;
  std::vector<std::uint64_t> labels;  ///< [queries × k]
  std::vector<float> distances;       ///< [queries × k]
  std::vector<std::uint32_t> counts;  ///< [queries]
};

/// Gives vectors of an addition from number `first` on: one row or more, of whatever memory, valid
/// until it is asked again. An exception it throws ends the addition before anything was inserted.
using RowSource = std::function<MatrixView<const float>(std::size_t first)>;

/// When the content of a mapped file is checked.
enum class MapCheck { on_first_use, on_open };

struct IndexAccess;  // the library's own door

/// What results hold where there is no neighbor; no vector can be given it for its label.
inline constexpr std::uint64_t kNoLabel = ~std::uint64_t{0};

/// Thread-safety: one writer, any number of readers. search, exact_search, contains, vector,
/// labels, size and params may run on any threads beside add and never wait for it: a search sees
/// every vector committed before it began, and none that is not. It finds as many as it would find
/// with the index at rest, and all of them where ef allows it. At the end of an epoch links are cut
/// and moved one by one: a search of that moment may miss a near vector that others find. While an
/// addition runs the CPU answers. save, audit, digest, stats and memory may run beside add, too:
/// they are of one moment between two commits, for which they wait, and the addition waits while
/// they read the links (vectors and labels are read beside it). It also waits for the calls of that
/// moment where it has to move what they may be reading: once where vectors turn from bytes to
/// floats, and where the table of labels doubles. Additions from several threads take turns. In
/// callbacks of an addition all const members may be called; add, compact and set_runtime throw
/// Error(invalid_parameter), and what another thread saves, audits or digests must not be waited
/// for. The log of a search may use the index as anyone.
/// set_runtime, moving and assigning need the index to themselves. The destructor waits for calls
/// that have entered; one that only begins cannot be seen, so none may begin.
/// After fork() the child may use the index only to destroy it or to assign to it, which leaves its
/// memory taken: threads do not survive a fork. A journal is open for the parent alone; while both
/// live, once it has closed it, another may open it.
class CONCORD_API Index {
 public:
  /// An empty index. Throws Error(invalid_parameter), Error(unsupported) where CONCORD_ISA or
  /// options.device names what this machine lacks.
  explicit Index(const IndexParams& params, RuntimeOptions options = {});
  ~Index();
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// Reads a file written by save. Validates sizes, checksums and every link before it returns.
  /// Does not read a journal beside it: open does. Throws Error(io), Error(corrupt_file).
  static Index load(const std::filesystem::path& path, RuntimeOptions options = {});

  /// Opens a file written by save without reading it: links, vectors and labels stay in the file,
  /// whose pages are shared between processes and come in as they are used. Header and lengths are
  /// checked at once, and all else that load checks either at once, too, or before it is first
  /// used: the labels, the vectors and the links each by the first call that needs them (a search
  /// needs all three), the digest of the whole by digest and save. A call that finds damage throws
  /// Error(corrupt_file), and so do all that follow.
  /// The index can only be read: add throws Error(unsupported).
  /// The file must not be changed in place while it is mapped; save, which replaces it, may.
  static Index map(const std::filesystem::path& path, MapCheck check = MapCheck::on_first_use,
                   RuntimeOptions options = {});

  /// Writes path + ".tmp-…", syncs it and renames it over `path`: the old file stays whole until
  /// the new one is, which has its permissions. Throws Error(io), Error(invalid_parameter) where
  /// `path` is a file of this index, made by open.
  void save(const std::filesystem::path& path) const;

  /// An index whose additions survive the end of the process, and a power cut too (Durability).
  /// Its files are `path`, which compact() writes, and `path`.journal, to which add writes every
  /// batch before it is committed; where neither is there, the index is empty and `params` are its
  /// parameters; else they must be those of the files.
  ///
  /// Once add has returned, opening gives back what it added, with the same digest. Of a call that
  /// did not return, opening gives back none, some or all of its vectors: the first so many, in
  /// order, and size() tells how many. So a build that was interrupted is resumed by adding the
  /// rest, and ends with the digest of one that was not. stats().journal tells what was recovered.
  ///
  /// Files that are damaged are refused; only an incomplete last record, as a crash leaves it, is
  /// cut off and reported to the log. Throws Error(io), also where an index is open for `path`
  /// already, Error(corrupt_file), Error(invalid_parameter).
  static Index open(const std::filesystem::path& path, const IndexParams& params,
                    Durability durability = Durability::synced, RuntimeOptions options = {});
  /// The same for files that are there.
  static Index open(const std::filesystem::path& path, Durability durability = Durability::synced,
                    RuntimeOptions options = {});

  /// Writes the file of an index made by open anew and begins an empty journal: opening is then as
  /// fast as load. Whatever happens meanwhile, one of the two states is on disk whole. Also mends
  /// the journal after add threw Error(io). Throws Error(io), Error(invalid_parameter) for an index
  /// that was not made by open.
  void compact();

  /// Inserts `vectors` ([n × dimension]) strictly in order; each can be found as soon as it is
  /// committed, while the rest are still to come. Labels are the numbers size(),
  /// size()+1, …; with `labels` ([n]) they are the caller's, and must be new
  /// and not kNoLabel.
  /// Returns how many were committed: n, or fewer where `progress` cancelled.
  /// Throws Error(dimension_mismatch, invalid_vector, invalid_parameter, duplicate_label, capacity)
  /// and then leaves the index as it was. Memory that runs out before the first commit does too;
  /// later, Error(out_of_memory) or std::bad_alloc leaves a valid index with what was committed by
  /// then. So does Error(io) where the journal of an index made by open cannot be written: nothing
  /// more can be added then until compact() succeeds or the index is opened again. O(n ·
  /// ef_construction · M) distances, about O(log size) each.
  std::size_t add(MatrixView<const float> vectors, const ProgressCallback& progress = {});
  std::size_t add(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                  const ProgressCallback& progress = {});
  /// The same for `count` vectors that stand in memory in another form, or in pieces: `source` is
  /// asked, on the calling thread, for one stretch after another before the first is inserted.
  /// `labels` may be empty: then they are numbers.
  std::size_t add_from(const RowSource& source, std::size_t count,
                       std::span<const std::uint64_t> labels = {},
                       const ProgressCallback& progress = {});

  /// The (approximate) params.k nearest of each row of `queries` ([q × dimension]).
  /// Finding fewer than k is a count, never an error. Deterministic for every batch size,
  /// thread count and device; ties go to the earlier inserted.
  [[nodiscard]] SearchResult search(MatrixView<const float> queries,
                                    const SearchParams& params = {}) const;
  /// The same into the caller's arrays: labels and distances [q × params.k], counts [q].
  void search(MatrixView<const float> queries, const SearchParams& params,
              MatrixView<std::uint64_t> labels, MatrixView<float> distances,
              std::span<std::uint32_t> counts) const;

  /// The exact k nearest by scanning every vector, in the same order and format as search.
  [[nodiscard]] SearchResult exact_search(MatrixView<const float> queries, std::uint32_t k) const;

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] const IndexParams& params() const noexcept;
  [[nodiscard]] bool contains(std::uint64_t label) const;
  /// The stored vector (normalised for cosine). Throws Error(unknown_label).
  [[nodiscard]] std::vector<float> vector(std::uint64_t label) const;
  /// All labels in insertion order.
  [[nodiscard]] std::vector<std::uint64_t> labels() const;

  /// Checks the seven invariants of the graph (ARCHITECTURE.md) in O(edges); never throws for a
  /// damaged graph, reports it.
  [[nodiscard]] AuditReport audit() const;
  /// 32 hexadecimal digits over parameters, levels, rows in order, vectors and labels (XXH3-128).
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] MemoryUse memory() const;

  /// Replaces threads, device and log callback; never changes a result.
  void set_runtime(RuntimeOptions options);

 private:
  friend struct IndexAccess;
  struct Impl;
  explicit Index(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace concord
