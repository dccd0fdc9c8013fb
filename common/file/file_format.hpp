// Concord's index file: see FORMAT.md for every byte.
#pragma once

#include <array>
#include <concord/index.hpp>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "common/contents/contents.hpp"
#include "common/contents/digest.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::core {

/// Writes the index to a temporary file beside `path`, syncs it and renames it over `path`.
/// The graph must stand still until this calls `graph_is_written`. Vectors and labels follow; if
/// the caller has entered the ReaderGate, the writer may go on meanwhile. Throws Error(io); then
/// the old file, if any, is whole and the temporary file is removed.
void save_index(const std::filesystem::path& path, const Contents& contents,
                const std::function<void()>& graph_is_written = {});

/// Hands the bytes of the file to `sink`, as save_index writes them. They are computed twice,
/// because the head of a file, which comes first, has the checksums of all.
void write_index(const ByteSink& sink, const Contents& contents,
                 const std::function<void()>& graph_is_written = {});

/// Where an index is loaded to.
struct LoadTarget {
  Contents& contents;  ///< empty
  ThreadPool& pool;    ///< checks them; its size affects neither what is refused nor the reason
};

/// Reads an index. Calls `make_target` with the parameters of a sound header, and fills what it
/// returns. Checks every size against the file before taking memory, and every section's checksum,
/// every link and every vector before returning. Throws Error(io, corrupt_file, out_of_memory).
void load_index(const std::filesystem::path& path,
                const std::function<LoadTarget(const IndexParams&)>& make_target);

/// The same for the bytes of a file.
void load_index(std::span<const std::byte> bytes,
                const std::function<LoadTarget(const IndexParams&)>& make_target);

/// The digest that the file at `path` says it has. REQUIRES a file that load_index would take.
/// Throws Error(io, corrupt_file).
Digest stored_digest(const std::filesystem::path& path);

/// The parts of a file that can be checked one by one.
enum class FilePart : std::uint8_t { graph, vectors, labels, digest };
inline constexpr std::array kAllParts = {FilePart::graph, FilePart::vectors, FilePart::labels,
                                         FilePart::digest};

/// Like load_index, but maps links, vectors and labels read-only. Only header and lengths are
/// checked now. Call the returned function for a part before first reading it (the digest last); it
/// throws like load_index, every time.
std::function<void(FilePart)> map_index(
    const std::filesystem::path& path,
    const std::function<LoadTarget(const IndexParams&)>& make_target);

}  // namespace concord::core
