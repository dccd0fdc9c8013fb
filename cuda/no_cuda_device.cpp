// In a library built without CUDA there is no device to find.
#include "cuda/cuda_device.hpp"

namespace concord::cuda {

FoundDevice find_cuda_device(int) { return {nullptr, "this library was built without CUDA"}; }

}  // namespace concord::cuda
