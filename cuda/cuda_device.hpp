// A CUDA GPU as a Device.
#pragma once

#include <memory>
#include <string>

#include "cuda/device.hpp"

namespace concord::cuda {

/// What a search for a usable device found.
struct FoundDevice {
  std::unique_ptr<Device> device;  ///< null where there is none
  std::string reason;              ///< which was taken, or why none
};

/// Opens device `ordinal`, or with −1 the first usable one: compute capability 8.0 or newer.
/// Never throws for a machine without driver or device; says so in `reason`.
FoundDevice find_cuda_device(int ordinal);

}  // namespace concord::cuda
