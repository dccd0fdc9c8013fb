// What the rest of the library reaches of an Index beyond its public members.
#pragma once

#include <concord/index.hpp>
#include <functional>
#include <memory>

#include "common/vector_store.hpp"

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
  /// As Index::add of `count` rows that `write` writes.
  static std::size_t add(Index& index, std::size_t count, std::span<const std::uint64_t> labels,
                         const ProgressCallback& progress, const WriteRows& write);
};

}  // namespace concord
