// Which distance kernels this process uses: chosen once, by what processor and system support.
#pragma once

#include <concord/params.hpp>
#include <span>
#include <string_view>

#include "cpu/code_bounds.hpp"
#include "cpu/distance.hpp"

namespace concord::cpu {

/// The kernels compiled for this kind of processor, from the narrowest, scalar, to the widest.
std::span<const DistanceKernels* const> compiled_kernels() noexcept;

/// The widest kernels this machine runs, or those that the environment variable CONCORD_ISA names
/// (scalar; avx2 or avx512; neon or neon-dotprod). Reads the variable at each call, so that an
/// Index made after a change follows it. Throws Error(invalid_parameter) for an unknown name,
/// Error(unsupported) where the machine lacks the instruction set.
const DistanceKernels& choose_kernels();

/// Kernels by name; throws like choose_kernels.
const DistanceKernels& kernels_named(std::string_view isa);

/// True where processor and operating system support the instructions of compiled kernels.
bool is_supported(const DistanceKernels& kernels) noexcept;

/// The bounds to use beside the kernels; null if computing them takes as long as the distances.
/// That is so without VNNI on x86-64, and without the dot product instructions on Arm.
BoundBlock bounds_beside(const DistanceKernels& kernels) noexcept;

const MetricKernels& for_metric(const DistanceKernels& kernels, Metric metric) noexcept;

}  // namespace concord::cpu
