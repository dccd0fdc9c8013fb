// Who answers: the device, or the CPU where the device does not.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>

#include "common/base/stopwatch.hpp"
#include "common/index/device_slot.hpp"
#include "common/index/requests.hpp"
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
    } catch (const std::bad_alloc&) {
      slot.give_up(Error(ErrorCode::out_of_memory, "no host memory for the device's work"), log);
    }
  }
  return on_cpu();
}

/// Which of a device's routers is asked and told about searches of one kind. Their time is modelled
/// as proportional to `width`, which is 0 where nothing is asked for.
struct Routing {
  bool (cuda::Backend::*takes)(std::size_t queries, std::uint32_t width) const;
  void (cuda::Backend::*note_cpu)(std::size_t queries, std::uint32_t width, double seconds);
};

/// The same where the device, opened if that is worth it, takes such a batch. The router learns how
/// long the CPU takes.
template <class OnDevice, class OnCpu>
cpu::SearchCounts routed(DeviceSlot& slot, const Routing& routing, bool is_worth_it,
                         std::size_t queries, std::uint32_t width, DeferredLog& log,
                         const OnDevice& on_device, const OnCpu& on_cpu) {
  cuda::Backend* const open = slot.get(is_worth_it, DeviceSlot::Wait::for_nothing, log);
  const bool takes = open != nullptr && width > 0 && (open->*routing.takes)(queries, width);
  return device_or_cpu(slot, takes ? open : nullptr, log, on_device, [&] {
    double seconds = 0;
    cpu::SearchCounts work;
    {
      const core::Stopwatch watch(seconds);
      work = on_cpu();
    }
    if (open != nullptr && queries > 0 && width > 0) {
      (open->*routing.note_cpu)(queries, width, seconds);
    }
    return work;
  });
}

}  // namespace concord
