// What an Index holds: vectors, labels, graph, committer, and whoever proposes and searches.
//
// Private to index.cpp (life, additions, device, file), index_open.cpp (durability) and
// index_search.cpp, which with this are the only files that know the backends.
// Thread-safety: as index.hpp says. Readers enter `readers` and see what was committed; the writer,
// and whoever needs the graph to stand still, hold `writer_lock`.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <concord/index.hpp>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/committer.hpp"
#include "common/file_format.hpp"
#include "common/graph.hpp"
#include "common/index_access.hpp"
#include "common/journal.hpp"
#include "common/label_map.hpp"
#include "common/reader_gate.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "common/writer_lock.hpp"
#include "cpu/isa.hpp"
#include "cpu/searcher.hpp"
#include "cuda/backend.hpp"

namespace concord {

inline constexpr const char* kDeviceNotOpened = "not needed yet";

/// What a search has for the log, told when it has left `readers`: the log is the caller's code,
/// which may wait for a writer, who may be waiting for readers.
struct LogLine {
  LogCallback log;
  LogLevel level;
  std::string message;
};
using LogLines = std::vector<LogLine>;

struct Index::Impl {
  Impl(const IndexParams& params, RuntimeOptions runtime);
  /// Waits for calls that are under way on other threads.
  ~Impl();
  /// In a child of the process that made it, leaves the memory of an index as it is, for good.
  static void keep_after_fork(std::unique_ptr<Impl>& impl) noexcept;

  [[nodiscard]] const cpu::MetricKernels& metric_kernels() const {
    return cpu::for_metric(*kernels, graph.params().metric);
  }

  static Index open(const std::filesystem::path& name, const IndexParams* wanted,
                    Durability durability, RuntimeOptions runtime);
  /// Adds what the journal has and the index has not; returns where the journal ends.
  core::NodeId recover(core::Journal& from);

  std::size_t add(MatrixView<const float> rows, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress);
  /// Checks content of a mapped file that is about to be used and was not checked before. Throws
  /// Error(corrupt_file, io). Called by those who have entered `readers` or visit, so that the
  /// destructor waits for them.
  void ensure_checked(std::span<const core::Content> used) const {
    if (!check_mapped) return;
    for (const core::Content content : used) {
      const unsigned bit = 1U << static_cast<unsigned>(content);
      if ((mapped_is_checked.load(std::memory_order_acquire) & bit) != 0) continue;
      // No call_once: with libgcc linked in, as in a wheel, exceptions do not pass through it.
      const std::lock_guard lock(mapped_mutex);
      if ((mapped_is_checked & bit) != 0) continue;
      check_mapped(content);
      mapped_is_checked |= bit;
    }
  }
  void ensure_checked(std::initializer_list<core::Content> used) const {
    ensure_checked(std::span(used.begin(), used.size()));
  }

  using OnDevice = cuda::DeviceMatrixView<const float>;
  /// `write` brings `count` rows; `there` is the same rows where device memory has them.
  std::size_t add(std::size_t count, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress, const IndexAccess::WriteRows& write,
                  OnDevice there = {});
  void insert(core::WriterLock::Writing& writing, const ProgressCallback& progress, OnDevice there);
  /// Writes the batch to the journal before it is committed.
  void record(const core::ProposalBatch& batch) const;
  void truncate() noexcept;

  /// Opens the device where one is wanted and none was tried yet; waits where another thread is
  /// opening it, if `wait`. Throws Error(unsupported) only where options.device requires one.
  void open_device(bool wait = true, LogLines* later = nullptr);
  cuda::OpenedDevice try_device(const RuntimeOptions& with, const cuda::DeviceSpec& spec,
                                core::ThreadPool& threads);
  void log_opened(const cuda::OpenedDevice& opened, bool taken, LogLines* later = nullptr) const;
  /// The device, opened where `worth_it`; null where there is none, or, without `wait`, none yet.
  cuda::Backend* device(bool worth_it, bool wait, LogLines* later = nullptr);
  void give_up_device(const Error& error, LogLines* later = nullptr);
  /// Keeps the device, also one that is opened meanwhile, for the writer alone, or no longer.
  void keep_device_for_writer(bool kept) noexcept;
  /// Tells the log now, or leaves the line to `later`.
  void log(LogLevel level, const std::string& message, LogLines* later = nullptr) const {
    if (!options.log) return;
    if (later == nullptr) return options.log(level, message);
    later->push_back({options.log, level, message});
  }
  cpu::SearchCounts search(MatrixView<const float> rows, const SearchParams& how, core::Key* keys,
                           std::uint32_t* found, LogLines& later);
  cpu::SearchCounts exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                          std::uint32_t* found, LogLines& later);

  /// Of queries in device memory; nothing where the device does not answer, or refuses a query.
  std::optional<cpu::SearchCounts> search_there(OnDevice rows, const SearchParams& how,
                                                cuda::CudaStream stream, core::Key* keys,
                                                std::uint32_t* found, LogLines& later);

  /// Runs a search, which returns SearchCounts, into keys and translates them to labels and
  /// distances.
  template <class Run>
  void answer(std::span<const core::Content> used, std::size_t n, std::uint32_t k,
              MatrixView<std::uint64_t> labels_out, MatrixView<float> distances_out,
              std::span<std::uint32_t> counts, const Run& run) const;
  /// The same, from entering `readers` to leaving them.
  template <class Run>
  void answer_among_readers(std::span<const core::Content> used, std::size_t n, std::uint32_t k,
                            MatrixView<std::uint64_t> labels_out, MatrixView<float> distances_out,
                            std::span<std::uint32_t> counts, const Run& run, LogLines& later) const;

  mutable core::ReaderGate readers;  // first, since it is aligned to cache lines
  mutable core::WriterLock writer_lock;
  pid_t process;  ///< that made this
  RuntimeOptions options;
  const cpu::DistanceKernels* kernels;
  cuda::DeviceSpec device_spec;
  std::unique_ptr<core::ThreadPool> pool;
  core::VectorStore vectors;
  core::LabelMap labels;
  core::Graph graph;
  BuildStats build;
  core::Committer committer;
  std::unique_ptr<core::Journal> journal;  ///< of an index made by open; else null
  cpu::Searcher searcher;
  std::function<void(core::Content)> check_mapped;  ///< empty unless mapped from a file
  mutable std::mutex mapped_mutex;
  mutable std::atomic<unsigned> mapped_is_checked{0};  ///< a bit for each Content
  bool device_is_kept = false;
  std::atomic<bool> device_tried{false};
  std::mutex device_mutex;  ///< guards the two above and the two below
  std::string device_reason = kDeviceNotOpened;
  std::unique_ptr<cuda::Backend> backend;
  std::atomic<cuda::Backend*> device_in_use{nullptr};  ///< backend, unless it was given up
  mutable std::atomic<std::uint64_t> queries{0};
  mutable std::atomic<std::uint64_t> search_distances{0};
  mutable std::atomic<std::uint64_t> search_hops{0};
};

}  // namespace concord
