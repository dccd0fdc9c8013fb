#include "bench/tool/synthetic.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "bench/tool/parallel.hpp"

namespace concord::bench {
namespace {

constexpr float kCenterSpread = 1.5F;  // of cluster centres, in units of a cluster's own spread
constexpr float kNoise = 0.1F;
constexpr std::size_t kMaxDimension = 65536;
constexpr std::size_t kBlockRows = 4096;

// Each use of the generator has a stream of its own.
enum class Stream : std::uint64_t { map = 1, centers, choice, latent, noise };

std::uint64_t mix(std::uint64_t x) {  // splitmix64's finaliser
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

std::uint64_t draw(std::uint64_t seed, Stream stream, std::uint64_t major, std::uint64_t minor) {
  return mix(mix(mix(seed ^ (static_cast<std::uint64_t>(stream) << 56)) + major) + minor);
}

/// Mean 0, variance 1: the four 16-bit parts of `bits` added up (Irwin-Hall).
float gaussian(std::uint64_t bits) {
  const std::uint64_t sum =
      (bits & 0xffffU) + ((bits >> 16) & 0xffffU) + ((bits >> 32) & 0xffffU) + (bits >> 48);
  constexpr float kMean = 131070.0F;
  constexpr float kDeviation = 37836.9F;  // sqrt(4 × 65536² / 12)
  return (static_cast<float>(sum) - kMean) / kDeviation;
}

/// The part of the generator that all rows share.
struct Model {
  std::size_t latent;
  FloatMatrix map;      ///< [latent × d]
  FloatMatrix centers;  ///< [clusters × latent]
};

Model make_model(const SyntheticSpec& spec) {
  Model model{std::min(spec.intrinsic, spec.dimension), {}, {}};
  model.map = FloatMatrix(model.latent, spec.dimension);
  model.centers = FloatMatrix(spec.clusters, model.latent);
  for (std::size_t i = 0; i < model.map.values.size(); ++i) {
    model.map.values[i] = gaussian(draw(spec.seed, Stream::map, i, 0));
  }
  for (std::size_t i = 0; i < model.centers.values.size(); ++i) {
    model.centers.values[i] = kCenterSpread * gaussian(draw(spec.seed, Stream::centers, i, 0));
  }
  return model;
}

void make_vector(const SyntheticSpec& spec, const Model& model, std::uint64_t number, float* out) {
  const std::uint64_t cluster = draw(spec.seed, Stream::choice, number, 0) % spec.clusters;
  for (std::size_t c = 0; c < spec.dimension; ++c) {
    out[c] = kNoise * gaussian(draw(spec.seed, Stream::noise, number, c));
  }
  for (std::size_t l = 0; l < model.latent; ++l) {
    const float z =
        model.centers.row(cluster)[l] + gaussian(draw(spec.seed, Stream::latent, number, l));
    const float* const direction = model.map.row(l);
    for (std::size_t c = 0; c < spec.dimension; ++c) out[c] += z * direction[c];
  }
}

}  // namespace

SyntheticSpec parse_synthetic(const std::string& text) {
  std::array<std::uint64_t, 3> numbers{0, 0, 1};
  std::size_t found = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (found < numbers.size()) {
    const auto [next, error] = std::from_chars(at, end, numbers[found]);
    if (error != std::errc{}) break;
    ++found;
    at = next;
    if (at == end || *at != ',') break;
    ++at;
  }
  const SyntheticSpec spec{numbers[0], numbers[1], numbers[2]};
  if (at != end || found < 2 || spec.rows == 0 || spec.dimension == 0 ||
      spec.dimension > kMaxDimension || spec.rows >= (std::uint64_t{1} << 32)) {
    throw InputError("--synthetic " + text +
                     ": expected n,d or n,d,seed with 1 <= n < 2^32 and 1 <= d <= 65536");
  }
  return spec;
}

FloatMatrix synthetic_vectors(const SyntheticSpec& spec, std::size_t first, std::size_t count,
                              unsigned threads) {
  const Model model = make_model(spec);
  FloatMatrix vectors(count, spec.dimension);
  parallel_for(threads, (count + kBlockRows - 1) / kBlockRows, [&](std::size_t block) {
    const std::size_t end = std::min(count, (block + 1) * kBlockRows);
    for (std::size_t r = block * kBlockRows; r < end; ++r) {
      make_vector(spec, model, first + r, vectors.row(r));
    }
  });
  return vectors;
}

}  // namespace concord::bench
