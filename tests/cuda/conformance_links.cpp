#include "tests/cuda/conformance_links.hpp"

#include <memory>
#include <string>
#include <vector>

#include "cuda/cuda_device.hpp"
#include "tests/cuda/conformance_world.hpp"
#include "tests/cuda/epoch_buffers.hpp"
#include "tests/support/host_kernels.hpp"

namespace concord::cuda::testing {
namespace {

void check_epoch(Device& gpu, const EpochSpec& spec) {
  EpochBuffers host(spec);
  const OnDevice<std::uint32_t> upper_offset(host.upper_offset), first_list(host.first_list);
  const OnDevice<NodeId> ids(host.ids), base(host.tables[0]), upper(host.tables[1]);
  const OnDevice<std::uint32_t> found[kTables] = {OnDevice(host.found[0]), OnDevice(host.found[1])};
  const OnDevice<std::uint32_t> sorted[kTables] = {OnDevice(host.sorted[0]),
                                                   OnDevice(host.sorted[1])};
  SortGainsTask sort = host.sort_task();
  AppendTask append = host.append_task();
  sort.links.first_list = append.links.first_list = first_list.data();
  sort.links.ids = append.links.ids = ids.data();
  sort.upper_offset = append.upper_offset = upper_offset.data();
  for (unsigned t = 0; t < kTables; ++t) {
    sort.found[t] = host.gains(t, found[t].data());
    sort.sorted[t] = append.sorted[t] = host.gains(t, sorted[t].data());
    append.tables[t] = (t == 0 ? base : upper).data();
  }
  gpu.sort_gains_async(sort, nullptr);
  gpu.append_links_async(append, nullptr);
  synchronise("append links");
  run_sort_gains(host.sort_task());
  run_append_links(host.append_task());
  for (unsigned t = 0; t < kTables; ++t) {
    const std::string of = spec.name() + ", table " + std::to_string(t);
    compare(of + ", gains", found[t].read(), host.found[t]);
    compare(of + ", gains by list", sorted[t].read(), host.sorted[t]);
    compare(of + ", lists", (t == 0 ? base : upper).read(), host.tables[t]);
  }
}

}  // namespace

void check_links(bool quick) {
  const std::unique_ptr<Device> gpu = find_cuda_device(0).device;
  for (const EpochSpec& spec : epoch_specs()) {
    if (!quick || spec.before < 10000) check_epoch(*gpu, spec);
  }
}

}  // namespace concord::cuda::testing
