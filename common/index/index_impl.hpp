// The parts of an Index: its contents, the committer, the device, and the threads and searchers.
//
// Private to this folder: index.cpp (life, additions, files, inspection), open.cpp (durability),
// search.cpp and index_access.cpp. No other folder of the library knows both cpu/ and cuda/.
// Thread-safety: as index.hpp says. Readers enter `readers` and see what was committed. The writer
// holds `writer_lock`, and so does a reader who needs the graph to stand still.
#pragma once

#include <atomic>
#include <concord/index.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/build/committer.hpp"
#include "common/contents/contents.hpp"
#include "common/contents/slide.hpp"
#include "common/file/file_format.hpp"
#include "common/index/check_on_use.hpp"
#include "common/index/dead_lists.hpp"
#include "common/index/device_slot.hpp"
#include "common/index/index_access.hpp"
#include "common/index/presets.hpp"
#include "common/index/requests.hpp"
#include "common/journal/journal.hpp"
#include "common/search/tuning.hpp"
#include "common/threads/after_fork.hpp"
#include "common/threads/reader_gate.hpp"
#include "common/threads/thread_pool.hpp"
#include "common/threads/writer_lock.hpp"
#include "cpu/isa.hpp"
#include "cpu/searcher.hpp"
#include "cpu/tail_codes.hpp"

namespace concord {

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): two members begin cache lines
struct Index::Impl {
  Impl(const IndexParams& params, RuntimeOptions runtime);
  /// Waits for calls that are under way on other threads.
  ~Impl();
  /// Releases the index without freeing it, if it must not be freed.
  static void end(std::unique_ptr<Impl>& impl) noexcept;

  static std::uint64_t next_number() noexcept;
  void after_fork() noexcept;
  [[nodiscard]] const cpu::MetricKernels& metric_kernels() const {
    return cpu::for_metric(*kernels, contents.graph.params().metric);
  }

  /// An index that load(make) fills: from a file, or from the bytes of one.
  using MakeTarget = std::function<core::LoadTarget(const IndexParams&)>;
  using LoadFile = std::function<void(const MakeTarget&)>;
  static Index read(const LoadFile& load, RuntimeOptions options);
  /// accept(index) is called when the index has all operations of the files. If it throws, they are
  /// as they were, and the lock is given back.
  using Accept = std::function<void(const Index&)>;
  static Index open(const std::filesystem::path& name, const IndexParams* wanted,
                    Durability durability, RuntimeOptions runtime, const Accept& accept = nullptr);
  /// Goes on with the journal, which goes on from the index file, if there is one: does the
  /// operations that the index lacks, and begins another journal if this one lacks some.
  void take_journal(std::unique_ptr<core::Journal> from, const std::function<void()>& accept);
  /// Does the operations that the index lacks; returns the counts of the file and the journal.
  core::file::OperationCounts recover(core::Journal& from, const std::function<void()>& accept);

  /// Throws Error(unsupported) for an index that is mapped from a file, or is a replica's.
  void expect_writable() const;
  using NewRows = IndexAccess::NewRows;
  /// From host memory. Throws Error(dimension_mismatch).
  [[nodiscard]] NewRows new_rows(MatrixView<const float> rows) const;
  std::size_t add(const NewRows& rows, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress);
  using OnDevice = cuda::DeviceMatrixView<const float>;

  /// The living node of the label, or kNoNode.
  [[nodiscard]] core::NodeId find(std::uint64_t label) const;
  /// What update and upsert do with labels that the index lacks.
  enum class Unknown { are_refused, are_added };
  std::size_t replace(const NewRows& rows, std::span<const std::uint64_t> new_labels,
                      const ProgressCallback& progress, Unknown unknown);
  void flush(DeferredLog& log);
  /// As contents/slide.hpp. Called by the writer between two operations.
  void give_memory_back(core::EmptySlots share) noexcept;
  /// Runs the writer's work with a proposer that works on the CPU, and on the device if that is
  /// open.
  template <class Use>
  void with_proposer(DeferredLog& log, const Use& use);

  /// On the CPU the work is done on `threads`.
  cpu::SearchCounts search(MatrixView<const float> rows, const SearchParams& how, core::Key* keys,
                           std::uint32_t* found, core::ThreadPool& threads, DeferredLog& log);
  cpu::SearchCounts exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                          std::uint32_t* found, core::ThreadPool& threads, DeferredLog& log);
  /// As search and exact, of the vectors that the filters let match.
  cpu::SearchCounts filtered(MatrixView<const float> rows, const SearchParams& how,
                             const core::QueryFilters& filters, core::Key* keys,
                             std::uint32_t* found, core::ThreadPool& threads, DeferredLog& log);
  cpu::SearchCounts exact(MatrixView<const float> rows, std::uint32_t k,
                          const core::QueryFilters& filters, core::Key* keys, std::uint32_t* found,
                          core::ThreadPool& threads, DeferredLog& log);
  /// By groups, on the CPU, with the results in their places. `filters` is empty without one.
  enum class Scan { by_rule, always };
  void grouped(MatrixView<const float> rows, const SearchParams& how, const core::GroupRule& groups,
               std::vector<const core::MatchSet*> filters, Scan scan,
               const SearchOutput& out) const;
  /// Of queries in device memory, which `fetch` brings to the host where the device does not answer
  /// or refuses a query.
  cpu::SearchCounts search_there(OnDevice rows, const SearchParams& how, cuda::CudaStream stream,
                                 const IndexAccess::FetchRows& fetch, core::Key* keys,
                                 std::uint32_t* found, DeferredLog& log);

  /// A sample of queries with what is known of them, for tune().
  struct Sample;
  [[nodiscard]] Sample own_sample(std::uint32_t most) const;
  [[nodiscard]] core::NodeId node_of(const Sample& sample, std::size_t q) const;
  template <class Work, class Done>
  void in_pieces(std::size_t n, const Work& work, const Done& done) const;
  void score(Sample& sample, const TuneParams& goal, const TuneProgress& progress) const;
  void choose(Sample sample, const TuneParams& goal, const TuneProgress& progress,
              Preset& preset) const;
  std::optional<core::Tuner::Choice> cheapest(const Sample& sample, const TuneParams& goal,
                                              std::uint32_t widest,
                                              const TuneProgress& progress) const;
  /// Without given queries, with vectors of the index.
  Preset tune(Index& index, const MatrixView<const float>* given, const TuneParams& goal,
              const TuneProgress& progress) const;
  class Explainer;
  /// Takes over those beside the index file at `path`.
  void read_presets(const std::filesystem::path& path);

  /// The device that takes a search of so many queries in device memory; null if the CPU answers.
  [[nodiscard]] cuda::Backend* device_for(std::size_t rows, const SearchParams& how) const;

  /// Runs a search among the readers and writes its results. run(keys, counts, log) returns
  /// SearchCounts and leaves the keys of query q in keys[q × k …], counts[q] of them. `used` names
  /// the parts of a mapped file that must be sound.
  template <class Run>
  void answer(std::span<const core::FilePart> used, std::size_t n, std::uint32_t k,
              const SearchOutput& out, const Run& run) const;
  /// `n` queries took so much.
  void count(std::size_t n, const cpu::SearchCounts& work) const;
  /// Turns keys into labels and distances; pads with kNoLabel and infinity.
  void write_results(const std::vector<core::Key>& keys, std::uint32_t k,
                     const SearchOutput& out) const;

  /// Turns the keys of a range search into labels and distances.
  [[nodiscard]] RangeResult to_result(std::span<const std::vector<core::Key>> hits) const;

  mutable core::ReaderGate readers;  // first, since it is aligned to cache lines
  mutable core::WriterLock writer_lock;
  RuntimeOptions options;
  const cpu::DistanceKernels* kernels;
  std::unique_ptr<core::ThreadPool> pool;
  core::Contents contents;
  BuildStats build;
  core::Committer committer;
  cpu::TailCodes tail_codes;
  std::unique_ptr<core::Journal> journal;  ///< null unless the index was made by open
  /// Of a replica's index, which takes changes from this file's journal alone; else empty.
  std::filesystem::path followed;
  cpu::Searcher searcher;
  CheckOnUse mapped;
  const std::uint64_t number = next_number();  ///< different for each index of the process
  mutable SharedList<core::NodeId> dead_lists;
  mutable SharedList<core::CopyPlace> copy_lists;
  Presets presets;
  mutable DeviceSlot device{contents, build};
  core::AfterFork in_child{*this};  // last: unregistered before what it changes
  mutable std::atomic<std::uint64_t> queries{0};
  mutable std::atomic<std::uint64_t> search_distances{0};
  mutable std::atomic<std::uint64_t> search_hops{0};
  mutable std::atomic<std::uint64_t> search_rescored{0};
};

}  // namespace concord
