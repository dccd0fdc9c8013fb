// Part of the conformance program: the library's uses of CUB, and CUB as an oracle of exact search.
#pragma once

namespace concord::cuda::testing {

/// Prints PASS or FAIL for each case; failures are counted in g_failures.
void check_cccl(bool quick);

}  // namespace concord::cuda::testing
