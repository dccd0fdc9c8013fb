// A process that forks while another thread adds to an index: what its children may do.
#pragma once

#include <concord/index.hpp>
#include <functional>
#include <initializer_list>
#include <optional>
#include <thread>

#include "tests/support/child.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

/// Adds `data` up to vector `end` on another thread, the first `at_once` before it starts, and
/// forks beside it. The children search, and are told why the `refused` calls are; the parent's
/// addition goes on. AnyIndex is Index or ShardedIndex.
template <class AnyIndex>
void expect_children_beside_an_addition_search(
    std::optional<AnyIndex>& index, const Matrix& data, std::size_t at_once, std::size_t end,
    std::initializer_list<std::function<void()>> refused) {
  index->add(data.slice(0, at_once));
  std::thread adding([&] { index->add(data.slice(at_once, end - at_once)); });
  while (index->size() < at_once + 100) std::this_thread::yield();
  for (int round = 0; round < 5; ++round) {
    in_a_child([&] {
      const bool is_over = index->size() == end;
      const SearchResult found = index->search(data.view(), {.k = 10, .ef = 50});
      for (const std::uint32_t count : found.counts) ASSERT_EQ(count, 10u);
      for (const std::function<void()>& call : refused) {
        if (is_over) break;
        expect_error(ErrorCode::unsupported, {"forked while another thread was adding"}, call);
      }
      index.reset();
    });
  }
  adding.join();
}

}  // namespace concord::test
