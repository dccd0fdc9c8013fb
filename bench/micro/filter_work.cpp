// concord-filter-work: what a search with a filter costs, in distances and neighbor lists, beside
// the other ways of bench/micro/filter_rivals.hpp over the same graph and at the same recall.
//
//   concord-filter-work --dataset words-100-angular.hdf5 --limit 100000 --limit-queries 500
//
// Each way raises its effort until the recall is 0.99, or until it costs more than the scan, which
// finds all. Cost at a recall is interpolated between two efforts. A line says whether Concord's is
// within the goals: 1.25 times the cheapest other way where that costs more than 5,000, else 5,500;
// the 99th percentile of its queries at most 3 · matches + 1,000; and where 90 to 99 % match, 1.15
// times the distances of the sweep.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/micro/filter_rivals.hpp"
#include "bench/tool/filter_kinds.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

constexpr std::uint32_t kNeighbors = 10;
constexpr double kRecalls[] = {0.95, 0.99};
constexpr std::uint32_t kEfs[] = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896};
constexpr float kSlacks[] = {0,     0.01f, 0.02f, 0.03f, 0.04f, 0.06f,
                             0.08f, 0.1f,  0.12f, 0.15f, 0.2f,  0.3f};
constexpr std::uint32_t kEfOfSlack = 512;

/// One effort of one way: means over the queries, and a high percentile of their work.
struct Point {
  double recall = 0;
  double distances = 0;
  double lists = 0;
  double p99 = 0;
  [[nodiscard]] double work() const noexcept { return distances + lists; }
};

/// Cost where a curve of rising efforts reaches a recall; nothing where it does not.
struct Cost {
  double work;
  double distances;
  double p99;  ///< of the effort that reaches it
};
std::optional<Cost> cost_at(const std::vector<Point>& curve, double recall) {
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const Point& b = curve[i];
    if (b.recall < recall) continue;
    if (i == 0) return Cost{b.work(), b.distances, b.p99};
    const Point& a = curve[i - 1];
    const double part = (recall - a.recall) / (b.recall - a.recall);
    return Cost{a.work() + part * (b.work() - a.work()),
                a.distances + part * (b.distances - a.distances), b.p99};
  }
  return std::nullopt;
}

/// The queries of a filter set with what they should find.
struct Cell {
  const Index& index;
  const DataSet& data;
  const FilterSet& set;
  std::vector<MatchIds> matches;
  std::vector<Filter> filters;
  std::vector<float> farthest;  ///< [queries]: distance of the k-th match
  std::vector<std::size_t> wanted;
  double mean_matches = 0;

  Cell(const Index& of, const DataSet& from, const FilterSet& kind)
      : index(of), data(from), set(kind) {
    for (const Mask& mask : set.masks) {
      matches.emplace_back(mask);
      filters.push_back(Filter::of_mask(index, mask));
    }
    std::vector<const Filter*> each;
    for (const std::size_t f : set.of_query) {
      each.push_back(&filters[f]);
      mean_matches +=
          static_cast<double>(matches[f].ids.size()) / static_cast<double>(set.of_query.size());
    }
    const SearchResult truth =
        index.exact_search(data.queries.view(), kNeighbors, {.filters = each});
    for (std::size_t q = 0; q < each.size(); ++q) {
      wanted.push_back(truth.counts[q]);
      farthest.push_back(wanted[q] == 0 ? 0 : truth.distances[q * kNeighbors + wanted[q] - 1]);
    }
  }

  /// search(q, work) returns the distances of what it finds for a query.
  template <class Search>
  [[nodiscard]] Point measure(const Search& search) const {
    Point point;
    std::vector<double> works;
    double judged = 0;
    for (std::size_t q = 0; q < data.queries.rows; ++q) {
      Work work;
      const std::vector<float> found = search(q, work);
      point.distances += static_cast<double>(work.distances);
      point.lists += static_cast<double>(work.lists);
      works.push_back(static_cast<double>(work.distances + work.lists));
      if (wanted[q] == 0) continue;
      const auto right = std::count_if(found.begin(), found.end(),
                                       [&](float distance) { return distance <= farthest[q]; });
      point.recall += static_cast<double>(right) / static_cast<double>(wanted[q]);
      ++judged;
    }
    const auto queries = static_cast<double>(data.queries.rows);
    point.recall = judged > 0 ? point.recall / judged : 1;
    point.distances /= queries;
    point.lists /= queries;
    std::sort(works.begin(), works.end());
    point.p99 = quantile(works, 0.99);
    return point;
  }

  [[nodiscard]] Point concords(const SearchParams& params) const {
    return measure([&](std::size_t q, Work& work) {
      const auto before = index.stats().search;
      const SearchResult found = index.search({data.queries.row(q), 1, data.queries.cols}, params,
                                              {.filter = &filters[set.of_query[q]]});
      const auto after = index.stats().search;
      work = {after.distances - before.distances, after.hops - before.hops};
      return std::vector<float>(found.distances.begin(), found.distances.begin() + found.counts[0]);
    });
  }
  [[nodiscard]] Point rivals(FilterRivals& rivals, Rival rival, std::size_t ef) const {
    return measure([&](std::size_t q, Work& work) {
      std::vector<float> found;
      for (const core::Key key : rivals.answer(rival, data.queries.row(q), matches[set.of_query[q]],
                                               kNeighbors, ef, work)) {
        found.push_back(core::key_distance(key));
      }
      return found;
    });
  }
};

/// Points of rising effort, up to the one that is good enough or dearer than the scan.
template <class Efforts, class Measure>
std::vector<Point> curve_of(const Cell& cell, const Efforts& efforts, const Measure& measure) {
  std::vector<Point> curve;
  for (const auto effort : efforts) {
    curve.push_back(measure(effort));
    if (curve.back().recall >= kRecalls[1] || curve.back().work() > cell.mean_matches) break;
  }
  return curve;
}

std::string shown(const std::optional<Cost>& cost) { return cost ? fixed(cost->work, 0) : "-"; }

/// Concord's cost by ef and by slack, each rival's, and whether the goals are met.
std::vector<std::string> row_of(const Cell& cell, double recall,
                                const std::vector<std::vector<Point>>& own,
                                const std::vector<std::vector<Point>>& others) {
  std::vector<std::string> row = {cell.set.kind, fixed(cell.set.selectivity, 4),
                                  fixed(cell.mean_matches, 0), fixed(recall, 2)};
  std::optional<Cost> ours;
  for (const auto& curve : own) {
    const std::optional<Cost> cost = cost_at(curve, recall);
    row.push_back(shown(cost));
    if (cost && (!ours || cost->work < ours->work)) ours = cost;
  }
  double best = cell.mean_matches;  // of the scan
  for (const auto& curve : others) {
    const std::optional<Cost> cost = cost_at(curve, recall);
    row.push_back(shown(cost));
    if (cost) best = std::min(best, cost->work);
  }
  if (!ours) {
    row.insert(row.end(), {"-", "-", "not reached"});
    return row;
  }
  const std::optional<Cost> sweep = cost_at(others[static_cast<std::size_t>(Rival::sweep)], recall);
  const double most = best > 5000 ? 1.25 * best : 5500;
  std::string missed;
  if (ours->work > most) missed += " work";
  if (ours->p99 > 3 * cell.mean_matches + 1000) missed += " p99";
  const bool most_match = cell.set.selectivity >= 0.9 && cell.set.selectivity <= 0.99;
  if (most_match && sweep && ours->distances > 1.15 * sweep->distances) missed += " sweep";
  row.push_back(fixed(ours->work / best, 2));
  row.push_back(fixed(ours->p99, 0));
  row.push_back(missed.empty() ? "met" : "missed:" + missed);
  return row;
}

struct Options {
  DataSource source;
  std::vector<std::string> kinds{"random", "window", "near", "far", "cells"};
  std::vector<double> selectivities{0.99, 0.9, 0.75, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.001};
  std::uint32_t M = 16;
  unsigned threads = 1;
};

void run(const Options& options) {
  const DataSet data = load_data_set(options.source, Need::train_and_queries);
  IndexParams params;
  params.dimension = static_cast<std::uint32_t>(data.train.cols);
  params.metric = data.metric;
  params.M = options.M;
  RuntimeOptions runtime;
  runtime.device = "cpu";
  runtime.threads = options.threads;
  const Index index = build_index(data.train, params, runtime).index;
  FilterRivals rivals(index);
  Table table({"kind", "share", "matches", "recall", "by ef", "by slack", "scan", "sweep",
               "bounded", "post-filter", "two-hop", "of the best", "p99", "goals"});
  for (const std::string& kind : options.kinds) {
    for (const double selectivity : options.selectivities) {
      const FilterSet set = make_filters(data, kind, selectivity, options.threads);
      const Cell cell(index, data, set);
      std::vector<std::vector<Point>> own, others;
      own.push_back(curve_of(cell, kEfs, [&](std::uint32_t ef) {
        return cell.concords({kNeighbors, ef});
      }));
      own.push_back(curve_of(cell, kSlacks, [&](float slack) {
        return cell.concords({kNeighbors, kEfOfSlack, slack});
      }));
      for (const Rival rival : kRivals) {
        others.push_back(
            curve_of(cell, kEfs, [&](std::uint32_t ef) { return cell.rivals(rivals, rival, ef); }));
      }
      for (const double recall : kRecalls) table.add_row(row_of(cell, recall, own, others));
      std::fprintf(stderr, "%s %g\n", kind.c_str(), selectivity);
    }
  }
  std::printf("%s, %zu vectors, %zu queries, M %u, digest %s\n", data.name.c_str(), index.size(),
              data.queries.rows, params.M, index.digest().c_str());
  table.print();
}

}  // namespace
}  // namespace concord::bench

int main(int argc, char** argv) {
  using namespace concord::bench;
  Options options;
  CLI::App app("Distances and neighbor lists of searches with filters, beside other ways");
  app.add_option("--dataset", options.source.dataset, "a file of vectors and queries");
  app.add_option("--synthetic", options.source.synthetic, "n,d[,seed]: generated data");
  app.add_option("--limit", options.source.limit, "the first vectors");
  app.add_option("--limit-queries", options.source.limit_queries, "the first queries");
  app.add_option("--kind", options.kinds, "as concord-bench filter")->delimiter(',');
  app.add_option("--selectivity", options.selectivities, "shares that match")->delimiter(',');
  app.add_option("--M", options.M, "links that a vector makes per layer");
  app.add_option("--threads", options.threads, "of the build");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "concord-filter-work: %s\n", error.what());
    return 1;
  }
  return 0;
}
