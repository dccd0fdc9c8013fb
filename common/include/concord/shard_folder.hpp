// For a program that has the shards of one folder open in several processes, each as an Index.
//
// A ShardedIndex does this for itself. A layer over several machines opens each shard by
// Index::open where it has room, deals vectors by the rule of ShardedIndex, and merges by
// (distance, position). What follows are the rules of the whole that no single shard has.
// Thread-safety: one thread changes a folder at a time.
#pragma once

#include <concord/sharded_index.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace concord {

/// What the manifest of a folder says.
struct ShardManifest {
  IndexParams params;
  ShardParams shards;
  std::uint64_t generation = 0;  ///< goes up with each compaction
  /// Of each shard the length of its index file in bytes; 0 where there is none yet.
  std::vector<std::uint64_t> bytes;
};

/// The manifest of a folder; nothing where there is none. Throws Error(io), and Error(corrupt_file)
/// also if a shard's file is not one that the manifest names.
CONCORD_API std::optional<ShardManifest> read_shard_manifest(const std::filesystem::path& folder);

/// Writes the manifest of the index files that are in a folder, which is there. It replaces one
/// with the same parameters. `next` has the digest of each shard if its file is about to be
/// replaced, and else nothing. So a compaction calls it with all digests, compacts each shard, and
/// calls it again without. A crash at any moment leaves files that the manifest names. Throws
/// Error(io), Error(corrupt_file), and Error(invalid_parameter) if the folder has a manifest with
/// other parameters, or `next` has not one digest for each shard.
CONCORD_API void write_shard_manifest(const std::filesystem::path& folder,
                                      const IndexParams& params, const ShardParams& shards,
                                      std::span<const std::string> next = {});

/// ShardedIndex::digest() of shards with these digests, in their order. Throws
/// Error(invalid_parameter) if there is not one for each shard, of 32 hexadecimal digits.
CONCORD_API std::string digest_of_shards(const ShardParams& shards,
                                         std::span<const std::string> digests);

}  // namespace concord
