// What defines an index (IndexParams), and what only decides how fast it is made (RuntimeOptions).
#pragma once

#include <concord/export.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace concord {

/// How near two vectors are; smaller is nearer for all three.
enum class Metric : std::uint32_t {
  l2sq = 0,           ///< squared Euclidean distance
  inner_product = 1,  ///< 1 − x·y (not a metric: may be negative)
  cosine = 2,         ///< 1 − cos(x, y); vectors are normalised once, when they enter
};

CONCORD_API const char* to_string(Metric metric) noexcept;
/// Accepts the names of to_string and the usual aliases l2, euclidean, ip, dot, angular.
/// Throws Error(invalid_parameter).
CONCORD_API Metric metric_from_string(std::string_view name);

/// The parameters that, with the vectors and their order, define the graph to the last byte.
/// Names follow Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using
/// Hierarchical Navigable Small World graphs" (arXiv 1603.09320).
struct CONCORD_API IndexParams {
  std::uint32_t dimension = 0;   ///< 1 … 65,536
  Metric metric = Metric::l2sq;  ///< fixed for the life of the index
  std::uint32_t M = 16;  ///< 2 … 64: links a vector makes in each layer; 2·M kept in layer 0
  std::uint32_t ef_construction = 200;  ///< 1 … 1,024: candidates examined per insertion and layer
  std::uint64_t seed = 42;              ///< of the level hash
  std::uint32_t epoch_limit = 1024;     ///< 1 … 65,536: most insertions between two seals

  /// Throws Error(invalid_parameter), naming the field and its range.
  void validate() const;
  bool operator==(const IndexParams&) const = default;
};

/// What happens in the library while it works; called from the thread that called the library.
enum class LogLevel { info, warning };
using LogCallback = std::function<void(LogLevel, std::string_view)>;

/// Called now and then (at least every ~50 ms of work) from the calling thread with the number of
/// vectors done of `total`. Returning false cancels: what was committed stays, the index is valid.
using ProgressCallback = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// How the work is done; never changes a result.
struct RuntimeOptions {
  unsigned threads = 0;  ///< 0 = one per hardware thread; at most 1,024
  /// "auto" (a usable CUDA device, else the CPU), "cpu", "cuda" or "cuda:K".
  std::string device = "auto";
  std::uint64_t device_memory_budget = 0;  ///< bytes; 0 = what the device has free, less a reserve
  LogCallback log;                         ///< may be empty
};

/// How a batch is searched.
struct SearchParams {
  std::uint32_t k = 10;   ///< 0 … 65,536 neighbors asked for
  std::uint32_t ef = 64;  ///< 1 … 65,536 candidates kept (ef_search); raised to k where smaller
  /// ≥ 0: the search also ends when the nearest candidate is farther from the query than
  /// (1 + slack) times the k-th nearest found, in Euclidean distance. So easy queries end early and
  /// hard ones go on, up to ef: for the same recall, fewer distances than ef alone needs
  /// (Al-Jazzazi et al., "Distance Adaptive Beam Search", arXiv 2505.15636). Infinity: ef alone
  /// decides, the only choice for inner_product, which is no metric.
  float slack = std::numeric_limits<float>::infinity();
};

}  // namespace concord
