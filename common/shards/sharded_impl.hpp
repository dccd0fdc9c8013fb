// The parts of a ShardedIndex: the shards, the threads that they share, and where the next vector
// goes.
//
// Private to this folder: sharded_index.cpp (life, inspection), sharded_addition.cpp,
// sharded_change.cpp (removal, replacement), sharded_search.cpp, sharded_ranges.cpp,
// sharded_cursor.cpp, sharded_folder.cpp (files).
// Invariants: a label is in one shard. While no vector was ever removed or replaced, every position
// below `next` is in its shard, and shards may have later ones, which an interrupted addition left.
// Thread-safety: as sharded_index.hpp says. The writer holds `writer_lock`, and readers enter
// `readers`, only so that the destructor can wait for them; what they read the shards guard.
#pragma once

#include <atomic>
#include <concord/sharded_index.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/key.hpp"
#include "common/index/requests.hpp"
#include "common/search/merge.hpp"
#include "common/shards/manifest.hpp"
#include "common/shards/placement.hpp"
#include "common/shards/shared_log.hpp"
#include "common/threads/after_fork.hpp"
#include "common/threads/reader_gate.hpp"
#include "common/threads/thread_pool.hpp"
#include "common/threads/writer_lock.hpp"

namespace concord {

struct ShardedIndex::Impl {
  /// Makes shard number s.
  using MakeShard = std::function<Index(std::uint32_t s, RuntimeOptions options)>;
  Impl(const IndexParams& index_params, const ShardParams& shard_params, ShardRuntime options,
       const MakeShard& make);
  /// Waits for calls that are under way on other threads.
  ~Impl();
  /// Releases the index without freeing it, if it must not be freed.
  static void end(std::unique_ptr<Impl>& impl) noexcept;
  void after_fork() noexcept;

  /// As ShardedIndex::open; `wanted` has the parameters, if the caller gives them.
  static std::unique_ptr<Impl> open(const std::filesystem::path& name,
                                    const std::optional<core::Manifest>& wanted,
                                    Durability durability, ShardRuntime runtime);
  using ReadShard = std::function<Index(const std::filesystem::path& path, RuntimeOptions options)>;
  /// What `read` makes of the files of a folder.
  static std::unique_ptr<Impl> read(const std::filesystem::path& name, ShardRuntime runtime,
                                    const ReadShard& read);
  /// What the manifest of the files that are in a folder now must say.
  [[nodiscard]] core::Manifest manifest_of_files(const std::filesystem::path& at) const;
  /// Labels that are in more than one shard, ascending. O(size · log size), with 8 bytes a vector.
  [[nodiscard]] std::vector<std::uint64_t> doubled_labels() const;
  /// Throws Error(duplicate_label).
  void expect_distinct_labels() const;
  /// The shards that have the label, but for the one of the highest position.
  [[nodiscard]] std::vector<std::size_t> stale_shards(std::uint64_t label) const;
  /// A power cut may have kept a vector and lost that its label had left another shard: removes all
  /// but the one of the highest position.
  void remove_doubled_labels();

  /// What shard s has of them.
  [[nodiscard]] RuntimeOptions options_of(std::size_t s, const ShardRuntime& from,
                                          const std::shared_ptr<core::SharedLog>& to) const;
  /// Whether any vector was ever removed or replaced. Called by the writer.
  [[nodiscard]] bool has_died() const noexcept;
  /// What `next` is between two calls: the first position that is not in its shard, or the size
  /// once vectors have died.
  [[nodiscard]] std::uint64_t resume_position() const noexcept;

  /// The shard that has a label, and its node there; kNoNode where none has it. Called by the
  /// writer.
  struct Owner {
    std::size_t shard = 0;
    core::NodeId node = core::kNoNode;
  };
  [[nodiscard]] Owner owner_of(std::uint64_t label) const noexcept;
  [[nodiscard]] std::vector<Owner> owners_of(std::span<const std::uint64_t> labels) const;
  /// Runs `call` and delivers the log's messages, whether it returns or throws.
  template <class Call>
  void deliver_after(const Call& call) const {
    const std::shared_ptr<core::SharedLog> to = log;
    try {
      call();
    } catch (...) {
      if (to) to->deliver();
      throw;
    }
    if (to) to->deliver();
  }

  /// While it lives, labels may leave a shard and come to another.
  class Changing {
   public:
    explicit Changing(Impl& impl) noexcept : changes_(impl.changes) { ++changes_; }
    ~Changing() { ++changes_; }
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    std::atomic<std::uint64_t>& changes_;
  };

  class Addition;
  enum class Unknown { are_refused, are_added };
  std::size_t replace(MatrixView<const float> rows, std::span<const std::uint64_t> labels,
                      const ProgressCallback& progress, Unknown unknown);
  /// Throws Error(unsupported, io) unless all shards can be changed.
  void expect_changeable() const;
  /// Runs work(s) for each shard, in parallel. All are tried; throws what the first of them threw.
  void for_each_shard(const std::function<void(std::size_t s)>& work) const;
  std::size_t add(const RowSource& source, std::size_t count, std::span<const std::uint64_t> labels,
                  const ProgressCallback& progress);

  class ShardFilters;  // the sets of a search's filters in each shard
  class GroupSearch;
  class Pages;   // of a cursor
  struct Plan;   // how all shards are searched
  struct Found;  // what they found
  /// Searches all shards for each row and writes the nearest of what they found. Called by one who
  /// has entered `readers`.
  void search(MatrixView<const float> rows, const Plan& plan, const SearchOutput& out) const;
  void search_piece(MatrixView<const float> rows, std::size_t first, std::size_t n,
                    const Plan& plan, const SearchOutput& out) const;
  /// Merges what was found for a query of the piece into row `row` of the results.
  void write_nearest(Found& found, std::size_t query, bool labels_may_repeat,
                     std::vector<std::span<const core::Hit>>& lists, std::size_t row,
                     const SearchOutput& out) const;
  /// The searches of the public API, without groups and with them.
  enum class Exactly { no, yes };
  void answer(MatrixView<const float> rows, const SearchParams& how, Exactly exactly,
              const SearchOptions& options, const SearchOutput& out) const;
  void answer_groups(MatrixView<const float> rows, const SearchParams& how, Exactly exactly,
                     const SearchOptions& options, const SearchOutput& out) const;
  /// Places of a row of results. Throws Error(invalid_parameter) as a search with groups.
  [[nodiscard]] std::uint32_t width_of(const SearchParams& how, const SearchOptions& options) const;
  /// What all shards call a vector that shard s found. REQUIRES a reader of the shard.
  [[nodiscard]] core::Hit hit_of(std::size_t s, core::Key key) const noexcept;
  /// Runs `search`; if it refuses a query, says which it was of all.
  template <class Search>
  void name_bad_query(MatrixView<const float> rows, const Search& search) const;

  mutable core::ReaderGate readers;  // first, since it is aligned to cache lines
  mutable core::WriterLock writer_lock;
  IndexParams params;
  ShardParams layout;
  core::Placement placement;
  ShardRuntime runtime;
  std::shared_ptr<core::SharedLog> log;    ///< null if the caller has none
  std::unique_ptr<core::ThreadPool> pool;  ///< for searches, and for bringing vectors in
  mutable core::ThreadPool alone{1};       ///< what a thread of the pool does for one shard
  std::vector<Index> shards;
  std::filesystem::path folder;  ///< of an index made by open; else empty
  std::uint64_t generation = 0;  ///< of the manifest
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> changes{0};  ///< begun and ended: odd while one is under way
  mutable std::atomic<std::uint64_t> queries{0};
  core::AfterFork in_child{*this};  // last: unregistered before what it changes
};

}  // namespace concord
