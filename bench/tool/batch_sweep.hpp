// Speed of searches by the size of the batch: latency of one query, throughput of thousands.
#pragma once

#include <concord/index.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/tool/matrix.hpp"
#include "bench/tool/recall.hpp"

namespace concord::bench {

struct BatchPoint {
  std::string device;  ///< asked for: auto, cpu or cuda
  std::uint32_t ef = 0;
  std::size_t batch = 0;
  double recall = 0;  ///< of all queries in one call
  double qps = 0;
  double p50_seconds = 0;  ///< of a call
  double p99_seconds = 0;
  std::size_t calls = 0;
  double kernel_seconds = 0;  ///< on the device, during the measured calls
  double distances_per_query = 0;
  bool on_device = false;  ///< whether it answered any of them
};

struct BatchOptions {
  std::uint32_t k = 10;
  std::vector<std::uint32_t> efs;
  std::vector<std::size_t> batches;
  std::vector<std::string> devices;
  std::uint32_t rescore = 0;
};

/// Measures each device, ef and batch in turn: a warm-up, then calls for about a quarter of a
/// second. Successive calls take successive queries. A batch larger than the set of queries repeats
/// them. The index has `runtime` afterwards.
std::vector<BatchPoint> batch_sweep(Index& index, const FloatMatrix& queries, const Judge& judge,
                                    const BatchOptions& options, const RuntimeOptions& runtime);

}  // namespace concord::bench
