// Two recall/speed curves compared at equal recall.
#pragma once

#include <optional>
#include <span>

namespace concord::bench {

struct CurvePoint {
  double recall = 0;
  double rate = 0;  ///< queries per second
};

/// Rate at `recall`: log(rate) is interpolated linearly over recall between the two neighboring
/// points of the curve (given in ascending ef). Nothing outside the curve: no extrapolation.
std::optional<double> rate_at(std::span<const CurvePoint> curve, double recall);

/// The recall nearest to `target` that both curves cover; nothing if they do not overlap.
std::optional<double> common_recall(std::span<const CurvePoint> a, std::span<const CurvePoint> b,
                                    double target);

}  // namespace concord::bench
