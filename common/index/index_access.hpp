// Access to an Index for other parts of the library, beyond its public members.
//
// Thread-safety: as the public members that each function names.
#pragma once

#include <concord/cuda.hpp>
#include <concord/index.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "common/build/committer.hpp"
#include "common/build/proposer.hpp"
#include "common/contents/contents.hpp"
#include "common/contents/digest.hpp"
#include "common/search/group_set.hpp"
#include "common/search/match_set.hpp"
#include "common/search/range.hpp"
#include "common/store/vector_store.hpp"
#include "common/threads/reader_gate.hpp"
#include "common/threads/thread_pool.hpp"
#include "common/threads/writer_lock.hpp"

namespace concord {

namespace cuda {
class Device;
struct DeviceResults;
}  // namespace cuda

struct IndexAccess {
  /// Writes the rows of an addition to the store, from row `first` on.
  using WriteRows = std::function<void(core::VectorStore& store, std::size_t first)>;

  /// The index's device, opened if need be, even if it was given up. Throws Error(unsupported).
  static cuda::Device& device(const Index& index);
  static core::ThreadPool& pool(const Index& index);
  /// Vectors that enter: `write` brings them to the store, and `there` is the same vectors where
  /// device memory has them.
  struct NewRows {
    std::size_t count;
    WriteRows write;
    cuda::DeviceMatrixView<const float> there = {};
  };
  /// As the member of Index with the same name, of vectors in device memory.
  static std::size_t add(Index& index, const NewRows& rows, std::span<const std::uint64_t> labels,
                         const ProgressCallback& progress);
  static std::size_t update(Index& index, const NewRows& rows,
                            std::span<const std::uint64_t> labels,
                            const ProgressCallback& progress);
  static std::size_t upsert(Index& index, const NewRows& rows,
                            std::span<const std::uint64_t> labels,
                            const ProgressCallback& progress);
  /// Brings queries to the host.
  using FetchRows = std::function<MatrixView<const float>()>;
  /// As Index::search for queries in device memory. `fetch` brings them to the host if the CPU
  /// answers, or if a query must be refused.
  static SearchResult search(const Index& index, cuda::DeviceMatrixView<const float> queries,
                             const SearchParams& params, cuda::CudaStream stream,
                             const FetchRows& fetch);
  /// The same with results in device memory. Returns false if the device does not answer, or
  /// refuses a query; rows of the results may have been written then.
  [[nodiscard]] static bool search_there(const Index& index,
                                         cuda::DeviceMatrixView<const float> queries,
                                         const SearchParams& params, cuda::CudaStream stream,
                                         const cuda::DeviceResults& results);

  /// Different for each index of the process.
  static std::uint64_t number(const Index& index) noexcept;

  /// The index's own: for those who know that it outlives their use and which of it may be read.
  static const core::Contents& contents(const Index& index);
  /// What readers of its contents enter.
  static const core::ReaderGate& readers(const Index& index);
  static core::Digest digest(const Index& index);

  /// Whether a device may take a search that is worth one.
  static bool has_device(const Index& index, bool worth_it);
  /// Where a search leaves what it finds, as keys: those of query q in keys[q × k …], counts[q] of
  /// them. They are good while the caller, who has entered readers(), stays there.
  struct KeyOutput {
    core::Key* keys;
    std::uint32_t* counts;
  };
  /// What Index::search finds among what the filters let match; `filters` has no sets without one.
  /// On the CPU the work is done on `pool`. REQUIRES arguments that Index::search takes.
  static void search_keys(const Index& index, MatrixView<const float> queries,
                          const SearchParams& params, const core::QueryFilters& filters,
                          const KeyOutput& out, core::ThreadPool& pool);
  /// The same for Index::exact_search.
  static void exact_keys(const Index& index, MatrixView<const float> queries, std::uint32_t k,
                         const core::QueryFilters& filters, const KeyOutput& out,
                         core::ThreadPool& pool);
  /// The same for Index::range_search: those of query q in found[q].
  static void range_keys(const Index& index, MatrixView<const float> queries,
                         const core::RangeRule& rule, const core::QueryFilters& filters,
                         std::span<std::vector<core::Key>> found, core::ThreadPool& pool);
  /// The same for a search with groups, whose rule is of this index. groups[i] is the number of the
  /// group of keys[i] in the rule's set.
  static void grouped_keys(const Index& index, MatrixView<const float> queries,
                           const SearchParams& params, const core::GroupRule& rule, bool is_exact,
                           const core::QueryFilters& filters, const KeyOutput& out,
                           std::uint32_t* groups, core::ThreadPool& pool);
  /// The number of insertion of a key's vector. REQUIRES a reader, as KeyOutput says.
  static std::uint64_t number_of(const Index& index, core::NodeId id) noexcept;
  /// As Index::labels; `numbers`, if not null, gets their numbers of insertion, which ascend.
  static std::vector<std::uint64_t> labels(const Index& index, std::vector<std::uint64_t>* numbers);

  static const Index::Impl& impl(const Index& index) { return *index.impl_; }
  /// What a replica does with its index (replica.cpp).
  struct Following;
  /// What a filter that is made now can match (filter.cpp).
  class Moment;
  template <class Take>
  static Filter filter_of(const Index& index, const Take& take);
  /// What a filter that is made now can match. Of its vectors, in the order of Index::labels(),
  /// `labels` gets the labels and `numbers` the numbers of insertion, which ascend, if not null.
  static core::FilterSnapshot living_of(const Index& index, std::vector<std::uint64_t>* labels,
                                        std::vector<std::uint64_t>* numbers);
  /// The filter of the living at whose places the mask is not 0.
  static Filter filter_at(core::FilterSnapshot snapshot, std::span<const std::uint8_t> mask);
  /// The groups of the living, by numbers before `count`, one for each.
  static std::shared_ptr<const core::GroupSet> groups_at(core::FilterSnapshot snapshot,
                                                         std::span<const std::uint32_t> numbers,
                                                         std::uint32_t count);
  static Filter filter_of_parts(std::vector<Filter> parts, std::size_t unknown);
  static Groups groups_of_parts(std::shared_ptr<const core::GroupParts> parts);
  /// What a filter or groups of as many shards have of a shard, or of all. Throw
  /// Error(invalid_parameter).
  static const Filter& part_of(const Filter& filter, std::size_t shard, std::size_t shards);
  static const core::GroupParts& parts_of(const Groups& groups);
  /// The sets of a search's filters: none without one, one for all queries, or one each, null where
  /// a query has none. Throws Error(invalid_parameter).
  static std::vector<const core::MatchSet*> filters_of(const Index& index,
                                                       const SearchOptions& options,
                                                       std::size_t queries);

  // --- cursors (cursor_impl.hpp) ---
  using CursorImpl = Cursor::Impl;
  struct IndexPages;
  static Cursor cursor_of(std::unique_ptr<CursorImpl> impl);
  /// The next page of a cursor that Index::cursor has made, as keys: as many as it finds. REQUIRES
  /// a reader of its index, as KeyOutput says.
  static void next_keys(Cursor& cursor, std::uint32_t k, std::vector<core::Key>& keys);
  /// Whether the label's vector is the one with this number of insertion.
  static bool lives(const Index& index, std::uint64_t label, std::uint64_t number);

  /// As Index::explain; `number`, if not null, gets the vector's number of insertion.
  static Explanation explain(const Index& index, MatrixView<const float> query, std::uint64_t label,
                             std::uint32_t k, const Filter* filter, std::uint64_t* number);
  /// How many vectors that the filter lets match are nearer to the query than `distance`, or as
  /// near with a number of insertion below `number`. O(size · dimension).
  static std::uint64_t count_before(const Index& index, MatrixView<const float> query,
                                    float distance, std::uint64_t number, const Filter* filter);

  /// What a search with options.groups asks for. Throws Error(invalid_parameter).
  static core::GroupRule groups_of(const Index& index, const SearchParams& params,
                                   const SearchOptions& options);

  /// An addition or a removal in steps, so that several indexes can check theirs before any of them
  /// changes.
  class Addition;
  class Removal;
  /// Throws what a change of the index throws before it has looked at what it is to change:
  /// Error(unsupported, io).
  static void expect_changeable(const Index& index);
  /// The callback that the index's messages go to; empty without one.
  static const LogCallback& log_of(const Index& index);

  /// Throws Error(invalid_parameter) if `path` leads to the index file or the journal of an index
  /// made by Index::open(), because nothing may overwrite these.
  static void expect_not_its_own(const Index& index, const std::filesystem::path& path);

  /// While it lives, the graph stands still: an addition waits.
  struct StandingStill {
    const core::Contents& contents;
    std::unique_ptr<core::WriterLock::Pause> pause;
  };
  static StandingStill stand_still(const Index& index);

  /// The parts of an empty index, for filling it by other means than add().
  struct Construction {
    core::Contents& contents;
    core::Committer& committer;
    core::ThreadPool& pool;
    BuildStats& stats;
    /// A proposer of the CPU that works on `pool` and counts in `stats`; it borrows both.
    std::function<std::unique_ptr<core::RepairingProposer>(core::ThreadPool&, BuildStats&)>
        make_proposer;
  };
  /// An index that `fill` has filled. `fill` must commit all nodes that it announces, or throw.
  static Index construct(const IndexParams& params, RuntimeOptions options,
                         const std::function<void(const Construction&)>& fill);
};

}  // namespace concord
