// Access to an Index for other parts of the library, beyond its public members.
//
// Thread-safety: as the public members that each function names.
#pragma once

#include <concord/cuda.hpp>
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
  /// As Index::add of vectors in device memory, which `write` brings to the host.
  static std::size_t add(Index& index, cuda::DeviceMatrixView<const float> vectors,
                         std::span<const std::uint64_t> labels, const ProgressCallback& progress,
                         const WriteRows& write);
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

  /// The index's own: for those who know that it outlives their use and which of it may be read.
  static const core::Contents& contents(const Index& index);
  /// What readers of its contents enter.
  static const core::ReaderGate& readers(const Index& index);
  static core::Digest digest(const Index& index);

  /// Whether a device may take a search that is worth one.
  static bool has_device(const Index& index, bool worth_it);
  /// What Index::search finds, as keys: those of query q in keys[q × params.k …], counts[q] of
  /// them. On the CPU the work is done on `pool`. REQUIRES arguments that Index::search takes.
  static void search_keys(const Index& index, MatrixView<const float> queries,
                          const SearchParams& params, core::Key* keys, std::uint32_t* counts,
                          core::ThreadPool& pool);
  /// The same for Index::exact_search.
  static void exact_keys(const Index& index, MatrixView<const float> queries, std::uint32_t k,
                         core::Key* keys, std::uint32_t* counts, core::ThreadPool& pool);

  static const Index::Impl& impl(const Index& index) { return *index.impl_; }
  /// What a filter that is made now can match (filter.cpp).
  class Moment;
  template <class Take>
  static Filter filter_of(const Index& index, const Take& take);
  /// The sets of a search's filters: none without one, one for all queries, or one each, null where
  /// a query has none. Throws Error(invalid_parameter).
  static std::vector<const core::MatchSet*> filters_of(const Index& index,
                                                       const SearchOptions& options,
                                                       std::size_t queries);

  /// What a search with options.groups asks for. Throws Error(invalid_parameter).
  static core::GroupRule groups_of(const Index& index, const SearchParams& params,
                                   const SearchOptions& options);

  /// An addition in steps, so that several indexes can check theirs before any of them changes.
  class Addition;

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
