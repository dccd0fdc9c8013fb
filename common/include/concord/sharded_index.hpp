// concord::ShardedIndex: independent graphs that are built in parallel and merged at search.
//
// Each shard is an Index of its own, byte for byte the one that its vectors alone give. So one
// process uses several devices, a shard can be built anywhere, and a digest proves it.
// An exact search gives what one Index of all vectors gives, to the last bit. At the same ef a
// search finds at least as much of it, for more distances.
#pragma once

#include <concepts>
#include <concord/index.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace concord {

/// How vectors are dealt to shards: definition, like IndexParams. The vector at position p of the
/// order of insertion goes to shard (p / block) mod shards, and keeps its order there. ShardedIndex
/// says where vectors go once others were removed.
struct CONCORD_API ShardParams {
  std::uint32_t shards = 1;  ///< 1 … 1,024
  /// 1 … 1,048,576 vectors that stay together. Set it to the size of a part of the input, and
  /// whoever builds one shard reads only the parts that are its own.
  std::uint32_t block = 1;

  /// Throws Error(invalid_parameter), naming the field and its range.
  void validate() const;
  bool operator==(const ShardParams&) const = default;
};

/// How the work is done. Never changes a result.
struct ShardRuntime {
  RuntimeOptions each;  ///< of each shard; but `threads` are those of all shards together
  /// Shard s is on devices[s mod devices.size()]. Empty: all are on each.device.
  std::vector<std::string> devices;
};

/// A set of vectors with labels, and an HNSW graph over each shard of them.
///
/// Members have the meaning of those of Index; only what differs is said here. So are exceptions
/// and thread-safety: one thread changes an index at a time; any number may read it meanwhile,
/// `shard(s)` included.
///
/// Vector number n of those that shard s ever took, from 0, has the position
/// (n / block · shards + s) · block + n mod block. While none was removed or replaced, positions
/// are the order of insertion over all shards, without gaps. Labels that the caller does not give
/// are positions. Equal distances are ordered by position.
///
/// A label is in one shard. A vector that replaces another goes to the shard of the other. A new
/// one goes to the shard whose next position comes first if its living vectors alone are counted.
/// So shards stay even, and where a vector goes follows from the sequence of operations alone.
///
/// What can be refused is refused by all shards before any of them changes. A failure behind that
/// (memory, a full disk, a broken journal) names the shard. Of a remove or flush each shard has
/// then done its part wholly or not at all. Of an add, update or upsert each has done a prefix of
/// its part, in order. Reading goes on, audit() holds in every shard, and each label has its old
/// vector or its new one. The same call as an upsert, or as a remove of those labels that are
/// there, leads to the content that was meant. The end of the process leaves the same in the
/// folder.
///
/// Beside a change a search sees of each shard what is committed there. It finds exactly one of the
/// two vectors of a label that is replaced. It may find vectors of a removal in some shards that
/// are gone in others, as in one Index. No answer has a label twice. A label that is removed and
/// added again during a search may be missed by it, because it may have come to another shard. Each
/// shard has a committing thread, as far as there are threads. Messages to the log begin with the
/// shard, and come on a thread that called the index.
///
/// If a callback of an addition forks, the addition ends in the child, which may then search the
/// index and destroy it.
///
/// An index in a folder is a file `manifest` and, for each shard, the index file
/// `shard-0000.concord`, `shard-0001.concord`, …, with its journal beside it if open made it. They
/// are ordinary files: Index::load and Index::open take them. FORMAT.md specifies the manifest.
class CONCORD_API ShardedIndex {
 public:
  /// An empty index. Throws Error(invalid_parameter, unsupported) as Index.
  explicit ShardedIndex(const IndexParams& params, const ShardParams& shards = {},
                        ShardRuntime runtime = {});
  ~ShardedIndex();
  /// Leaves the argument without an index. It may then only be destroyed or assigned to.
  ShardedIndex(ShardedIndex&&) noexcept;
  ShardedIndex& operator=(ShardedIndex&&) noexcept;
  ShardedIndex(const ShardedIndex&) = delete;
  ShardedIndex& operator=(const ShardedIndex&) = delete;

  /// Reads a folder that save or compact wrote. Does not read the journals there; open does.
  /// Throws Error(io), and Error(corrupt_file) also if a file is not the one that the manifest
  /// names.
  static ShardedIndex load(const std::filesystem::path& folder, ShardRuntime runtime = {});
  /// The same without reading the files; see Index::map.
  static ShardedIndex map(const std::filesystem::path& folder,
                          MapCheck check = MapCheck::on_first_use, ShardRuntime runtime = {});
  /// Writes an index file of each shard to `folder`, which is made if it is not there, and then the
  /// manifest. Beside an addition each shard is of a moment of its own. Throws Error(io), and
  /// Error(invalid_parameter) if there is a manifest already, because several files cannot be
  /// replaced at once.
  void save(const std::filesystem::path& folder) const;

  /// An index in `folder` whose changes survive the end of the process and a power cut, as those
  /// of Index::open. Without a manifest it is empty, or takes over files that were built elsewhere,
  /// shard-0000.concord and so on; it is then refused if a label is in two of them.
  ///
  /// Opening restores what calls have acknowledged. If a call did not return, shards may be ahead
  /// of others: an interrupted build is resumed by adding the vectors from resume_at() on. With
  /// Durability::system a power cut may keep a vector and lose that its label had left another
  /// shard. Then the one of the higher position stays, and the log says so.
  ///
  /// One process has an index open for writing at a time. Throws Error(io, corrupt_file),
  /// Error(invalid_parameter) if the parameters differ, and Error(duplicate_label).
  static ShardedIndex open(const std::filesystem::path& folder, const IndexParams& params,
                           const ShardParams& shards, Durability durability = Durability::synced,
                           ShardRuntime runtime = {});
  /// The same for a folder with a manifest, which has the parameters. Throws Error(io) without one.
  static ShardedIndex open(const std::filesystem::path& folder,
                           Durability durability = Durability::synced, ShardRuntime runtime = {});
  /// Writes the index file of each shard of an index made by open, and begins empty journals. A
  /// crash at any moment leaves the whole index on disk. After add has thrown Error(io), compact()
  /// makes the index usable again. Throws Error(io), and Error(invalid_parameter) if open did not
  /// make the index.
  void compact();

  /// Inserts `vectors` ([n × dimension]) in order. Vectors and labels are checked over all shards
  /// before any shard changes: whatever refuses the call leaves the index as it was.
  /// Returns how many vectors were committed, the first of the call: n, or fewer if `progress`
  /// cancelled. Cancelling takes effect within a fraction of a second.
  ///
  /// If memory runs out after the first commit, or the journal of a shard cannot be written, some
  /// shards may be ahead of others. While no vector was ever removed or replaced, resume_at() is
  /// then below size(), and the same vectors must come again from position resume_at() on. A shard
  /// skips those that it has. If one differs from what is stored, the call throws
  /// Error(invalid_parameter) with nothing changed. Any removal or replacement accepts what is
  /// there. After it nothing is skipped: an interrupted call comes again as an upsert.
  ///
  /// Complexity per vector: as Index::add with the size of a shard.
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
  std::size_t add_from(const RowSource& source, std::size_t count,
                       std::span<const std::uint64_t> labels = {},
                       const ProgressCallback& progress = {});
  /// The position of the vector that comes next. Every position below is in its shard. Once a
  /// vector was removed or replaced: size().
  [[nodiscard]] std::uint64_t resume_at() const noexcept;

  /// As those of Index: labels are looked for in all shards. Throw with nothing changed for a label
  /// that is unknown, or stands twice in the call. O(shards) expected for each label, beside the
  /// work of the shards, which is done in parallel.
  std::size_t remove(std::span<const std::uint64_t> labels);
  std::size_t update(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                     const ProgressCallback& progress = {});
  std::size_t upsert(MatrixView<const float> vectors, std::span<const std::uint64_t> labels,
                     const ProgressCallback& progress = {});
  void flush();

  /// Searches every shard with `params` and merges what they find: the params.k nearest by
  /// (distance, position). Complexity: a search of each shard; k · shards comparisons.
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
  /// The same with filters or groups that were made of this index. Each shard decides for itself
  /// whether to scan the matches of a filter. Groups are the k nearest of those that some shard
  /// finds among its k nearest. With group_hits above 1 the members of these are scanned in all
  /// shards, so their hits are exact.
  [[nodiscard]] SearchResult search(MatrixView<const float> queries, const SearchParams& params,
                                    const SearchOptions& options) const;
  void search(MatrixView<const float> queries, const SearchParams& params,
              const SearchOptions& options, MatrixView<std::uint64_t> labels,
              MatrixView<float> distances, std::span<std::uint32_t> counts) const;
  void search(MatrixView<const float> queries, const SearchParams& params,
              MatrixView<std::uint64_t> labels, MatrixView<float> distances,
              std::span<std::uint32_t> counts) const;
  [[nodiscard]] SearchResult exact_search(MatrixView<const float> queries, std::uint32_t k) const;
  [[nodiscard]] SearchResult exact_search(MatrixView<const float> queries, std::uint32_t k,
                                          const SearchOptions& options) const;
  /// The hits of all shards, by (distance, position); with params.limit the nearest of them. Each
  /// shard decides for itself whether it scans.
  [[nodiscard]] RangeResult range_search(MatrixView<const float> queries, float radius,
                                         const RangeParams& params = {},
                                         const SearchOptions& options = {}) const;
  /// Behind K results a page shows what a search with k = K + k and ef = ef + K + k finds, less
  /// what was given. A cursor borrows the ShardedIndex, which may be moved. Memory: what all shards
  /// have met.
  [[nodiscard]] Cursor cursor(std::span<const float> query, const SearchParams& params = {},
                              const SearchOptions& options = {}) const;
  /// The rank is that among the vectors of all shards. What hides a vector is told of its own
  /// shard, whose search returns it with an ef of at least Explanation::ef, and so does that of the
  /// whole. Beside changes each shard is of a moment of its own. O(size · dimension), and as
  /// Index::explain in one shard.
  [[nodiscard]] Explanation explain(MatrixView<const float> query, std::uint64_t label,
                                    std::uint32_t k = 10, const Filter* filter = nullptr) const;

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] const IndexParams& params() const noexcept;
  [[nodiscard]] const ShardParams& shard_params() const noexcept;
  /// Number of shards.
  [[nodiscard]] std::uint32_t shards() const noexcept;
  /// Shard `number`, for reading. It lives as long as the ShardedIndex. Its ids count its own
  /// vectors; its labels are those of the whole. Throws Error(invalid_parameter).
  [[nodiscard]] const Index& shard(std::uint32_t number) const;
  /// O(shards) expected.
  [[nodiscard]] bool contains(std::uint64_t label) const;
  [[nodiscard]] std::vector<float> vector(std::uint64_t label) const;
  /// All labels by position. O(size · log shards).
  [[nodiscard]] std::vector<std::uint64_t> labels() const;

  /// The findings of all shards together.
  [[nodiscard]] AuditReport audit() const;
  /// 32 hexadecimal digits: XXH3-128 over ShardParams and the digests of the shards. Beside an
  /// addition each shard is of a moment of its own.
  [[nodiscard]] std::string digest() const;
  /// Figures of all shards together. A query counts once, its distances and hops in every shard.
  [[nodiscard]] Stats stats() const;
  [[nodiscard]] MemoryUse memory() const;

  void set_runtime(ShardRuntime runtime);

 private:
  struct Impl;
  explicit ShardedIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace concord
