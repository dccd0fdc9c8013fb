// Cursors: pages against the larger searches that they are a part of, and what changes between.

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <limits>
#include <numeric>
#include <optional>
#include <set>
#include <thread>

#include "common/index/index_access.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Labels = std::vector<std::uint64_t>;
using Set = std::set<std::uint64_t>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Labels range(std::uint64_t first, std::uint64_t end, std::uint64_t step = 1) {
  Labels labels;
  for (; first < end; first += step) labels.push_back(first);
  return labels;
}

std::span<const float> query_of(const Matrix& queries, std::size_t q) {
  return {queries.row(q), queries.cols};
}

/// What stands in a result of one query.
Labels found_in(const SearchResult& page) {
  return {page.labels.begin(), page.labels.begin() + page.counts[0]};
}

void expect_sorted(const SearchResult& page) {
  const auto end = page.distances.begin() + page.counts[0];
  EXPECT_TRUE(std::is_sorted(page.distances.begin(), end));
  EXPECT_TRUE(std::all_of(page.labels.begin() + page.counts[0], page.labels.end(),
                          [](std::uint64_t label) { return label == kNoLabel; }));
}

/// All that a cursor still gives, in pages of k.
Labels rest_of(Cursor& cursor, std::uint32_t k) {
  Labels all;
  for (;;) {
    const SearchResult page = cursor.next(k);
    expect_sorted(page);
    const Labels labels = found_in(page);
    all.insert(all.end(), labels.begin(), labels.end());
    if (labels.size() < k) return all;
  }
}

/// Takes pages of a cursor and compares each with the search that it is a part of. Returns how many
/// it could compare: where a page's search lacks what was given, a nearer vector was met late.
std::size_t compare_pages(const Index& index, std::span<const float> query,
                          const SearchParams& params, const SearchOptions& options,
                          std::size_t pages) {
  std::size_t compared = 0;
  Cursor cursor = index.cursor(query, params, options);
  Set given;
  for (std::size_t p = 0; p < pages; ++p) {
    const std::uint32_t sizes[] = {params.k, 1, 2 * params.k + 3, 7};
    const std::uint32_t k = sizes[p % 4];
    const auto all = static_cast<std::uint32_t>(given.size()) + k;
    const SearchResult larger = index.search({query.data(), 1, query.size()},
                                             {all, params.ef + all, params.slack}, options);
    const SearchResult page = cursor.next(k);
    expect_sorted(page);
    Labels expected;
    std::vector<float> distances;
    std::size_t known = 0;
    for (std::size_t j = 0; j < larger.counts[0]; ++j) {
      known += given.contains(larger.labels[j]) ? 1 : 0;
      if (given.contains(larger.labels[j]) || expected.size() == k) continue;
      expected.push_back(larger.labels[j]);
      distances.push_back(larger.distances[j]);
    }
    if (known == given.size()) {
      ++compared;
      EXPECT_EQ(found_in(page), expected) << "page " << p << " ef " << params.ef;
      EXPECT_TRUE(std::equal(distances.begin(), distances.end(), page.distances.begin()));
    }
    for (const std::uint64_t label : found_in(page)) {
      EXPECT_TRUE(given.insert(label).second) << "twice";
    }
    EXPECT_EQ(cursor.given(), given.size());
  }
  return compared;
}

TEST(Cursor, PagesAreThoseOfTheLargerSearch) {
  std::size_t compared = 0;
  std::size_t pages = 0;
  for (const Metric metric : kAllMetrics) {
    for (const Shape shape : {Shape::clustered, Shape::duplicate, Shape::u8}) {
      SCOPED_TRACE(to_string(shape) + " " + std::string(to_string(metric)));
      const std::size_t n = scaled(2000, 600);
      const Matrix data = make_data(shape, n, 24);
      Index index(make_params(24, 6, 40, 128, metric), on_threads(1));
      index.add(data.view());
      const Matrix queries = make_data(shape, scaled(6, 2), 24, 9);
      for (const bool some_died : {false, true}) {
        if (some_died) index.remove(range(3, n, 31));  // tombstones, still linked or not
        for (std::size_t q = 0; q < queries.rows; ++q) {
          for (const SearchParams& params :
               {SearchParams{10, 20}, SearchParams{1, 1}, SearchParams{5, 64, 0.1f},
                SearchParams{40, 3, 0.0f}}) {
            if (metric == Metric::inner_product && params.slack != kInfinity) continue;
            compared += compare_pages(index, query_of(queries, q), params, {}, 8);
            pages += 8;
          }
        }
      }
    }
  }
  EXPECT_GT(compared, pages / 2);
}

// Whichever way the rule of filters goes, and where it changes its way between two pages.
TEST(Cursor, PagesAmongFiltersAreThoseOfTheLargerSearch) {
  std::size_t compared = 0;
  std::size_t pages = 0;
  for (const std::uint32_t M : {4u, 12u}) {
    const std::size_t n = scaled(2500, 1500);
    const Matrix data = make_data(Shape::clustered, n, 960);
    Index index(make_params(960, M, 30, 256), on_threads(2));
    index.add(data.view());
    const Matrix queries = make_data(Shape::clustered, scaled(5, 2), 960, 9);
    for (const bool some_died : {false, true}) {
      std::vector<Filter> filters;
      for (const std::uint64_t share : {1000u, 950u, 600u, 250u, 120u, 20u, 0u}) {
        filters.push_back(Filter::of_predicate(
            index, [&](std::uint64_t label) { return hash(1, label) % 1000 < share; }));
      }
      filters.push_back(Filter::of_range(index, 100, 900));
      if (some_died) index.remove(range(3, n, 41));
      for (const Filter& filter : filters) {
        for (std::size_t q = 0; q < queries.rows; ++q) {
          for (const SearchParams& params :
               {SearchParams{10, 12}, SearchParams{3, 60, 0.1f}, SearchParams{1, 1}}) {
            compared += compare_pages(index, query_of(queries, q), params, {.filter = &filter}, 9);
            pages += 9;
          }
        }
      }
    }
  }
  EXPECT_GT(compared, pages / 2);
}

TEST(Cursor, GoesOnToTheLastVectorAndGivesNoneTwice) {
  for (const Shape shape : {Shape::random, Shape::constant, Shape::duplicate, Shape::huge_norm}) {
    for (const std::size_t n : {0u, 1u, 2u, 3u, 5u, 700u}) {
      for (const std::size_t dimension : {1u, 12u}) {
        SCOPED_TRACE(to_string(shape) + " " + std::to_string(n));
        const Matrix data = make_data(shape, n, dimension);
        Index index(make_params(static_cast<std::uint32_t>(dimension), 4, 16, 32), on_threads(1));
        index.add(data.view());
        const Matrix queries = make_data(shape, 2, dimension, 9);
        Cursor cursor = index.cursor(query_of(queries, 0), {.ef = 5});
        Labels all = rest_of(cursor, 9);
        EXPECT_EQ(cursor.given(), n);
        EXPECT_EQ(cursor.next(5).counts[0], 0u);
        EXPECT_EQ(cursor.next(0).counts[0], 0u);
        std::sort(all.begin(), all.end());
        EXPECT_EQ(all, range(0, n));
        const Filter odd =
            Filter::of_predicate(index, [](std::uint64_t label) { return label % 2 == 1; });
        Cursor among = index.cursor(query_of(queries, 1), {.ef = 5}, {.filter = &odd});
        all = rest_of(among, 4);
        std::sort(all.begin(), all.end());
        EXPECT_EQ(all, range(1, n, 2));
      }
    }
  }
}

// Ten pages against ten searches anew.
TEST(Cursor, TakesAFifthOfTheDistancesOfSearchingAnew) {
  const std::size_t n = scaled(6000, 3000);
  const Matrix data = make_data(Shape::clustered, n, 32);
  Index index(make_params(32, 16, 100, 1024), on_threads(1));
  index.add(data.view());
  const Matrix queries = make_data(Shape::clustered, 20, 32, 9);
  const auto distances = [&] { return index.stats().search.distances; };
  const std::uint64_t start = distances();
  for (std::size_t q = 0; q < queries.rows; ++q) {
    Cursor cursor = index.cursor(query_of(queries, q), {.ef = 64});
    for (int page = 0; page < 10; ++page) ASSERT_EQ(cursor.next(10).counts[0], 10u);
  }
  const std::uint64_t paged = distances() - start;
  for (std::uint32_t page = 1; page <= 10; ++page) {
    static_cast<void>(index.search(queries.view(), {10 * page, 64 + 10 * page}));
  }
  const std::uint64_t anew = distances() - start - paged;
  EXPECT_LE(5 * paged, anew);
  RecordProperty("ratio", std::to_string(static_cast<double>(anew) / static_cast<double>(paged)));
  EXPECT_EQ(index.stats().search.queries, 20u + 200u);
}

// Between two pages vectors are added, replaced and removed, epochs are sealed, and nodes slide.
TEST(Cursor, GivesWhatItSawAndWhatIsLeftOfIt) {
  constexpr std::uint64_t kSize = 900;
  std::uint64_t slides = 0;
  for (const bool has_filter : {false, true}) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      const Matrix data = make_data(Shape::clustered, 2 * kSize, 192);
      Index index(make_params(192, 6, 30, 32), on_threads(1));
      index.add(data.slice(0, kSize));
      Set seen;
      for (std::uint64_t label = 0; label < kSize; ++label) {
        if (!has_filter || label % 10 != 0) seen.insert(label);
      }
      const Filter filter =
          Filter::of_predicate(index, [&](std::uint64_t label) { return seen.contains(label); });
      std::optional<Cursor> cursor = index.cursor(query_of(data, kSize + seed), {.ef = 10},
                                                  {.filter = has_filter ? &filter : nullptr});
      Set given;
      std::uint64_t next = kSize;
      for (std::uint64_t page = 0;; ++page) {
        const SearchResult found = cursor->next(20);
        expect_sorted(found);
        for (const std::uint64_t label : found_in(found)) {
          ASSERT_TRUE(seen.contains(label)) << label << " is new, gone, or does not match";
          ASSERT_TRUE(given.insert(label).second) << label << " twice";
        }
        if (found.counts[0] < 20) break;
        const auto gone = [&](std::uint64_t label) { return hash(seed, page, label) % 12 == 0; };
        Labels removed;
        for (std::uint64_t label = 0; label < next; ++label) {
          if (gone(label) && index.contains(label)) removed.push_back(label);
        }
        index.remove(removed);
        for (const std::uint64_t label : removed) seen.erase(label);
        if (page % 3 == 2) index.flush();
        if (next < 2 * kSize) index.add(data.slice(next, 40), range(next, next + 40));
        next = std::min<std::uint64_t>(2 * kSize, next + 40);
        for (std::uint64_t label = 5; page == 4 && label < kSize; label += 90) {
          if (!index.contains(label)) continue;
          index.update(data.slice(kSize, 1), Labels{label});  // the label has another vector now
          seen.erase(label);
        }
      }
      for (const std::uint64_t label : seen) {
        EXPECT_TRUE(given.contains(label)) << label << " was lost";
      }
      slides += IndexAccess::contents(index).graph.slides();
      EXPECT_EQ(cursor->next(20).counts[0], 0u);
    }
  }
  EXPECT_GT(slides, 6u);
}

// A slide that changes nothing but ids changes no page. It needs a removal, of far vectors.
TEST(Cursor, GoesOnOverASlideAsIfThereWereNone) {
  constexpr std::uint64_t kSize = 800;
  Matrix data = make_data(Shape::clustered, 2 * kSize, 16);
  for (std::uint64_t i = 0; i < kSize; ++i) data.row(2 * i)[0] += 10000.0f;  // far
  Index index(make_params(16, 8, 60, 64), on_threads(1));
  index.add(data.view());
  const Matrix queries = make_data(Shape::clustered, 5, 16, 3);
  std::vector<Cursor> cursors;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    cursors.push_back(index.cursor(query_of(queries, q), {.ef = 400}));
    EXPECT_EQ(cursors.back().next(30).counts[0], 30u);
  }
  index.remove(range(0, 2 * kSize, 2));
  index.flush();
  ASSERT_GE(IndexAccess::contents(index).graph.slides(), 1u);
  const SearchResult exact = index.exact_search(queries.view(), 90);
  for (std::size_t q = 0; q < queries.rows; ++q) {
    Labels wanted(exact.labels.begin() + static_cast<std::ptrdiff_t>(90 * q + 30),
                  exact.labels.begin() + static_cast<std::ptrdiff_t>(90 * q + 90));
    Labels found = found_in(cursors[q].next(25));
    for (const std::uint64_t label : found_in(cursors[q].next(35))) found.push_back(label);
    EXPECT_EQ(found, wanted);
    Labels rest = rest_of(cursors[q], 100);
    EXPECT_EQ(rest.size(), kSize - 90);
  }
}

// Pages of one thread while another adds, seals, removes and slides.
TEST(Cursor, BesideAWriterGivesAllThatStaysOnce) {
  constexpr std::uint64_t kOther = 100000;
  const std::size_t n = scaled(500, 200);
  const Matrix data = make_data(Shape::clustered, 3 * n, 16);
  Index index(make_params(16, 6, 30, 32), on_threads(1));
  for (std::size_t i = 0; i < n; i += 10) {
    index.add(data.slice(i, 10), range(i, i + 10));
    index.add(data.slice(n + i, 20), range(kOther + 2 * i, kOther + 2 * i + 20));
  }
  std::atomic<bool> done{false};
  std::atomic<int> turns{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      while (!done || turns < 4) {
        const Filter filter =
            Filter::of_predicate(index, [](std::uint64_t label) { return label < kOther; });
        const SearchOptions options{.filter = r == 0 ? nullptr : &filter};
        Cursor cursor =
            index.cursor(query_of(data, static_cast<std::size_t>(turns) % n), {.ef = 20}, options);
        Labels all = rest_of(cursor, 31);
        std::sort(all.begin(), all.end());
        ASSERT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
        std::erase_if(all, [](std::uint64_t label) { return label >= kOther; });
        ASSERT_EQ(all, range(0, n));
        ++turns;
      }
    });
  }
  const Labels others = range(kOther, kOther + 2 * n);
  for (std::size_t round = 0; round < scaled(8, 2) || turns < 4; ++round) {
    index.remove(others);
    index.flush();
    index.add(data.slice(n, 2 * n), others);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(IndexAccess::contents(index).graph.slides(), 0u);
}

TEST(Cursor, OfAMappedIndexAndOfAMovedOneIsTheSame) {
  const Matrix data = make_data(Shape::clustered, 800, 16);
  Index index(make_params(16, 6, 30, 128), on_threads(1));
  index.add(data.view());
  const TempPath path("index");
  index.save(path);
  const Index mapped = Index::map(path, MapCheck::on_first_use, on_threads(2));
  const Filter third = Filter::of_labels(index, range(0, 800, 3));
  Cursor first = index.cursor(query_of(data, 7), {.ef = 20});
  Cursor second = mapped.cursor(query_of(data, 7), {.ef = 20});
  std::optional<Cursor> among;
  {
    const Filter copy = third;  // the cursor keeps what it needs of it
    among = index.cursor(query_of(data, 7), {.ef = 20}, {.filter = &copy});
  }
  EXPECT_EQ(found_in(first.next(10)), found_in(second.next(10)));
  const Index moved = std::move(index);
  Cursor third_one = std::move(first);
  EXPECT_EQ(rest_of(third_one, 50), rest_of(second, 50));
  EXPECT_EQ(rest_of(*among, 50).size(), 267u);
}

TEST(Cursor, RefusesWhatDoesNotFit) {
  const Matrix data = make_data(Shape::random, 50, 4);
  Index index(make_params(4, 6, 30, 64, Metric::inner_product), on_threads(1));
  Index other(make_params(4, 6, 30, 64), on_threads(1));
  index.add(data.view());
  other.add(data.view());
  const Matrix wide = make_data(Shape::random, 1, 5);
  expect_error(ErrorCode::dimension_mismatch, {"5", "4"},
               [&] { return index.cursor(query_of(wide, 0)); });
  Matrix bad = make_data(Shape::random, 1, 4);
  bad.row(0)[2] = kInfinity;
  expect_error(ErrorCode::invalid_vector, {"query"},
               [&] { return index.cursor(query_of(bad, 0)); });
  expect_error(ErrorCode::invalid_parameter, {"ef is 0"},
               [&] { return index.cursor(query_of(data, 0), {.ef = 0}); });
  expect_error(ErrorCode::invalid_parameter, {"slack", "inner_product"},
               [&] { return index.cursor(query_of(data, 0), {.slack = 0.1f}); });
  const Filter foreign = Filter::of_range(other, 0, 50);
  expect_error(ErrorCode::invalid_parameter, {"another index"},
               [&] { return index.cursor(query_of(data, 0), {}, {.filter = &foreign}); });
  const std::vector<const Filter*> two = {nullptr, nullptr};
  expect_error(ErrorCode::invalid_parameter, {"2 filters for 1 queries"},
               [&] { return index.cursor(query_of(data, 0), {}, {.filters = two}); });
  Cursor cursor = index.cursor(query_of(data, 0));
  expect_error(ErrorCode::invalid_parameter, {"k is 65537"}, [&] { return cursor.next(65537); });
  EXPECT_EQ(cursor.next(65536).counts[0], 50u);
}

}  // namespace
}  // namespace concord::test
