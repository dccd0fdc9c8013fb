// Any directed links at all, as a file might have them, become an index with all invariants.

#include "common/graph/level.hpp"
#include "common/interchange/adopt_graph.hpp"
#include "common/interchange/known_links.hpp"
#include "tests/interchange/edges.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::NodeId;
using interchange::Adopt;
using interchange::ForeignIndex;
using interchange::KnownLinks;

enum class Links {
  none,
  all_to_first,  ///< node 0 is named by all, and names none
  first_to_all,  ///< node 0 names all
  chain,         ///< each names the next: no node names an earlier one
  itself_and_twice,
  few_at_random,
  many_at_random,  ///< more than a row has room for
};
constexpr Links kAllLinks[] = {Links::none,          Links::all_to_first,     Links::first_to_all,
                               Links::chain,         Links::itself_and_twice, Links::few_at_random,
                               Links::many_at_random};

std::vector<NodeId> links_of(Links kind, NodeId node, NodeId n) {
  const auto random = [&](std::size_t count) {
    std::vector<NodeId> ids(count);
    for (std::size_t j = 0; j < count; ++j) ids[j] = static_cast<NodeId>(hash(3, node, j) % n);
    return ids;
  };
  switch (kind) {
    case Links::none:
      return {};
    case Links::all_to_first:
      return node == 0 ? std::vector<NodeId>{} : std::vector<NodeId>{0};
    case Links::first_to_all: {
      std::vector<NodeId> all;
      for (NodeId id = 1; node == 0 && id < n; ++id) all.push_back(id);
      return all;
    }
    case Links::chain:
      return node + 1 < n ? std::vector<NodeId>{node + 1} : std::vector<NodeId>{};
    case Links::itself_and_twice:
      return {node, node, (node + 1) % n, (node + 1) % n};
    case Links::few_at_random:
      return random(3);
    case Links::many_at_random:
      return random(60);
  }
  return {};
}

// With levels that Concord would give, or with two layers above 0 for every fifth node.
ForeignIndex make_foreign(Links kind, NodeId n, const Matrix& data, bool own_levels) {
  ForeignIndex foreign;
  foreign.params = make_params(static_cast<std::uint32_t>(data.cols), 3, 20, 1024);
  foreign.vectors = data.values;
  for (NodeId node = 0; node < n; ++node) {
    foreign.labels.push_back(std::uint64_t{node} * 2);
    foreign.base.push(links_of(kind, node, n));
    const std::size_t level = own_levels
                                  ? core::level_of(foreign.params.seed, node, foreign.params.M)
                              : node % 5 == 0 ? 2
                                              : 0;
    foreign.first_upper.push_back(foreign.first_upper.back() + level);
  }
  for (NodeId node = 0; node < n; ++node) {
    for (std::size_t layer = 1; layer <= foreign.level(node); ++layer) {
      std::vector<NodeId> list;
      for (const NodeId id : links_of(kind, node, n)) {
        if (foreign.level(id) >= layer) list.push_back(id);
      }
      foreign.upper.push(list);
    }
  }
  return foreign;
}

class AnyLinks : public testing::TestWithParam<std::tuple<Links, bool>> {
 protected:
  static constexpr NodeId kNodes = 700;
  Matrix data_ = make_data(Shape::duplicate, kNodes, 4);
  ForeignIndex foreign_ =
      make_foreign(std::get<0>(GetParam()), kNodes, data_, std::get<1>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(All, AnyLinks,
                         testing::Combine(testing::ValuesIn(kAllLinks), testing::Bool()));

TEST_P(AnyLinks, BecomeAnIndexWithAllInvariantsThatGrows) {
  const TempPath path;
  write_file(path, {});
  const interchange::InputFile file(path, "test");
  Index index = make_index(foreign_, Adopt::graph, on_cpu(), file);
  expect_sound(index.audit());
  EXPECT_EQ(index.size(), kNodes);
  EXPECT_EQ(index.labels(), foreign_.labels);
  EXPECT_EQ(make_index(foreign_, Adopt::graph, on_cpu(3), file).digest(), index.digest());
  std::vector<std::uint64_t> labels(kNodes);
  for (std::size_t i = 0; i < kNodes; ++i) labels[i] = 2 * i + 1;
  index.add(data_.view(), labels);
  expect_sound(index.audit());
}

TEST_P(AnyLinks, AreKnownToTheirLaterEndOnceAndNoMoreThanMaxDegree) {
  const KnownLinks known(foreign_, core::Copies{});
  const bool own_levels = std::get<1>(GetParam());
  for (NodeId node = 0; node < kNodes; ++node) {
    for (std::uint32_t layer = 0; layer <= foreign_.level(node); ++layer) {
      const auto earlier = known.earlier(node, layer);
      EXPECT_TRUE(layer == 0 || own_levels || earlier.empty());
      const std::size_t max_degree = layer == 0 ? 6 : 3;
      EXPECT_LE(earlier.size(), max_degree);
      std::set<NodeId> different;
      for (const NodeId id : earlier) {
        EXPECT_LT(id, node);
        EXPECT_GE(foreign_.level(id), layer);
        different.insert(id);
      }
      EXPECT_EQ(different.size(), earlier.size());
    }
    const auto expect_known = [&](NodeId earlier_end, NodeId later_end) {
      const auto list = known.earlier(later_end, 0);
      EXPECT_TRUE(list.size() == 6 ||
                  std::find(list.begin(), list.end(), earlier_end) != list.end())
          << earlier_end << " and " << later_end;
    };
    for (const NodeId id : foreign_.links(node, 0)) {
      if (id != node) expect_known(std::min(id, node), std::max(id, node));
    }
  }
}

}  // namespace
}  // namespace concord::test
