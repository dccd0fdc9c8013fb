// The candidate list against a sorted vector.

#include "cpu/candidate_list.hpp"

#include <algorithm>
#include <limits>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::Key;
using core::NodeId;

class Model {
 public:
  explicit Model(std::size_t capacity) : capacity_(capacity) {}
  void insert(Key key) {
    for (const auto& entry : entries_) {
      if (entry.first == key) return;
    }
    entries_.emplace_back(key, false);
    std::sort(entries_.begin(), entries_.end());
    if (entries_.size() > capacity_) entries_.pop_back();
  }
  NodeId expand() {
    for (auto& [key, expanded] : entries_) {
      if (expanded) continue;
      expanded = true;
      return core::key_id(key);
    }
    return core::kNoNode;
  }
  [[nodiscard]] NodeId peek() const { return Model(*this).expand(); }
  [[nodiscard]] std::vector<std::pair<Key, bool>> entries() const { return entries_; }

 private:
  std::size_t capacity_;
  std::vector<std::pair<Key, bool>> entries_;
};

TEST(CandidateList, BehavesAsASortedListUnderRandomOperations) {
  CandidateList list;
  for (std::uint64_t run = 0; run < 300; ++run) {
    const std::size_t capacity = 1 + test::hash(run, 0) % (run % 10 == 0 ? 300 : 12);
    list.reset(capacity);
    Model model(capacity);
    for (std::uint64_t step = 0; step < 400; ++step) {
      if (test::hash(run, step, 1) % 4 == 0) {
        ASSERT_EQ(list.peek_closest(), model.peek());
        ASSERT_EQ(list.expand_closest(), model.expand());
      } else {
        // Few distances and ids: ties and repetitions; negative distances too.
        const auto distance = static_cast<float>(test::hash(run, step, 2) % 9) - 4;
        const auto id = static_cast<NodeId>(test::hash(run, step, 3) % 40);
        list.insert(core::make_key(distance, id));
        model.insert(core::make_key(distance, id));
      }
      const auto expected = model.entries();
      ASSERT_EQ(list.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(list[i], expected[i].first | (expected[i].second ? core::kExpanded : 0));
      }
      ASSERT_EQ(list.bound() == core::kWorstKey, expected.size() < capacity);
      ASSERT_EQ(list.worst_distance(), expected.size() < capacity
                                           ? std::numeric_limits<float>::infinity()
                                           : core::key_distance(expected.back().first));
    }
  }
}

TEST(CandidateList, OfOneKeepsTheBest) {
  CandidateList list;
  list.reset(1);
  list.insert(core::make_key(2, 1));
  EXPECT_EQ(list.expand_closest(), 1u);
  list.insert(core::make_key(3, 0));
  EXPECT_EQ(list.expand_closest(), core::kNoNode);
  list.insert(core::make_key(2, 0));
  EXPECT_EQ(list.expand_closest(), 0u);
  list.insert(core::make_key(2, 0));
  EXPECT_EQ(list.expand_closest(), core::kNoNode) << "an expanded candidate is not expanded again";
}

TEST(CandidateList, SaysHowFarTheClosestIs) {
  CandidateList list;
  list.reset(4);
  EXPECT_EQ(list.closest_distance(), std::numeric_limits<float>::infinity());
  list.insert(core::make_key(2.0f, 7));
  list.insert(core::make_key(3.0f, 5));
  EXPECT_EQ(list.closest_distance(), 2.0f);
  EXPECT_EQ(list.expand_closest(), 7u);
  EXPECT_EQ(list.closest_distance(), 3.0f);
  EXPECT_EQ(list.expand_closest(), 5u);
  EXPECT_EQ(list.closest_distance(), std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace concord::cpu
