// The walk of a filtered search with tables that forget nearly all, and with tables that forget
// little: the same list, and the same decision to give up.

#include <memory>
#include <optional>
#include <vector>

#include "common/base/float_environment.hpp"
#include "cpu/filtered_search.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::NodeId;

/// The keys of a walk, or nothing if it was given up.
using Found = std::optional<std::vector<core::Key>>;

class Walks {
 public:
  Walks(const GraphBuilder& built, const std::vector<NodeId>& ids)
      : built_(built),
        scorer_(built.vectors, cpu::for_metric(cpu::choose_kernels(), Metric::l2sq)),
        set_({1, built.graph.numbering().shared_from_this(), built.graph.size(), 0,
              built.vectors.stride(), nullptr},
             ids) {}

  /// With tables of at most so many slots.
  template <class Reach>
  Found walk(const float* query, std::size_t ef, const Reach& reach, std::size_t slots) {
    cpu::Scratch scratch;
    scratch.visited = cpu::VisitedTable(slots);
    cpu::filter_scratch(scratch).passed = cpu::VisitedTable(slots);
    std::vector<std::uint8_t> bytes(built_.vectors.stride());
    const cpu::Query prepared = scorer_.as_query(query, bytes.data());
    std::unique_ptr<core::PlacedSet> own;
    const core::Matches matches(set_.under(built_.graph.numbering(), own));
    const cpu::MatchingIds is_match(matches.bits());
    const core::LiveView live = built_.graph.live();
    const auto count = static_cast<NodeId>(set_.ids().size());
    const core::FilterRule rule(live.living, count, built_.graph.params().M,
                                built_.vectors.stride(), reach.hops(ef));
    const cpu::WalkedGraph<core::LiveView> over{built_.graph, live, scorer_, prepared};
    cpu::FilteredWalk walk(over, rule, is_match, reach, scratch.list, scratch);
    if (!walk.run([&](std::uint32_t i) { return matches.seed(i); }, ef)) return std::nullopt;
    std::vector<core::Key> keys;
    for (std::size_t i = 0; i < scratch.list.size(); ++i) keys.push_back(scratch.list.key(i));
    distances += scratch.counts.distances;
    return keys;
  }

  std::uint64_t distances = 0;

 private:
  const GraphBuilder& built_;
  cpu::Scorer scorer_;
  core::MatchSet set_;
};

TEST(FilteredWalk, OfTablesThatForgetIsThatOfTablesThatDoNot) {
  const core::FloatEnvironment environment;
  std::size_t walked = 0;
  std::size_t given_up = 0;
  std::uint64_t exact_distances = 0;
  std::uint64_t forgetful_distances = 0;
  for (const std::uint32_t M : {4u, 16u}) {
    for (const Shape shape : {Shape::clustered, Shape::duplicate, Shape::u8}) {
      const auto n = static_cast<NodeId>(scaled(2500, 1000));
      const Matrix data = make_data(shape, n, 200);
      GraphBuilder built(make_params(200, M, 40, 256), data);
      for (NodeId i = 0; i < n; ++i) built.step();
      for (const std::uint64_t share : {950u, 700u, 500u, 300u}) {
        std::vector<NodeId> ids;
        for (NodeId id = 0; id < n; ++id) {
          if (hash(share, id) % 1000 < share) ids.push_back(id);
        }
        if (core::FilterRule::always_scans(ids.size(), built.vectors.stride())) continue;
        Walks exact(built, ids), forgetful(built, ids);
        for (std::uint64_t q = 0; q < scaled(12, 4); ++q) {
          const Matrix query = make_data(shape, 1, 200, 100 + q);
          const auto compare = [&](std::size_t ef, const auto& reach) {
            const Found wanted = exact.walk(query.row(0), ef, reach, std::size_t{1} << 20);
            ASSERT_EQ(forgetful.walk(query.row(0), ef, reach, 64), wanted);
            (wanted ? walked : given_up) += 1;
          };
          for (const std::size_t ef : {10u, 100u, 400u}) compare(ef, core::UnlimitedReach{});
          compare(300, core::AdaptiveReach{10, core::reach_factor(0.1f)});
        }
        exact_distances += exact.distances;
        forgetful_distances += forgetful.distances;
      }
    }
  }
  EXPECT_GT(walked, scaled(50, 10));
  EXPECT_GT(given_up, 0u);
  EXPECT_GT(forgetful_distances, exact_distances + exact_distances / 10) << "nothing was forgotten";
}

}  // namespace
}  // namespace concord::test
