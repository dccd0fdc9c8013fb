// CUB and Thrust, as the files compiled by nvcc use them.
//
// They come with the CUDA toolkit. Their templates are instantiated in a namespace of Concord's
// own, so that their symbols are others than those of torch, CuPy or the caller's program, which
// may be of another version. cmake/ConcordTargets.cmake sets the namespace; every use passes this
// header.
#pragma once

#ifndef THRUST_CUB_WRAPPED_NAMESPACE
#error "compile with the options of the target concord_options"
#endif

#include <thrust/version.h>

#include <cub/version.cuh>

namespace concord::cuda {

namespace cub = ::THRUST_CUB_WRAPPED_NAMESPACE::cub;
namespace thrust = ::THRUST_CUB_WRAPPED_NAMESPACE::thrust;

}  // namespace concord::cuda
