// What the rest of the library reaches of an Index beyond its public members.
#pragma once

#include <concord/cuda.hpp>
#include <filesystem>
#include <functional>
#include <memory>

#include "common/committer.hpp"
#include "common/graph.hpp"
#include "common/label_map.hpp"
#include "common/proposer.hpp"
#include "common/vector_store.hpp"
#include "common/writer_lock.hpp"

namespace concord {

namespace cuda {
class Device;
}

struct IndexAccess {
  /// Writes the rows of an addition to the store, from row `first` on.
  using WriteRows = std::function<void(core::VectorStore& store, std::size_t first)>;

  /// The index's device, opened if need be; given up or not. Throws Error(unsupported).
  static cuda::Device& device(const Index& index);
  static core::ThreadPool& pool(const Index& index);
  /// As Index::add of vectors in device memory, which `write` brings to the host.
  static std::size_t add(Index& index, cuda::DeviceMatrixView<const float> vectors,
                         std::span<const std::uint64_t> labels, const ProgressCallback& progress,
                         const WriteRows& write);
  /// Brings queries to the host.
  using FetchRows = std::function<MatrixView<const float>()>;
  /// As Index::search of queries in device memory, which `fetch` brings to the host where the
  /// device is not to answer, cannot, or finds a query that must be refused.
  static SearchResult search(const Index& index, cuda::DeviceMatrixView<const float> queries,
                             const SearchParams& params, cuda::CudaStream stream,
                             const FetchRows& fetch);

  /// Throws Error(invalid_parameter) if `path` leads to the index file or the journal of an index
  /// made by open, which nobody may write over.
  static void expect_not_its_own(const Index& index, const std::filesystem::path& path);

  /// While it lives, the graph stands still: an addition waits.
  struct Content {
    const core::Graph& graph;
    const core::LabelMap& labels;
    std::unique_ptr<core::WriterLock::Visit> visit;
  };
  static Content content(const Index& index);

  /// The parts of an empty index that is to be filled otherwise than by add.
  struct Construction {
    core::Graph& graph;
    core::VectorStore& vectors;
    core::LabelMap& labels;
    core::Committer& committer;
    core::ThreadPool& pool;
    BuildStats& stats;
    /// A proposer of the CPU that works on `pool` and counts in `stats`; it borrows both.
    std::function<std::unique_ptr<core::Proposer>(core::ThreadPool& pool, BuildStats& stats)>
        make_proposer;
  };
  /// An index that `fill` has filled. `fill` must leave all that is announced committed, or throw.
  static Index construct(const IndexParams& params, RuntimeOptions options,
                         const std::function<void(const Construction&)>& fill);
};

}  // namespace concord
