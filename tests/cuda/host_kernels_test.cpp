// HostTeam and SimtTeam against naive references: every device algorithm, all metrics, odd sizes.
#include "tests/support/host_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/cuda/reference.hpp"
#include "tests/cuda/simt_kernels.hpp"
#include "tests/support/support.hpp"

namespace concord::cuda::testing {
namespace {

std::vector<WorldSpec> all_worlds() {
  std::vector<WorldSpec> specs;
  const Metric metrics[] = {Metric::l2sq, Metric::inner_product, Metric::cosine};
  const Data data[] = {Data::random,     Data::clustered, Data::constant,
                       Data::duplicates, Data::huge,      Data::grid};
  std::uint64_t seed = 1;
  for (std::uint32_t dimension : {1u, 3u, 32u, 33u, 100u, 128u, 129u, 260u}) {
    for (Metric metric : metrics) {
      const Data kind = data[seed % 6];
      const std::uint32_t M = std::vector<std::uint32_t>{2, 5, 16, 8}[seed % 4];
      specs.push_back({dimension, metric, kind, M, 250, 70, 12, seed++});
    }
  }
  for (Data kind : data) specs.push_back({24, Metric::l2sq, kind, 16, 400, 150, 12, seed++});
  specs.push_back({784, Metric::l2sq, Data::clustered, 16, 150, 40, 5, seed++});
  specs.push_back({1536, Metric::cosine, Data::random, 12, 120, 30, 5, seed++});
  specs.push_back({20, Metric::l2sq, Data::random, 64, 500, 60, 12, seed++});
  specs.push_back({20, Metric::l2sq, Data::grid, 64, 500, 60, 12, seed++});
  return specs;
}

/// Every `step`-th of them, and those of M 64. Any of the steps below has odd dimensions and long
/// ones, all metrics, and lists of any length.
std::vector<WorldSpec> worlds_by(std::uint64_t step) {
  std::vector<WorldSpec> few;
  for (const WorldSpec& spec : all_worlds()) {
    if (spec.seed % step == 1 || spec.M == 64) few.push_back(spec);
  }
  return few;
}

std::vector<WorldSpec> worlds() {
  return concord::test::full_scale() ? all_worlds() : worlds_by(5);
}
/// For the slow emulation of a device's threads.
std::vector<WorldSpec> few_worlds() { return worlds_by(concord::test::full_scale() ? 4 : 8); }

// HostKernels runs HostTeam in all worlds, EmulatedKernels SimtTeam in some: a test for each
// algorithm.

/// Calls `test` with each world, also after it has failed in one.
template <class Test>
void in_each(const std::vector<WorldSpec>& specs, Test&& test) {
  for (const WorldSpec& spec : specs) {
    SCOPED_TRACE(spec.name() + ", seed " + std::to_string(spec.seed));
    const World world(spec);
    test(world, Reference(world), world.view());
  }
}

TEST(HostKernels, ProposeEqualsReference) {
  in_each(worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t ef : {1u, 2u, 16u, 33u, 200u, 512u}) {
      const NodeId middle = world.spec.sealed + world.spec.tail / 3;
      ProposeBuffers buffers(world, world.spec.sealed, middle, world.n, ef);
      const auto expected = reference.propose(buffers.task);
      run_propose(view, buffers.task);
      ASSERT_EQ(buffers.ids, expected) << "ef " << ef;
    }
  });
}

TEST(EmulatedKernels, ProposeEqualsReference) {
  in_each(few_worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t ef : {1u, 40u, 150u}) {
      ProposeBuffers buffers(world, world.spec.sealed, world.n - 3, world.n, ef);
      const auto expected = reference.propose(buffers.task);
      simt_propose<64>(view, buffers.task, ef);
      ASSERT_EQ(buffers.ids, expected) << "64 threads, ef " << ef;
      std::fill(buffers.ids.begin(), buffers.ids.end(), 7);
      simt_propose<128>(view, buffers.task, ef + 1);
      ASSERT_EQ(buffers.ids, expected) << "128 threads, ef " << ef;
    }
  });
}

TEST(HostKernels, ProposeWithoutSealedNodes) {
  in_each(worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t ef : {1u, 20u, 300u}) {
      ProposeBuffers buffers(world, 0, 0, 100, ef);
      buffers.task.entry = {};
      const auto expected = reference.propose(buffers.task);
      run_propose(view, buffers.task);
      ASSERT_EQ(buffers.ids, expected) << "ef " << ef;
    }
  });
}

TEST(EmulatedKernels, ProposeWithoutSealedNodes) {
  in_each(few_worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t ef : {1u, 200u}) {
      ProposeBuffers buffers(world, 0, 0, world.n, ef);
      buffers.task.entry = {};
      buffers.task.end = 30;
      auto expected = reference.propose(buffers.task);
      expected.resize(buffers.ids.size(), buffers.ids[0]);
      simt_propose<64>(view, buffers.task, ef);
      ASSERT_EQ(buffers.ids, expected) << "ef " << ef;
    }
  });
}

/// A search of the world's first `count` queries.
struct SearchBuffers {
  std::vector<Key> out;
  std::vector<std::uint32_t> counts;
  SearchTask task;

  SearchBuffers(const World& world, std::uint32_t count, std::uint32_t k, std::uint32_t ef,
                float reach_factor = core::kUnlimitedReach)
      : out(std::size_t{count} * k, 1), counts(count, 99) {
    task.queries = world.queries.row(0);
    task.query_stride = world.queries.stride;
    task.count = count;
    task.k = k;
    task.ef = ef;
    task.reach_factor = reach_factor;
    task.entry = world.entry();
    task.out = out.data();
    task.counts = counts.data();
  }

  void expect(const World& world, const Reference& reference) {
    for (std::uint32_t q = 0; q < task.count; ++q) {
      auto expected =
          reference.search(world.queries.row(q), task.entry, task.k, task.ef, task.reach_factor);
      ASSERT_EQ(counts[q], expected.size());
      expected.resize(task.k, kWorstKey);
      const auto first = out.begin() + static_cast<std::ptrdiff_t>(q) * task.k;
      ASSERT_EQ(std::vector<Key>(first, first + task.k), expected)
          << "query " << q << ", ef " << task.ef << ", k " << task.k;
    }
    std::fill(out.begin(), out.end(), 1);
  }
};

TEST(HostKernels, SearchEqualsReference) {
  in_each(worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t ef : {1u, 10u, 64u, 300u}) {
      for (std::uint32_t k : {1u, (ef + 1) / 2, ef}) {
        SearchBuffers buffers(world, world.spec.queries, k, ef);
        run_search(view, buffers.task);
        buffers.expect(world, reference);
      }
    }
  });
}

TEST(EmulatedKernels, SearchEqualsReference) {
  in_each(few_worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t ef : {1u, 64u, 300u}) {
      SearchBuffers buffers(world, 3, (ef + 1) / 2, ef);
      simt_search<32>(view, buffers.task, ef);
      buffers.expect(world, reference);
      simt_search<128>(view, buffers.task, ef);
      buffers.expect(world, reference);
    }
  });
}

TEST(HostKernels, SearchWithinAReachEqualsReference) {
  in_each(worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (const float factor : {1.0f, 1.2f, 3.0f}) {
      for (const std::uint32_t k : {1u, 10u, 200u}) {
        SearchBuffers buffers(world, world.spec.queries, k, 200, factor);
        run_search(view, buffers.task);
        buffers.expect(world, reference);
      }
    }
  });
}

TEST(EmulatedKernels, SearchWithinAReachEqualsReference) {
  in_each(few_worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (const float factor : {1.0f, 1.2f}) {
      SearchBuffers buffers(world, 3, 10, 200, factor);
      simt_search<32>(view, buffers.task, 3);
      buffers.expect(world, reference);
      simt_search<128>(view, buffers.task, 4);
      buffers.expect(world, reference);
    }
  });
}

TEST(HostKernels, ScoresEqualReference) {
  in_each(worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    ScoreBuffers buffers(world, {1, 2, 33, 40, 64, 65, 129, 256, 3});
    auto ranking = buffers.ranking;
    auto dominators = buffers.dominators;
    reference.score(buffers.task, ranking, dominators);
    run_score_lists(view, buffers.task);
    EXPECT_EQ(buffers.ranking, ranking);
    EXPECT_EQ(buffers.dominators, dominators);
  });
}

TEST(EmulatedKernels, ScoresEqualReference) {
  in_each(few_worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    ScoreBuffers buffers(world, {1, 33, 256, 3});
    auto ranking = buffers.ranking;
    auto dominators = buffers.dominators;
    reference.score(buffers.task, ranking, dominators);
    simt_score_lists(view, buffers.task, 5);
    EXPECT_EQ(buffers.ranking, ranking);
    EXPECT_EQ(buffers.dominators, dominators);
  });
}

/// An exact search of the world's first `count` queries.
struct ExactBuffers {
  std::vector<Key> out;
  std::vector<Key> expected;
  std::vector<Float4> scratch;
  ExactTask task;

  ExactBuffers(const World& world, const Reference& reference, std::uint32_t count, std::uint32_t k,
               std::size_t scratch_floats)
      : out(std::size_t{count} * k, 1), scratch(scratch_floats / 4) {
    task.queries = world.queries.row(0);
    task.query_stride = world.queries.stride;
    task.count = count;
    task.k = k;
    task.out = out.data();
    task.scratch = reinterpret_cast<float*>(scratch.data());
    task.scratch_floats = scratch_floats;
    for (std::uint32_t q = 0; q < count; ++q) {
      const auto keys = reference.exact(world.queries.row(q), k);
      expected.insert(expected.end(), keys.begin(), keys.end());
    }
  }
};

TEST(HostKernels, ExactEqualsReference) {
  in_each(worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t k : {1u, 10u, 100u, 700u}) {
      for (std::size_t scratch : {std::size_t{4096}, std::size_t{65536}}) {
        ExactBuffers buffers(world, reference, world.spec.queries, k, scratch);
        run_exact(view, buffers.task);
        ASSERT_EQ(buffers.out, buffers.expected) << "k " << k;
      }
    }
  });
}

TEST(EmulatedKernels, ExactEqualsReference) {
  in_each(few_worlds(), [](const World& world, const Reference& reference, const MirrorView& view) {
    for (std::uint32_t k : {1u, 100u, 700u}) {
      ExactBuffers buffers(world, reference, 5, k, 4096);
      simt_exact(view, buffers.task, k);
      ASSERT_EQ(buffers.out, buffers.expected) << "k " << k;
    }
  });
}

/// The nearest to the origin of rows of one element, by definition. The scratch holds 4,096
/// distances, so that later rows are in other stretches.
void expect_exact_over_stretches(const std::vector<float>& rows, std::uint32_t k, const auto& run) {
  std::vector<Float4> vectors, scratch(kExactScratchMin / 4), origin(1);
  std::vector<Key> expected;
  for (const float row : rows) {
    expected.push_back(core::make_key(row * row, static_cast<NodeId>(vectors.size())));
    vectors.push_back({row, 0, 0, 0});
  }
  std::sort(expected.begin(), expected.end());
  expected.resize(k, kWorstKey);
  const std::vector<std::uint8_t> levels(rows.size(), 0);
  MirrorView view;
  view.levels = levels.data();
  view.vectors = &vectors.front().x;
  view.stride = 4;
  view.dimension = 1;
  view.n = static_cast<NodeId>(rows.size());
  std::vector<Key> found(k, 1);
  ExactTask task;
  task.queries = &origin.front().x;
  task.query_stride = 4;
  task.count = 1;
  task.k = k;
  task.out = found.data();
  task.scratch = &scratch.front().x;
  task.scratch_floats = kExactScratchMin;
  run(view, task);
  ASSERT_EQ(found, expected) << rows.size() << " rows, k " << k;
}

// The nearest come first, last, or in no order; equal ones go by id.
TEST(HostKernelEdges, ExactGoesOnOverStretches) {
  for (const std::uint32_t n : {4095u, 4096u, 4097u, 8193u}) {
    std::vector<float> ascending(n), mixed(n);
    std::iota(ascending.begin(), ascending.end(), 1.0f);
    for (std::uint32_t i = 0; i < n; ++i) mixed[i] = static_cast<float>(i * 7919 % 3000);
    const std::vector<float> descending(ascending.rbegin(), ascending.rend());
    for (const std::vector<float>& rows : {ascending, descending, mixed}) {
      for (const std::uint32_t k : {1u, 10u, 4096u}) {
        expect_exact_over_stretches(rows, k, run_exact);
      }
      expect_exact_over_stretches(rows, 10, [](const MirrorView& view, const ExactTask& task) {
        simt_exact(view, task, 3);
      });
    }
  }
}

TEST(HostKernelEdges, SearchOfAnEmptyGraphFindsNothing) {
  const World world({4, Metric::l2sq, Data::random, 4, 10, 2, 3, 1});
  SearchTask task;
  std::vector<Key> out(6, 1);
  std::vector<std::uint32_t> counts(3, 99);
  task.queries = world.queries.row(0);
  task.query_stride = world.queries.stride;
  task.count = 3;
  task.k = 2;
  task.ef = 5;
  task.out = out.data();
  task.counts = counts.data();
  run_search(world.view(), task);
  EXPECT_EQ(out, std::vector<Key>(6, kWorstKey));
  EXPECT_EQ(counts, std::vector<std::uint32_t>(3, 0));
}

TEST(HostKernelEdges, ExactOfNoVectorsFindsNothing) {
  const World world({4, Metric::l2sq, Data::random, 4, 10, 2, 3, 1});
  MirrorView view = world.view();
  view.n = 0;
  std::vector<Key> out(6, 1);
  std::vector<Float4> buffer(1024);
  ExactTask task{world.queries.row(0),
                 world.queries.stride,
                 3,
                 2,
                 out.data(),
                 reinterpret_cast<float*>(buffer.data()),
                 4096};
  run_exact(view, task);
  EXPECT_EQ(out, std::vector<Key>(6, kWorstKey));
}

TEST(HostKernelEdges, ScatterOverwritesTheNamedListsOnly) {
  std::vector<NodeId> links(10 * 6, 1);
  const std::vector<std::uint32_t> index{7, 0, 3};
  std::vector<NodeId> ids;
  for (NodeId j = 0; j < 18; ++j) ids.push_back(100 + j);
  run_scatter({index.data(), ids.data(), 3, 6, links.data()});
  for (std::uint32_t list = 0; list < 10; ++list) {
    const auto at = std::find(index.begin(), index.end(), list);
    for (std::uint32_t j = 0; j < 6; ++j) {
      const NodeId expected =
          at == index.end() ? 1 : 100 + static_cast<NodeId>(at - index.begin()) * 6 + j;
      EXPECT_EQ(links[list * 6 + j], expected);
    }
  }
}

TEST(HostKernelEdges, CountersCountDistancesAndHops) {
  const World world({16, Metric::l2sq, Data::random, 8, 300, 20, 3, 1});
  Counters counters;
  ProposeBuffers buffers(world, 300, 300, 320, 50);
  buffers.task.counters = &counters;
  run_propose(world.view(), buffers.task);
  EXPECT_GT(counters.hops, 20u * 10);
  EXPECT_GT(counters.distances, counters.hops);
}

}  // namespace
}  // namespace concord::cuda::testing
