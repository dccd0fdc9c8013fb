#include <algorithm>
#include <concord/error.hpp>
#include <concord/params.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

namespace concord {
namespace {

void check_range(const char* name, std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  if (value >= low && value <= high) return;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed are " + std::to_string(low) + " to " +
                                                std::to_string(high));
}

std::string lower_case(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  });
  return lower;
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
  const std::string lower = lower_case(name);
  const auto is_any_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), lower) != names.end();
  };
  if (is_any_of({"l2sq", "l2", "sqeuclidean"})) return Metric::l2sq;
  if (is_any_of({"inner_product", "ip", "dot"})) return Metric::inner_product;
  if (is_any_of({"cosine", "cos", "angular"})) return Metric::cosine;
  const std::string reason =
      lower == "euclidean" ? "' is not offered: l2sq gives the same neighbors and squared distances"
                           : "' is unknown";
  throw Error(ErrorCode::invalid_parameter,
              "metric '" + std::string(name) + reason +
                  "; allowed are l2sq, inner_product and cosine (also l2, sqeuclidean, ip, dot, "
                  "cos, angular), in upper or lower case");
}

const char* to_string(Storage storage) noexcept {
  switch (storage) {
    case Storage::automatic:
      return "automatic";
    case Storage::f32:
      return "f32";
    case Storage::f16:
      return "f16";
    case Storage::bf16:
      return "bf16";
  }
  return "unknown";
}

Storage storage_from_string(std::string_view name) {
  const std::string lower = lower_case(name);
  if (lower == "auto") return Storage::automatic;
  if (lower == "float32") return Storage::f32;
  if (lower == "float16") return Storage::f16;
  if (lower == "bfloat16") return Storage::bf16;
  for (const Storage storage : {Storage::automatic, Storage::f32, Storage::f16, Storage::bf16}) {
    if (lower == to_string(storage)) return storage;
  }
  throw Error(ErrorCode::invalid_parameter,
              "storage '" + std::string(name) +
                  "' is unknown; allowed are automatic, f32, f16 and bf16 (also auto, float32, "
                  "float16, bfloat16), in upper or lower case");
}

const char* to_string(Codes codes) noexcept {
  switch (codes) {
    case Codes::none:
      return "none";
    case Codes::sq8:
      return "sq8";
    case Codes::sq4:
      return "sq4";
  }
  return "unknown";
}

Codes codes_from_string(std::string_view name) {
  const std::string lower = lower_case(name);
  for (const Codes codes : {Codes::none, Codes::sq8, Codes::sq4}) {
    if (lower == to_string(codes)) return codes;
  }
  throw Error(ErrorCode::invalid_parameter,
              "codes '" + std::string(name) +
                  "' are unknown; allowed are none, sq8 and sq4, in upper or lower case");
}

void IndexParams::validate() const {
  check_range("dimension", dimension, 1, 65536);
  check_range("metric", static_cast<std::uint32_t>(metric), 0, 2);
  check_range("M", M, 2, 64);
  check_range("ef_construction", ef_construction, 1, 1024);
  check_range("epoch_limit", epoch_limit, 1, 65536);
  check_range("codes", static_cast<std::uint32_t>(codes), 0, 2);
  check_range("storage", static_cast<std::uint32_t>(storage), 0, 3);
}

}  // namespace concord
