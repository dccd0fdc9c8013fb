// Ids and numbers of insertion against a list of all numbers.

#include "common/graph/numbering.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/data_sets.hpp"

namespace concord::test {
namespace {

using core::kNoNode;
using core::NodeId;
using core::Numbering;

TEST(Numbering, IsInTheBeginningThatOfIds) {
  const Numbering first;
  for (const NodeId id : {0u, 1u, 77u, 1u << 30}) {
    EXPECT_EQ(first.number(id), id);
    EXPECT_EQ(first.first_from(id), id);
    EXPECT_EQ(first.find(id), id);
  }
  EXPECT_EQ(first.slides(), 0u);
  EXPECT_EQ(first.bytes(), 0u);
}

// Numbers with gaps of all lengths, also beyond 2^32, from every place on.
TEST(Numbering, FindsWhatAListFinds) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto kept = static_cast<NodeId>(hash(seed, 0) % 70);
    std::vector<std::uint64_t> numbers;
    std::uint64_t number = seed % 3 == 0 ? (std::uint64_t{1} << 32) - 40 : 0;
    for (NodeId id = 0; id < kept; ++id) {
      number += hash(seed, 1, id) % (seed % 5 == 0 && id % 20 == 7 ? std::uint64_t{1} << 33 : 4);
      numbers.push_back(number++);
    }
    number += hash(seed, 2) % 5;  // reclaimed behind the last
    Numbering numbering(3, number - kept, kept, 70);
    for (const std::uint64_t each : numbers) numbering.append(each);
    for (NodeId later = 0; later < 10; ++later) numbers.push_back(number++);
    ASSERT_EQ(numbering.kept(), kept);
    for (NodeId id = 0; id < numbers.size(); ++id) ASSERT_EQ(numbering.number(id), numbers[id]);
    for (const std::uint64_t each : numbers) {
      for (const std::uint64_t wanted : {each - std::min<std::uint64_t>(each, 1), each, each + 1}) {
        const auto place = std::lower_bound(numbers.begin(), numbers.end(), wanted);
        const auto id = static_cast<NodeId>(place - numbers.begin());
        for (NodeId from = 0; from <= id; from += 1 + id / 9) {
          ASSERT_EQ(numbering.first_from(wanted, from), id) << seed << " from " << from;
        }
        if (place == numbers.end()) continue;
        ASSERT_EQ(numbering.find(wanted), *place == wanted ? id : kNoNode);
      }
    }
  }
}

}  // namespace
}  // namespace concord::test
