// concord::Index: a hierarchical navigable small world (HNSW) index that is the same to the last
// byte, whichever device or thread computed it.
//
// The same parameters and the same vectors in the same order give the same bytes. That holds on
// CUDA, AVX-512, AVX2, NEON and scalar code, for any number of threads and any split of calls to
// add.
#pragma once

#include <concepts>
#include <concord/cursor.hpp>
#include <concord/durability.hpp>
#include <concord/error.hpp>
#include <concord/explanation.hpp>
#include <concord/export.hpp>
#include <concord/filter.hpp>
#include <concord/groups.hpp>
#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <concord/stats.hpp>
#include <concord/tuning.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace concord {

/// Results of a batch. Row q holds the counts[q] nearest vectors found for query q, nearest first.
/// The other places of the row are padding: kNoLabel and +infinity. add() rejects kNoLabel. Files
/// and journals written before it did may contain it; such a result precedes the padding.
struct SearchResult {
  std::size_t queries = 0;            ///< number of queries
  std::size_t k = 0;                  ///< neighbors asked for
  std::vector<std::uint64_t> labels;  ///< [queries × k]
  std::vector<float> distances;       ///< [queries × k], as the metric defines them
  std::vector<std::uint32_t> counts;  ///< [queries], each at most k
};

/// Results of a range search of a batch. Those of query q are in places [lims[q], lims[q + 1]),
/// nearest first; equal distances are ordered by insertion.
struct RangeResult {
  std::vector<std::size_t> lims;      ///< [queries + 1]: from 0, never falling
  std::vector<std::uint64_t> labels;  ///< [lims.back()]
  std::vector<float> distances;       ///< [lims.back()], as the metric defines them
};

/// Returns vectors of an addition from number `first` on: at least one row, valid until the next
/// call. An exception that it throws ends the addition before anything is inserted.
using RowSource = std::function<MatrixView<const float>(std::size_t first)>;

/// When Index::map checks the content of the file: each part before its first use, or all at once.
enum class MapCheck { on_first_use, on_open };

/// Takes the bytes of an index file in pieces, in order. After `piece` come `left` more.
using ByteSink = std::function<void(std::span<const std::byte> piece, std::uint64_t left)>;

struct IndexAccess;  // access for other parts of the library

/// The label of padding in results. Never a valid label.
inline constexpr std::uint64_t kNoLabel = ~std::uint64_t{0};

/// A set of vectors with labels, and the HNSW graph over them.
///
/// Thread-safety. One thread changes an index at a time; any number may read it meanwhile.
///
///   search, exact_search, range_search, run beside add and never wait for it; see every vector
///   cursor, contains, vector, labels,   committed before the call began
///   size, params, preset, presets
///   save, write, audit, digest, stats,  wait for a moment between two commits; add waits while
///   memory, explain, tune               they read the links; tune lets it in between its parts
///   add, add_from, update, upsert,      take turns; remember, and tune at its end, only where the
///   remove, flush, compact, remember    index was made by open
///   set_runtime, move, assign, destroy  need the index to themselves; the destructor waits for
///                                       calls already inside, and none may begin
///
/// While an addition runs, searches use the CPU. A search beside it may also see vectors that are
/// committed during the call, never others. It finds as many neighbors as with the index at rest.
/// While links move at the end of an epoch, it may miss a near vector.
/// The addition itself waits for running reads when it replaces memory that they may use. That is
/// once, when vectors turn from bytes into floats, and when the table of labels grows. A change
/// after which memory of removed vectors is given back (see remove) waits for them up to some 1,000
/// times, each time for those that have begun by then. A read begins again if the vectors that it
/// looks for were replaced or removed meanwhile. Once it has begun again three times, the next
/// removal and the next end of an epoch wait for it.
///
/// Callbacks of an addition (progress, RowSource, log) may call const members. add, compact and
/// set_runtime throw Error(invalid_parameter) there. Do not wait there for a call on another thread
/// that waits for this addition: that would deadlock. The log callback of a search has no such
/// limits.
///
/// After fork() the child goes on with the index, on threads of its own. If the parent had opened a
/// device, the CPU does the work in the child. A journal stays with the parent: what changes the
/// index throws Error(unsupported) in the child. Once the parent has closed it, it can be opened
/// again while the child lives. If another thread was adding during the fork, the child may
/// search the index and destroy it, which leaks its memory; what needs the graph to stand still
/// throws Error(unsupported). If a callback of an addition forks, the addition ends so in the
/// child.
///
/// Unless it is noexcept, any member may throw Error(out_of_memory) or std::bad_alloc. On a mapped
/// index it may throw Error(corrupt_file); see map().
class CONCORD_API Index {
 public:
  /// An empty index. Throws Error(invalid_parameter) for a value outside its range, and
  /// Error(unsupported) if options.device or the environment variable CONCORD_ISA names something
  /// that this machine lacks. CONCORD_ISA is "scalar", "avx2", "avx512", "neon" or "neon-dotprod".
  explicit Index(const IndexParams& params, RuntimeOptions options = {});
  ~Index();
  /// Leaves the argument without an index. It may then only be destroyed or assigned to.
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// Reads a file written by save. Checks lengths, checksums, every link, every vector and the
  /// digest before it returns. Takes memory of at most 4 times the file's length plus 2 MiB.
  /// Does not read a journal beside the file; open does. Throws Error(io), Error(corrupt_file).
  static Index load(const std::filesystem::path& path, RuntimeOptions options = {});

  /// Opens a file written by save without reading it. Links, vectors and labels stay in the file;
  /// its pages are read as they are used and shared between processes.
  ///
  /// Codes of an index that has them are read into memory. A search that walks by codes then reads
  /// each vector that it rescores from the file, all of a query side by side, and keeps none. So
  /// codes, links and labels alone have to fit memory. If a vector cannot be read, it throws
  /// Error(io). Filters that scan, ranges, groups, cursors and exact_search read through pages, as
  /// an index without codes does.
  ///
  /// Header and lengths are checked at once. With MapCheck::on_open so is everything else that load
  /// checks. With on_first_use the first call that needs a part checks it: labels, vectors, links
  /// or the digest. A search needs the first three; digest() and save() need all four. A call that
  /// needs a damaged part throws Error(corrupt_file), every time.
  ///
  /// The index can only be read: add throws Error(unsupported). The file must not be changed in
  /// place while it is mapped. Replacing it, as save does, is allowed.
  /// Throws Error(io), Error(corrupt_file).
  static Index map(const std::filesystem::path& path, MapCheck check = MapCheck::on_first_use,
                   RuntimeOptions options = {});

  /// Writes the index to a temporary file beside `path`, syncs it and renames it over `path`. A
  /// crash leaves either the old file or the new one, whole. Symbolic links are followed. The new
  /// file takes permissions, owner and group of the old. If the group cannot be kept, it loses its
  /// permissions. Equal indexes give equal files.
  /// Throws Error(io), also if `path` exists and is not a regular file. Throws
  /// Error(invalid_parameter) if open made the index and `path` is one of its own files.
  void save(const std::filesystem::path& path) const;

  /// Hands the bytes that save writes to `sink`, for memory or a place that is no file. `sink` must
  /// not use the index. An exception that it throws comes out of the call.
  void write(const ByteSink& sink) const;
  /// Reads the bytes of a file, as load reads a file. Throws Error(corrupt_file).
  static Index from_bytes(std::span<const std::byte> bytes, RuntimeOptions options = {});

  /// An index whose changes survive the end of the process and a power cut; see Durability.
  /// It has two files. The call compact() writes the index to `path`. Every batch of an add, update
  /// or upsert is written to `path`.journal before it is committed. A remove or flush is written
  /// there before it begins. If neither file exists, the index is empty and has `params`.
  /// Otherwise `params` must be the parameters of the files. Symbolic links are followed.
  ///
  /// Once a call has returned, opening restores what it did, with the same digest. A removal that
  /// did not return has happened wholly or not at all. If an addition did not return, opening
  /// restores a prefix of its vectors, in order. size() says how many. So an interrupted build is
  /// resumed by adding the rest, and ends with the digest of an uninterrupted one. stats().journal
  /// says what was recovered.
  ///
  /// Damaged files are refused and left as they are. What a crash left incomplete at the journal's
  /// end is cut off and reported to the log. Throws Error(io), also if an index is open for `path`
  /// already. Throws Error(corrupt_file), and Error(invalid_parameter) if `params` differ.
  static Index open(const std::filesystem::path& path, const IndexParams& params,
                    Durability durability = Durability::synced, RuntimeOptions options = {});
  /// The same for files that exist; the parameters are theirs. Throws Error(io) if neither does.
  static Index open(const std::filesystem::path& path, Durability durability = Durability::synced,
                    RuntimeOptions options = {});

  /// Writes the index file of an index made by open, and begins an empty journal. Gives memory back
  /// as flush does, but unlinks nothing. Opening is then
  /// as fast as load. A crash at any moment leaves the whole index on disk. After a change has
  /// thrown Error(io), compact() makes the index usable again. Throws Error(io), and
  /// Error(invalid_parameter) if open did not make the index.
  void compact();

  /// Inserts `vectors` ([n × dimension]) strictly in order. Each can be found as soon as it is
  /// committed, before the later ones are. Labels count the insertions ever, from 0 on. With
  /// `labels`
  /// ([n]) they are the caller's; each must be new, and not kNoLabel.
  /// Returns the number of vectors committed: n, or fewer if `progress` cancelled.
  ///
  /// Every element must be finite. Except for cosine, a squared norm must not exceed an eighth of
  /// the largest float. A zero vector stays zero under cosine: its distance to any vector is 1.
  /// Throws Error(dimension_mismatch, invalid_vector, invalid_parameter, duplicate_label, capacity,
  /// unsupported) and leaves the index as it was.
  ///
  /// If memory runs out before the first commit, the index is as it was. Later, what was committed
  /// stays and the index is valid. The same holds if the journal of an index made by open cannot be
  /// written: Error(io). Then nothing can be added until compact() succeeds or the index is opened
  /// again.
  ///
  /// Complexity per vector: greedy descent through O(log size) layers, expected; a beam search of
  /// O(ef_construction · M) distances; at most 2 · epoch_limit exact distances to the newest
  /// vectors. A distance is O(dimension).
  std::size_t add(MatrixView<const float> vectors, const ProgressCallback& progress = {});
  std::size_t add(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                  const ProgressCallback& progress = {});
  /// The same for vectors that stand one behind the other. Throws Error(dimension_mismatch) unless
  /// the number of elements is a multiple of the dimension.
  template <FloatArray Array>
  std::size_t add(const Array& vectors, const ProgressCallback& progress = {}) {
    return add(rows_of(vectors, params().dimension), progress);
  }
  template <FloatArray Array>
  std::size_t add(const Array& vectors, std::span<const std::uint64_t> labels,
                  const ProgressCallback& progress = {}) {
    return add(rows_of(vectors, params().dimension), labels, progress);
  }
  /// The same for `count` vectors in pieces, or in another form than rows of floats. All calls of
  /// `source` come from the calling thread, before the first vector is inserted. Labels are
  /// those of add if `labels` is empty.
  std::size_t add_from(const RowSource& source, std::size_t count,
                       std::span<const std::uint64_t> labels = {},
                       const ProgressCallback& progress = {});

  /// Removes the vectors of these labels, in order. No search that begins after it has returned
  /// finds them, and their labels can be used again. Returns how many there were: all of them.
  ///
  /// A removed vector stays in the graph as a tombstone until the seal of its epoch: searches walk
  /// through it, and it takes no result's place. The seal links its neighbors with one another and
  /// then unlinks it. So the graph stays as good as one built anew, and the cost of a removal is a
  /// part of an insertion's. See docs/removal.md.
  ///
  /// An unlinked vector keeps its memory until a change finds that such vectors hold a quarter of
  /// all. It then moves the others together, in place and in order, and gives the pages behind them
  /// back to the system. That changes no answer and no digest.
  ///
  /// Throws Error(unknown_label) if a label has no vector, and Error(duplicate_label) if it stands
  /// twice in the call; then nothing is removed. Throws Error(unsupported) on a mapped index, and
  /// Error(io) as add. If memory runs out at a seal, what was removed stays removed, and the next
  /// change seals again.
  std::size_t remove(std::span<const std::uint64_t> labels);
  /// Replaces the vectors of these labels ([n]) by the rows of `vectors` ([n × dimension]), in
  /// order. In one instant the new vector can be found and the old one no more: every search sees
  /// exactly one of the two. The new one counts as inserted now. Returns how many were replaced: n,
  /// or fewer if `progress` cancelled. Throws as add and as remove, and leaves the index as it was.
  std::size_t update(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                     const ProgressCallback& progress = {});
  /// The same, but a label without a vector is added.
  std::size_t upsert(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                     const ProgressCallback& progress = {});
  /// Unlinks all tombstones now, as the seal at the end of the epoch would. Where there is one, it
  /// counts as an operation: the same sequence with and without it may end in graphs that differ.
  /// Then gives memory back as remove does, even if unlinked vectors hold only a sixteenth of it.
  void flush();

  /// The (approximately) params.k nearest vectors of each row of `queries` ([q × dimension]).
  /// Returns min(k, size()) neighbors per query; fewer than k is no error. Equal distances are
  /// ordered by insertion. The result is the same to the last bit for every batch size, number of
  /// threads and device. Throws Error(dimension_mismatch, invalid_vector, invalid_parameter).
  /// Source: Malkov & Yashunin, arXiv 1603.09320, algorithms 2 and 5.
  [[nodiscard]] SearchResult search(MatrixView<const float> queries,
                                    const SearchParams& params = {}) const;
  /// The same for k and ef alone.
  template <std::integral K>
  [[nodiscard]] SearchResult search(MatrixView<const float> queries, K k,
                                    std::uint32_t ef = 64) const {
    return search(queries, SearchParams::of(k, ef));
  }
  /// The same for queries that stand one behind the other. Throws Error(dimension_mismatch) unless
  /// the number of elements is a multiple of the dimension.
  template <FloatArray Array, std::integral K>
  [[nodiscard]] SearchResult search(const Array& queries, K k, std::uint32_t ef = 64) const {
    return search(rows_of(queries, params().dimension), SearchParams::of(k, ef));
  }
  /// The same into the caller's arrays: `labels` and `distances` [q × params.k], `counts` [q].
  /// After an exception their content is unspecified.
  void search(MatrixView<const float> queries, const SearchParams& params,
              MatrixView<std::uint64_t> labels, MatrixView<float> distances,
              std::span<std::uint32_t> counts) const;

  /// The same among the vectors that filters let match: min(k, matches) neighbors per query,
  /// always. Matches that were removed since the filter was made do not count. Whether the graph is
  /// walked or the matches are scanned follows from numbers alone, so the result is as determined
  /// as without a filter. A scan is exact. The CPU scans queries with one filter together. Throws
  /// Error(invalid_parameter) as well for a filter of another index. Source: ARCHITECTURE.md, "A
  /// filtered search".
  [[nodiscard]] SearchResult search(MatrixView<const float> queries, const SearchParams& params,
                                    const SearchOptions& options) const;
  /// With options.groups it finds the min(k, groups) nearest groups of what may be found, of each
  /// at most group_hits vectors. A row has k · group_hits places, at most 65,536. The search
  /// doubles ef until the nearer half of what it has found has k groups. Beyond a sixteenth of the
  /// vectors it scans all. Throws Error(invalid_parameter) as well for groups of another index, and
  /// for a slack with groups. Source: ARCHITECTURE.md, "Groups".
  void search(MatrixView<const float> queries, const SearchParams& params,
              const SearchOptions& options, MatrixView<std::uint64_t> labels,
              MatrixView<float> distances, std::span<std::uint32_t> counts) const;

  /// The exact k nearest vectors, k at most 65,536, in the order and format of search. Throws as
  /// search. O(q · size · dimension).
  [[nodiscard]] SearchResult exact_search(MatrixView<const float> queries, std::uint32_t k) const;
  /// The same among the vectors that filters let match. O(q · matches · dimension).
  [[nodiscard]] SearchResult exact_search(MatrixView<const float> queries, std::uint32_t k,
                                          const SearchOptions& options) const;

  /// The vectors at a distance of at most `radius` from each row of `queries` ([q × dimension]),
  /// (approximately) all of them. `radius` is in the units of the distances that searches return:
  /// squared for Metric::l2sq, 1 − cos for Metric::cosine. 0 … infinity, which is all vectors.
  ///
  /// The search spreads from the ef nearest over all vectors within the radius and a slack. If
  /// these are more than a sixteenth of all, it scans instead, and the result is exact. With
  /// params.limit it ends as soon as so many of the ef nearest are within the radius. With a filter
  /// it finds vectors that match alone.
  ///
  /// The result is the same to the last bit for every batch size, number of threads and instruction
  /// set. Runs on the CPU. Throws as search, and Error(unsupported) for Metric::inner_product,
  /// which is no metric. Complexity per query: a search with ef, and O(M · reached) distances, at
  /// most O(size). Source: ARCHITECTURE.md, "A range search".
  [[nodiscard]] RangeResult range_search(MatrixView<const float> queries, float radius,
                                         const RangeParams& params = {},
                                         const SearchOptions& options = {}) const;

  /// A search of `query` ([dimension]) that goes on page by page, with params.ef and params.slack;
  /// each page says its own k. `options` has at most one filter. Throws as search.
  [[nodiscard]] Cursor cursor(std::span<const float> query, const SearchParams& params = {},
                              const SearchOptions& options = {}) const;
  // --- tuning ---
  /// Finds the (ef, slack) with the fewest distances whose recall@k reaches the goal, with a
  /// confidence of 95 %, and remembers it as the preset of (recall, k). A sample of queries is
  /// scored exactly: `queries` ([q × dimension]), or else vectors of the index, each left out of
  /// its own search. A hash of their numbers of insertion draws these from the vectors of level 0.
  /// One with an exact copy among its k nearest is passed over, unless that would leave fewer than
  /// half of the sample.
  ///
  /// The confidence is that of the one-sided normal bound for the mean of the queries' recalls.
  /// It adds z² imagined queries, half of them without a hit, as Agresti & Coull do ("Approximate
  /// is better than exact", The American Statistician 52, 1998). It speaks of queries like those of
  /// the sample. Slacks are multiples of 0.005 up to 0.5, or infinity.
  ///
  /// The result follows from index, queries and goal alone: time, threads and device have no part
  /// in it. Vectors that change meanwhile may count or not. Runs on the CPU. Takes an exact search
  /// of the sample, and a search of each query with at least 4 times the ef that is found.
  /// If the sample is too small to show the goal, even without a miss, an index of at most 4,096
  /// vectors gets an ef that covers it, which is exact. Otherwise throws Error(invalid_parameter),
  /// as for an empty index, a goal outside its range, and `queries` without rows. Throws
  /// Error(unsupported) if no ef up to 16,384 reaches the goal, and as search for bad queries.
  /// An index made by open writes the preset to its file of presets at once: Error(io).
  Preset tune(const TuneParams& goal = {}, const TuneProgress& progress = {});
  Preset tune(MatrixView<const float> queries, const TuneParams& goal = {},
              const TuneProgress& progress = {});
  /// How to search for k neighbors with this recall: the preset of the least goal that is no
  /// smaller. Throws Error(unknown_preset) if there is none for k, or if since the tuning more
  /// vectors were inserted, removed and replaced than there were. O(presets).
  [[nodiscard]] SearchParams preset(double recall, std::uint32_t k = 10) const;
  /// All presets, in order of k and goal. save() writes them to `path`.presets, which load, map and
  /// open read. write() and from_bytes() leave them out.
  [[nodiscard]] std::vector<Preset> presets() const;
  /// Takes a preset over from an index with the same history, in the place of one for the same goal
  /// and k. Throws Error(invalid_parameter) if a value is outside its range.
  void remember(const Preset& preset);

  // --- explaining ---
  /// Why the vector of a label is or is not among the k nearest of `query` ([1 × dimension]), with
  /// a filter or without. Names its rank, the least ef and slack that find it, where the walk meets
  /// it, and what hides it. Exact for the index as it stands during the call. O(size · dimension),
  /// and some 30 searches of up to twice the ef that it names. Throws Error(unknown_label), and as
  /// search. ARCHITECTURE.md, "Tuning and explaining", proves that a greater ef never loses what a
  /// smaller one finds.
  [[nodiscard]] Explanation explain(MatrixView<const float> query, std::uint64_t label,
                                    std::uint32_t k = 10, const Filter* filter = nullptr) const;

  /// Number of vectors: those committed less those removed.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] const IndexParams& params() const noexcept;
  /// O(1) expected.
  [[nodiscard]] bool contains(std::uint64_t label) const;
  /// The stored vector ([dimension], normalised for cosine). Throws Error(unknown_label).
  [[nodiscard]] std::vector<float> vector(std::uint64_t label) const;
  /// All labels in insertion order. O(size).
  [[nodiscard]] std::vector<std::uint64_t> labels() const;
  /// For each label how many vectors were inserted before its own, dead ones included; kNoLabel for
  /// a label that is unknown. ShardedIndex has the position that this is among several shards. O(1)
  /// expected for each.
  [[nodiscard]] std::vector<std::uint64_t> insertion_numbers(
      std::span<const std::uint64_t> labels) const;

  /// Checks invariants 2, 3, 5 and 6 (docs/guarantees.md), the levels, and that every node can be
  /// reached. The other invariants are no property of a graph at rest. A damaged graph is reported,
  /// never thrown. O(Σ degree²) over all lists, on one thread, and O(size) memory.
  [[nodiscard]] AuditReport audit() const;
  /// 32 hexadecimal digits: XXH3-128 over parameters, size, entry point, levels, links in order,
  /// vectors and labels. The same for equal indexes, whatever computed them. O(bytes of the index).
  [[nodiscard]] std::string digest() const;
  /// Figures of the graph, and of all work of this object. O(size).
  [[nodiscard]] Stats stats() const;
  /// Bytes in use by part. Pages that were given back do not count. O(1).
  [[nodiscard]] MemoryUse memory() const;

  /// Replaces threads, device and log callback. Never changes a result. Throws
  /// Error(invalid_parameter), and Error(unsupported) if options.device requires a device that
  /// cannot be used; nothing changes then.
  void set_runtime(RuntimeOptions options);

 private:
  friend struct IndexAccess;
  struct Impl;
  explicit Index(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace concord
