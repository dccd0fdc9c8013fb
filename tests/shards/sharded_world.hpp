// What ShardedIndex tests compare with: one Index of all vectors, and one of each shard's.
#pragma once

#include <concord/sharded_index.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

inline RuntimeOptions on_cpu(unsigned threads = 1) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = "cpu";
  return options;
}

/// By dealing vectors out one by one: nothing of the library's placement.
inline std::vector<std::vector<std::size_t>> positions_of(std::size_t n,
                                                          const ShardParams& shards) {
  std::vector<std::vector<std::size_t>> positions(shards.shards);
  for (std::size_t p = 0; p < n; ++p) positions[p / shards.block % shards.shards].push_back(p);
  return positions;
}

/// The Index that the vectors of a shard alone give, the first `n` of `data` being there.
inline Index lone_shard(const IndexParams& params, const ShardParams& shards, const Matrix& data,
                        std::size_t n, std::uint32_t shard,
                        const std::vector<std::uint64_t>& labels = {}) {
  Index index(params, on_cpu());
  const auto positions = positions_of(n, shards);
  for (const std::size_t p : positions[shard]) {
    const std::uint64_t label = labels.empty() ? p : labels[p];
    index.add(data.slice(p, 1), {&label, 1});
  }
  return index;
}

inline void expect_lone_shards(const ShardedIndex& index, const Matrix& data, std::size_t n,
                               const std::vector<std::uint64_t>& labels = {}) {
  ASSERT_EQ(index.size(), n);
  for (std::uint32_t s = 0; s < index.shards(); ++s) {
    ASSERT_EQ(index.shard(s).digest(),
              lone_shard(index.params(), index.shard_params(), data, n, s, labels).digest())
        << "shard " << s << " of " << n << " vectors";
  }
}

/// Labels that are no positions, in no order.
inline std::vector<std::uint64_t> permuted_labels(std::size_t n) {
  std::vector<std::uint64_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = 5 + 3 * (i * 7919 % n);
  return labels;
}

inline void expect_equal(const SearchResult& a, const SearchResult& b) {
  EXPECT_EQ(a.counts, b.counts);
  EXPECT_EQ(a.labels, b.labels);
  ASSERT_EQ(a.distances.size(), b.distances.size());
  if (a.distances.empty()) return;
  EXPECT_EQ(std::memcmp(a.distances.data(), b.distances.data(), a.distances.size() * sizeof(float)),
            0);
}

}  // namespace concord::test
