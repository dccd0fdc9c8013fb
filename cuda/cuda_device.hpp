// A CUDA GPU as a Device.
#pragma once

#include <memory>
#include <string>

#include "cuda/device.hpp"

namespace concord::cuda {

/// The outcome of a search for a usable device.
struct FoundDevice {
  std::unique_ptr<Device> device;  ///< null if none is usable
  std::string reason;              ///< the device taken, or why none was
};

/// Opens device `ordinal`, or with −1 the first usable one: compute capability 8.0 or newer.
/// Does not throw on a machine without driver or device; `reason` says so.
FoundDevice find_cuda_device(int ordinal);

}  // namespace concord::cuda
