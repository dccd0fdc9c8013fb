// What an Index holds: vectors, labels, graph, committer, and whoever proposes and searches.
//
// Private to index.cpp (life, additions, device, file) and index_search.cpp, which with this are
// the only files that know the backends.
// Thread-safety: as index.hpp says; searches share the device under device_mutex.
#pragma once

#include <atomic>
#include <concord/index.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "common/committer.hpp"
#include "common/graph.hpp"
#include "common/index_access.hpp"
#include "common/label_map.hpp"
#include "common/thread_pool.hpp"
#include "common/vector_store.hpp"
#include "cpu/isa.hpp"
#include "cpu/searcher.hpp"
#include "cuda/backend.hpp"

namespace concord {

inline constexpr const char* kDeviceNotOpened = "not needed yet";

struct Index::Impl {
  Impl(const IndexParams& params, RuntimeOptions runtime);

  [[nodiscard]] const cpu::MetricKernels& metric_kernels() const {
    return cpu::for_metric(*kernels, graph.params().metric);
  }

  std::size_t add(MatrixView<const float> rows, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress);
  using OnDevice = cuda::DeviceMatrixView<const float>;
  /// `write` brings `count` rows; `there` is the same rows where device memory has them.
  std::size_t add(std::size_t count, std::span<const std::uint64_t> new_labels,
                  const ProgressCallback& progress, const IndexAccess::WriteRows& write,
                  OnDevice there = {});
  void insert(const ProgressCallback& progress, OnDevice there);
  void truncate() noexcept;

  /// Opens the device where one is wanted and none was tried yet. Throws Error(unsupported) only
  /// where options.device requires one.
  void open_device();
  cuda::OpenedDevice try_device(const RuntimeOptions& with, const cuda::DeviceSpec& spec,
                                core::ThreadPool& threads);
  void log_opened(const cuda::OpenedDevice& opened, bool taken) const;
  /// The device, opened where `worth_it`; null where there is none.
  cuda::Backend* device(bool worth_it);
  void give_up_device(const Error& error);
  void log(LogLevel level, const std::string& message) const {
    if (options.log) options.log(level, message);
  }
  cpu::SearchCounts search(MatrixView<const float> rows, std::uint32_t k, std::uint32_t ef,
                           core::Key* keys, std::uint32_t* found);
  cpu::SearchCounts exact(MatrixView<const float> rows, std::uint32_t k, core::Key* keys,
                          std::uint32_t* found);

  template <class Run>
  void answer(std::size_t n, std::uint32_t k, MatrixView<std::uint64_t> labels_out,
              MatrixView<float> distances_out, std::span<std::uint32_t> counts,
              const Run& run) const;

  RuntimeOptions options;
  const cpu::DistanceKernels* kernels;
  cuda::DeviceSpec device_spec;
  std::unique_ptr<core::ThreadPool> pool;
  core::VectorStore vectors;
  core::LabelMap labels;
  core::Graph graph;
  BuildStats build;
  core::Committer committer;
  cpu::Searcher searcher;
  std::mutex device_mutex;  ///< guards the four below where searches share them
  bool device_tried = false;
  std::atomic<bool> device_failed{false};
  std::string device_reason = kDeviceNotOpened;
  std::unique_ptr<cuda::Backend> backend;
  mutable std::atomic<std::uint64_t> queries{0};
  mutable std::atomic<std::uint64_t> search_distances{0};
  mutable std::atomic<std::uint64_t> search_hops{0};
};

}  // namespace concord
