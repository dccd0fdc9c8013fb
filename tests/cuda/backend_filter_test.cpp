// Searches with filters on the device path: the CPU's labels, distances and counts, bit for bit;
// what filters take of the device's memory, and for how long.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

using Mask = std::vector<std::uint8_t>;
using Filters = std::vector<Filter>;

Mask mask_where(std::size_t n, const auto& is_match) {
  Mask mask(n);
  for (std::size_t i = 0; i < n; ++i) mask[i] = is_match(i) ? 1 : 0;
  return mask;
}

/// None, one, all, all but one, at random, a window, the nearest to a vector, the farthest from it.
Filters filters_of(const Index& index, const Matrix& data) {
  const std::size_t n = index.size();
  const SearchResult by_distance =
      index.exact_search(data.slice(0, 1), static_cast<std::uint32_t>(n));
  std::vector<std::size_t> rank(n);
  for (std::size_t j = 0; j < n; ++j) rank[by_distance.labels[j]] = j;
  Filters filters;
  const auto add = [&](const auto& is_match) {
    filters.push_back(Filter::of_mask(index, mask_where(n, is_match)));
  };
  add([](std::size_t) { return false; });
  add([&](std::size_t i) { return i == n / 2; });
  add([](std::size_t) { return true; });
  add([&](std::size_t i) { return i != n / 2; });
  for (const std::uint64_t share : {950u, 600u, 400u, 30u}) {
    add([&](std::size_t i) { return hash(share, i) % 1000 < share; });
  }
  add([&](std::size_t i) { return i >= n / 4 && i < n; });
  add([&](std::size_t i) { return rank[i] < n / 2; });
  add([&](std::size_t i) { return rank[i] >= n / 2; });
  return filters;
}

SearchResult search(const Index& index, MatrixView<const float> queries, const SearchParams& params,
                    const Filter& filter) {
  return index.search(queries, params, {.filter = &filter});
}

/// One filter for each query: those given in turn, and none.
std::vector<const Filter*> in_turn(const Filters& filters, std::size_t queries) {
  std::vector<const Filter*> each(queries, nullptr);
  for (std::size_t q = 0; q < queries; ++q) {
    const std::size_t f = q % (filters.size() + 1);
    if (f < filters.size()) each[q] = &filters[f];
  }
  return each;
}

std::vector<SearchParams> params_for(Metric metric) {
  std::vector<SearchParams> params = {{10, 16}, {1, 1}, {500, 16}};
  if (metric != Metric::inner_product) params.push_back({4, 60, 0.1f});
  return params;
}

SearchResult exact_search(const Index& index, MatrixView<const float> queries, std::uint32_t k,
                          const Filter& filter) {
  return index.exact_search(queries, k, {.filter = &filter});
}

/// What the index finds with each filter, alone and in turn, for all parameters, and exactly.
std::vector<SearchResult> all_answers(const Index& index, const Matrix& queries,
                                      const Filters& filters) {
  std::vector<SearchResult> answers;
  for (const SearchParams& params : params_for(index.params().metric)) {
    for (const Filter& filter : filters) {
      answers.push_back(search(index, queries.view(), params, filter));
    }
    const std::vector<const Filter*> each = in_turn(filters, queries.rows);
    answers.push_back(index.search(queries.view(), params, {.filters = each}));
  }
  for (const Filter& filter : filters) {
    answers.push_back(exact_search(index, queries.view(), 10, filter));
  }
  const std::vector<const Filter*> each = in_turn(filters, queries.rows);
  answers.push_back(index.exact_search(queries.view(), 10, {.filters = each}));
  return answers;
}

void expect_same(const std::vector<SearchResult>& a, const std::vector<SearchResult>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE("answer " + std::to_string(i));
    concord::test::expect_same(a[i], b[i]);
  }
}

/// Wide vectors, so that walks begin at a few hundred matches.
constexpr std::uint32_t kWide = 700;

// The same index, first without a device and then with one.
TEST(BackendFilter, EveryShapeMetricAndFilter) {
  const Metric metrics[] = {Metric::l2sq, Metric::cosine, Metric::inner_product};
  std::size_t at = 0;
  for (const Shape shape : {Shape::clustered, Shape::duplicate, Shape::constant, Shape::u8}) {
    SCOPED_TRACE(to_string(shape));
    Calls calls;
    const HostDevices devices(HostDevices::deferred(at % 3), calls.hook());
    const Metric metric = metrics[at++ % 3];
    const std::size_t n = 700 + at;
    const Matrix data = make_data(shape, n, kWide);
    const Matrix queries = make_data(shape, 66, kWide, 9);
    Index index(make_params(kWide, 4, 24, 300, metric), on("cpu"));
    index.add(data.view());
    const Filters filters = filters_of(index, data);
    const auto expected = all_answers(index, queries, filters);
    index.set_runtime(on("cuda"));
    expect_same(all_answers(index, queries, filters), expected);
    if (shape == Shape::constant) {  // one node: it is scanned
      EXPECT_GT(calls.of("scan_matches"), 3u);
    } else {
      EXPECT_GT(calls.of("walk_matches"), shape == Shape::duplicate ? 3u : 10u);
      EXPECT_GT(calls.of("scan_matches"), 20u);
      EXPECT_GT(calls.of("select_ids"), 0u);
    }
    EXPECT_GT(calls.of("search"), 3u);
    EXPECT_EQ(index.stats().device.name, "host team");
  }
}

TEST(BackendFilter, ExactSearchesScanTheMatches) {
  Calls calls;
  const HostDevices devices(HostDevices::deferred(1), calls.hook());
  const Matrix data = make_data(Shape::clustered, 900, 24);
  const Matrix queries = make_data(Shape::clustered, 70, 24, 9);
  Index index(make_params(24, 4, 24, 300), on("cpu"));
  index.add(data.view());
  const Filters filters = filters_of(index, data);
  const std::vector<const Filter*> each = in_turn(filters, queries.rows);
  const Filter& some = filters[5];
  const auto answers = [&](std::size_t rows, std::uint32_t k) {
    const MatrixView<const float> asked = queries.slice(0, rows);
    return std::vector{index.exact_search(asked, k, {.filters = std::span(each).first(rows)}),
                       exact_search(index, asked, k, some)};
  };
  for (const auto& [rows, k] :
       {std::pair{70u, 10u}, {70u, 800u}, {70u, 4097u}, {70u, 0u}, {63u, 10u}}) {
    SCOPED_TRACE(std::to_string(rows) + " queries, k " + std::to_string(k));
    index.set_runtime(on("cpu"));
    const std::vector<SearchResult> expected = answers(rows, k);
    index.set_runtime(on("cuda"));
    const std::uint64_t scans = calls.of("scan_matches"), all = calls.of("exact");
    expect_same(answers(rows, k), expected);
    // A longer list finds no room there, and fewer queries are not worth it.
    const bool is_there = rows == 70 && k > 0 && k <= 4096;
    EXPECT_EQ(calls.of("scan_matches") - scans, is_there ? 2u : 0u);
    EXPECT_EQ(calls.of("exact") - all, is_there ? 1u : 0u) << "of those without a filter";
  }
  EXPECT_EQ(calls.of("walk_matches") + calls.of("search"), 0u);
  EXPECT_EQ(index.stats().device.name, "host team");
}

TEST(BackendFilter, OneDimension) {
  Calls calls;
  const HostDevices devices(std::size_t{1} << 32, calls.hook());
  Matrix data(18000, 1);
  for (std::size_t i = 0; i < data.rows; ++i) {
    *data.row(i) = static_cast<float>(i * 7919 % data.rows) / 128.0f;  // no copies
  }
  const Matrix queries = make_data(Shape::random, 64, 1, 9);
  Index index(make_params(1, 4, 12, 1024), on("cpu"));
  index.add(data.view());
  const Filter most = Filter::of_mask(
      index, mask_where(data.rows, [](std::size_t i) { return hash(3, i) % 1000 < 950; }));
  const Filter few = Filter::of_range(index, 100, 200);
  const SearchResult found_in_most = search(index, queries.view(), {10, 12}, most);
  const SearchResult found_in_few = search(index, queries.view(), {10, 12}, few);
  index.set_runtime(on("cuda"));
  concord::test::expect_same(search(index, queries.view(), {10, 12}, most), found_in_most);
  concord::test::expect_same(search(index, queries.view(), {10, 12}, few), found_in_few);
  EXPECT_EQ(calls.of("walk_matches"), 1u);
  EXPECT_EQ(calls.of("scan_matches"), 2u);
}

// Ids are fewer bytes than bits, so the bits are made there.
TEST(BackendFilter, FewIdsOfWideVectors) {
  Calls calls;
  const HostDevices devices(HostDevices::deferred(0), calls.hook());
  const Matrix data = make_data(Shape::clustered, 1400, 4096);
  Index index(make_params(4096, 4, 8, 1024), on("cpu"));
  index.add(data.view());
  const Filter filter =
      Filter::of_mask(index, mask_where(data.rows, [](std::size_t i) { return i % 35 == 7; }));
  const SearchResult expected = search(index, data.slice(0, 64), {1, 1}, filter);
  index.set_runtime(on("cuda"));
  concord::test::expect_same(search(index, data.slice(0, 64), {1, 1}, filter), expected);
  EXPECT_EQ(calls.of("mark_ids"), 1u);
  EXPECT_EQ(calls.of("walk_matches"), 1u);
}

// An index that the device has built, at sizes within its epochs; filters as old as each size.
TEST(BackendFilter, FiltersOlderThanTheIndexAndOverfullLists) {
  const HostDevices devices(HostDevices::deferred(2));
  const Matrix data = make_data(Shape::duplicate, 1100, kWide);
  const Matrix queries = make_data(Shape::duplicate, 64, kWide, 9);
  Index device(make_params(kWide, 2, 12, 1024), on("cuda"));
  Index cpu(make_params(kWide, 2, 12, 1024), on("cpu"));
  Filters of_device, of_cpu;
  for (const std::size_t size : {1u, 63u, 400u, 730u, 731u, 1100u}) {
    device.add(data.slice(device.size(), size - device.size()));
    cpu.add(data.slice(cpu.size(), size - cpu.size()));
    const Mask mask = mask_where(size, [&](std::size_t i) { return hash(size, i) % 1000 < 700; });
    of_device.push_back(Filter::of_mask(device, mask));
    of_cpu.push_back(Filter::of_mask(cpu, mask));
    of_device.push_back(~of_device.back());
    of_cpu.push_back(~of_cpu.back());
    expect_same(all_answers(device, queries, of_device), all_answers(cpu, queries, of_cpu));
  }
  EXPECT_EQ(device.stats().device.name, "host team");
}

TEST(BackendFilter, BatchesOfSeveralPieces) {
  Calls calls;
  const HostDevices devices(HostDevices::deferred(0), calls.hook());
  const Matrix data = make_data(Shape::random, 300, 2);
  const Matrix queries = make_data(Shape::random, 16384 + 77, 2, 3);
  Index index(make_params(2, 2, 6, 50), on("cpu"));
  index.add(data.view());
  const Filters filters = filters_of(index, data);
  const std::vector<const Filter*> each = in_turn(filters, queries.rows);
  const SearchResult expected = index.search(queries.view(), {2, 3}, {.filters = each});
  index.set_runtime(on("cuda"));
  concord::test::expect_same(index.search(queries.view(), {2, 3}, {.filters = each}), expected);
  EXPECT_EQ(calls.of("scan_matches"), 2u);
  const SearchResult exact = index.exact_search(queries.view(), 3, {.filters = each});
  EXPECT_EQ(calls.of("scan_matches"), 4u);
  Matrix bad = queries;
  for (const std::size_t q : {7u, 9u, 16390u}) bad.row(q)[1] = std::nanf("");
  expect_error(ErrorCode::invalid_vector, {"query 7"}, [&] {
    (void)index.search(bad.view(), {2, 3}, {.filters = each});
  });
  expect_error(ErrorCode::invalid_vector, {"query 7"},
               [&] { (void)index.exact_search(bad.view(), 3, {.filters = each}); });
  concord::test::expect_same(index.search(queries.view(), {2, 3}, {.filters = each}), expected);
  EXPECT_EQ(index.stats().device.name, "host team");
  index.set_runtime(on("cpu"));
  concord::test::expect_same(index.exact_search(queries.view(), 3, {.filters = each}), exact);
}

TEST(BackendFilter, ListsThatTheDeviceCannotHoldAreTheCpus) {
  Calls calls;
  const HostDevices devices(std::size_t{1} << 32, calls.hook());
  const Matrix data = make_data(Shape::random, 700, kWide);
  Index index(make_params(kWide, 4, 12, 100), on("cuda"));
  index.add(data.view());
  const Filter filter = Filter::of_range(index, 0, 600);
  const SearchResult found = search(index, data.slice(0, 64), {4097, 10}, filter);
  EXPECT_EQ(found.counts, std::vector<std::uint32_t>(64, 600));
  EXPECT_EQ(calls.of("walk_matches") + calls.of("scan_matches"), 0u);
}

/// An index with a device, a filter that is walked, and what the CPU finds with it.
struct Wide {
  explicit Wide(const RuntimeOptions& options) : index(make_params(kWide, 4, 16, 300), on("cpu")) {
    index.add(data().view());
    filter = std::make_unique<Filter>(some(1));
    expected = find();
    expected_exactly = find_exactly();
    index.set_runtime(options);
  }
  [[nodiscard]] static const Matrix& data() {
    static const Matrix rows = make_data(Shape::clustered, 600, kWide);
    return rows;
  }
  /// Matches of three in four ids.
  [[nodiscard]] Filter some(std::uint64_t seed) const {
    return Filter::of_mask(
        index, mask_where(600, [&](std::size_t i) { return hash(seed, i) % 1000 < 750; }));
  }
  [[nodiscard]] SearchResult find() const {
    return search(index, data().slice(0, 64), {8, 16}, *filter);
  }
  [[nodiscard]] SearchResult find_exactly() const {
    return exact_search(index, data().slice(0, 64), 8, *filter);
  }
  void expect_the_cpus() const { concord::test::expect_same(find(), expected); }
  void expect_the_cpus_exactly() const {
    concord::test::expect_same(find_exactly(), expected_exactly);
  }

  Index index;
  std::unique_ptr<Filter> filter;
  SearchResult expected, expected_exactly;
};

constexpr std::size_t kQueryBytes = 64 * 704 * sizeof(float);

TEST(BackendFilter, AFilterIsBroughtToTheDeviceOnceAndGoesWithIt) {
  const HostDevices devices;
  Wide wide(on("cuda"));
  wide.expect_the_cpus();
  const std::uint64_t brought = wide.index.stats().device.bytes_in;
  const std::size_t held = devices.last->held_bytes();
  for (int again = 0; again < 3; ++again) wide.expect_the_cpus();
  EXPECT_EQ(wide.index.stats().device.bytes_in, brought + 3 * kQueryBytes);
  EXPECT_EQ(devices.last->held_bytes(), held);
  const Filter copy = *wide.filter;
  wide.filter = std::make_unique<Filter>(copy);  // another object, the same set
  wide.expect_the_cpus();
  EXPECT_EQ(wide.index.stats().device.bytes_in, brought + 4 * kQueryBytes);

  // Filters that come and go take no more memory than those that are there.
  for (std::uint64_t seed = 2; seed < 6; ++seed) {
    const Filter other = wide.some(seed);
    (void)search(wide.index, Wide::data().slice(0, 64), {8, 16}, other);
    const std::size_t with_other = devices.last->held_bytes();
    EXPECT_GT(with_other, held);
    EXPECT_LT(with_other, held + (600 + 19) * sizeof(std::uint32_t));
  }
  wide.expect_the_cpus();
  EXPECT_EQ(devices.last->held_bytes(), held);
}

/// The least budget of device memory, to 1 KiB, with which an index stays on the device in a life.
template <class Life>
std::size_t least_budget(const Life& life) {
  std::size_t too_little = 0, enough = std::size_t{1} << 24;
  while (enough - too_little > 1024) {
    const std::size_t budget = (too_little + enough) / 2;
    const HostDevices devices;
    RuntimeOptions options = on("auto");
    options.device_memory_budget = budget;
    Wide wide(options);
    (void)wide.index.search(Wide::data().slice(0, 256), {1, 1});  // opens the device
    life(wide);
    (wide.index.stats().device.name == "cpu" ? too_little : enough) = budget;
  }
  return enough;
}

constexpr std::size_t kFilterBytes = (450 + 19) * sizeof(std::uint32_t);
constexpr std::size_t kFilters = 256;

std::vector<Filter> many_filters(const Wide& wide) {
  std::vector<Filter> filters;
  for (std::uint64_t seed = 2; seed < 2 + kFilters; ++seed) filters.push_back(wide.some(seed));
  return filters;
}

// The filter that was used longest ago gives way. Where those of one batch find no room, the CPU
// answers it.
TEST(BackendFilter, FiltersStayWithinTheBudget) {
  const std::size_t least = least_budget([](Wide& wide) { (void)wide.find(); });
  Calls calls;
  const HostDevices devices(std::size_t{1} << 32, calls.hook());
  LogLines log;
  RuntimeOptions options = on("cuda");
  options.log = log.callback();
  options.device_memory_budget = least + 2 * cuda::select_temporaries(600);
  Wide wide(options);
  const std::vector<Filter> filters = many_filters(wide);
  std::vector<SearchResult> found;
  for (const Filter& filter : filters) {
    found.push_back(search(wide.index, Wide::data().slice(0, 64), {1, 1}, filter));
  }
  wide.expect_the_cpus();
  EXPECT_EQ(calls.of("walk_matches"), kFilters + 1);
  EXPECT_LT(devices.last->held_bytes(), least + kFilters * kFilterBytes / 2) << "none gave way";
  std::vector<const Filter*> each;
  for (const Filter& filter : filters) each.push_back(&filter);
  const SearchResult all =
      wide.index.search(Wide::data().slice(0, kFilters), {8, 16}, {.filters = each});
  EXPECT_EQ(calls.of("walk_matches"), kFilters + 1);
  EXPECT_LE(devices.last->peak_bytes(), options.device_memory_budget);
  EXPECT_TRUE(log.warnings.empty()) << log.warnings.front();
  EXPECT_EQ(wide.index.stats().device.name, "host team");

  wide.index.set_runtime(on("cpu"));
  for (std::size_t i = 0; i < found.size(); ++i) {
    concord::test::expect_same(found[i],
                               search(wide.index, Wide::data().slice(0, 64), {1, 1}, filters[i]));
  }
  concord::test::expect_same(
      wide.index.search(Wide::data().slice(0, kFilters), {8, 16}, {.filters = each}), all);
}

// A mirror that must grow has all filters freed before it is refused its memory.
TEST(BackendFilter, FiltersGiveWayToTheMirror) {
  const auto grow = [](Wide& wide) {
    wide.index.add(Wide::data().slice(0, 8));
    return wide.index.search(Wide::data().slice(0, 64), {8, 16});
  };
  const std::size_t least = least_budget([&](Wide& wide) { (void)grow(wide); });
  const HostDevices devices;
  LogLines log;
  RuntimeOptions options = on("cuda");
  options.log = log.callback();
  options.device_memory_budget = least;
  Wide wide(options);
  std::vector<Filter> filters;
  for (std::size_t before = 0; devices.last->held_bytes() > before || filters.size() < 2;) {
    before = devices.last->held_bytes();
    filters.push_back(wide.some(filters.size() + 2));
    (void)search(wide.index, Wide::data().slice(0, 64), {1, 1}, filters.back());
    ASSERT_LT(filters.size(), 5000u) << "none gave way";
  }
  const SearchResult all = grow(wide);
  EXPECT_TRUE(log.warnings.empty()) << log.warnings.front();
  const SearchResult filtered = wide.find();
  EXPECT_EQ(wide.index.stats().device.name, "host team");
  wide.index.set_runtime(on("cpu"));
  concord::test::expect_same(wide.index.search(Wide::data().slice(0, 64), {8, 16}), all);
  concord::test::expect_same(wide.find(), filtered);
}

// Asks twice, and the device fails at each of its calls in turn, or refuses memory. Returns at how
// many.
template <class Ask>
std::size_t failures_while(const Ask& ask, bool memory_only, std::uint64_t step) {
  for (std::uint64_t at = 0;; at += step) {
    SCOPED_TRACE("call " + std::to_string(at));
    std::atomic<bool> armed{false}, happened{false};
    std::atomic<std::uint64_t> number{0};
    const HostDevices devices(HostDevices::deferred(at % 2), [&](const char* call, std::uint64_t) {
      if (!armed || (memory_only && !std::string(call).starts_with("allocate"))) return;
      if (number++ != at) return;
      happened = true;
      throw Error(memory_only ? ErrorCode::out_of_memory : ErrorCode::cuda, "injected");
    });
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    Wide wide(options);
    armed = true;
    ask(wide);
    ask(wide);
    EXPECT_EQ(log.warnings.size(), happened ? 1u : 0u);
    if (!happened || ::testing::Test::HasFailure()) return at / step;
  }
}

TEST(BackendFilter, AFailureAtAnyCallGivesTheCpusAnswers) {
  const std::uint64_t step = full_scale() ? 1 : 5;
  const auto search = [](const Wide& wide) { wide.expect_the_cpus(); };
  const auto exact = [](const Wide& wide) { wide.expect_the_cpus_exactly(); };
  EXPECT_GT(failures_while(search, false, step), 40 / step);
  EXPECT_GT(failures_while(search, true, step), 10 / step - 1);
  EXPECT_GT(failures_while(exact, false, step), 30 / step);
  EXPECT_GT(failures_while(exact, true, step), 10 / step - 1);
}

TEST(BackendFilter, SearchesOfManyThreadsBesideAWriter) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 900, kWide);
  Index index(make_params(kWide, 4, 12, 200), on("cuda"));
  index.add(data.slice(0, 600));
  std::vector<Filter> filters;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    filters.push_back(Filter::of_mask(
        index, mask_where(600, [&](std::size_t i) { return hash(seed, i) % 1000 < 700; })));
  }
  std::atomic<bool> go_on{true};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < filters.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 4 || go_on; ++round) {
        const SearchResult found = search(index, data.slice(0, 64), {8, 200}, filters[t]);
        ASSERT_EQ(found.counts, std::vector<std::uint32_t>(64, 8));
        for (std::size_t q = 0; q < 64; ++q) {
          for (std::size_t j = 0; j < 8; ++j) {
            const std::uint64_t label = found.labels[q * 8 + j];
            ASSERT_TRUE(label < 600 && hash(t, label) % 1000 < 700);
          }
        }
      }
    });
  }
  index.add(data.slice(600, 300));
  go_on = false;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(index.stats().device.name, "host team");
}

// The filter is from before the removal.
TEST(BackendFilter, AfterARemovalTheDeviceAnswersWithoutTheRemoved) {
  Calls calls;
  const HostDevices devices(std::size_t{1} << 32, calls.hook());
  Wide wide(on("cuda"));
  wide.expect_the_cpus();
  EXPECT_EQ(calls.of("walk_matches"), 1u);
  const std::uint64_t nearest = wide.expected.labels[0];
  wide.index.remove(std::array{nearest});
  const SearchResult found = wide.find();
  EXPECT_EQ(calls.of("walk_matches"), 2u);
  EXPECT_EQ(std::count(found.labels.begin(), found.labels.end(), nearest), 0);
  const std::uint64_t scans = calls.of("scan_matches");
  const SearchResult exact = wide.find_exactly();
  EXPECT_EQ(calls.of("scan_matches"), scans + 1);
  EXPECT_EQ(std::count(exact.labels.begin(), exact.labels.end(), nearest), 0);
  wide.index.set_runtime(on("cpu"));
  concord::test::expect_same(wide.find_exactly(), exact);
}

}  // namespace
}  // namespace concord::test
