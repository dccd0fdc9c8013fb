// Filters as objects: how they are made and combined, what is refused, what they hold.

#include <atomic>
#include <chrono>
#include <concord/index.hpp>
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
using Mask = std::vector<std::uint8_t>;

/// The labels that match, by a search that must return them all.
std::set<std::uint64_t> members(const Index& index, const Filter& filter) {
  const std::vector<float> query(index.params().dimension);
  const SearchResult found =
      index.exact_search({query.data(), 1, query.size()}, 65536, {.filter = &filter});
  return {found.labels.begin(), found.labels.begin() + found.counts[0]};
}

Index make_index(std::size_t n, std::size_t dimension = 4) {
  Index index(make_params(static_cast<std::uint32_t>(dimension), 6, 30, 64), on_threads(2));
  index.add(make_data(Shape::random, n, dimension).view());
  return index;
}

// Positions are those of labels(), also where some have died; whatever names a set, it is the same.
TEST(Filter, IsTheSameFromMaskBitsLabelsRangeAndPredicate) {
  for (const bool some_died : {false, true}) {
    Index index = make_index(900);
    if (some_died) {
      index.remove(Labels{0, 13, 200, 201, 899});
      index.flush();
      index.remove(Labels{1, 77});
    }
    const Labels labels = index.labels();
    const std::size_t n = labels.size();
    ASSERT_EQ(n, index.size());
    Mask mask(n);
    Labels named;
    for (std::size_t i = 150; i < 600; ++i) mask[i] = 7;
    for (std::size_t i = 600; i-- > 150;) named.push_back(labels[i]);
    const std::set<std::uint64_t> wanted(named.begin(), named.end());
    named.push_back(named.front());  // twice
    named.push_back(100000);         // unknown
    std::vector<Filter> filters = {
        Filter::of_mask(index, mask), Filter::of_labels(index, named),
        Filter::of_range(index, 150, 600),
        Filter::of_predicate(index, [&](std::uint64_t label) { return wanted.contains(label); })};
    for (const std::size_t offset : {0u, 3u, 8u, 13u}) {
      Mask bits((n + offset + 7) / 8, 0);
      for (std::size_t i = 0; i < n; ++i) {
        if (mask[i] != 0)
          bits[(i + offset) / 8] |= static_cast<std::uint8_t>(1 << (i + offset) % 8);
      }
      filters.push_back(Filter::of_bits(index, bits, n, offset));
    }
    const Filter middle = Filter::of_range(index, 300, 400);
    const Filter before = Filter::of_range(index, 150, 350);
    filters.push_back(before | middle | Filter::of_range(index, 400, 600));
    filters.push_back(~(~filters[0] | ~filters[2]));
    filters.push_back(Filter::of_range(index, 100, 600) & ~Filter::of_range(index, 0, 150));
    for (const Filter& filter : filters) {
      EXPECT_EQ(filter.matches(), 450u);
      EXPECT_EQ(filter.size(), n);
      EXPECT_EQ(members(index, filter), wanted);
    }
    EXPECT_EQ(filters[1].unknown(), 1u);
    EXPECT_EQ(filters[0].unknown(), 0u);
    EXPECT_EQ((~filters[0]).matches(), n - 450);
    EXPECT_EQ((filters[0] & ~filters[0]).matches(), 0u);
    EXPECT_EQ((filters[0] | ~filters[0]).matches(), n);
  }
}

TEST(Filter, OfAnyLabelsFindsThem) {
  Index index(make_params(4, 6, 30, 64), on_threads(3));
  Labels labels;
  for (std::uint64_t i = 0; i < 20000; ++i) labels.push_back(hash(1, i) >> 1);
  index.add(make_data(Shape::random, labels.size(), 4).view(), labels);
  Labels half;
  for (std::size_t i = labels.size(); i-- > 0;) {
    if (i % 2 == 0) half.push_back(labels[i]);
  }
  const Filter filter = Filter::of_labels(index, half);
  EXPECT_EQ(filter.matches(), half.size());
  EXPECT_EQ(filter.unknown(), 0u);
  EXPECT_EQ(members(index, filter), std::set<std::uint64_t>(half.begin(), half.end()));
}

// A combination knows what both have seen, and the laws of sets hold in it.
TEST(Filter, OfDifferentMomentsAreCombinedAsOfBoth) {
  Index index = make_index(300);
  const Filter old = Filter::of_range(index, 0, 100);
  index.remove(Labels{50, 299});
  index.add(make_data(Shape::random, 40, 4, 5).view());
  const Filter young = Filter::of_predicate(index, [](std::uint64_t l) { return l % 2 == 0; });
  for (const Filter& filter : {old & young, young & old, ~(~old | ~young), ~(~young | ~old)}) {
    EXPECT_EQ(filter.size(), 298u);
    EXPECT_EQ(filter.matches(), 49u);
  }
  for (const Filter& filter : {old | young, ~(~old & ~young)}) {
    EXPECT_EQ(filter.size(), 298u);
    EXPECT_EQ(filter.matches(), 99u - 49 + 149);
    EXPECT_EQ(members(index, filter).size(), filter.matches());
  }
  EXPECT_EQ((~old).matches(), 200u);
  EXPECT_EQ(members(index, ~old).size(), 199u);  // 299 has died since
}

TEST(Filter, RefusesWhatDoesNotFit) {
  Index index = make_index(100);
  const Index other = make_index(100);
  const Mask mask(99, 1);
  expect_error(ErrorCode::invalid_parameter, {"99 vectors", "100"},
               [&] { Filter::of_mask(index, mask); });
  expect_error(ErrorCode::invalid_parameter, {"101 vectors", "100"},
               [&] { Filter::of_bits(index, Mask(13), 101); });
  expect_error(ErrorCode::invalid_parameter, {"100 bits from number 5", "13 bytes"},
               [&] { Filter::of_bits(index, Mask(13), 100, 5); });
  expect_error(ErrorCode::invalid_parameter, {"[50, 101)", "[0, 100)"},
               [&] { Filter::of_range(index, 50, 101); });
  expect_error(ErrorCode::invalid_parameter, {"[60, 50)"},
               [&] { Filter::of_range(index, 60, 50); });
  const Filter filter = Filter::of_range(index, 0, 50);
  const Filter foreign = Filter::of_range(other, 0, 50);
  expect_error(ErrorCode::invalid_parameter, {"different indexes"}, [&] { filter& foreign; });
  expect_error(ErrorCode::invalid_parameter, {"different indexes"}, [&] { filter | foreign; });
  const Matrix queries = make_data(Shape::random, 3, 4);
  const auto search = [&](const SearchOptions& options) {
    return index.search(queries.view(), {5, 20}, options);
  };
  expect_error(ErrorCode::invalid_parameter, {"another index"},
               [&] { search({.filter = &foreign}); });
  expect_error(ErrorCode::invalid_parameter, {"another index"},
               [&] { return index.exact_search(queries.view(), 5, {.filter = &foreign}); });
  const std::vector<const Filter*> two = {&filter, nullptr};
  expect_error(ErrorCode::invalid_parameter, {"2 filters for 3 queries"},
               [&] { search({.filters = two}); });
  const std::vector<const Filter*> three = {&filter, nullptr, &filter};
  expect_error(ErrorCode::invalid_parameter, {"only one"},
               [&] { search({.filter = &filter, .filters = three}); });
  Filter moved = filter;
  const Filter there = std::move(moved);
  expect_error(ErrorCode::invalid_parameter, {"moved from"},
               [&] { search({.filter = &moved}); });  // NOLINT(bugprone-use-after-move)
  expect_error(ErrorCode::invalid_parameter, {"k is 65537"}, [&] {
    return index.search(queries.view(), {65537, 20}, {.filter = &filter});
  });
  Matrix bad = make_data(Shape::random, 3, 4);
  bad.row(1)[0] = bad.row(2)[1] = std::numeric_limits<float>::infinity();
  const std::vector<const Filter*> each = {nullptr, &there, &filter};
  expect_error(ErrorCode::invalid_vector, {"query 1"}, [&] {
    return index.search(bad.view(), {5, 20}, {.filters = each});
  });
  EXPECT_EQ(index.search(queries.view(), {5, 20}, {.filters = three}).counts[1], 5u);
}

// The filter is of the vectors, not of the address of the index.
TEST(Filter, OutlivesMovesAndTheIndex) {
  const Matrix queries = make_data(Shape::random, 3, 4);
  std::optional<Filter> filter;
  {
    Index index = make_index(100);
    filter = Filter::of_range(index, 10, 20);
    const Index moved = std::move(index);
    EXPECT_EQ(members(moved, *filter).size(), 10u);
  }
  EXPECT_EQ(filter->matches(), 10u);
  EXPECT_EQ((~*filter).matches(), 90u);
  const Index again = make_index(100);
  expect_error(ErrorCode::invalid_parameter, {"another index"}, [&] { members(again, *filter); });
}

// Filters that are made while vectors move, and one that lives through all of it.
TEST(Filter, MayBeMadeAndUsedAtAnyMomentOfAMove) {
  constexpr std::size_t kOthers = 2000;  // labels below are removed and come back
  const Matrix data = make_data(Shape::clustered, 3000, 8);
  const auto queries = data.slice(0, 20);
  Index index(make_params(8, 4, 16, 256), on_threads(1));
  Labels kept(data.rows - kOthers);
  std::iota(kept.begin(), kept.end(), kOthers);
  Labels others(kOthers);
  std::iota(others.begin(), others.end(), 0);
  index.add(data.slice(0, kOthers), others);
  index.add(data.slice(kOthers, kept.size()), kept);
  const Filter lasting = Filter::of_labels(index, kept);
  const SearchResult expected = index.exact_search(queries, 10, {&lasting});
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const Filter filter = Filter::of_labels(index, kept);
      EXPECT_EQ(filter.matches(), kept.size());
      const Filter too = Filter::of_predicate(index, [](std::uint64_t l) { return l >= kOthers; });
      EXPECT_EQ(too.matches(), kept.size());
      const Filter both = lasting & too;
      EXPECT_EQ(both.matches(), kept.size());
      for (const Filter* const each : {&filter, &too, &both, &lasting}) {
        EXPECT_EQ(index.exact_search(queries, 10, {each}).labels, expected.labels);
        for (const std::uint64_t label : index.search(queries, {10, 40}, {each}).labels) {
          EXPECT_GE(label, kOthers);
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (std::size_t round = 0; round < scaled(100, 10); ++round) {
    index.remove(others);
    index.flush();
    index.add(data.slice(0, kOthers), others);
  }
  done = true;
  reader.join();
  index.remove(others);
  index.flush();
  EXPECT_GT(IndexAccess::contents(index).graph.slides(), 0u);
}

TEST(Filter, AThousandServeEightThreadsBesideAWriter) {
  const std::size_t tenants = scaled(1000, 100);
  const std::size_t n = 20 * tenants;
  const Matrix data = make_data(Shape::random, n + 2000, 8);
  const auto queries = data.slice(0, 40);
  Index index(make_params(8, 6, 20, 256), on_threads(1));
  index.add(data.slice(0, n));
  std::vector<Filter> filters;
  for (std::size_t t = 0; t < tenants; ++t) {
    filters.push_back(Filter::of_predicate(
        index, [&](std::uint64_t label) { return hash(7, label) % tenants == t; }));
  }
  const auto of_batch = [&](std::size_t batch) {
    std::vector<const Filter*> each;
    for (std::size_t q = 0; q < queries.rows; ++q) {
      each.push_back(&filters[hash(batch, q) % tenants]);
    }
    return each;
  };
  const std::size_t batches = 32;
  std::vector<SearchResult> expected;
  for (std::size_t b = 0; b < batches; ++b) {
    expected.push_back(index.search(queries, {5, 20}, {.filters = of_batch(b)}));
  }
  std::atomic<std::size_t> wrong{0}, answered{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (std::size_t r = 0; r < 8; ++r) {
    readers.emplace_back([&, r] {
      for (std::size_t b = r; !done || answered < batches; ++b) {
        const SearchResult found =
            index.search(queries, {5, 20}, {.filters = of_batch(b % batches)});
        wrong += found.labels == expected[b % batches].labels ? 0 : 1;
        ++answered;
      }
    });
  }
  for (std::size_t at = 0; at < 2000; at += 100) {
    const Labels labels = {n + at, n + at + 50};
    index.add(data.slice(n + at, 100));
    index.remove(labels);  // of no filter
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GE(answered, batches);
}

// A thousand tenants take what their matches take.
TEST(Filter, HoldsFourBytesAMatchAndBitsOnlyWhereTheyAreRead) {
  Index index = make_index(60000, 8);
  constexpr std::size_t kSmall = 131072 / 8;  // vectors of 131,072 elements in all
  const auto bytes_of = [&](std::size_t count) {
    return Filter::of_range(index, 0, count).bytes();
  };
  EXPECT_LE(bytes_of(1000), 4 * 1000 + 400);
  EXPECT_LE(bytes_of(kSmall), 4 * kSmall + 400);
  EXPECT_GE(bytes_of(kSmall + 1), 4 * kSmall + 60000 / 8);
  EXPECT_LE(bytes_of(60000), 4 * 60000 + 60000 / 8 + 400);
  index.remove(Labels{1, 2, 3});
  EXPECT_LE(bytes_of(1000), 4 * 1000 + 400);
}

TEST(Filter, APredicateIsCalledOnceForEachVectorAndMayUseTheIndex) {
  Index index = make_index(200);
  index.remove(Labels{3});
  std::size_t calls = 0;
  const Filter filter = Filter::of_predicate(index, [&](std::uint64_t label) {
    ++calls;
    return index.contains(label) && index.vector(label)[0] > 0;
  });
  EXPECT_EQ(calls, 199u);
  const std::size_t matches = filter.matches();
  static_cast<void>(members(index, filter));
  EXPECT_EQ(calls, 199u);
  EXPECT_GT(matches, 0u);
}

TEST(Filter, OfAnEmptyIndexMatchesNothing) {
  const Index index(make_params(4, 6, 30, 64), on_threads(1));
  const Matrix queries = make_data(Shape::random, 3, 4);
  for (const Filter& filter :
       {Filter::of_mask(index, {}), Filter::of_range(index, 0, 0),
        Filter::of_labels(index, Labels{1, 2}), ~Filter::of_range(index, 0, 0)}) {
    EXPECT_EQ(filter.matches(), 0u);
    EXPECT_EQ(index.search(queries.view(), {5, 20}, {.filter = &filter}).counts,
              std::vector<std::uint32_t>(3, 0));
  }
}

}  // namespace
}  // namespace concord::test
