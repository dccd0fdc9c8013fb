// Indexes in which vectors died, without them. hnswlib knows deleted elements, but never unlinks
// one, so each would take room and time for good. It finds elements by label, and an update gives
// the label of a tombstone to a living vector. Thread-safety: as Index::write.
#pragma once

#include <concord/index.hpp>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/index/index_access.hpp"

namespace concord::interchange {

/// A copy in which no place is taken by vectors that were unlinked.
inline Index renumbered(const Index& index, RuntimeOptions options) {
  std::vector<std::byte> bytes;
  index.write([&](std::span<const std::byte> some, std::uint64_t) {
    bytes.insert(bytes.end(), some.begin(), some.end());
  });
  return Index::from_bytes(bytes, std::move(options));
}

/// A new index of the vectors that live.
inline Index rebuilt(const Index& index, const RuntimeOptions& options) {
  const std::vector<std::uint64_t> labels = index.labels();
  std::vector<float> vectors;
  for (const std::uint64_t label : labels) {
    const std::vector<float> vector = index.vector(label);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
  }
  Index living(index.params(), options);
  living.add({vectors.data(), labels.size(), index.params().dimension}, labels);
  return living;
}

/// The vectors of an index in which one ever died, numbered without gaps; nothing where none did,
/// and `index` itself will do. Takes the memory of the index and of its file. A node whose own
/// vector died and of which a copy lives has no form in other libraries: then the graph is built
/// anew.
inline std::optional<Index> living_copy(const Index& index) {
  if (IndexAccess::contents(index).graph.removals() == 0) return std::nullopt;
  const RuntimeOptions on_cpu{1, "cpu", 0, {}};
  Index living = renumbered(index, on_cpu);  // a file has tombstones as well
  living.flush();
  if (IndexAccess::contents(living).graph.kept() > 0) return rebuilt(living, on_cpu);
  return renumbered(living, on_cpu);
}

/// Has a Writer(index, path), which makes the graph stand still, write the vectors that live.
template <class Writer>
void write_living(const Index& index, const std::filesystem::path& path) {
  for (;;) {
    const std::optional<Index> living = living_copy(index);
    Writer writer(living ? *living : index, path);
    // The first vector may die between the question and the standstill.
    if (living || IndexAccess::contents(index).graph.removals() == 0) return writer.run();
  }
}

}  // namespace concord::interchange
