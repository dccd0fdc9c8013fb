// Kernels over a graph of which nodes have died, HostTeam's and those of emulated threads, against
// naive references.

#include <gtest/gtest.h>

#include "tests/cuda/reference.hpp"
#include "tests/cuda/simt_kernels.hpp"
#include "tests/support/host_kernels.hpp"
#include "tests/support/support.hpp"

namespace concord::cuda::testing {
namespace {

constexpr std::uint32_t kShares[] = {0, 10, 60, 100};

std::vector<WorldSpec> worlds() {
  return {{9, Metric::l2sq, Data::random, 4, 250, 70, 4, 1},
          {33, Metric::cosine, Data::clustered, 8, 250, 70, 4, 2},
          {16, Metric::inner_product, Data::duplicates, 16, 250, 70, 4, 3},
          {1, Metric::l2sq, Data::grid, 2, 250, 70, 4, 4},
          {5, Metric::l2sq, Data::constant, 64, 250, 70, 4, 5}};
}
std::vector<WorldSpec> few_worlds() { return {worlds()[0], worlds()[2]}; }

/// Calls test(world) in each world, where a share of the nodes has died.
template <class Test>
void in_each(const std::vector<WorldSpec>& specs, const Test& test) {
  for (const WorldSpec& spec : specs) {
    for (const std::uint32_t percent : kShares) {
      SCOPED_TRACE(spec.name() + ", dead " + std::to_string(percent));
      World world(spec);
      world.kill(percent);
      test(world);
    }
  }
}

/// Proposals for `count` nodes at the end and for those at the sealed graph's end.
template <class Run>
void expect_proposals(const World& world, NodeId count, std::uint32_t ef, const Run& run) {
  for (const NodeId begin : {world.spec.sealed, world.n - count}) {
    ProposeBuffers buffers(world, world.spec.sealed, begin, begin + count, ef);
    const auto expected = Reference(world).propose(buffers.task);
    run(world.view(), buffers.task);
    ASSERT_EQ(buffers.ids, expected) << "ef " << ef << ", nodes from " << begin;
  }
}

TEST(LivingKernels, HostTeamProposesTheLivingAlone) {
  in_each(worlds(), [](const World& world) {
    for (const std::uint32_t ef : {1u, 16u, 200u}) {
      expect_proposals(world, 20, ef, run_propose);
    }
  });
}

TEST(LivingKernels, EmulatedThreadsProposeTheLivingAlone) {
  in_each(few_worlds(), [](const World& world) {
    expect_proposals(world, 3, 40, [](const MirrorView& view, const ProposeTask& task) {
      simt_propose<64>(view, task, 1);
    });
    expect_proposals(world, 2, 100, [](const MirrorView& view, const ProposeTask& task) {
      simt_propose<128>(view, task, 2);
    });
  });
}

template <class Run>
void expect_search(const World& world, std::uint32_t ef, float factor, const Run& run) {
  const std::uint32_t k = (ef + 1) / 2;
  std::vector<Key> out(std::size_t{world.spec.queries} * k, 1);
  std::vector<std::uint32_t> counts(world.spec.queries, 99);
  SearchTask task;
  task.queries = world.queries.row(0);
  task.query_stride = world.queries.stride;
  task.count = world.spec.queries;
  task.k = k;
  task.ef = ef;
  task.reach_factor = factor;
  task.entry = world.entry();
  task.out = out.data();
  task.counts = counts.data();
  task.others = world.others;
  run(world.view(), task);
  for (std::uint32_t q = 0; q < task.count; ++q) {
    auto expected = Reference(world).search(world.queries.row(q), task.entry, k, ef, factor);
    ASSERT_EQ(counts[q], expected.size()) << "query " << q;
    expected.resize(k, kWorstKey);
    const auto first = out.begin() + static_cast<std::ptrdiff_t>(q) * k;
    ASSERT_EQ(std::vector<Key>(first, first + k), expected) << "query " << q << ", ef " << ef;
  }
}

TEST(LivingKernels, HostTeamFindsTheLivingAlone) {
  in_each(worlds(), [](const World& world) {
    for (const float factor : {core::kUnlimitedReach, 1.2f}) {
      for (const std::uint32_t ef : {1u, 16u, 200u}) {
        expect_search(world, ef, factor, run_search);
      }
    }
  });
}

TEST(LivingKernels, EmulatedThreadsFindTheLivingAlone) {
  in_each(few_worlds(), [](const World& world) {
    expect_search(world, 40, 1.2f, [](const MirrorView& view, const SearchTask& task) {
      simt_search<32>(view, task, 1);
    });
    expect_search(
        world, 40, core::kUnlimitedReach,
        [](const MirrorView& view, const SearchTask& task) { simt_search<128>(view, task, 2); });
  });
}

/// `floats` of scratch decide how many stretches there are.
template <class Run>
void expect_exact(const World& world, std::uint32_t k, std::size_t floats, const Run& run) {
  std::vector<Key> out(std::size_t{world.spec.queries} * k, 1);
  std::vector<Key> expected;
  std::vector<Float4> scratch(floats / 4);
  const ExactTask task{world.queries.row(0),
                       world.queries.stride,
                       world.spec.queries,
                       k,
                       out.data(),
                       reinterpret_cast<float*>(scratch.data()),
                       floats};
  for (std::uint32_t q = 0; q < task.count; ++q) {
    const auto keys = Reference(world).exact(world.queries.row(q), k);
    expected.insert(expected.end(), keys.begin(), keys.end());
  }
  run(world.view(), task);
  ASSERT_EQ(out, expected) << "k " << k;
}

// A stretch may end before k that live were met.
TEST(LivingKernels, AnExactSearchPassesTheDeadOver) {
  in_each(worlds(), [](const World& world) {
    for (const std::uint32_t k : {1u, 10u, 100u, 400u}) {
      for (const std::size_t floats : {std::size_t{64}, kExactScratchMin}) {
        expect_exact(world, k, floats, run_exact);
      }
    }
  });
  in_each(few_worlds(), [](const World& world) {
    expect_exact(world, 100, 256,
                 [](const MirrorView& view, const ExactTask& task) { simt_exact(view, task, 3); });
  });
}

TEST(LivingKernels, OfPaddedKeysThoseFoundAreCounted) {
  for (std::uint32_t n = 0; n < 10; ++n) {
    for (std::uint32_t found = 0; found <= n; ++found) {
      std::vector<Key> keys(n, kWorstKey);
      for (std::uint32_t j = 0; j < found; ++j) keys[j] = j * 2;
      EXPECT_EQ(count_found(keys.data(), n), found);
    }
  }
}

}  // namespace
}  // namespace concord::cuda::testing
