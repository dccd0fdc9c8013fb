// Range searches of a public Index against their definition, written down once more
// (naive_filter.hpp), by whatever way it goes; and what must not change an answer.

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "common/base/float_environment.hpp"
#include "common/index/index_access.hpp"
#include "cpu/isa.hpp"
#include "tests/support/naive_filter.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

using Labels = std::vector<std::uint64_t>;
using Ids = std::vector<core::NodeId>;

/// The median distance of the queries to their rank-th nearest vector.
float radius_of(const Index& index, const Matrix& queries, std::size_t rank) {
  const auto k = static_cast<std::uint32_t>(std::min(rank, index.size()));
  const SearchResult nearest = index.exact_search(queries.view(), k);
  std::vector<float> last;
  for (std::size_t q = 0; q < queries.rows; ++q) last.push_back(nearest.distances[(q + 1) * k - 1]);
  std::sort(last.begin(), last.end());
  return std::max(0.0f, last[last.size() / 2]);
}

bool same(const RangeResult& a, const RangeResult& b) {
  return a.lims == b.lims && a.labels == b.labels && a.distances == b.distances;
}

/// What holds for every result, whatever was found: places that fit, sorted, nothing beyond the
/// radius, nothing twice, no more than the limit.
void expect_well_formed(const RangeResult& result, std::size_t queries, float radius,
                        const RangeParams& params) {
  ASSERT_EQ(result.lims.size(), queries + 1);
  ASSERT_EQ(result.lims.front(), 0u);
  ASSERT_EQ(result.lims.back(), result.labels.size());
  ASSERT_EQ(result.lims.back(), result.distances.size());
  for (std::size_t q = 0; q < queries; ++q) {
    ASSERT_LE(result.lims[q], result.lims[q + 1]);
    const std::span distances =
        std::span(result.distances).subspan(result.lims[q], result.lims[q + 1] - result.lims[q]);
    ASSERT_TRUE(std::is_sorted(distances.begin(), distances.end()));
    for (const float distance : distances) ASSERT_LE(distance, radius);
    ASSERT_LE(distances.size(), params.limit ? *params.limit : result.labels.size());
    const std::set<std::uint64_t> labels(
        result.labels.begin() + static_cast<std::ptrdiff_t>(result.lims[q]),
        result.labels.begin() + static_cast<std::ptrdiff_t>(result.lims[q + 1]));
    ASSERT_EQ(labels.size(), distances.size());
  }
}

/// Compares the range searches of an index at rest, whose labels are numbers of insertion, with the
/// definition.
class Oracle {
 public:
  explicit Oracle(const Index& index)
      : index_(index),
        contents_(IndexAccess::contents(index)),
        kernels_(cpu::for_metric(cpu::kScalarKernels, index.params().metric)) {}

  /// With `filter`, of which `labels` are the matches, sorted, or without one; each radius with
  /// each of `params`.
  void expect_the_definition(const Matrix& queries, const std::vector<float>& radii,
                             std::span<const RangeParams> params, const Filter* filter = nullptr,
                             const Labels& labels = {}) {
    const core::FloatEnvironment environment;
    const core::Graph& graph = contents_.graph;
    const core::Tombstones& tombstones = graph.tombstones();
    const auto alive = [&](core::NodeId id) {
      return !tombstones.any() || !tombstones.is_dead(id, graph.size());
    };
    Ids ids;
    for (core::NodeId id = 0; id < graph.size(); ++id) {
      const bool matches = std::binary_search(labels.begin(), labels.end(), label(id));
      if (filter == nullptr || matches) ids.push_back(id);
    }
    NaiveFilter naive(graph, contents_.vectors, kernels_, ids, alive);
    for (const float radius : radii) {
      for (const RangeParams& of : params) compare(naive, queries, radius, of, filter);
    }
    for (const auto& [way, count] : naive.range_ways) ways[way] += count;
  }

  std::map<RangeWay, std::size_t> ways;

 private:
  void compare(NaiveFilter& naive, const Matrix& queries, float radius, const RangeParams& params,
               const Filter* filter) {
    SCOPED_TRACE("radius " + std::to_string(radius) + " ef " + std::to_string(params.ef) +
                 " slack " + std::to_string(params.slack));
    const RangeResult found =
        index_.range_search(queries.view(), radius, params, {.filter = filter});
    ASSERT_NO_FATAL_FAILURE(expect_well_formed(found, queries.rows, radius, params));
    std::vector<float> vector(contents_.vectors.stride());
    for (std::size_t q = 0; q < queries.rows; ++q) {
      contents_.vectors.prepare(queries.view().row(q), vector.data(), "query", q);
      const std::vector<core::Key> keys = naive.range(vector.data(), radius, params);
      ASSERT_EQ(found.lims[q + 1] - found.lims[q], keys.size()) << "query " << q;
      for (std::size_t j = 0; j < keys.size(); ++j) {
        const std::size_t at = found.lims[q] + j;
        const core::Key key = keys[j];
        ASSERT_TRUE(found.labels[at] == label(core::key_id(key)) &&
                    found.distances[at] == core::key_distance(key))
            << "query " << q << " place " << j;
      }
    }
  }

  [[nodiscard]] std::uint64_t label(core::NodeId id) const { return contents_.labels.label(id); }

  const Index& index_;
  const core::Contents& contents_;
  const cpu::MetricKernels& kernels_;
};

Labels labels_of(const std::vector<std::uint8_t>& mask) {
  Labels labels;
  for (std::size_t number = 0; number < mask.size(); ++number) {
    if (mask[number] != 0) labels.push_back(number);
  }
  return labels;
}

const RangeParams kManyParams[] = {
    {1, 0.0f},     {8, 0.1f},    {64, 0.1f},  {64, kInfinity}, {16, 0.5f, 5},      {8, 0.1f, 40},
    {64, 0.1f, 1}, {4, 0.1f, 0}, {64, 1e30f}, {5000, 0.0f},    {8, 0.1f, 1u << 16}};

/// Radii at which the queries have about so many hits.
std::vector<float> radii_of(const Index& index, const Matrix& queries,
                            const std::vector<std::size_t>& ranks) {
  std::vector<float> radii;
  for (const std::size_t rank : ranks) radii.push_back(radius_of(index, queries, rank));
  return radii;
}

TEST(RangeSearch, IsTheDefinitionWhicheverWayItGoes) {
  std::map<RangeWay, std::size_t> ways;
  std::uint32_t M = 4;  // and 16 in turn
  for (const Shape shape : {Shape::random, Shape::sorted, Shape::clustered, Shape::duplicate,
                            Shape::u8, Shape::constant, Shape::huge_norm}) {
    SCOPED_TRACE(to_string(shape) + " M " + std::to_string(M));
    const Matrix data = make_data(shape, scaled(1200, 500), 24);
    const Matrix queries = make_data(shape, 4, 24, 9);
    const Index index = index_of(data, M);
    M = 20 - M;
    Oracle oracle(index);
    std::vector<float> radii = radii_of(index, queries, {1, 30, 60, 300});
    radii.insert(radii.end(), {0.0f, -0.0f, 1e-30f, kInfinity});
    oracle.expect_the_definition(queries, radii, kManyParams);
    for (const auto& [way, count] : oracle.ways) ways[way] += count;
  }
  for (const RangeWay way : {RangeWay::list_is_enough, RangeWay::closure, RangeWay::too_many}) {
    EXPECT_GT(ways[way], 100u) << static_cast<int>(way);
  }
}

// Wide vectors, so that filtered walks begin at a few hundred matches. In the last world few of
// many match, so that a closure reads many lists of other nodes.
TEST(RangeSearch, WithAFilterIsTheDefinitionInTheDerivedGraph) {
  constexpr RangeParams kParams[] = {{1, 0.0f},     {8, 0.05f},     {16, 0.3f},
                                     {12, 0.1f, 3}, {4, kInfinity}, {20, 0.02f, 50}};
  struct World {
    Shape shape;
    std::uint32_t M;
    std::size_t n;
    std::size_t dimension;
    std::vector<std::size_t> shares;
  };
  const std::vector<std::size_t> shares = {1000, 990, 700, 300, 150, 20, 0};
  std::map<RangeWay, std::size_t> ways;
  for (const World& world :
       {World{Shape::random, 4, 1600, 960, shares}, World{Shape::clustered, 16, 1600, 960, shares},
        World{Shape::u8, 6, 1600, 960, shares}, World{Shape::random, 16, 2500, 1400, {40}}}) {
    SCOPED_TRACE(to_string(world.shape) + " M " + std::to_string(world.M));
    const Matrix data = make_data(world.shape, world.n, world.dimension);
    const Matrix queries = make_data(world.shape, scaled(5, 2), world.dimension, 9);
    const Index index = index_of(data, world.M);
    Oracle oracle(index);
    const std::vector<float> radii = radii_of(index, queries, {1, 30, 120, 150});
    for (const std::size_t share : world.shares) {
      const auto mask = random_mask(world.n, share, share);
      const Filter filter = Filter::of_mask(index, mask);
      oracle.expect_the_definition(queries, radii, kParams, &filter, labels_of(mask));
    }
    for (const auto& [way, count] : oracle.ways) ways[way] += count;
  }
  for (const RangeWay way : {RangeWay::list_is_enough, RangeWay::closure, RangeWay::too_many,
                             RangeWay::too_costly, RangeWay::no_walk}) {
    EXPECT_GT(ways[way], 0u) << static_cast<int>(way);
  }
}

TEST(RangeSearch, IsTheDefinitionInAnyDimensionAndForCosine) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    for (const std::size_t dimension : {1u, 3u, 100u}) {
      for (const Shape shape : {Shape::random, Shape::duplicate, Shape::zero}) {
        SCOPED_TRACE(std::string(to_string(metric)) + " dimension " + std::to_string(dimension));
        const Matrix data = make_data(shape, 800, dimension);
        const Matrix queries = make_data(shape, 4, dimension, 9);
        const Index index = index_of(data, 6, metric);
        Oracle oracle(index);
        oracle.expect_the_definition(queries, radii_of(index, queries, {1, 20, 45}), kManyParams);
      }
    }
  }
}

TEST(RangeSearch, OfFewVectorsFindsAllWithinTheRadius) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    for (std::size_t n = 0; n <= 17; ++n) {
      const Matrix data = make_data(Shape::random, std::max<std::size_t>(n, 1), 3);
      const Index index = index_of(data, 4, metric, n);
      for (const float radius : {0.0f, 0.7f, 60.0f, 200.0f, kInfinity}) {
        const RangeResult found = index.range_search(data.view(), radius, {64, 0.0f});
        ASSERT_NO_FATAL_FAILURE(expect_well_formed(found, data.rows, radius, {}));
        const SearchResult all = index.exact_search(data.view(), static_cast<std::uint32_t>(n));
        for (std::size_t q = 0; q < data.rows; ++q) {
          const auto row = all.distances.begin() + static_cast<std::ptrdiff_t>(q * n);
          const auto within = std::count_if(row, row + static_cast<std::ptrdiff_t>(n),
                                            [&](float distance) { return distance <= radius; });
          ASSERT_EQ(found.lims[q + 1] - found.lims[q], static_cast<std::size_t>(within));
        }
      }
    }
  }
}

// The unit of a radius is that of the distances that a search returns: with the distance of the
// k-th nearest as the radius, all k are found.
TEST(RangeSearch, TakesARadiusInTheUnitsOfDistances) {
  const Matrix data = make_data(Shape::clustered, 2000, 16);
  const Matrix queries = make_data(Shape::clustered, 20, 16, 5);
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    const Index index = index_of(data, 12, metric);
    const SearchResult nearest = index.exact_search(queries.view(), 7);
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const float radius = std::max(0.0f, nearest.distances[7 * q + 6]);
      const RangeResult found = index.range_search(queries.slice(q, 1), radius, {200, 0.2f, 7});
      ASSERT_EQ(found.labels.size(), 7u);
      ASSERT_TRUE(std::equal(found.labels.begin(), found.labels.end(),
                             nearest.labels.begin() + static_cast<std::ptrdiff_t>(7 * q)));
    }
  }
}

TEST(RangeSearch, DependsOnNoThreadSplitKernelOrNeighborInTheBatch) {
  const std::size_t n = 4000;
  const Matrix data = make_data(Shape::clustered, n, 100);
  const Matrix queries = make_data(Shape::clustered, 90, 100, 3);
  RangeResult first;
  for (const std::string& isa : supported_isas()) {
    const ScopedEnvironment environment("CONCORD_ISA", isa);
    Index index = index_of(data, 8);
    const float radius = radius_of(index, queries, 60);
    std::vector<Filter> filters;
    for (const std::size_t share : {30u, 400u, 900u}) {
      filters.push_back(Filter::of_mask(index, random_mask(n, share, share)));
    }
    std::vector<const Filter*> of_query;
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const std::size_t which = hash(4, q) % (filters.size() + 1);
      of_query.push_back(which < filters.size() ? &filters[which] : nullptr);
    }
    for (const unsigned threads : {1u, 2u, 8u}) {
      index.set_runtime(on_threads(threads));
      const RangeResult whole =
          index.range_search(queries.view(), radius, {16, 0.1f}, {.filters = of_query});
      if (first.lims.empty()) first = whole;
      ASSERT_TRUE(same(whole, first)) << isa << ' ' << threads << " threads";
    }
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const RangeResult alone =
          index.range_search(queries.slice(q, 1), radius, {16, 0.1f}, {.filter = of_query[q]});
      ASSERT_EQ(alone.labels.size(), first.lims[q + 1] - first.lims[q]);
      const auto at = static_cast<std::ptrdiff_t>(first.lims[q]);
      ASSERT_TRUE(std::equal(alone.labels.begin(), alone.labels.end(), first.labels.begin() + at));
      ASSERT_TRUE(
          std::equal(alone.distances.begin(), alone.distances.end(), first.distances.begin() + at));
    }
  }
  EXPECT_GT(first.labels.size(), 500u);
}

TEST(RangeSearch, NeverFindsWhatWasRemoved) {
  for (const bool is_flushed : {false, true}) {
    const std::size_t n = 2600;
    const Matrix data = make_data(Shape::clustered, n, 40);
    const Matrix queries = make_data(Shape::clustered, 4, 40, 3);
    Index index = index_of(data, 6, Metric::l2sq, 2200, 256);
    const auto mask = random_mask(2200, 800, 1);
    const Filter filter = Filter::of_mask(index, mask);
    Labels removed;
    for (std::uint64_t label = 3; label < 2200; label += 9) removed.push_back(label);
    index.remove(removed);
    index.add(data.slice(2200, 300));
    index.remove(Labels{2201, 2, 11});
    if (is_flushed) index.flush();
    Oracle oracle(index);
    std::vector<float> radii = radii_of(index, queries, {20, 60});
    radii.push_back(kInfinity);
    oracle.expect_the_definition(queries, radii, kManyParams);
    oracle.expect_the_definition(queries, radii, kManyParams, &filter, labels_of(mask));
    EXPECT_GT(oracle.ways[RangeWay::closure], 20u);
    EXPECT_GT(oracle.ways[RangeWay::too_many], 20u);
    EXPECT_EQ(index.range_search(queries.slice(0, 1), kInfinity).labels.size(), index.size());
    const Labels everything = index.labels();
    index.remove(everything);
    EXPECT_TRUE(index.range_search(queries.view(), kInfinity).labels.empty());
    EXPECT_TRUE(
        index.range_search(queries.view(), kInfinity, {}, {.filter = &filter}).labels.empty());
  }
}

// After a slide, when ids are others: labels tell.
TEST(RangeSearch, FindsTheSameAfterMemoryWasGivenBack) {
  const Matrix data = make_data(Shape::clustered, 3000, 8);
  const Matrix queries = make_data(Shape::clustered, 20, 8, 3);
  Index index = index_of(data, 8, Metric::l2sq, 3000, 128);
  Labels removed;
  for (std::uint64_t label = 0; label < 3000; label += 3) removed.push_back(label);
  index.remove(removed);
  const float radius = radius_of(index, queries, 30);
  index.flush();  // slides, for a third of the slots are empty
  for (const float r : {radius, 4 * radius, kInfinity}) {
    const RangeResult found = index.range_search(queries.view(), r, {200, 0.3f});
    for (std::size_t q = 0; q < queries.rows; ++q) {
      const SearchResult all = index.exact_search(queries.slice(q, 1), 3000);
      Labels expected;
      for (std::size_t j = 0; j < all.counts[0] && all.distances[j] <= r; ++j) {
        expected.push_back(all.labels[j]);
      }
      const Labels got(found.labels.begin() + static_cast<std::ptrdiff_t>(found.lims[q]),
                       found.labels.begin() + static_cast<std::ptrdiff_t>(found.lims[q + 1]));
      EXPECT_EQ(got, expected);
    }
  }
}

TEST(RangeSearch, OfAMappedAndALoadedIndexIsThatOfTheSaved) {
  const std::size_t n = 2500;
  const Matrix data = make_data(Shape::clustered, n, 30);
  const Matrix queries = make_data(Shape::clustered, 30, 30, 3);
  const TempPath path("index");
  Labels labels;
  Index index(make_params(30, 8, 40, 256), on_threads(2));
  for (std::uint64_t i = 0; i < n; ++i) labels.push_back(5 * i + 1);
  index.add(data.view(), labels);
  index.remove(Labels{1, 6, 501});
  const float radius = radius_of(index, queries, 50);
  index.save(path);
  const Index mapped = Index::map(path, MapCheck::on_first_use, on_threads(2));
  const Index loaded = Index::load(path, on_threads(1));
  for (const float r : {radius, 2 * radius, kInfinity}) {
    const RangeResult found = index.range_search(queries.view(), r);
    EXPECT_TRUE(same(mapped.range_search(queries.view(), r), found));
    EXPECT_TRUE(same(loaded.range_search(queries.view(), r), found));
  }
}

TEST(RangeSearch, WithoutHitsCostsNoMoreThanOneSearch) {
  const Matrix data = make_data(Shape::random, 3000, 16);
  const Index index = index_of(data, 8);
  const Matrix queries = make_data(Shape::random, 40, 16, 3);
  const auto distances = [&] { return index.stats().search.distances; };
  const std::uint64_t before = distances();
  (void)index.search(queries.view(), {64, 64});
  const std::uint64_t between = distances();
  EXPECT_TRUE(index.range_search(queries.view(), 0.0f).labels.empty());
  EXPECT_EQ(distances() - between, between - before);
  EXPECT_EQ(index.stats().search.queries, 80u);
}

TEST(RangeSearch, RefusesWhatItCannotDo) {
  const Matrix data = make_data(Shape::random, 300, 4);
  Index index = index_of(data, 4);
  const Index other = index_of(data, 4);
  const Index products = index_of(data, 4, Metric::inner_product);
  const std::string digest = index.digest();
  const auto query = data.slice(0, 1);
  const auto refuses = [&](ErrorCode code, const std::vector<std::string>& words, float radius,
                           const RangeParams& params) {
    expect_error(code, words, [&] { (void)index.range_search(query, radius, params); });
  };
  for (const float radius : {-1.0f, -kInfinity, kNaN}) {
    refuses(ErrorCode::invalid_parameter, {"radius", "allowed are 0 to infinity"}, radius, {});
  }
  for (const float slack : {-0.1f, kNaN}) {
    refuses(ErrorCode::invalid_parameter, {"slack", "0 to infinity"}, 1.0f, {64, slack});
  }
  refuses(ErrorCode::invalid_parameter, {"ef is 0", "1 to 65536"}, 1.0f, {0});
  refuses(ErrorCode::invalid_parameter, {"ef is 65537"}, 1.0f, {65537});
  refuses(ErrorCode::invalid_parameter, {"limit is 65537", "0 to 65536"}, 1.0f, {64, 0.1f, 65537});
  expect_error(ErrorCode::unsupported, {"inner_product", "l2sq and cosine"},
               [&] { (void)products.range_search(query, 1.0f); });
  const Matrix wide = make_data(Shape::random, 2, 5);
  expect_error(ErrorCode::dimension_mismatch, {"queries"},
               [&] { (void)index.range_search(wide.view(), 1.0f); });
  Matrix bad = make_data(Shape::random, 3, 4);
  bad.row(1)[2] = kNaN;
  expect_error(ErrorCode::invalid_vector, {"query 1"},
               [&] { (void)index.range_search(bad.view(), 1.0f); });
  const Filter foreign = Filter::of_range(other, 0, 10);
  expect_error(ErrorCode::invalid_parameter, {"another index"},
               [&] { (void)index.range_search(query, 1.0f, {}, {.filter = &foreign}); });
  EXPECT_EQ(index.digest(), digest);
  EXPECT_EQ(index.range_search({nullptr, 0, 4}, 1.0f).lims, std::vector<std::size_t>{0});
}

// Beside a writer that adds, removes, and seals: all that was there and stays is found where the
// whole is scanned, and never what was removed before.
TEST(RangeSearch, BesideAWriterIsOfOneMoment) {
  const std::size_t n = scaled(6000, 3000);
  const std::size_t before = 1600;
  const Matrix data = make_data(Shape::clustered, n, 24);
  const Matrix queries = make_data(Shape::clustered, 6, 24, 3);
  Index index = index_of(data, 5, Metric::l2sq, before, 128);
  Labels removed;
  for (std::uint64_t label = 0; label < 300; label += 2) removed.push_back(label);
  index.remove(removed);
  const float radius = radius_of(index, queries, 40);
  std::atomic<bool> is_done{false};
  std::vector<std::thread> readers;
  for (unsigned r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      do {
        for (const float of : {radius, kInfinity}) {
          const RangeResult found = index.range_search(queries.view(), of, {256, 0.2f});
          ASSERT_NO_FATAL_FAILURE(expect_well_formed(found, queries.rows, of, {}));
          for (const std::uint64_t label : found.labels) {
            ASSERT_FALSE(label < 300 && label % 2 == 0) << label;
          }
        }
        // What the writer leaves alone: labels from 300 to 1600.
        const RangeResult all = index.range_search(queries.slice(0, 1), kInfinity);
        const std::set<std::uint64_t> labels(all.labels.begin(), all.labels.end());
        for (std::uint64_t label = 300; label < 1600; ++label) {
          ASSERT_TRUE(labels.contains(label)) << label;
        }
      } while (!is_done);
    });
  }
  for (std::size_t at = before; at < n; at += 50) {
    index.add(data.slice(at, std::min<std::size_t>(50, n - at)));
    if (at % 500 == 100) index.remove(Labels{at + 1, at + 2});
    if (at % 1000 == 600) {
      index.update(data.slice(at - 10, 1), Labels{at});
      index.flush();
    }
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
}

// One number for the answers of all ways, in the tree: a change of the definition is seen, and is
// seen to be one on every machine.
TEST(RangeSearch, AnswersAreThoseInTheTree) {
  std::uint64_t digest = 0;
  for (const Shape shape : {Shape::clustered, Shape::u8}) {
    const std::size_t n = 3000;
    const Matrix data = make_data(shape, n, 100);
    const Matrix queries = make_data(shape, 30, 100, 3);
    const Index index = index_of(data, 8);
    const Filter half = Filter::of_mask(index, random_mask(n, 500, 3));
    for (const std::size_t rank : {5u, 80u, 400u}) {
      const float radius = radius_of(index, queries, rank);
      for (const Filter* const filter : {static_cast<const Filter*>(nullptr), &half}) {
        for (const RangeParams& params : {RangeParams{12, 0.1f}, RangeParams{30, 0.05f, 20}}) {
          const RangeResult found =
              index.range_search(queries.view(), radius, params, {.filter = filter});
          for (const std::uint64_t label : found.labels) digest = hash(digest, label);
          for (const std::size_t lim : found.lims) digest = hash(digest, lim);
        }
      }
    }
  }
  EXPECT_EQ(digest, 7538101764564642211u);
}

}  // namespace
}  // namespace concord::test
