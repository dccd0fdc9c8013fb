#include "tests/cuda/conformance_filters.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/cuda_device.hpp"
#include "cuda/kernels.hpp"
#include "tests/support/host_kernels.hpp"

namespace concord::cuda::testing {
namespace {

using Ids = std::vector<NodeId>;

/// Ids below `end` at random, so many in a thousand.
Ids ids_at_random(NodeId end, std::uint64_t per_mille) {
  Ids ids;
  for (NodeId id = 0; id < end; ++id) {
    if (((id + end) * std::uint64_t{0x9E3779B97F4A7C15} >> 32) % 1000 < per_mille) {
      ids.push_back(id);
    }
  }
  return ids;
}

std::vector<std::uint32_t> bits_of(const Ids& ids, NodeId end) {
  std::vector<std::uint32_t> bits(FilterView::words(end));
  run_mark_ids({ids.data(), static_cast<std::uint32_t>(ids.size()), bits.data()});
  return bits;
}

/// A filter in host memory and on the device.
struct BothFilters {
  BothFilters(Ids of, NodeId end, const World& world)
      : ids(std::move(of)),
        bits(bits_of(ids, end)),
        d_ids(ids),
        d_bits(bits),
        host{bits.data(), ids.data(), end, static_cast<NodeId>(ids.size()),
             static_cast<NodeId>(
                 std::ranges::count_if(ids, [&](NodeId id) { return world.lives(id, world.n); }))},
        device{d_bits.data(), d_ids.data(), end, host.count, host.living} {}

  Ids ids;
  std::vector<std::uint32_t> bits;
  OnDevice<NodeId> d_ids;
  OnDevice<std::uint32_t> d_bits;
  FilterView host, device;
};

/// At random, a window, and one that was made before the last vectors came.
std::vector<std::unique_ptr<BothFilters>> filters_of(const World& world) {
  std::vector<std::unique_ptr<BothFilters>> filters;
  for (const std::uint64_t share : {990u, 700u, 300u, 60u}) {
    filters.push_back(std::make_unique<BothFilters>(ids_at_random(world.spec.sealed, share),
                                                    world.spec.sealed, world));
  }
  Ids window;
  for (NodeId id = world.spec.sealed / 4; id < world.spec.sealed / 2; ++id) window.push_back(id);
  filters.push_back(std::make_unique<BothFilters>(std::move(window), world.spec.sealed, world));
  const NodeId before = world.spec.sealed * 3 / 4;
  filters.push_back(std::make_unique<BothFilters>(ids_at_random(before, 800), before, world));
  return filters;
}

}  // namespace

void check_filter_bits() {
  const std::unique_ptr<Device> gpu = find_cuda_device(0).device;
  for (const NodeId end : {1u, 31u, 33u, 5000u, 1000003u}) {
    for (const std::uint64_t share : {0u, 10u, 500u, 1000u}) {
      const Ids ids = ids_at_random(end, share);
      const std::vector<std::uint32_t> bits = bits_of(ids, end);
      const OnDevice<NodeId> d_ids(ids), d_selected(Ids(ids.size()));
      const OnDevice<std::uint32_t> d_bits(std::vector<std::uint32_t>(bits.size()));
      const OnDevice<std::uint32_t> d_count(std::vector<std::uint32_t>(1));
      const auto count = static_cast<std::uint32_t>(ids.size());
      gpu->mark_ids_async({d_ids.data(), count, d_bits.data()}, nullptr);
      gpu->select_ids_async({d_bits.data(), end, d_selected.data(), d_count.data()}, nullptr);
      synchronise("filter bits");
      const std::string of = "filter of " + std::to_string(count) + " of " + std::to_string(end);
      compare(of + ", bits", d_bits.read(), bits);
      compare(of + ", ids", d_selected.read(), ids);
      compare(of + ", count", d_count.read(), {count});
    }
  }
}

void check_filters(const World& world, const DeviceWorld& device, std::uint32_t k, std::uint32_t ef,
                   float reach_factor) {
  const auto filters = filters_of(world);
  std::vector<FilterView> on_host, on_device;
  for (const auto& filter : filters) {
    on_host.push_back(filter->host);
    on_device.push_back(filter->device);
  }
  std::vector<std::uint32_t> filter_of(world.spec.queries);
  for (std::uint32_t q = 0; q < filter_of.size(); ++q) {
    filter_of[q] = q % static_cast<std::uint32_t>(filters.size());
  }
  const OnDevice<FilterView> d_filters(on_device);
  const OnDevice<std::uint32_t> d_filter_of(filter_of);
  std::vector<Key> keys(std::size_t{world.spec.queries} * k, 1);
  std::vector<std::uint32_t> counts(world.spec.queries, kUnanswered);
  const OnDevice<Key> d_keys(keys);
  FilteredTask host;
  host.search.queries = world.queries.row(0);
  host.search.query_stride = world.queries.stride;
  host.search.count = world.spec.queries;
  host.search.k = k;
  host.search.ef = ef;
  host.search.reach_factor = reach_factor;
  host.search.entry = world.entry();
  host.search.out = keys.data();
  host.search.counts = counts.data();
  host.width = ef;
  host.living = world.living();
  host.filters = on_host.data();
  host.filter_of = filter_of.data();
  FilteredTask task = host;
  const std::vector<std::uint32_t> unanswered = counts;
  run_walk_matches(world.view(), host);
  const std::vector<std::uint32_t> walked = counts;
  run_scan_matches(world.view(), host);
  task.search.queries = device.query_rows();
  task.search.out = d_keys.data();
  task.filters = d_filters.data();
  task.filter_of = d_filter_of.data();
  for (const std::uint32_t threads : {32u, 128u}) {
    const OnDevice<std::uint32_t> d_counts(unanswered);
    task.search.counts = d_counts.data();
    task.search.threads = threads;
    check(cudaMemset(d_keys.data(), 0x11, keys.size() * sizeof(Key)), "cudaMemset");
    check(launch_walk_matches_async(device.view, task, nullptr), "launch_walk_matches");
    synchronise("walk");
    const std::string name =
        world.name() + " filters k=" + std::to_string(k) + " ef=" + std::to_string(ef) +
        " reach=" + std::to_string(reach_factor) + " threads=" + std::to_string(threads);
    compare(name + ", answered by a walk", d_counts.read(), walked);
    check(launch_scan_matches_async(device.view, task, nullptr), "launch_scan_matches");
    synchronise("scan");
    compare(name, d_keys.read(), keys);
    compare(name + ", counts", d_counts.read(), counts);
  }
  std::ranges::fill(counts, kUnanswered);  // an exact search: all are scanned
  run_scan_matches(world.view(), host);
  const OnDevice<std::uint32_t> d_counts(unanswered);
  task.search.counts = d_counts.data();
  check(launch_scan_matches_async(device.view, task, nullptr), "launch_scan_matches");
  synchronise("exact scan");
  const std::string name = world.name() + " exact, filters k=" + std::to_string(k);
  compare(name, d_keys.read(), keys);
  compare(name + ", counts", d_counts.read(), counts);
}

}  // namespace concord::cuda::testing
