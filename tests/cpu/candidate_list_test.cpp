// The candidate list against a sorted vector.

#include "cpu/candidate_list.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

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
  /// The closest that is not expanded.
  [[nodiscard]] std::optional<Key> closest() const {
    for (const auto& [key, expanded] : entries_) {
      if (!expanded) return key;
    }
    return std::nullopt;
  }
  void expand_closest() {
    for (auto& [key, expanded] : entries_) {
      if (!std::exchange(expanded, true)) return;
    }
  }
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
        ASSERT_EQ(list.is_done(), !model.closest().has_value());
        if (list.is_done()) continue;
        ASSERT_EQ(list.closest(), model.closest());
        ASSERT_EQ(list.expand_closest(), core::key_id(*model.closest()));
        model.expand_closest();
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
        ASSERT_EQ(list.key(i), expected[i].first);
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
  EXPECT_TRUE(list.is_done());
  list.insert(core::make_key(2, 1));
  ASSERT_FALSE(list.is_done());
  EXPECT_EQ(list.expand_closest(), 1u);
  list.insert(core::make_key(3, 0));
  EXPECT_TRUE(list.is_done());
  list.insert(core::make_key(2, 0));
  ASSERT_FALSE(list.is_done());
  EXPECT_EQ(list.expand_closest(), 0u);
  list.insert(core::make_key(2, 0));
  EXPECT_TRUE(list.is_done()) << "an expanded candidate is not expanded again";
}

}  // namespace
}  // namespace concord::cpu
