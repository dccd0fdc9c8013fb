// The manifest of a ShardedIndex in a folder (FORMAT.md, section "The manifest"), and the names of
// its shards' files.
//
// The manifest names every shard's file by its digest, so that files that do not belong together
// are refused. While files are being replaced it names the old and the new one of each: a crash
// leaves either. Thread-safety: one thread.
#pragma once

#include <concord/sharded_index.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/contents/digest.hpp"

namespace concord::core {

struct Manifest {
  /// One shard's file. A digest of zeros: there is none.
  struct File {
    std::uint64_t bytes = 0;  ///< length of the file with `digest`
    Digest digest{};
    Digest next{};  ///< of what replaces it; else the same as `digest`
    bool operator==(const File&) const = default;
  };

  IndexParams params;
  ShardParams shards;
  std::uint64_t generation = 0;  ///< goes up with each compaction
  std::vector<File> files;       ///< one of each shard

  bool operator==(const Manifest&) const = default;
};

/// The manifest of the folder; nothing where there is none. Throws Error(io, corrupt_file).
std::optional<Manifest> read_manifest(const std::filesystem::path& folder);
/// Replaces the folder's manifest by a synced rename. Throws Error(io).
void write_manifest(const std::filesystem::path& folder, const Manifest& manifest);

/// The index file of a shard.
std::filesystem::path shard_path(const std::filesystem::path& folder, std::size_t shard);
/// What there is now at shard_path(). Throws Error(io, corrupt_file).
Manifest::File shard_file(const std::filesystem::path& folder, std::size_t shard);
/// Throws Error(corrupt_file) unless the file of every shard is one that the manifest names.
void expect_files(const std::filesystem::path& folder, const Manifest& manifest);

}  // namespace concord::core
