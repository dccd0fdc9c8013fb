// A build with a journal in a process of its own that is killed (SIGKILL) on the way.
//
// The process is forked, so no other thread may run at that time: call this before the process
// opens its first index. The child kills itself in the callback for progress, on the thread that
// commits, so `committed` is exact. Its journal is being written meanwhile, as at any other moment.
#pragma once

#include <concord/durability.hpp>
#include <concord/params.hpp>
#include <cstdint>
#include <filesystem>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

/// Adds `vectors` to an index opened at `path` until `kill_at` of them or more are committed;
/// returns their number when the process was killed. Throws std::runtime_error if it ended
/// otherwise.
std::uint64_t kill_build(const FloatMatrix& vectors, const IndexParams& params,
                         const RuntimeOptions& runtime, const std::filesystem::path& path,
                         Durability durability, std::uint64_t kill_at);

}  // namespace concord::bench
