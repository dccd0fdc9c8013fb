// Labels against std::unordered_map under random operations, with failures rolled back.

#include "common/store/label_map.hpp"

#include <unordered_map>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

NodeId find(const LabelMap& map, std::uint64_t label) {
  return map.find(label, static_cast<NodeId>(map.size()));
}

class Model {
 public:
  void append(const std::vector<std::uint64_t>& labels) {
    for (const std::uint64_t label : labels) {
      nodes_.emplace(label, static_cast<NodeId>(labels_.size()));
      labels_.push_back(label);
    }
  }
  void truncate(std::size_t size) {
    for (; labels_.size() > size; labels_.pop_back()) nodes_.erase(labels_.back());
  }
  void expect_equal(const LabelMap& map, std::uint64_t probes) const {
    ASSERT_EQ(map.size(), labels_.size());
    for (NodeId node = 0; node < labels_.size(); ++node) {
      ASSERT_EQ(map.label(node), labels_[node]);
      ASSERT_EQ(find(map, labels_[node]), node);
    }
    for (std::uint64_t label = 0; label < probes; ++label) {
      const auto found = nodes_.find(label);
      ASSERT_EQ(find(map, label), found == nodes_.end() ? kNoNode : found->second) << label;
    }
    expect_all(map, probes);
  }
  /// What is found together, whatever number of labels, is what is found one by one.
  void expect_all(const LabelMap& map, std::uint64_t probes) const {
    std::vector<std::uint64_t> labels = labels_;
    for (std::uint64_t label = 0; label < probes % 100; ++label) labels.push_back(label);
    std::vector<NodeId> nodes(labels.size());
    for (const NodeId end :
         {static_cast<NodeId>(map.size()), static_cast<NodeId>(map.size() / 2)}) {
      map.find_all(labels, end, nodes.data());
      for (std::size_t i = 0; i < labels.size(); ++i) {
        ASSERT_EQ(nodes[i], map.find(labels[i], end)) << labels[i];
      }
    }
  }
  [[nodiscard]] bool contains(std::uint64_t label) const { return nodes_.contains(label); }
  [[nodiscard]] std::size_t size() const { return labels_.size(); }

 private:
  std::unordered_map<std::uint64_t, NodeId> nodes_;
  std::vector<std::uint64_t> labels_;
};

TEST(LabelMap, BehavesAsAMapUnderRandomOperations) {
  constexpr std::uint64_t kUniverse = 3000;  // small, so that duplicates happen
  int refused = 0;
  int taken = 0;
  for (std::uint64_t run = 0; run < test::scaled(20, 4); ++run) {
    LabelMap map;
    Model model;
    for (std::uint64_t step = 0; step < 120; ++step) {
      const auto draw = [&](std::uint64_t what, std::uint64_t below) {
        return test::hash(run, step, what) % below;
      };
      if (draw(0, 5) == 0) {
        const std::size_t size = draw(1, model.size() + 1);
        map.truncate(size);
        model.truncate(size);
      } else {
        const bool implicit = draw(2, 4) == 0;
        std::vector<std::uint64_t> labels(draw(3, 30));
        bool legal = true;
        for (std::size_t i = 0; i < labels.size(); ++i) {
          labels[i] = implicit ? model.size() + i : draw(10 + i, kUniverse);
          legal = legal && !model.contains(labels[i]) &&
                  std::find(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(i),
                            labels[i]) == labels.begin() + static_cast<std::ptrdiff_t>(i);
        }
        const auto append = [&] {
          map.append(implicit ? std::vector<std::uint64_t>{} : labels, labels.size(), map.size());
        };
        if (legal) {
          append();
          model.append(labels);
          ++taken;
        } else {
          const char* const advice = implicit ? "automatic labels begin at" : "must be new";
          test::expect_error(ErrorCode::duplicate_label, {"label", advice}, append);
          ++refused;
        }
      }
      model.expect_equal(map, step % 10 == 0 ? kUniverse + 10 : 50);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_GT(taken, 100);
}

TEST(LabelMap, CostsNoTableWhileLabelsAreIds) {
  LabelMap map;
  map.append({}, 1000, map.size());
  const std::vector<std::uint64_t> ids = {1000, 1001};
  map.append(ids, 2, map.size());
  EXPECT_EQ(map.bytes(), 1002 * sizeof(std::uint64_t));
  EXPECT_EQ(find(map, 1001), 1001u);
  EXPECT_EQ(find(map, 1002), kNoNode);
  EXPECT_EQ(find(map, ~std::uint64_t{0}), kNoNode);
  EXPECT_EQ(find(map, std::uint64_t{1} << 32), kNoNode) << "labels have 64 bits";
}

TEST(LabelMap, SaysWhereADuplicateStands) {
  LabelMap map;
  const std::vector<std::uint64_t> twice = {5, 6, 5};
  test::expect_error(ErrorCode::duplicate_label, {"label 5", "vector 2", "twice in the call"},
                     [&] { map.append(twice, 3, map.size()); });
  EXPECT_EQ(map.size(), 0u);
  const std::vector<std::uint64_t> first = {1, 9};
  map.append(first, 2, map.size());
  test::expect_error(ErrorCode::duplicate_label, {"label 9", "already in the index"}, [&] {
    map.append(std::vector<std::uint64_t>{8, 9}, 2, map.size());
  });
  EXPECT_EQ(find(map, 8), kNoNode);
  // An implicit label that the caller gave to another vector.
  map.append(std::vector<std::uint64_t>{4}, 1, map.size());
  test::expect_error(ErrorCode::duplicate_label, {"label 4", "already in the index"},
                     [&] { map.append({}, 2, map.size()); });
  EXPECT_EQ(map.size(), 3u);
  EXPECT_EQ(find(map, 3), kNoNode);
}

TEST(LabelMap, TakesTheExtremesOfItsRange) {
  LabelMap map;
  const std::vector<std::uint64_t> extremes = {~std::uint64_t{0}, 0, std::uint64_t{1} << 63,
                                               0xFFFFFFFFu};
  map.append(extremes, 4, map.size());
  for (NodeId node = 0; node < 4; ++node) EXPECT_EQ(find(map, extremes[node]), node);
}

// What has left counts as load, or the probes of a full table would not end.
TEST(LabelMap, OfAWindowThatSlidesDoesNotFill) {
  constexpr NodeId kWindow = 20;
  LabelMap map;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const std::uint64_t label = test::hash(1, i) | 1;
    map.append({&label, 1}, 1, i);
    const auto size = static_cast<NodeId>(map.size());
    ASSERT_EQ(find(map, label), size - 1);
    if (size <= kWindow) continue;
    const std::uint64_t oldest = map.label(0);
    map.forget(0);
    for (NodeId node = 1; node < size; ++node) map.move(node, node - 1);
    map.shrink(size - 1);
    ASSERT_EQ(find(map, oldest), kNoNode);
    for (NodeId node = 0; node + 1 < size; ++node) ASSERT_EQ(find(map, map.label(node)), node);
  }
  EXPECT_LT(map.bytes(), 2000U);
}

}  // namespace
}  // namespace concord::core
