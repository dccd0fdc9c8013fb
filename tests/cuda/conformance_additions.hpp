// Part of the conformance program: whole additions and searches from device memory, on the bare GPU
// machine.
#pragma once

namespace concord::cuda::testing {

/// Adds vectors from device memory and from host memory, and searches: the digests and answers must
/// be those of the CPU, also where the device writes them, and from device memory no vector may go
/// over PCIe to the device. Prints PASS or FAIL for each case; returns how many fail.
int check_additions();

}  // namespace concord::cuda::testing
