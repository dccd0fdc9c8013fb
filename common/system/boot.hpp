// Tells one start of the machine from another. Thread-safety: a pure function of the system.
#pragma once

#include <cstdint>

namespace concord::core {

/// Where Linux says which start of the machine this is.
inline constexpr const char* kBootIdPath = "/proc/sys/kernel/random/boot_id";

/// The number of this start of the machine: another one after the next; 0 if the system does not
/// say.
std::uint64_t boot_number();

}  // namespace concord::core
