// Decides by measurement whether a batch of queries goes to the CPU or to the device.
//
// The time of a batch is modelled as proportional to ef: on the CPU a time per query, on the device
// a time per launch (its latency, seen in small batches) and a time per query (seen in large ones).
// Each answered batch updates its side's estimate. Each large CPU batch lowers the device's
// estimate slightly, so that a device whose first batch was slow gets another chance. The choice
// never changes a result.
//
// Thread-safety: any number of threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace concord::cuda {

class SearchRouter {
 public:
  /// Until both sides have been measured, batches below this go to the CPU.
  static constexpr std::size_t kFirstGuess = 64;

  [[nodiscard]] bool prefers_device(std::size_t queries, std::uint32_t ef) const {
    const std::lock_guard lock(mutex_);
    if (cpu_per_query_ == 0 || device_latency_ == 0) return queries >= kFirstGuess;
    const double n = static_cast<double>(queries);
    return (device_latency_ + n * device_per_query_) * ef < n * cpu_per_query_ * ef;
  }

  void note_cpu(std::size_t queries, std::uint32_t ef, double seconds) {
    const std::lock_guard lock(mutex_);
    update(cpu_per_query_, seconds / static_cast<double>(queries) / ef);
    if (queries < kFirstGuess) return;
    device_latency_ *= kBelief;
    device_per_query_ *= kBelief;
  }

  void note_device(std::size_t queries, std::uint32_t ef, double seconds) {
    const std::lock_guard lock(mutex_);
    const double n = static_cast<double>(queries);
    // A batch of unknown cost counts half as latency, half as work; later ones correct the parts.
    if (device_latency_ == 0) {
      device_latency_ = seconds / 2 / ef;
      device_per_query_ = seconds / 2 / n / ef;
      return;
    }
    const double latency = std::max(0.0, seconds / ef - n * device_per_query_);
    const double per_query = std::max(0.0, seconds / ef - device_latency_) / n;
    // A batch tells most about the larger part of its predicted time.
    if (device_latency_ > n * device_per_query_) {
      update(device_latency_, std::max(latency, 1e-12));
    } else {
      update(device_per_query_, per_query);
    }
  }

 private:
  static constexpr double kBelief = 1 - 1.0 / 512;

  static void update(double& estimate, double sample) {
    estimate = estimate == 0 ? sample : 0.75 * estimate + 0.25 * sample;
  }

  mutable std::mutex mutex_;
  double cpu_per_query_ = 0;  ///< seconds for each unit of ef, as all below
  double device_latency_ = 0;
  double device_per_query_ = 0;
};

}  // namespace concord::cuda
