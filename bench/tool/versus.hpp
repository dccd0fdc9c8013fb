// Concord and hnswlib on the same data in one process, turn by turn.
#pragma once

#include <concord/index.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "bench/tool/hnswlib_peer.hpp"
#include "bench/tool/measure.hpp"

namespace concord::bench {

struct Contender {
  std::vector<double> build_seconds;      ///< one per round
  std::vector<double> build_cpu_seconds;  ///< processor time, one per round
  std::vector<SearchPoint> points;        ///< medians over the rounds
  [[nodiscard]] double build_median() const { return median(build_seconds); }
  [[nodiscard]] double build_cpu_median() const { return median(build_cpu_seconds); }
};

/// One measured pair. The two alternate, as does the one that begins, so that a machine that slows
/// down or speeds up meets both alike.
class Versus {
 public:
  /// Borrows all but the options.
  Versus(const FloatMatrix& vectors, const FloatMatrix& queries, const IndexParams& params,
         RuntimeOptions runtime, unsigned rounds);

  void build();
  /// `rescore` is Concord's.
  void search(const Judge& judge, std::uint32_t k, const std::vector<std::uint32_t>& efs,
              std::uint32_t rescore);

  [[nodiscard]] const Contender& concord() const noexcept { return concord_; }
  [[nodiscard]] const Contender& hnswlib() const noexcept { return hnswlib_; }
  /// The last build, with the measures of the first.
  [[nodiscard]] const BuildMeasure& built() const { return *built_; }
  [[nodiscard]] HnswlibPeer& peer() const noexcept { return *peer_; }

 private:
  void build_concord();
  void build_hnswlib();
  [[nodiscard]] SearchPoint quality_of_hnswlib(const Judge& judge, SearchParams search);
  /// Medians of the rates of both with `threads`: Concord's, hnswlib's.
  std::pair<double, double> rates(SearchParams search, unsigned threads);

  const FloatMatrix& vectors_;
  const FloatMatrix& queries_;
  const IndexParams& params_;
  RuntimeOptions runtime_;
  unsigned rounds_;
  std::optional<BuildMeasure> built_;
  std::unique_ptr<HnswlibPeer> peer_;
  Contender concord_;
  Contender hnswlib_;
};

}  // namespace concord::bench
