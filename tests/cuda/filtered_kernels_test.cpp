// Filtered walks and scans of a team, HostTeam and emulated threads, against the CPU's over the
// same graph: the same queries are given up, and all get the same keys. Also with over-full lists.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/float_environment.hpp"
#include "cpu/filtered_search.hpp"
#include "cpu/searcher.hpp"
#include "cuda/filtered_batch.hpp"
#include "cuda/mirror.hpp"
#include "tests/cuda/simt_kernels.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/host_device.hpp"
#include "tests/support/host_kernels.hpp"
#include "tests/support/islands.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::Key;
using core::NodeId;
using Ids = std::vector<NodeId>;

/// A graph, its mirror, and the CPU's searcher over it.
class Mirrored {
 public:
  Mirrored(const IndexParams& params, const Matrix& data, NodeId n)
      : built_(params, data),
        cpu_(built_.contents, kernels()),
        mirror_(device_, built_.contents, built_.pool, stats_) {
    while (built_.graph.size() < n) built_.step();
    mirror_live();
  }

  /// So many living nodes die at random, and those that died before are unlinked.
  void remove(NodeId count) {
    core::Graph& graph = built_.graph;
    if (!graph.pending().empty()) built_.committer.seal(built_.proposer);
    graph.reserve_deaths(count);
    for (std::uint64_t draw = 0; count > 0; ++draw) {
      const auto node = static_cast<NodeId>(hash(draw, graph.size()) % graph.size());
      if (graph.tombstones().is_dead(node, graph.size())) continue;
      graph.remove(node);
      --count;
    }
    mirror_live();
  }

  [[nodiscard]] cuda::MirrorView view() const {
    cuda::MirrorView view = mirror_.view();
    view.n = built_.graph.size();
    return view;
  }
  [[nodiscard]] const cpu::MetricKernels& kernels() const {
    return cpu::for_metric(cpu::kScalarKernels, built_.graph.params().metric);
  }
  [[nodiscard]] const core::Graph& graph() const { return built_.graph; }
  [[nodiscard]] const core::VectorStore& vectors() const { return built_.vectors; }
  [[nodiscard]] const cpu::Searcher& cpu() const { return cpu_; }
  [[nodiscard]] core::ThreadPool& pool() { return built_.pool; }

  [[nodiscard]] std::shared_ptr<const core::MatchSet> set_of(const Ids& ids) const {
    return std::make_shared<const core::MatchSet>(
        core::FilterSnapshot{1, built_.graph.numbering().shared_from_this(), built_.graph.size(), 0,
                             built_.vectors.stride(), nullptr},
        ids);
  }

 private:
  void mirror_live() {
    mirror_.reserve(0);
    mirror_.upload_nodes(built_.graph.size());
    mirror_.hold_live();
    mirror_.bring_deaths(built_.graph.size());
  }

  GraphBuilder built_;
  cpu::Searcher cpu_;
  cuda::HostDevice device_;
  DeviceStats stats_;
  cuda::Mirror mirror_;
};

/// Filters of a batch in the form that kernels read.
class FilterTable {
 public:
  FilterTable(std::vector<Ids> filters, const core::Graph& graph)
      : ids_(std::move(filters)), bits_(ids_.size()) {
    const NodeId end = graph.size();
    for (std::size_t f = 0; f < ids_.size(); ++f) {
      bits_[f].resize(cuda::FilterView::words(end) + 1);
      const auto count = static_cast<std::uint32_t>(ids_[f].size());
      cuda::run_mark_ids({ids_[f].data(), count, bits_[f].data()});
      const auto living =
          static_cast<NodeId>(std::count_if(ids_[f].begin(), ids_[f].end(), [&](NodeId id) {
            return graph.tombstones().gone(id) == core::kNoNode;
          }));
      views_.push_back({bits_[f].data(), ids_[f].data(), end, count, living});
    }
  }
  [[nodiscard]] const cuda::FilterView* data() const { return views_.data(); }

 private:
  std::vector<Ids> ids_;
  std::vector<std::vector<std::uint32_t>> bits_;
  std::vector<cuda::FilterView> views_;
};

/// The queries of one batch, each with a filter of its own, and what the CPU finds.
class Batch {
 public:
  /// Query q has filter q modulo their number.
  Batch(Mirrored& of, const Matrix& queries, const std::vector<Ids>& filters,
        const SearchParams& params)
      : of_(of),
        n_(static_cast<std::uint32_t>(queries.rows)),
        params_(params),
        table_(filters, of.graph()),
        rows_(queries.rows * of.vectors().stride()),
        expected_(queries.rows * params.k),
        expected_counts_(queries.rows) {
    std::vector<std::shared_ptr<const core::MatchSet>> owners;
    std::vector<const core::MatchSet*> sets;
    for (const Ids& ids : filters) owners.push_back(of.set_of(ids));
    for (std::uint32_t q = 0; q < n_; ++q) {
      filter_of_.push_back(q % static_cast<std::uint32_t>(filters.size()));
      sets.push_back(owners[filter_of_.back()].get());
      float* const row = rows_.data() + q * of.vectors().stride();
      of.vectors().prepare(queries.view().row(q), row, "query", q);
      ends_.push_back(walk_ends(row, *sets.back()));
    }
    of.cpu().filtered(queries.view(), params, {sets}, false, expected_.data(),
                      expected_counts_.data(), of.pool());
  }

  [[nodiscard]] std::size_t walked() const {
    return static_cast<std::size_t>(std::count(ends_.begin(), ends_.end(), true));
  }
  [[nodiscard]] std::size_t given_up() const { return ends_.size() - walked(); }

  /// Calls walk(view, task) and then scan(view, task).
  template <class Walk, class Scan>
  void expect_the_cpus(const Walk& walk, const Scan& scan) const {
    std::vector<Key> keys(expected_.size(), 7);
    std::vector<std::uint32_t> counts(n_, cuda::kUnanswered);
    cuda::FilteredTask task;
    task.search.queries = rows_.data();
    task.search.query_stride = of_.vectors().stride();
    task.search.count = n_;
    task.search.k = params_.k;
    task.search.ef = std::max(params_.ef, params_.k);
    task.search.reach_factor = core::reach_factor(params_.slack);
    const core::EntryPoint entry = of_.graph().entry_point();
    task.search.entry = {entry.node, entry.level};
    task.search.out = keys.data();
    task.search.counts = counts.data();
    task.width = width();
    task.living = of_.graph().living();
    task.filters = table_.data();
    task.filter_of = filter_of_.data();
    walk(of_.view(), task);
    for (std::uint32_t q = 0; q < n_; ++q) {
      ASSERT_EQ(counts[q] != cuda::kUnanswered, ends_[q]) << "query " << q;
    }
    scan(of_.view(), task);
    ASSERT_EQ(counts, expected_counts_);
    ASSERT_EQ(keys, expected_);
  }

 private:
  [[nodiscard]] std::uint32_t width() const {
    const std::uint32_t ef = std::max(params_.ef, params_.k);
    return core::reach_factor(params_.slack) == core::kUnlimitedReach ? ef
                                                                      : std::min(ef, 4 * params_.k);
  }
  /// Whether the CPU's walk brings an answer. REQUIRES a filter that is walked.
  [[nodiscard]] bool walk_ends(const float* row, const core::MatchSet& set) const {
    const core::AdaptiveReach reach{params_.k, core::reach_factor(params_.slack)};
    std::vector<std::uint8_t> bytes(of_.vectors().stride());
    const cpu::Scorer scorer(of_.vectors(), of_.kernels());
    const cpu::Query query = scorer.as_query(row, bytes.data());
    std::unique_ptr<core::PlacedSet> own;
    const core::Matches matches(set.under(of_.graph().numbering(), own));
    const core::LiveView live = of_.graph().live();
    const NodeId count = cuda::living_of(set, of_.graph());
    const core::FilterRule rule(live.living, count, of_.graph().params().M, of_.vectors().stride(),
                                width());
    const cpu::WalkedGraph<core::LiveView> over{of_.graph(), live, scorer, query};
    cpu::Scratch scratch;
    const std::size_t ef = std::max(params_.ef, params_.k);
    EXPECT_FALSE(rule.scans() || rule.takes_all());
    const auto run = [&](const auto& is_match) {
      cpu::FilteredWalk walk(over, rule, is_match, reach, scratch.list, scratch);
      return walk.run([&](std::uint32_t i) { return matches.seed(i); }, ef) &&
             scratch.list.size() >= std::min<std::size_t>(params_.k, count);
    };
    if (live.living == live.size) return run(cpu::MatchingIds(matches.bits()));
    return run(cpu::LivingMatches(of_.graph(), live, matches));
  }

  Mirrored& of_;
  std::uint32_t n_;
  SearchParams params_;
  FilterTable table_;
  std::vector<std::uint32_t> filter_of_;
  std::vector<float> rows_;
  std::vector<bool> ends_;
  std::vector<Key> expected_;
  std::vector<std::uint32_t> expected_counts_;
};

Ids where(NodeId n, const auto& is_match) {
  Ids ids;
  for (NodeId id = 0; id < n; ++id) {
    if (is_match(id)) ids.push_back(id);
  }
  return ids;
}

/// Ids at random, a window, those nearest to a vector and those farthest from it, all but one.
std::vector<Ids> filters_of(Mirrored& of, const Matrix& data) {
  const NodeId n = of.graph().size();
  std::vector<Key> by_distance(n);
  std::array<std::uint32_t, 1> found{};
  of.cpu().exact(data.slice(0, 1), n, by_distance.data(), found.data(), of.pool());
  const auto nearest = [&](std::size_t first, std::size_t last) {
    Ids ids;
    for (std::size_t j = first; j < last; ++j) ids.push_back(core::key_id(by_distance[j]));
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  std::vector<Ids> filters;
  for (const std::uint64_t share : {900u, 700u, 450u, 320u}) {
    filters.push_back(where(n, [&](NodeId id) { return hash(share, id) % 1000 < share; }));
  }
  filters.push_back(where(n, [&](NodeId id) { return id >= n / 3 && id < n; }));
  filters.push_back(where(n, [&](NodeId id) { return id < n / 2; }));
  filters.push_back(nearest(0, n / 2));
  filters.push_back(nearest(n / 2, n));
  filters.push_back(where(n, [&](NodeId id) { return id != n / 2; }));
  return filters;
}

struct Spec {
  Shape shape;
  Metric metric;
  std::uint32_t M;
  std::uint32_t dimension;
  NodeId n;  ///< the last epoch ends behind it, so that lists are over-full
};

constexpr std::array<Spec, 7> kSpecs = {{{Shape::clustered, Metric::l2sq, 4, 700, 900},
                                         {Shape::random, Metric::cosine, 16, 1000, 700},
                                         {Shape::duplicate, Metric::l2sq, 5, 700, 900},
                                         {Shape::u8, Metric::inner_product, 2, 900, 800},
                                         {Shape::constant, Metric::l2sq, 8, 800, 800},
                                         {Shape::clustered, Metric::l2sq, 64, 1000, 700},
                                         {Shape::sorted, Metric::cosine, 2, 900, 800}}};

std::vector<SearchParams> params_of(const Spec& spec) {
  std::vector<SearchParams> params = {{10, 16}, {1, 10}, {16, 12}};
  if (spec.metric != Metric::inner_product) params.push_back({4, 60, 0.1f});
  return params;
}

std::size_t overfull(const Mirrored& of) {
  std::size_t count = 0;
  for (const auto& lists : all_links(of.graph())) {
    count += lists[0].size() > 2 * of.graph().params().M ? 1 : 0;
  }
  return count;
}

TEST(FilteredKernels, HostTeamWalksAndScansAsTheCpu) {
  const core::FloatEnvironment environment;
  std::size_t walked = 0, given_up = 0, overfull_lists = 0;
  for (const Spec& spec : kSpecs) {
    SCOPED_TRACE(to_string(spec.shape) + " M " + std::to_string(spec.M));
    const Matrix data = make_data(spec.shape, spec.n + 300, spec.dimension);
    Mirrored of(make_params(spec.dimension, spec.M, 40, 2000, spec.metric), data, spec.n);
    overfull_lists += overfull(of);
    const Matrix queries = make_data(spec.shape, scaled(36, 9), spec.dimension, 9);
    const std::vector<Ids> filters = filters_of(of, data);
    for (const SearchParams& params : params_of(spec)) {
      SCOPED_TRACE("k " + std::to_string(params.k) + " ef " + std::to_string(params.ef));
      const Batch batch(of, queries, filters, params);
      batch.expect_the_cpus(cuda::run_walk_matches, cuda::run_scan_matches);
      walked += batch.walked();
      given_up += batch.given_up();
    }
  }
  EXPECT_GT(walked, scaled(200, 40));
  EXPECT_GT(given_up, scaled(20, 4));
  EXPECT_GT(overfull_lists, 50u);
}

TEST(FilteredKernels, EmulatedThreadsWalkAndScanAsTheCpu) {
  const core::FloatEnvironment environment;
  std::size_t walked = 0, given_up = 0;
  for (const Spec& spec : kSpecs) {
    SCOPED_TRACE(to_string(spec.shape) + " M " + std::to_string(spec.M));
    const Matrix data = make_data(spec.shape, spec.n + 300, spec.dimension);
    Mirrored of(make_params(spec.dimension, spec.M, 40, 2000, spec.metric), data, spec.n);
    const Matrix queries = make_data(spec.shape, 9, spec.dimension, 9);
    const Batch batch(of, queries, filters_of(of, data), {10, 16});
    const auto scan = [](const auto& view, const auto& task) {
      cuda::testing::simt_scan_matches(view, task, 5);
    };
    batch.expect_the_cpus(
        [](const auto& view, const auto& task) {
          cuda::testing::simt_walk_matches<32>(view, task, 3);
        },
        scan);
    batch.expect_the_cpus(
        [](const auto& view, const auto& task) {
          cuda::testing::simt_walk_matches<128>(view, task, 4);
        },
        scan);
    walked += batch.walked();
    given_up += batch.given_up();
  }
  EXPECT_GT(walked, 20u);
  EXPECT_GT(given_up, 3u);
}

TEST(FilteredKernels, AWalkThatEndsShortIsGivenUp) {
  const core::FloatEnvironment environment;
  const Islands islands;
  Mirrored of(make_params(Islands::kDimension, Islands::M, 40, 1024), islands.data,
              static_cast<NodeId>(islands.data.rows));
  const Ids ids = where(of.graph().size(), [&](NodeId id) { return islands.mask[id] != 0; });
  const Batch batch(of, islands.queries, {ids}, {Islands::kWidth, Islands::kWidth});
  batch.expect_the_cpus(cuda::run_walk_matches, cuda::run_scan_matches);
  EXPECT_EQ(batch.given_up(), islands.queries.rows);
}

// Filters from before the deaths, of which some are tombstones and others unlinked.
TEST(FilteredKernels, WhatDiedMatchesNoMore) {
  const core::FloatEnvironment environment;
  std::size_t walked = 0;
  for (const Spec& spec : {kSpecs[0], kSpecs[2], kSpecs[5]}) {
    SCOPED_TRACE(to_string(spec.shape) + " M " + std::to_string(spec.M));
    const Matrix data = make_data(spec.shape, spec.n + 300, spec.dimension);
    Mirrored of(make_params(spec.dimension, spec.M, 40, 2000, spec.metric), data, spec.n);
    const Matrix queries = make_data(spec.shape, 9, spec.dimension, 9);
    std::vector<Ids> filters = filters_of(of, data);
    filters.pop_back();  // may be all that live
    for (const NodeId deaths : {40u, 60u}) {
      of.remove(deaths);
      const Batch batch(of, queries, filters, {10, 16});
      batch.expect_the_cpus(cuda::run_walk_matches, cuda::run_scan_matches);
      batch.expect_the_cpus(
          [](const auto& view, const auto& task) {
            cuda::testing::simt_walk_matches<128>(view, task, 4);
          },
          [](const auto& view, const auto& task) {
            cuda::testing::simt_scan_matches(view, task, 5);
          });
      walked += batch.walked();
    }
  }
  EXPECT_GT(walked, 20u);
}

TEST(FilteredKernels, AScanOfNoOrFewIdsFindsThem) {
  const core::FloatEnvironment environment;
  const Matrix data = make_data(Shape::duplicate, 300, 3);
  Mirrored of(make_params(3, 4, 20, 100), data, 300);
  for (const NodeId count : {0u, 1u, 2u, 127u, 128u, 129u, 256u, 300u}) {
    const Ids ids = where(300, [&](NodeId id) { return id * 7 % 300 < count; });
    ASSERT_EQ(ids.size(), count);
    const FilterTable table({ids}, of.graph());
    const std::shared_ptr<const core::MatchSet> set = of.set_of(ids);
    const std::vector<const core::MatchSet*> sets = {set.get()};
    for (const std::uint32_t k : {1u, 10u, 128u, 400u}) {
      std::vector<Key> keys(2 * k, 7), expected(2 * k);
      std::vector<std::uint32_t> counts(2, cuda::kUnanswered), expected_counts(2);
      std::vector<float> rows(2 * of.vectors().stride());
      for (std::size_t q = 0; q < 2; ++q) {
        of.vectors().prepare(data.view().row(q), rows.data() + q * of.vectors().stride(), "query",
                             q);
      }
      const std::vector<std::uint32_t> filter_of(2);
      cuda::FilteredTask task;
      task.search.queries = rows.data();
      task.search.query_stride = of.vectors().stride();
      task.search.count = 2;
      task.search.k = k;
      task.search.out = keys.data();
      task.search.counts = counts.data();
      task.filters = table.data();
      task.filter_of = filter_of.data();
      of.cpu().filtered(data.slice(0, 2), {.k = k}, {sets}, true, expected.data(),
                        expected_counts.data(), of.pool());
      cuda::run_scan_matches(of.view(), task);
      ASSERT_EQ(keys, expected) << count << " ids, k " << k;
      ASSERT_EQ(counts, expected_counts);
      std::fill(keys.begin(), keys.end(), 7);
      std::fill(counts.begin(), counts.end(), cuda::kUnanswered);
      cuda::testing::simt_scan_matches(of.view(), task, k);
      ASSERT_EQ(keys, expected) << count << " ids, k " << k;
      ASSERT_EQ(counts, expected_counts);
    }
  }
}

TEST(FilteredKernels, IdsAndBitsAreOneAnothers) {
  for (const NodeId end : {1u, 31u, 32u, 33u, 1000u}) {
    for (const std::uint64_t share : {0u, 3u, 500u, 1000u}) {
      const Ids ids = where(end, [&](NodeId id) { return hash(end, id) % 1000 < share; });
      std::vector<std::uint32_t> bits(cuda::FilterView::words(end));
      cuda::run_mark_ids({ids.data(), static_cast<std::uint32_t>(ids.size()), bits.data()});
      const cuda::FilterView filter{bits.data(), ids.data(), end, 0};
      EXPECT_EQ(where(end + 40, filter), ids);
      Ids selected(ids.size());
      std::uint32_t count = 9;
      cuda::run_select_ids({bits.data(), end, selected.data(), &count});
      EXPECT_EQ(selected, ids);
      EXPECT_EQ(count, ids.size());
    }
  }
}

}  // namespace
}  // namespace concord::test
