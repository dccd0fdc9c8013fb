// Who answers: the device, or the CPU where the device does not.
#pragma once

#include <optional>

#include "common/index/device_slot.hpp"
#include "cpu/beam_search.hpp"

namespace concord {

/// What on_device(device) answers, or on_cpu() where there is no device or it answers nothing. A
/// device that fails is given up, and the CPU answers; a query that must be refused is no failure
/// of the device.
template <class OnDevice, class OnCpu>
cpu::SearchCounts device_or_cpu(DeviceSlot& slot, cuda::Backend* device, DeferredLog& log,
                                const OnDevice& on_device, const OnCpu& on_cpu) {
  if (device != nullptr) {
    try {
      const std::optional<cuda::Counters> work = on_device(*device);
      if (work) return {work->distances, work->hops, 0};
    } catch (const Error& error) {
      if (error.code() == ErrorCode::invalid_vector) throw;
      slot.give_up(error, log);
    }
  }
  return on_cpu();
}

}  // namespace concord
