#include "common/index/requests.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>

#include "common/base/number_text.hpp"

namespace concord {
namespace {

constexpr std::uint32_t kMaxSearchWidth = 65536;

void check_search_width(const char* name, std::uint32_t value, std::uint32_t low) {
  if (value >= low && value <= kMaxSearchWidth) return;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed are " + std::to_string(low) + " to " +
                                                std::to_string(kMaxSearchWidth));
}

void check_not_negative(const char* name, float value) {
  if (value >= 0) return;
  throw Error(ErrorCode::invalid_parameter,
              std::string(name) + " is " + core::text_of(value) + "; allowed are 0 to infinity");
}

}  // namespace

void check_runtime(const RuntimeOptions& options) {
  if (options.threads > 1024) {
    throw Error(ErrorCode::invalid_parameter, "threads is " + std::to_string(options.threads) +
                                                  "; allowed are 0 (all hardware threads) to 1024");
  }
  if (options.checked_share >= 0 && options.checked_share <= 1) return;
  throw Error(ErrorCode::invalid_parameter,
              "checked_share is " + core::text_of(options.checked_share) + "; allowed are 0 to 1");
}

void check_search(const SearchParams& params, Metric metric) {
  check_search_width("k", params.k, 0);
  check_search_width("ef", params.ef, 1);
  check_search_width("rescore", params.rescore, 0);
  check_not_negative("slack", params.slack);
  if (metric == Metric::inner_product && !std::isinf(params.slack)) {
    throw Error(ErrorCode::invalid_parameter,
                "slack is " + core::text_of(params.slack) +
                    "; with inner_product, which is no metric, only infinity is allowed");
  }
}

void check_exact(std::uint32_t k) { check_search_width("k", k, 0); }

void check_groups(const SearchParams& params, std::uint32_t group_hits) {
  check_search_width("group_hits", group_hits, 1);
  if (std::uint64_t{params.k} * group_hits > kMaxSearchWidth) {
    throw Error(ErrorCode::invalid_parameter,
                "k is " + std::to_string(params.k) + " and group_hits is " +
                    std::to_string(group_hits) + "; allowed are products to " +
                    std::to_string(kMaxSearchWidth));
  }
  if (std::isinf(params.slack)) return;
  throw Error(ErrorCode::invalid_parameter,
              "slack is " + core::text_of(params.slack) +
                  "; with groups, which decide how far a search goes, only infinity is allowed");
}

void check_range(float radius, const RangeParams& params, Metric metric) {
  if (metric == Metric::inner_product) {
    throw Error(ErrorCode::unsupported,
                "a range search needs a metric, and inner_product is none; allowed are l2sq and "
                "cosine");
  }
  check_not_negative("radius", radius);
  check_search_width("ef", params.ef, 1);
  check_not_negative("slack", params.slack);
  if (params.limit) check_search_width("limit", *params.limit, 0);
}

// Loading still accepts kNoLabel, because older versions wrote it.
void check_labels(std::span<const std::uint64_t> labels) {
  const auto found = std::find(labels.begin(), labels.end(), kNoLabel);
  if (found == labels.end()) return;
  throw Error(ErrorCode::invalid_parameter,
              "the label of vector " + std::to_string(found - labels.begin()) + " is " +
                  std::to_string(kNoLabel) +
                  ", which stands for no label in results; allowed are 0 to " +
                  std::to_string(kNoLabel - 1));
}

void check_label_count(std::size_t labels, std::size_t vectors) {
  if (labels == vectors) return;
  throw Error(ErrorCode::dimension_mismatch, std::to_string(labels) + " labels for " +
                                                 std::to_string(vectors) +
                                                 " vectors; there must be one each");
}

void refuse_unknown_label(std::uint64_t label, std::size_t number) {
  throw Error(ErrorCode::unknown_label, "no vector has label " + std::to_string(label) +
                                            ", number " + std::to_string(number) + " of the call");
}

void refuse_repeated_label(std::uint64_t label) {
  throw Error(ErrorCode::duplicate_label,
              "label " + std::to_string(label) + " stands twice in the call; each may stand once");
}

void check_piece(std::size_t vectors, std::size_t first, std::size_t count) {
  if (vectors > 0 && vectors <= count - first) return;
  throw Error(ErrorCode::dimension_mismatch,
              "the source gave " + std::to_string(vectors) + " vectors from number " +
                  std::to_string(first) + " on; allowed are 1 to " + std::to_string(count - first));
}

void expect_room(std::size_t n, std::uint32_t k, const SearchOutput& out) {
  const auto fits = [&](const auto& matrix) {
    return matrix.rows == n && matrix.cols == k && (matrix.rows < 2 || matrix.stride >= k) &&
           (matrix.data != nullptr || n * k == 0);
  };
  if (fits(out.labels) && fits(out.distances) && out.counts.size() == n) return;
  throw Error(ErrorCode::dimension_mismatch,
              "results need " + std::to_string(n) + " rows of " + std::to_string(k) +
                  " labels and distances, a stride of at least that, and as many counts as rows");
}

SearchResult result_of(std::size_t queries, std::uint32_t k) {
  SearchResult result;
  result.queries = queries;
  result.k = k;
  try {
    if (k > 0 && queries > ~std::size_t{0} / k) throw std::bad_alloc();
    result.labels.resize(queries * k);
    result.distances.resize(queries * k);
    result.counts.resize(queries);
  } catch (const std::exception&) {  // bad_alloc, length_error
    throw Error(ErrorCode::out_of_memory,
                "no memory for the results of " + std::to_string(queries) +
                    " queries with k = " + std::to_string(k) + "; search in smaller batches");
  }
  return result;
}

SearchOutput output_of(SearchResult& result) noexcept {
  const auto k = result.k;
  return {{result.labels.data(), result.queries, k},
          {result.distances.data(), result.queries, k},
          result.counts};
}

}  // namespace concord
