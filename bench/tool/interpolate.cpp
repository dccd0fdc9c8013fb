#include "bench/tool/interpolate.hpp"

#include <algorithm>
#include <cmath>

namespace concord::bench {
namespace {

bool less_recall(const CurvePoint& a, const CurvePoint& b) { return a.recall < b.recall; }

}  // namespace

std::optional<double> rate_at(std::span<const CurvePoint> curve, double recall) {
  for (std::size_t i = 0; i < curve.size(); ++i) {
    if (curve[i].recall == recall) return curve[i].rate;
    if (i == 0 || curve[i - 1].recall > recall || curve[i].recall < recall) continue;
    const double low = std::log(curve[i - 1].rate);
    const double high = std::log(curve[i].rate);
    const double share = (recall - curve[i - 1].recall) / (curve[i].recall - curve[i - 1].recall);
    return std::exp(low + share * (high - low));
  }
  return std::nullopt;
}

std::optional<double> common_recall(std::span<const CurvePoint> a, std::span<const CurvePoint> b,
                                    double target) {
  if (a.empty() || b.empty()) return std::nullopt;
  const auto [low_a, high_a] = std::minmax_element(a.begin(), a.end(), less_recall);
  const auto [low_b, high_b] = std::minmax_element(b.begin(), b.end(), less_recall);
  const double low = std::max(low_a->recall, low_b->recall);
  const double high = std::min(high_a->recall, high_b->recall);
  if (low > high) return std::nullopt;
  return std::clamp(target, low, high);
}

}  // namespace concord::bench
