// Part of the conformance program: the links of an epoch, sorted and appended.
#pragma once

namespace concord::cuda::testing {

/// Compares with the host, where a plain loop and a stable sort do the same. Prints PASS or FAIL
/// for each case; failures are counted in g_failures.
void check_links(bool quick);

}  // namespace concord::cuda::testing
