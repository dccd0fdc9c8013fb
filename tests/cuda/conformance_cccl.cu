// The team operations that CUB does on a device, and the k nearest by a segmented sort of CUB.
//
// SimtTeam has another source of min and sort, so nothing but this covers CudaTeam's.
#include <algorithm>
#include <cstdint>
#include <cub/device/device_segmented_sort.cuh>
#include <random>
#include <string>
#include <vector>

#include "cuda/cccl.cuh"
#include "cuda/cuda_team.cuh"
#include "cuda/kernels.hpp"
#include "tests/cuda/conformance_cccl.hpp"
#include "tests/cuda/conformance_world.hpp"

namespace concord::cuda::testing {
namespace {

constexpr std::uint32_t kMost = kMaxListCapacity;

template <std::uint32_t kThreads>
__global__ void min_kernel(const Key* keys, Key* out) {
  CudaTeam<kThreads> team;
  const std::uint32_t thread = blockIdx.x * blockDim.x + threadIdx.x;
  out[thread] = team.min(keys[thread]);
}

/// Sorts the first block + 1 keys.
__global__ void sort_kernel(const Key* keys, Key* sorted, std::uint8_t* from) {
  __shared__ __align__(16) unsigned char memory[sort_bytes(kMost)];
  Key* const shared = reinterpret_cast<Key*>(memory);
  const std::uint32_t n = blockIdx.x + 1;
  CudaTeam<kScoreThreads> team;
  for (std::uint32_t j = team.rank(); j < n; j += kScoreThreads) {
    shared[j] = keys[blockIdx.x * kMost + j];
  }
  team.sync();
  team.sort<kMost>(shared, n, [&](std::uint32_t place, std::uint32_t before) {
    from[blockIdx.x * kMost + place] = static_cast<std::uint8_t>(before);
  });
  team.sync();
  for (std::uint32_t j = team.rank(); j < n; j += kScoreThreads) {
    sorted[blockIdx.x * kMost + j] = shared[j];
  }
}

__global__ void key_kernel(const float* distances, std::uint32_t n, std::uint32_t stride,
                           Key* keys) {
  const NodeId id = blockIdx.x * blockDim.x + threadIdx.x;
  if (id < n) {
    keys[std::size_t{blockIdx.y} * n + id] =
        core::make_key(distances[std::size_t{blockIdx.y} * stride + id], id);
  }
}

/// Keys of few distances, so that ids decide often; positive, negative, zero and worst ones.
std::vector<Key> keys_of_few_distances(std::size_t count) {
  std::mt19937_64 random(11);
  std::vector<Key> keys(count);
  for (std::size_t j = 0; j < count; ++j) {
    const float distances[] = {0.0f, -3.5f, 1e-39f, 2.0f, 2.5f, 3e38f};
    keys[j] =
        core::make_key(distances[random() % 6], static_cast<NodeId>(random() % core::kMaxNodes));
    if (random() % 16 == 0) keys[j] = kWorstKey;
  }
  return keys;
}

template <std::uint32_t kThreads>
void check_min() {
  constexpr std::uint32_t kBlocks = 40;
  std::vector<Key> keys = keys_of_few_distances(kBlocks * 128);
  for (std::uint32_t lane = 0; lane < 32; ++lane) keys[lane] = kWorstKey;
  const OnDevice<Key> d_keys(keys), d_out(keys);
  min_kernel<kThreads><<<kBlocks, 128>>>(d_keys.data(), d_out.data());
  check(cudaGetLastError(), "min_kernel");
  synchronise("min");
  for (auto warp = keys.begin(); warp != keys.end(); warp += 32) {
    std::fill(warp, warp + 32, *std::min_element(warp, warp + 32));
  }
  compare("team.min, " + std::to_string(kThreads) + " threads", d_out.read(), keys);
}

// Every length that a list can have.
void check_sort() {
  std::vector<Key> keys = keys_of_few_distances(kMost * kMost);
  for (std::size_t j = 0; j < keys.size(); ++j) {  // distinct, as keys of one list are
    keys[j] = core::make_key(std::min(core::key_distance(keys[j]), 3e38f),
                             static_cast<NodeId>((j % kMost * 2654435761u) % core::kMaxNodes));
  }
  const std::vector<Key> untouched(keys.size(), 7);
  const std::vector<std::uint8_t> no_places(keys.size(), 9);
  const OnDevice<Key> d_keys(keys), d_sorted(untouched);
  const OnDevice<std::uint8_t> d_from(no_places);
  sort_kernel<<<kMost, kScoreThreads>>>(d_keys.data(), d_sorted.data(), d_from.data());
  check(cudaGetLastError(), "sort_kernel");
  synchronise("sort");
  std::vector<Key> sorted = untouched;
  std::vector<std::uint8_t> from = no_places;
  for (std::uint32_t list = 0; list < kMost; ++list) {
    Key* const out = &sorted[list * kMost];
    std::copy_n(&keys[list * kMost], list + 1, out);
    HostTeam::sort<kMost>(out, list + 1, [&](std::uint32_t place, std::uint32_t before) {
      from[list * kMost + place] = static_cast<std::uint8_t>(before);
    });
  }
  compare("team.sort, 1 to 256 keys", d_sorted.read(), sorted);
  compare("team.sort, places", d_from.read(), from);
}

/// All (distance, id) of each query in order, by CUB.
std::vector<Key> sorted_by_cub(const DeviceWorld& device, std::uint32_t queries, std::uint32_t n) {
  const std::uint32_t stride = (n + 3) / 4 * 4;
  const OnDevice<float> distances(std::vector<float>(std::size_t{queries} * stride));
  DistanceTask task;
  task.queries = device.query_rows();
  task.query_stride = device.query_stride;
  task.query_count = queries;
  task.count = n;
  task.out = distances.data();
  task.out_stride = stride;
  check(launch_distances_async(device.view, task, nullptr), "launch_distances");
  const std::vector<Key> none(std::size_t{queries} * n);
  const OnDevice<Key> keys(none), sorted(none);
  key_kernel<<<dim3((n + 255) / 256, queries), 256>>>(distances.data(), n, stride, keys.data());
  check(cudaGetLastError(), "key_kernel");
  std::vector<int> begins;
  for (std::uint32_t q = 0; q <= queries; ++q) begins.push_back(static_cast<int>(q * n));
  const OnDevice<int> offsets(begins);
  std::size_t bytes = 0;
  const auto sort = [&](void* storage) {
    check(
        cub::DeviceSegmentedSort::SortKeys(storage, bytes, keys.data(), sorted.data(), none.size(),
                                           queries, offsets.data(), offsets.data() + 1),
        "DeviceSegmentedSort");
  };
  sort(nullptr);
  const OnDevice<std::uint8_t> storage{std::vector<std::uint8_t>(bytes)};
  sort(storage.data());
  synchronise("segmented sort");
  return sorted.read();
}

void check_exact_by_sorting(Data data, Metric metric) {
  const World world({33, metric, data, 8, 3000, 200, 16, 3});
  const DeviceWorld device(world);
  const std::uint32_t queries = world.spec.queries;
  const std::vector<Key> all = sorted_by_cub(device, queries, world.n);
  for (std::uint32_t k : {1u, 10u, 1000u}) {
    const OnDevice<float> scratch(std::vector<float>(1 << 16));
    const OnDevice<Key> out(std::vector<Key>(std::size_t{queries} * k));
    ExactTask task;
    task.queries = device.query_rows();
    task.query_stride = device.query_stride;
    task.count = queries;
    task.k = k;
    task.out = out.data();
    task.scratch = scratch.data();
    task.scratch_floats = 1 << 16;
    check(launch_exact_async(device.view, task, nullptr), "launch_exact");
    synchronise("exact");
    std::vector<Key> nearest;
    for (std::uint32_t q = 0; q < queries; ++q) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(q) * world.n;
      nearest.insert(nearest.end(), first, first + k);
    }
    compare(world.spec.name() + " exact by segmented sort, k=" + std::to_string(k), out.read(),
            nearest);
  }
}

}  // namespace

void check_cccl(bool quick) {
  check_min<32>();
  check_min<128>();
  check_sort();
  if (quick) return;
  for (Data data : {Data::random, Data::duplicates, Data::grid}) {
    check_exact_by_sorting(data, Metric::l2sq);
    check_exact_by_sorting(data, Metric::inner_product);
  }
}

}  // namespace concord::cuda::testing
