// The index whose manifest is fuzzed, and is the corpus.
#pragma once

#include <concord/sharded_index.hpp>

#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"

namespace concord::fuzz {

inline ShardedIndex small_sharded_index() {
  ShardedIndex index(test::make_params(3, 2, 8, 64), {.shards = 2, .block = 4}, {on_cpu(), {}});
  index.add(test::make_data(test::Shape::random, 40, 3).view());
  return index;
}

}  // namespace concord::fuzz
