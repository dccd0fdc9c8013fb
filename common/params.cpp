#include <concord/error.hpp>
#include <concord/params.hpp>
#include <string>

namespace concord {
namespace {

void check_range(const char* name, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  if (value >= low && value <= high) return;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed are " + std::to_string(low) + " to " +
                                                std::to_string(high));
}

}  // namespace

const char* to_string(Metric metric) noexcept {
  switch (metric) {
    case Metric::l2sq:
      return "l2sq";
    case Metric::inner_product:
      return "inner_product";
    case Metric::cosine:
      return "cosine";
  }
  return "unknown";
}

Metric metric_from_string(std::string_view name) {
  if (name == "l2sq" || name == "l2" || name == "euclidean") return Metric::l2sq;
  if (name == "inner_product" || name == "ip" || name == "dot") return Metric::inner_product;
  if (name == "cosine" || name == "angular") return Metric::cosine;
  throw Error(ErrorCode::invalid_parameter, "metric '" + std::string(name) +
                                                "' is unknown; allowed are l2sq, inner_product and "
                                                "cosine (also l2, euclidean, ip, dot, angular)");
}

void IndexParams::validate() const {
  check_range("dimension", dimension, 1, 65536);
  check_range("metric", static_cast<std::uint32_t>(metric), 0, 2);
  check_range("M", M, 2, 64);
  check_range("ef_construction", ef_construction, 1, 1024);
  check_range("epoch_limit", epoch_limit, 1, 65536);
}

}  // namespace concord
