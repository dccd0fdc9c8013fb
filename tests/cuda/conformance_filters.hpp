// The part of the conformance program that searches with filters.
#pragma once

#include "tests/cuda/conformance_world.hpp"

namespace concord::cuda::testing {

/// Bits from ids, and ids from bits.
void check_filter_bits();
/// Walks and scans of the world's queries, each with one of several filters.
void check_filters(const World& world, const DeviceWorld& device, std::uint32_t k, std::uint32_t ef,
                   float reach_factor);

}  // namespace concord::cuda::testing
