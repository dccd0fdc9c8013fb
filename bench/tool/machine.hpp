// Facts about the machine and the build, for result documents.
#pragma once

#include <cstdint>
#include <string>

namespace concord::bench {

std::string cpu_model();
std::uint64_t memory_bytes();
/// Of the last minute, this process included: timings taken far above its threads are disturbed.
double load_average();
/// Concord's, as 0.2.0.
std::string build_version();
/// Commit the binary was built from, with "+changes" if the tree had some.
std::string build_commit();
/// Now, in UTC, as 2026-01-31T23:59:59Z.
std::string utc_now();

}  // namespace concord::bench
