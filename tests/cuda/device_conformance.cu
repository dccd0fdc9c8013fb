// Conformance of the device: every kernel against HostTeam, byte for byte.
//
// A program of its own, for a machine that has a GPU and little else: no test library, no files.
//   concord_device_conformance          prints PASS or FAIL for each case
//   concord_device_conformance --quick  small cases only, one after another: for compute-sanitizer
//   concord_device_conformance --full   larger batches in the large worlds: minutes of host time
//   concord_device_conformance --time   then times the kernels on a larger graph
// The host's side takes by far the longest, so the cases are shared out over the host's cores.
// Exit code 0: all pass; 1: some fail; 77: no usable device.
#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cuda/cuda_device.hpp"
#include "cuda/kernels.hpp"
#include "tests/cuda/conformance_additions.hpp"
#include "tests/cuda/conformance_cccl.hpp"
#include "tests/cuda/conformance_filters.hpp"
#include "tests/cuda/conformance_links.hpp"
#include "tests/cuda/conformance_removal.hpp"
#include "tests/cuda/conformance_world.hpp"
#include "tests/support/host_kernels.hpp"

namespace concord::cuda::testing {
namespace {

void check_propose(const World& world, const DeviceWorld& device, NodeId sealed_end, NodeId begin,
                   NodeId end, std::uint32_t ef) {
  ProposeBuffers host(world, sealed_end, begin, end, ef);
  if (sealed_end == 0) host.task.entry = {};
  const std::vector<NodeId> untouched = host.ids;
  run_propose(world.view(), host.task);
  for (std::uint32_t threads : {64u, 128u}) {
    const OnDevice<std::uint32_t> first_list(host.first_list);
    const OnDevice<NodeId> ids(untouched);
    const OnDevice<Float4> tail(host.tail);
    ProposeTask task = host.task;
    task.first_list = first_list.data();
    task.ids = ids.data();
    task.tail_distances = reinterpret_cast<float*>(tail.data());
    task.threads = threads;
    check(launch_propose_async(device.view, task, nullptr), "launch_propose");
    synchronise("propose");
    compare(world.name() + " propose ef=" + std::to_string(ef) +
                " sealed=" + std::to_string(sealed_end) + " threads=" + std::to_string(threads),
            ids.read(), host.ids);
  }
}

void check_search(const World& world, const DeviceWorld& device, std::uint32_t k, std::uint32_t ef,
                  float reach_factor) {
  SearchTask host;
  std::vector<Key> keys(std::size_t{world.spec.queries} * k, 1);
  std::vector<std::uint32_t> counts(world.spec.queries, 99);
  host.queries = world.queries.row(0);
  host.query_stride = world.queries.stride;
  host.count = world.spec.queries;
  host.k = k;
  host.ef = ef;
  host.reach_factor = reach_factor;
  host.entry = world.entry();
  host.others = world.others;
  SearchTask task = host;
  const OnDevice<Key> device_keys(keys);
  const OnDevice<std::uint32_t> device_counts(counts);
  host.out = keys.data();
  host.counts = counts.data();
  run_search(world.view(), host);
  task.queries = device.query_rows();
  task.out = device_keys.data();
  task.counts = device_counts.data();
  for (std::uint32_t threads : {32u, 128u}) {
    task.threads = threads;
    check(cudaMemset(device_keys.data(), 0x11, keys.size() * sizeof(Key)), "cudaMemset");
    check(launch_search_async(device.view, task, nullptr), "launch_search");
    synchronise("search");
    const std::string name =
        world.name() + " search k=" + std::to_string(k) + " ef=" + std::to_string(ef) +
        " reach=" + std::to_string(reach_factor) + " threads=" + std::to_string(threads);
    compare(name, device_keys.read(), keys);
    compare(name + " counts", device_counts.read(), counts);
  }
}

void check_scores(const World& world, const DeviceWorld& device) {
  ScoreBuffers host(world, {1, 2, 3, 33, 40, 64, 65, 100, 129, 255, 256});
  const OnDevice<core::OverfullList> lists(host.lists);
  const OnDevice<NodeId> ids(host.ids);
  const OnDevice<std::uint8_t> ranking(host.ranking);
  const OnDevice<std::uint64_t> dominators(host.dominators);
  run_score_lists(world.view(), host.task);
  ScoreTask task = host.task;
  task.lists = lists.data();
  task.ids = ids.data();
  task.ranking = ranking.data();
  task.dominators = dominators.data();
  check(launch_score_lists_async(device.view, task, nullptr), "launch_score_lists");
  synchronise("score_lists");
  compare(world.name() + " score ranking", ranking.read(), host.ranking);
  compare(world.name() + " score dominators", dominators.read(), host.dominators);
}

void check_exact(const World& world, const DeviceWorld& device, std::uint32_t k,
                 std::size_t scratch_floats) {
  std::vector<Float4> scratch(scratch_floats / 4);
  std::vector<Key> keys(std::size_t{world.spec.queries} * k, 1);
  const OnDevice<Float4> device_scratch(scratch);
  const OnDevice<Key> device_keys(keys);
  ExactTask host;
  host.queries = world.queries.row(0);
  host.query_stride = world.queries.stride;
  host.count = world.spec.queries;
  host.k = k;
  host.out = keys.data();
  host.scratch = reinterpret_cast<float*>(scratch.data());
  host.scratch_floats = scratch_floats;
  ExactTask task = host;
  run_exact(world.view(), host);
  task.queries = device.query_rows();
  task.out = device_keys.data();
  task.scratch = reinterpret_cast<float*>(device_scratch.data());
  check(launch_exact_async(device.view, task, nullptr), "launch_exact");
  synchronise("exact");
  compare(
      world.name() + " exact k=" + std::to_string(k) + " scratch=" + std::to_string(scratch_floats),
      device_keys.read(), keys);
}

void check_scatter() {
  for (std::uint32_t width : {2u, 5u, 32u, 128u}) {
    std::vector<NodeId> links(1000 * width, 1);
    std::vector<std::uint32_t> index;
    for (std::uint32_t list = 3; list < 1000; list += 7) index.push_back((list * 37) % 1000);
    std::vector<NodeId> ids(index.size() * width);
    for (std::size_t j = 0; j < ids.size(); ++j) ids[j] = static_cast<NodeId>(j * 7 + 2);
    const OnDevice<NodeId> device_links(links), device_ids(ids);
    const OnDevice<std::uint32_t> device_index(index);
    const auto count = static_cast<std::uint32_t>(index.size());
    run_scatter({index.data(), ids.data(), count, width, links.data()});
    check(launch_scatter_async(
              {device_index.data(), device_ids.data(), count, width, device_links.data()}, nullptr),
          "launch_scatter");
    synchronise("scatter");
    compare("scatter width=" + std::to_string(width), device_links.read(), links);
  }
}

/// Rows of mixed magnitudes, some of which must be refused.
void check_take_rows() {
  const std::unique_ptr<Device> gpu = find_cuda_device(0).device;
  for (std::uint32_t dimension : {1u, 7u, 128u, 1000u}) {
    for (int shape = 0; shape < 4; ++shape) {
      const std::uint32_t rows = 1000, stride = (dimension + 7) / 8 * 8;
      TakeTask host;
      host.from_stride = dimension + static_cast<std::uint32_t>(shape % 2) * 5;
      std::vector<float> from(rows * host.from_stride);
      for (std::size_t j = 0; j < from.size(); ++j) {
        const float magnitudes[] = {1.0f, 1e-3f, 3e-39f, 1e15f, 1e19f, 0.0f};
        const std::size_t row = j / host.from_stride;
        from[j] = (static_cast<float>((j * 2654435761u) % 100003) / 50000.0f - 1.0f) *
                  magnitudes[row % 6 == 4 && row % 5 != 0 ? 0 : row % 6];
      }
      if (shape == 3) from[17 * host.from_stride] = INFINITY;
      std::vector<float> to(std::size_t{rows} * stride, 7.0f);
      std::vector<std::uint32_t> refused(1);
      const OnDevice<float> d_from(from), d_to(to);
      const OnDevice<std::uint32_t> d_refused(refused);
      host.from = from.data();
      host.dimension = dimension;
      host.count = rows;
      host.to = to.data();
      host.stride = stride;
      host.normalise = shape >= 2;
      host.most_squared_norm = host.normalise ? std::numeric_limits<double>::max()
                                              : double{std::numeric_limits<float>::max()} / 8;
      host.refused = refused.data();
      std::uint32_t largest = 0;
      const OnDevice<std::uint32_t> d_largest(std::vector<std::uint32_t>(1));
      run_find_largest({from.data(), host.from_stride, dimension, rows, &largest});
      if (!host.normalise) host.largest = &largest;
      TakeTask task = host;
      if (!host.normalise) task.largest = d_largest.data();
      task.from = d_from.data();
      task.to = d_to.data();
      task.refused = d_refused.data();
      run_take_rows(host);
      gpu->find_largest_async({task.from, task.from_stride, dimension, rows, d_largest.data()},
                              nullptr);
      check(launch_take_rows_async(task, nullptr), "launch_take_rows");
      synchronise("take_rows");
      const std::string name = "take rows d" + std::to_string(dimension) + " stride " +
                               std::to_string(host.from_stride) +
                               (host.normalise ? " normalised" : "");
      compare(name, d_to.read(), to);
      compare(name + " largest", d_largest.read(), {largest});
      compare(name + " refused", d_refused.read(), refused);
    }
  }
}

void check_world(const WorldSpec& spec, const std::vector<std::uint32_t>& efs) {
  const World world(spec);
  const DeviceWorld device(world);
  for (std::uint32_t ef : efs) {
    check_propose(world, device, spec.sealed, spec.sealed + spec.tail / 3, world.n, ef);
    check_search(world, device, (ef + 1) / 2, ef, core::kUnlimitedReach);
    check_search(world, device, std::min(ef, 10u), ef, 1.1f);
    check_filters(world, device, (ef + 1) / 2, ef, core::kUnlimitedReach);
    check_filters(world, device, std::min(ef, 10u), ef, 1.1f);
  }
  check_propose(world, device, 0, 0, std::min<NodeId>(world.n, 200), efs.back());
  check_scores(world, device);
  check_exact(world, device, 1, 4096);
  check_exact(world, device, 100, 1 << 20);
}

/// The same kernels where some have died, and where all have.
void check_deaths(const WorldSpec& spec, std::uint32_t ef) {
  for (const std::uint32_t percent : {30u, 100u}) {
    World world(spec);
    world.kill(percent);
    const DeviceWorld device(world);
    check_propose(world, device, spec.sealed, spec.sealed + spec.tail / 3, world.n, ef);
    check_search(world, device, (ef + 1) / 2, ef, core::kUnlimitedReach);
    check_search(world, device, std::min(ef, 10u), ef, 1.1f);
    check_filters(world, device, (ef + 1) / 2, ef, core::kUnlimitedReach);
    check_exact(world, device, 100, 4096);
  }
}

/// A world and the widths of the beam to check in it.
struct Case {
  WorldSpec spec;
  std::vector<std::uint32_t> efs;
};

enum class Extent { quick, normal, full };

void add_small_worlds(Extent extent, std::vector<Case>& cases) {
  std::uint64_t seed = 0;
  const Data kinds[] = {Data::random,     Data::clustered, Data::constant,
                        Data::duplicates, Data::huge,      Data::grid};
  for (std::uint32_t dimension : {1u, 3u, 32u, 33u, 100u, 128u, 784u, 1536u}) {
    for (Metric metric : {Metric::l2sq, Metric::inner_product, Metric::cosine}) {
      ++seed;
      const std::uint32_t M = std::vector<std::uint32_t>{2, 5, 16, 64}[seed % 4];
      const WorldSpec spec{dimension, metric, kinds[seed % 6], M, 600, 150, 24, seed};
      if (extent != Extent::quick) {
        cases.push_back({spec, {1, 2, 33, 200, 512}});
      } else if (seed % 5 == 0) {
        cases.push_back({spec, {40}});
      }
    }
  }
}

/// One case per width of the beam, so that they can run beside one another.
void add_large_worlds(Extent extent, std::vector<Case>& cases) {
  const bool full = extent == Extent::full;
  for (Data data : {Data::random, Data::clustered, Data::grid}) {
    const WorldSpec spec{96, Metric::l2sq, data, 16, 20000, full ? 1500u : 300, full ? 400 : 48u,
                         77};
    cases.push_back({spec, {200}});
    cases.push_back({spec, {64}});
  }
}

/// Takes the cases in order, the costly ones first, on `threads` threads.
void check_cases(const std::vector<Case>& cases, unsigned threads) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t j = next++; j < cases.size(); j = next++) {
      const Case& one = cases[j];
      check_world(one.spec, one.efs);
      if (one.spec.sealed < 10000) check_deaths(one.spec, one.efs[one.efs.size() / 2]);
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned t = 1; t < threads; ++t) helpers.emplace_back(loop);
  loop();
  for (std::thread& helper : helpers) helper.join();
}

void check_worlds(Extent extent) {
  std::vector<Case> cases;
  add_small_worlds(extent, cases);
  std::ranges::reverse(cases);  // high dimensions take longest
  if (extent == Extent::quick) {
    check_cases(cases, 1);
    return;
  }
  std::vector<Case> all;
  add_large_worlds(extent, all);
  all.insert(all.end(), cases.begin(), cases.end());
  check_cases(all, std::max(1u, std::thread::hardware_concurrency()));
}

/// Milliseconds of the second of two runs.
template <class F>
float milliseconds(F&& launch) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  check(launch(), "launch");
  check(cudaEventRecord(begin), "cudaEventRecord");
  check(launch(), "launch");
  check(cudaEventRecord(end), "cudaEventRecord");
  synchronise("timing");
  float ms = 0;
  check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return ms;
}

void time_propose(const World& world, const DeviceWorld& device, Counters* counters) {
  ProposeBuffers host(world, world.spec.sealed, world.spec.sealed, world.n, 200);
  const OnDevice<std::uint32_t> first_list(host.first_list);
  const OnDevice<NodeId> ids(host.ids);
  const OnDevice<Float4> tail(host.tail);
  ProposeTask task = host.task;
  task.first_list = first_list.data();
  task.ids = ids.data();
  task.tail_distances = reinterpret_cast<float*>(tail.data());
  task.counters = counters;
  DistanceTask distances;
  distances.queries = device.view.vector(task.begin);
  distances.query_stride = device.view.stride;
  distances.query_count = task.end - task.begin;
  distances.first = task.sealed_end;
  distances.count = task.end - task.sealed_end;
  distances.out = task.tail_distances;
  distances.out_stride = tail_stride(task.sealed_end, task.end);
  std::printf(
      "TIME tail distances, all of %u x %u: %.3f ms\n", distances.query_count, distances.count,
      milliseconds([&] { return launch_distances_async(device.view, distances, nullptr); }));
  for (std::uint32_t threads : {64u, 128u}) {
    task.threads = threads;
    check(cudaMemset(counters, 0, sizeof(Counters)), "cudaMemset");
    const float ms = milliseconds([&] { return launch_propose_async(device.view, task, nullptr); });
    Counters work;
    check(cudaMemcpy(&work, counters, sizeof work, cudaMemcpyDeviceToHost), "download");
    const double nodes = task.end - task.begin;
    std::printf(
        "TIME propose, %u threads a node, %.0f nodes, ef 200: %.3f ms; a node: %.0f hops, "
        "%.0f distances\n",
        threads, nodes, ms, static_cast<double>(work.hops) / 2 / nodes,
        static_cast<double>(work.distances) / 2 / nodes);
  }
}

void time_search(const World& world, const DeviceWorld& device) {
  const std::uint32_t k = 10;
  const OnDevice<Key> keys(std::vector<Key>(std::size_t{world.spec.queries} * k));
  const OnDevice<std::uint32_t> counts(std::vector<std::uint32_t>(world.spec.queries));
  SearchTask task;
  task.queries = device.query_rows();
  task.query_stride = world.queries.stride;
  task.k = k;
  task.ef = 64;
  task.entry = world.entry();
  task.out = keys.data();
  task.counts = counts.data();
  for (std::uint32_t count : {1u, 100u, 1000u, world.spec.queries}) {
    for (std::uint32_t threads : {32u, 128u}) {
      task.count = count;
      task.threads = threads;
      std::printf("TIME search, %u queries, %u threads each, ef 64: %.3f ms\n", count, threads,
                  milliseconds([&] { return launch_search_async(device.view, task, nullptr); }));
    }
  }
}

void time_exact(const World& world, const DeviceWorld& device) {
  const std::size_t floats = std::size_t{1} << 24;
  const OnDevice<Float4> scratch{std::vector<Float4>(floats / 4)};
  const OnDevice<Key> keys(std::vector<Key>(std::size_t{world.spec.queries} * 100));
  ExactTask task;
  task.queries = device.query_rows();
  task.query_stride = world.queries.stride;
  task.count = world.spec.queries;
  task.k = 100;
  task.out = keys.data();
  task.scratch = reinterpret_cast<float*>(scratch.data());
  task.scratch_floats = floats;
  std::printf("TIME exact, %u queries x %u vectors, k 100: %.3f ms\n", task.count, world.n,
              milliseconds([&] { return launch_exact_async(device.view, task, nullptr); }));
}

void time_scores(const World& world, const DeviceWorld& device) {
  ScoreBuffers host(world, std::vector<std::uint32_t>(200, 40));
  const OnDevice<core::OverfullList> lists(host.lists);
  const OnDevice<NodeId> ids(host.ids);
  const OnDevice<std::uint8_t> ranking(host.ranking);
  const OnDevice<std::uint64_t> dominators(host.dominators);
  ScoreTask task = host.task;
  task.lists = lists.data();
  task.ids = ids.data();
  task.ranking = ranking.data();
  task.dominators = dominators.data();
  std::printf("TIME score lists, %u lists of 40: %.3f ms\n", task.count,
              milliseconds([&] { return launch_score_lists_async(device.view, task, nullptr); }));
}

void time_kernels() {
  for (std::uint32_t dimension : {128u, 768u}) {
    const World world({dimension, Metric::l2sq, Data::random, 16,
                       dimension == 128 ? 60000u : 15000u, 2048, 10000, 5});
    const DeviceWorld device(world);
    const OnDevice<Counters> counters(std::vector<Counters>(1));
    std::printf("TIME dimension %u, %u vectors\n", dimension, world.n);
    time_propose(world, device, counters.data());
    time_search(world, device);
    time_exact(world, device);
    time_scores(world, device);
  }
}

int run(Extent extent, bool timing) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("SKIP: no CUDA device\n");
    return 77;
  }
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  std::printf("%s, compute capability %d.%d, %d SMs\n", properties.name, properties.major,
              properties.minor, properties.multiProcessorCount);
  check(prepare_kernels(), "prepare_kernels");
  check_scatter();
  check_take_rows();
  check_cccl(extent == Extent::quick);
  check_links(extent == Extent::quick);
  check_filter_bits();
  if (extent != Extent::quick) g_failures += check_additions() + check_removals();
  check_worlds(extent);
  const int failures = g_failures;
  std::printf("%s: %d failed\n", failures == 0 ? "RESULT pass" : "RESULT fail", failures);
  if (timing) time_kernels();
  return g_failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace concord::cuda::testing

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a crash loses no line
  using concord::cuda::testing::Extent;
  Extent extent = Extent::normal;
  bool timing = false;
  for (int j = 1; j < argc; ++j) {
    if (std::strcmp(argv[j], "--quick") == 0) extent = Extent::quick;
    if (std::strcmp(argv[j], "--full") == 0) extent = Extent::full;
    timing = timing || std::strcmp(argv[j], "--time") == 0;
  }
  return concord::cuda::testing::run(extent, timing);
}
