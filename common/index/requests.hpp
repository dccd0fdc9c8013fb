// What searches and additions may ask for, and where searches leave what they find: the same rules
// for one index and for many.
// Thread-safety: pure functions.
#pragma once

#include <concord/index.hpp>
#include <concord/matrix_view.hpp>
#include <cstdint>
#include <span>

namespace concord {

/// Throw Error(invalid_parameter).
void check_runtime(const RuntimeOptions& options);
void check_search(const SearchParams& params, Metric metric);
void check_exact(std::uint32_t k);
/// Those of a search with groups, beside check_search.
void check_groups(const SearchParams& params, std::uint32_t group_hits);
/// Throws Error(unsupported) as well, for a metric that has no triangle inequality.
void check_range(float radius, const RangeParams& params, Metric metric);
/// No vector may have kNoLabel, which marks padding. Throws Error(invalid_parameter).
void check_labels(std::span<const std::uint64_t> labels);
/// Throws Error(dimension_mismatch) unless there are as many labels as vectors.
void check_label_count(std::size_t labels, std::size_t vectors);
/// Throws Error(unknown_label): no vector has the label, number `number` of the call.
[[noreturn]] void refuse_unknown_label(std::uint64_t label, std::size_t number);
/// Throws Error(duplicate_label): a call that removes or replaces names the label twice.
[[noreturn]] void refuse_repeated_label(std::uint64_t label);
/// Throws Error(dimension_mismatch) unless a RowSource may give so many vectors from number `first`
/// of `count` on.
void check_piece(std::size_t vectors, std::size_t first, std::size_t count);

/// Whether a search of so many queries pays to open a device.
constexpr bool is_worth_a_device(std::size_t queries) noexcept { return queries >= 256; }
/// The same for an exact search of `size` vectors.
constexpr bool is_worth_a_device(std::size_t queries, std::uint64_t size) noexcept {
  return queries * size >= std::uint64_t{1} << 24;
}

/// Where a search of n queries leaves its results.
struct SearchOutput {
  MatrixView<std::uint64_t> labels;  ///< [n × k]
  MatrixView<float> distances;       ///< [n × k]
  std::span<std::uint32_t> counts;   ///< [n]
};
/// Throws Error(dimension_mismatch) unless the results of n queries fit.
void expect_room(std::size_t n, std::uint32_t k, const SearchOutput& out);
/// Room for results. Throws Error(out_of_memory).
SearchResult result_of(std::size_t queries, std::uint32_t k);
SearchOutput output_of(SearchResult& result) noexcept;

}  // namespace concord
