// Concord's index file: see FORMAT.md for every byte.
#pragma once

#include <array>
#include <concord/params.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "common/digest.hpp"
#include "common/graph.hpp"
#include "common/label_map.hpp"
#include "common/vector_store.hpp"

namespace concord::core {

/// Writes the index to a temporary file beside `path`, syncs it and renames it over `path`.
/// The graph must stand still until `graph_is_written` is called; vectors and labels follow, and
/// are read beside the writer by one who has entered the ReaderGate. Throws Error(io); then the old
/// file, if any, is whole and the temporary one is removed.
void save_index(const std::filesystem::path& path, const Graph& graph, const VectorStore& vectors,
                const LabelMap& labels, const std::function<void()>& graph_is_written = {});

/// What an index is made of while it is loaded.
struct IndexParts {
  Graph& graph;
  VectorStore& vectors;
  LabelMap& labels;
  ThreadPool& pool;  ///< checks them; what is refused, and why, does not depend on its size
};

/// Reads an index. `make_parts` is called once the header is found sound, with its parameters, and
/// returns empty parts to fill. Every size is checked against the file before memory is taken;
/// every section's checksum, every link and every vector before it returns. Throws Error(io,
/// corrupt_file, out_of_memory).
void load_index(const std::filesystem::path& path,
                const std::function<IndexParts(const IndexParams&)>& make_parts);

/// The digest that the file at `path` says it has. REQUIRES a file that load_index would take.
/// Throws Error(io, corrupt_file).
Digest stored_digest(const std::filesystem::path& path);

/// The parts of a file whose content can be checked by themselves.
enum class Content : std::uint8_t { graph, vectors, labels, digest };
inline constexpr std::array kAllContent = {Content::graph, Content::vectors, Content::labels,
                                           Content::digest};

/// The same with rows, vectors and labels left in the file, which is mapped and may only be read.
/// Header and lengths are checked at once. The function that is returned checks one part of all
/// else that load_index does, and must have returned before that part is read, and for the digest
/// after all others; it throws as load_index, also when it is called again.
std::function<void(Content)> map_index(
    const std::filesystem::path& path,
    const std::function<IndexParts(const IndexParams&)>& make_parts);

}  // namespace concord::core
