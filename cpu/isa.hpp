// Which distance kernels this process uses: chosen once, by what processor and system support.
#pragma once

#include <concord/params.hpp>
#include <string_view>

#include "cpu/code_bounds.hpp"
#include "cpu/distance.hpp"

namespace concord::cpu {

/// The widest kernels this machine runs, or those that the environment variable CONCORD_ISA names
/// (scalar, avx2 or avx512). Reads the variable at each call, so that an Index made after a change
/// follows it. Throws Error(invalid_parameter) for an unknown name, Error(unsupported) where the
/// machine lacks the instruction set.
const DistanceKernels& choose_kernels();

/// Kernels by name; throws like choose_kernels.
const DistanceKernels& kernels_named(std::string_view isa);

/// True where processor and operating system support the kernels' instructions.
bool is_supported(const DistanceKernels& kernels) noexcept;

/// The bounds to use beside the kernels; null if computing them takes as long as the distances.
/// That is so without VNNI.
BoundBlock bounds_beside(const DistanceKernels& kernels) noexcept;

const MetricKernels& for_metric(const DistanceKernels& kernels, Metric metric) noexcept;

}  // namespace concord::cpu
