// The part of the conformance program that is about indexes in which vectors die.
#pragma once

namespace concord::cuda::testing {

/// A history of removals on the device gives the CPU's answers and the digest that is pinned.
/// Prints PASS or FAIL; returns the number of failures.
int check_removals();

}  // namespace concord::cuda::testing
