// The parameters that define an index (IndexParams), the options that only decide how fast work is
// done (RuntimeOptions), and the parameters of one search (SearchParams, RangeParams).
#pragma once

#include <concepts>
#include <concord/export.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace concord {

/// How near two vectors are. For all three metrics, smaller is nearer.
enum class Metric : std::uint32_t {
  l2sq = 0,           ///< squared Euclidean distance
  inner_product = 1,  ///< 1 − x·y; may be negative, and is not a metric
  cosine = 2,         ///< 1 − cos(x, y); vectors are normalised once, when they enter
};

/// The metric's name in Metric; "unknown" for another value.
CONCORD_API const char* to_string(Metric metric) noexcept;
/// The metric of that name, in upper or lower case. Accepts the names of to_string and the aliases
/// l2, sqeuclidean, ip, dot, cos and angular. Throws Error(invalid_parameter) for any other name,
/// and for euclidean, because distances of l2sq are squares.
CONCORD_API Metric metric_from_string(std::string_view name);

/// How the elements of vectors are kept.
enum class Storage : std::uint32_t {
  /// As bytes where all elements of all vectors are 8-bit numbers, else as f32. Exact.
  automatic = 0,
  f32 = 1,   ///< 32-bit floats; the same graph, digest and answers as automatic
  f16 = 2,   ///< IEEE 754 binary16: 11 significant bits, magnitudes to 65,504
  bf16 = 3,  ///< bfloat16: 8 significant bits, and the magnitudes of f32
};

/// The name of a storage in Storage; "unknown" for another value.
CONCORD_API const char* to_string(Storage storage) noexcept;
/// The storage of that name, in upper or lower case; also auto, float32, float16 and bfloat16.
/// Throws Error(invalid_parameter) for any other.
CONCORD_API Storage storage_from_string(std::string_view name);

/// Whether each vector has a code as well, from which walks estimate distances.
enum class Codes : std::uint32_t {
  none = 0,
  /// 8 bits for each element, and 12 bytes. A walk reads a quarter of the memory that it reads of
  /// floats. What it finds gets exact distances: all candidates of a construction, and
  /// SearchParams::rescore of a search. Source: LVQ of Aguerrebere et al., arXiv 2304.04759.
  sq8 = 1,
  /// 4 bits for each element, and 8 bytes: half of the memory of sq8. The first 1,024 vectors have
  /// no codes until the last of them is inserted; their mean is the centre of all codes, for ever.
  /// Until then walks are exact. Source: RaBitQ of Gao et al., arXiv 2409.09913, on vectors rotated
  /// by the seed.
  sq4 = 2,
};

/// The name of codes in Codes; "unknown" for another value.
CONCORD_API const char* to_string(Codes codes) noexcept;
/// The codes of that name, in upper or lower case. Throws Error(invalid_parameter) for any other.
CONCORD_API Codes codes_from_string(std::string_view name);

/// These parameters, the vectors and their order define the graph to the last byte.
/// Names follow Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using
/// Hierarchical Navigable Small World graphs" (arXiv 1603.09320).
struct CONCORD_API IndexParams {
  std::uint32_t dimension = 0;   ///< 1 … 65,536
  Metric metric = Metric::l2sq;  ///< fixed for the life of the index
  std::uint32_t M = 16;  ///< 2 … 64: links a vector makes in each layer; 2·M kept in layer 0
  std::uint32_t ef_construction = 200;  ///< 1 … 1,024: candidates kept per insertion and layer
  std::uint64_t seed = 42;              ///< seed of the hash that gives each vector its level
  /// 1 … 65,536: most vectors of an epoch. An epoch is a fixed range of insertion order whose
  /// vectors are proposed against the same older graph. Its seal, at the end, cuts long lists.
  std::uint32_t epoch_limit = 1024;
  /// With codes the graph is another one, which only the CPU builds and searches. A code takes
  /// dimension + 12 bytes with sq8, and dimension / 2 + 8 with sq4, rounded up to 16. No vector or
  /// query may then have a squared norm above 1e32. They are recommended for floats of 100
  /// dimensions and more (docs/compact.md).
  Codes codes = Codes::none;
  /// With f16 and bf16 a vector is rounded once, when it enters and is normalised, to nearest with
  /// ties to even. It is that number from then on, in half the memory. Distances are those of f32
  /// of these numbers, and queries are not rounded. A vector that overflows is refused. Only the
  /// CPU works on such an index.
  Storage storage = Storage::automatic;

  /// Throws Error(invalid_parameter), naming the field and its range.
  void validate() const;
  bool operator==(const IndexParams&) const = default;
};

/// Receives messages about the library's work, on the thread that called the library.
enum class LogLevel { info, warning };
using LogCallback = std::function<void(LogLevel, std::string_view)>;

/// Receives the number of vectors committed so far, `done` of `total`, on the thread that called
/// add. At most every 20 ms, and once at the end; not while vectors are validated and copied.
/// Returning false cancels: committed vectors stay, and the index is valid.
using ProgressCallback = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// How the work is done. Never changes a result.
struct RuntimeOptions {
  unsigned threads = 0;  ///< 0 … 1,024, the calling thread included; 0 = one per hardware thread
  /// "auto" (a usable CUDA device, else the CPU), "cpu", "cuda" (any) or "cuda:K" (device K).
  /// "gpu" means "cuda". Upper and lower case are the same.
  std::string device = "auto";
  std::uint64_t device_memory_budget = 0;  ///< bytes; 0 = the device's free memory less 256 MiB
  LogCallback log;                         ///< may be empty
  /// Whether additions reject far vectors by codes of 8 bits, with exact distances for the others.
  /// A bound that is proved decides, so the graph is the same. Codes of the newest vectors, at most
  /// 2·epoch_limit + 16, are kept: about dimension + 20 bytes each. They are made for vectors of
  /// 128 dimensions and more that are not kept as bytes, on processors with AVX-512 VNNI or
  /// Arm's dot product.
  bool certificates = true;
  /// 0 … 1. Of a device's proposals, and of its scores of lists, this share is computed on the CPU
  /// as well and compared before it is used. A difference ends the use of the device: a warning
  /// names node and layer, and the CPU goes on. With 1 a wrong device changes no link. 0 checks
  /// nothing. Searches on a device are not checked.
  double checked_share = 0.001;
};

/// How a batch of queries is searched. The graph never depends on it.
struct SearchParams {
  std::uint32_t k = 10;   ///< 0 … 65,536 neighbors asked for
  std::uint32_t ef = 64;  ///< 1 … 65,536 candidates kept (ef_search); raised to k if smaller
  /// 0 … infinity. The search also ends when its nearest candidate is farther from the query than
  /// (1 + slack) times the k-th nearest found, in Euclidean distance. Easy queries end early and
  /// hard ones go on, up to ef, so the same recall takes fewer distances than with ef alone.
  /// Source: gamma of Al-Jazzazi et al., "Distance Adaptive Beam Search for Provably Accurate
  /// Graph-Based Nearest Neighbor Search", arXiv 2505.15636. It has nothing to do with the slack of
  /// DiskANN, a reserve of degree during construction.
  /// Infinity means that ef alone decides. Inner product does not satisfy the triangle inequality,
  /// so it takes infinity only.
  float slack = std::numeric_limits<float>::infinity();
  /// 0 … 65,536. In an index with codes, the nearest candidates by estimate whose exact distances
  /// decide; raised to k and lowered to ef. Unused without codes.
  /// For sq8 0 means max(2k, k + 10). For sq4 it means max(4k, k + 30).
  std::uint32_t rescore = 0;
  /// Whether the walk uses the codes of an index that has them. Otherwise its distances are exact.
  /// Ranges, groups, cursors, explain and presets never use codes.
  bool use_codes = true;

  /// These parameters for k, of any type of integer, and ef. A k that does not fit becomes the
  /// largest number, which every search refuses.
  template <std::integral K>
  static SearchParams of(K k, std::uint32_t ef = 64) noexcept {
    constexpr std::uint32_t kLargest = std::numeric_limits<std::uint32_t>::max();
    SearchParams params;
    params.k = std::in_range<std::uint32_t>(k) ? static_cast<std::uint32_t>(k) : kLargest;
    params.ef = ef;
    return params;
  }
};

/// How a batch of queries is searched for all vectors within a radius. The graph never depends on
/// it. docs/ranges.md says what each of them finds and costs.
struct RangeParams {
  /// 1 … 65,536 nearest candidates from which the search spreads; raised to limit if smaller. More
  /// of them miss fewer groups of vectors within the radius.
  std::uint32_t ef = 64;
  /// 0 … infinity. The search spreads over vectors within (1 + slack) times the radius, in
  /// Euclidean distance. A larger one finds more of what is within the radius and costs more.
  float slack = 0.10f;
  /// 0 … 65,536. With it a query gets so many of the nearest at most.
  std::optional<std::uint32_t> limit = {};
};

}  // namespace concord
