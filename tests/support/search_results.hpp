// What tests ask of the results of searches.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>
#include <set>

namespace concord::test {

/// Equal to the bit.
inline bool same(const SearchResult& a, const SearchResult& b) {
  return a.labels == b.labels && a.distances == b.distances && a.counts == b.counts;
}

/// The share of the exact results that were found.
inline double recall_of(const SearchResult& found, const SearchResult& exact) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < found.queries; ++q) {
    const auto row = [&](const SearchResult& of) {
      const auto first = of.labels.begin() + static_cast<std::ptrdiff_t>(q * of.k);
      return std::set<std::uint64_t>(first, first + static_cast<std::ptrdiff_t>(of.k));
    };
    for (const std::uint64_t label : row(found)) hits += row(exact).count(label);
  }
  return static_cast<double>(hits) / static_cast<double>(found.labels.size());
}

/// `found` is whole, and has the distances and the order of `all`, an exact search for all vectors.
inline void expect_exact(const SearchResult& found, const SearchResult& all) {
  for (std::size_t q = 0; q < found.queries; ++q) {
    ASSERT_EQ(found.counts[q], found.k);
    const std::uint64_t* const labels = all.labels.data() + q * all.k;
    const std::uint64_t* last = labels;
    for (std::size_t j = 0; j < found.k; ++j) {
      const std::uint64_t* const place =
          std::find(labels, labels + all.k, found.labels[q * found.k + j]);
      ASSERT_NE(place, labels + all.k);
      ASSERT_TRUE(j == 0 || place > last) << "in the exact order";
      ASSERT_EQ(found.distances[q * found.k + j],
                all.distances[q * all.k + static_cast<std::size_t>(place - labels)]);
      last = place;
    }
  }
}

}  // namespace concord::test
