// Building the shards of an index in a folder, all in this process or one of them.
#pragma once

#include <concord/sharded_index.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "bench/tool/options.hpp"

namespace concord::bench {

/// What `build` has for shards.
struct ShardOptions {
  ShardParams params{0, 1};           ///< 0 shards: one index in a file
  std::optional<std::uint32_t> only;  ///< this shard alone
};

/// Builds `data` in the folder options.out and writes options.json. With `durability` by a journal,
/// so that the same command resumes an interrupted build. Returns the exit code.
int build_shards(const DataSet& data, const Options& options, const ShardOptions& shards,
                 std::optional<Durability> durability);

}  // namespace concord::bench
