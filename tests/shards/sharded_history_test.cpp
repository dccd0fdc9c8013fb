// Random lives of a ShardedIndex beside a model that keeps the living vectors: what it holds, what
// each shard is to the last byte, and what every kind of exact search finds.

#include <limits>
#include <map>
#include <set>

#include "tests/shards/sharded_model.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 3;

IndexParams small() { return make_params(kDimension, 3, 12, 8); }

/// Distances from a query to the rows of whole_row are exact, and equal to rows that are equal
/// alone: 1 a + 9 b + 101 c is no multiple of 256 unless a, b, c in [-4, 4] are 0. So results that
/// tie are copies, and in order of insertion.
void place_apart(float* query) {
  constexpr float kOffsets[kDimension] = {1.0F / 256, 9.0F / 256, 101.0F / 256};
  for (std::uint32_t j = 0; j < kDimension; ++j) query[j] += kOffsets[j];
}

Matrix queries_of(std::uint64_t seed, std::size_t n) {
  Matrix queries(n, kDimension);
  for (std::size_t q = 0; q < n; ++q) {
    const auto row = whole_row(kDimension, seed, q);
    std::copy(row.begin(), row.end(), queries.row(q));
    place_apart(queries.row(q));
  }
  return queries;
}

using Founds = std::vector<ShardedModel::Found>;

void expect_row(const SearchResult& result, std::size_t q, const Founds& expected) {
  const std::size_t n = std::min<std::size_t>(result.k, expected.size());
  ASSERT_EQ(result.counts[q], n);
  for (std::size_t j = 0; j < result.k; ++j) {
    const bool is_padding = j >= n;
    ASSERT_EQ(result.labels[q * result.k + j], is_padding ? kNoLabel : expected[j].label) << j;
    ASSERT_EQ(result.distances[q * result.k + j],
              is_padding ? std::numeric_limits<float>::infinity() : expected[j].distance);
  }
}

/// A filter of a third of the labels, made in one of the ways that there are.
Filter some_filter(const ShardedIndex& index, std::uint64_t seed, std::set<std::uint64_t>& match) {
  const std::vector<std::uint64_t> labels = index.labels();
  std::vector<std::uint8_t> mask(labels.size());
  std::vector<std::uint8_t> bits(labels.size() / 8 + 2);
  std::vector<std::uint64_t> matching;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    mask[i] = hash(seed, labels[i]) % 3 == 0 ? 1 : 0;
    if (mask[i] == 0) continue;
    bits[(i + 3) / 8] |= static_cast<std::uint8_t>(1 << (i + 3) % 8);
    matching.push_back(labels[i]);
  }
  match.insert(matching.begin(), matching.end());
  switch (seed % 4) {
    case 0:
      return Filter::of_mask(index, mask);
    case 1:
      return Filter::of_bits(index, bits, labels.size(), 3);
    case 2:
      matching.push_back(std::uint64_t{1} << 60);  // has no vector
      return Filter::of_labels(index, matching);
    default:
      return Filter::of_predicate(index,
                                  [&](std::uint64_t label) { return match.contains(label); });
  }
}

void expect_searches(const ShardedIndex& index, const ShardedModel& model, std::uint64_t seed) {
  const Matrix queries = queries_of(seed, 4);
  const auto size = static_cast<std::uint32_t>(index.size());
  for (const std::uint32_t k : {1U, 7U, size + 2}) {
    const SearchResult exact = index.exact_search(queries.view(), k);
    const SearchResult wide = index.search(queries.view(), {.k = k, .ef = size + 1});
    for (std::size_t q = 0; q < queries.rows; ++q) {
      ASSERT_NO_FATAL_FAILURE(expect_row(exact, q, model.nearest(queries.row(q))));
      ASSERT_NO_FATAL_FAILURE(expect_row(wide, q, model.nearest(queries.row(q))));
    }
  }
}

void expect_filtered_searches(const ShardedIndex& index, const ShardedModel& model,
                              std::uint64_t seed) {
  const Matrix queries = queries_of(seed + 1, 3);
  const auto size = static_cast<std::uint32_t>(index.size());
  std::set<std::uint64_t> match;
  const Filter filter = some_filter(index, seed, match);
  ASSERT_EQ(filter.matches(), match.size());
  ASSERT_EQ(filter.size(), size);
  const auto is_match = [&](std::uint64_t label) { return match.contains(label); };
  const SearchOptions all{.filter = &filter};
  const Filter none_of = ~filter;
  const std::vector<const Filter*> each = {&filter, nullptr, &none_of};
  const SearchParams wide{.k = 9, .ef = size + 1};
  const SearchResult found = index.search(queries.view(), wide, all);
  const SearchResult exact = index.exact_search(queries.view(), 9, all);
  const SearchResult own = index.search(queries.view(), wide, {.filters = each});
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const float* const query = queries.row(q);
    ASSERT_NO_FATAL_FAILURE(expect_row(found, q, model.nearest(query, is_match)));
    ASSERT_NO_FATAL_FAILURE(expect_row(exact, q, model.nearest(query, is_match)));
    const auto of_own = [&](std::uint64_t label) { return q == 1 || (q == 0) == is_match(label); };
    ASSERT_NO_FATAL_FAILURE(expect_row(own, q, model.nearest(query, of_own)));
  }
  EXPECT_EQ((filter & none_of).matches(), 0U);
  EXPECT_EQ((filter | none_of).matches(), size);
  const auto window = Filter::of_range(index, size / 4, size / 2);
  const std::vector<std::uint64_t> labels = index.labels();
  const std::set<std::uint64_t> in_window(labels.begin() + size / 4, labels.begin() + size / 2);
  const SearchResult windowed = index.search(queries.view(), wide, {.filter = &window});
  ASSERT_NO_FATAL_FAILURE(
      expect_row(windowed, 0, model.nearest(queries.row(0), [&](std::uint64_t label) {
        return in_window.contains(label);
      })));
}

void expect_ranges(const ShardedIndex& index, const ShardedModel& model, std::uint64_t seed) {
  const Matrix queries = queries_of(seed + 2, 11);
  const auto ef = static_cast<std::uint32_t>(index.size() + 1);
  std::set<std::uint64_t> match;
  const Filter filter = some_filter(index, seed + 1, match);
  for (const float radius : {0.0F, 3.0F, 9.0F, std::numeric_limits<float>::infinity()}) {
    for (const bool is_filtered : {false, true}) {
      for (const std::optional<std::uint32_t> limit : {std::optional<std::uint32_t>(), {4}}) {
        SearchOptions options;
        if (is_filtered) options.filter = &filter;
        const RangeResult found =
            index.range_search(queries.view(), radius, {.ef = ef, .limit = limit}, options);
        ASSERT_EQ(found.lims.size(), queries.rows + 1);
        for (std::size_t q = 0; q < queries.rows; ++q) {
          Founds expected = model.nearest(queries.row(q), [&](std::uint64_t label) {
            return !is_filtered || match.contains(label);
          });
          std::erase_if(expected, [&](const auto& one) { return one.distance > radius; });
          if (limit) expected.resize(std::min<std::size_t>(*limit, expected.size()));
          ASSERT_EQ(found.lims[q + 1] - found.lims[q], expected.size());
          for (std::size_t j = 0; j < expected.size(); ++j) {
            ASSERT_EQ(found.labels[found.lims[q] + j], expected[j].label);
            ASSERT_EQ(found.distances[found.lims[q] + j], expected[j].distance);
          }
        }
      }
    }
  }
}

void expect_pages(const ShardedIndex& index, const ShardedModel& model, std::uint64_t seed) {
  const Matrix queries = queries_of(seed + 3, 1);
  std::set<std::uint64_t> match;
  const Filter filter = some_filter(index, seed + 2, match);
  const Founds expected =
      model.nearest(queries.row(0), [&](std::uint64_t label) { return match.contains(label); });
  Cursor cursor =
      index.cursor({queries.row(0), kDimension},
                   {.ef = static_cast<std::uint32_t>(index.size() + 1)}, {.filter = &filter});
  std::size_t given = 0;
  for (std::uint32_t k = 1;; k = 1 + (k * 5 + 2) % 9) {
    const SearchResult page = cursor.next(k);
    const std::size_t left = expected.size() - given;
    ASSERT_NO_FATAL_FAILURE(expect_row(
        page, 0, Founds(expected.begin() + static_cast<std::ptrdiff_t>(given), expected.end())));
    given += std::min<std::size_t>(k, left);
    ASSERT_EQ(cursor.given(), given);
    if (page.counts[0] < k) break;
  }
  EXPECT_EQ(given, expected.size());
}

void expect_groups(const ShardedIndex& index, const ShardedModel& model, std::uint64_t seed) {
  const Matrix queries = queries_of(seed + 4, 5);
  const std::vector<std::uint64_t> labels = index.labels();
  std::vector<std::uint64_t> keys;
  std::map<std::uint64_t, std::uint64_t> key_of;
  for (const std::uint64_t label : labels) {
    keys.push_back(hash(seed, label) % (labels.size() / 4 + 2) * 1000);
    key_of[label] = keys.back();
  }
  const Groups groups = Groups::of_keys(index, keys);
  EXPECT_EQ(groups.size(), labels.size());
  EXPECT_EQ(groups.count(), std::set<std::uint64_t>(keys.begin(), keys.end()).size());
  std::set<std::uint64_t> match;
  const Filter filter = some_filter(index, seed + 3, match);
  for (const std::uint32_t hits : {1U, 3U}) {
    for (const bool is_filtered : {false, true}) {
      SearchOptions options{.groups = &groups, .group_hits = hits};
      if (is_filtered) options.filter = &filter;
      const std::uint32_t k = 5;
      const SearchResult exact = index.exact_search(queries.view(), k, options);
      const SearchResult wide = index.search(
          queries.view(), {.k = k, .ef = static_cast<std::uint32_t>(index.size() + 1)}, options);
      for (std::size_t q = 0; q < queries.rows; ++q) {
        std::map<std::uint64_t, std::uint32_t> taken;
        Founds expected;
        for (const auto& one : model.nearest(queries.row(q), [&](std::uint64_t label) {
               return !is_filtered || match.contains(label);
             })) {
          const std::uint64_t key = key_of.at(one.label);
          if (!taken.contains(key) && taken.size() == k) continue;
          if (taken[key]++ < hits) expected.push_back(one);
        }
        ASSERT_NO_FATAL_FAILURE(expect_row(exact, q, expected));
        ASSERT_NO_FATAL_FAILURE(expect_row(wide, q, expected));
      }
    }
  }
}

void expect_explanations(const ShardedIndex& index, const ShardedModel& model, std::uint64_t seed) {
  const Matrix query = queries_of(seed + 5, 1);
  const Founds all = model.nearest(query.row(0));
  for (std::size_t rank = 1; rank <= all.size(); rank += 1 + all.size() / 5) {
    const Explanation why = index.explain(query.view(), all[rank - 1].label, 6);
    ASSERT_EQ(why.rank, rank);
    ASSERT_EQ(why.distance, all[rank - 1].distance);
    ASSERT_EQ(why.reason == Explanation::Reason::farther, rank > 6);
    if (rank > 6) continue;
    ASSERT_GT(why.ef, 0U);
    const SearchResult found = index.search(query.view(), {.k = 6, .ef = why.ef});
    EXPECT_EQ(std::ranges::count(found.labels, all[rank - 1].label), 1) << why.text();
  }
}

TEST(ShardedHistory, HoldsAndFindsWhatTheModelSays) {
  const std::size_t lives = scaled(24, 6);
  for (std::uint64_t seed = 1; seed <= lives; ++seed) {
    const ShardParams shards{static_cast<std::uint32_t>(1 + seed % 5),
                             static_cast<std::uint32_t>(1 + seed % 3 * 3)};
    ShardedIndex index(small(), shards, {on_cpu(static_cast<unsigned>(1 + seed % 3)), {}});
    ShardedModel model(small(), shards);
    std::uint64_t next_label = 0;
    for (std::uint64_t step = 0; step < 40; ++step) {
      SCOPED_TRACE(testing::Message() << "life " << seed << ", step " << step);
      RandomChange(seed, step, kDimension).apply(index, model, next_label);
      ASSERT_FALSE(testing::Test::HasFailure());
      if (step % 8 != 7) continue;
      ASSERT_NO_FATAL_FAILURE(model.expect_equal(index));
      expect_sound(index.audit());
      const std::uint64_t look = hash(seed, step, 9);
      ASSERT_NO_FATAL_FAILURE(expect_searches(index, model, look));
      ASSERT_NO_FATAL_FAILURE(expect_filtered_searches(index, model, look));
      ASSERT_NO_FATAL_FAILURE(expect_ranges(index, model, look));
      ASSERT_NO_FATAL_FAILURE(expect_pages(index, model, look));
      ASSERT_NO_FATAL_FAILURE(expect_groups(index, model, look));
      ASSERT_NO_FATAL_FAILURE(expect_explanations(index, model, look));
    }
  }
}

// Also where the memory of removed vectors is given back, which renumbers the others.
TEST(ShardedHistory, SurvivesThatMemoryIsGivenBack) {
  const ShardParams shards{3, 2};
  ShardedIndex index(small(), shards, {on_cpu(2), {}});
  ShardedModel model(small(), shards);
  std::vector<std::uint64_t> labels;
  Matrix rows(400, kDimension);
  for (std::uint64_t i = 0; i < rows.rows; ++i) {
    const auto row = whole_row(kDimension, 77, i);
    std::copy(row.begin(), row.end(), rows.row(i));
    labels.push_back(i);
    model.add(row, i);
  }
  index.add(rows.view(), labels);
  Matrix query(1, kDimension);
  std::copy_n(rows.row(9), kDimension, query.row(0));
  place_apart(query.row(0));
  const Filter filter =
      Filter::of_predicate(index, [](std::uint64_t label) { return label % 5 == 0; });
  std::vector<std::uint64_t> keys;
  for (const std::uint64_t label : index.labels()) keys.push_back(label % 50);
  const Groups groups = Groups::of_keys(index, keys);
  Cursor cursor = index.cursor({query.row(0), kDimension}, {.ef = 500});
  const SearchResult first = cursor.next(20);
  const std::uint64_t before = index.memory().vectors;
  std::vector<std::uint64_t> gone;
  for (std::uint64_t i = 0; i < rows.rows; ++i) {
    if (i % 3 != 0) gone.push_back(i);
  }
  index.remove(gone);
  index.flush();
  for (const std::uint64_t label : gone) model.remove(label);
  model.flush();
  EXPECT_LT(index.memory().vectors, before + 1);
  ASSERT_NO_FATAL_FAILURE(model.expect_equal(index));
  const auto is_match = [](std::uint64_t label) { return label % 5 == 0; };
  const SearchResult found = index.search(query.view(), {.k = 30, .ef = 500}, {.filter = &filter});
  ASSERT_NO_FATAL_FAILURE(expect_row(found, 0, model.nearest(query.row(0), is_match)));
  const SearchResult grouped =
      index.exact_search(query.view(), 4, {.groups = &groups, .group_hits = 2});
  std::map<std::uint64_t, std::uint32_t> taken;
  Founds expected;
  for (const auto& one : model.nearest(query.row(0))) {
    if (!taken.contains(one.label % 50) && taken.size() == 4) continue;
    if (taken[one.label % 50]++ < 2) expected.push_back(one);
  }
  ASSERT_NO_FATAL_FAILURE(expect_row(grouped, 0, expected));
  // What was given before and what comes now: all that live, each once.
  std::set<std::uint64_t> given(first.labels.begin(), first.labels.end());
  for (;;) {
    const SearchResult page = cursor.next(15);
    for (std::uint32_t j = 0; j < page.counts[0]; ++j) {
      ASSERT_TRUE(index.contains(page.labels[j]));
      ASSERT_TRUE(given.insert(page.labels[j]).second) << page.labels[j];
    }
    if (page.counts[0] < 15) break;
  }
  for (const std::uint64_t label : index.labels()) EXPECT_TRUE(given.contains(label)) << label;
}

// A page at any ef: the nearest of what the larger search finds, less what was given.
TEST(ShardedHistory, PagesAreThePrefixOfTheLargerSearch) {
  const Matrix data = make_data(Shape::clustered, scaled(2000, 400), 6);
  ShardedIndex index(make_params(6, 4, 20, 64), {4, 1}, {on_cpu(2), {}});
  index.add(data.view());
  for (std::size_t q = 0; q < 20; ++q) {
    const Matrix query = make_data(Shape::clustered, 1, 6, 50 + q);
    Cursor cursor = index.cursor({query.row(0), 6}, {.ef = 12});
    std::set<std::uint64_t> given;
    for (std::uint32_t k = 0, page_of = 5; k < 60; page_of += 3) {
      const SearchResult page = cursor.next(page_of);
      const SearchResult larger =
          index.search(query.view(), {.k = k + page_of, .ef = 12 + k + page_of});
      std::vector<std::uint64_t> expected;
      for (const std::uint64_t label : larger.labels) {
        if (!given.contains(label) && expected.size() < page_of) expected.push_back(label);
      }
      // A vector that the larger search meets late pushes others behind its end.
      const std::vector<std::uint64_t> start(
          page.labels.begin(), page.labels.begin() + static_cast<std::ptrdiff_t>(expected.size()));
      ASSERT_EQ(start, expected) << "query " << q << " behind " << k;
      given.insert(page.labels.begin(), page.labels.end());
      k += page_of;
    }
  }
}

TEST(ShardedHistory, TheSplitOfCallsAndTheThreadsChangeNoBit) {
  const ShardParams shards{3, 2};
  std::vector<std::string> digests;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{200}}) {
    ShardedIndex index(small(), shards, {on_cpu(piece == 7 ? 4 : 1), {}});
    const Matrix rows = queries_of(5, 200);
    std::vector<std::uint64_t> labels;
    for (std::uint64_t i = 0; i < 200; ++i) labels.push_back(i * 7919 % 200);
    const auto in_pieces = [&](const auto& change) {
      for (std::size_t i = 0; i < 200; i += piece) change(i, std::min(piece, 200 - i));
    };
    const std::span<const std::uint64_t> all(labels);
    in_pieces(
        [&](std::size_t i, std::size_t n) { index.add(rows.slice(i, n), all.subspan(i, n)); });
    in_pieces([&](std::size_t i, std::size_t n) {
      if (i < 100) index.remove(all.subspan(i, std::min(n, 100 - i)));
    });
    in_pieces(
        [&](std::size_t i, std::size_t n) { index.upsert(rows.slice(i, n), all.subspan(i, n)); });
    in_pieces(
        [&](std::size_t i, std::size_t n) { index.update(rows.slice(i, n), all.subspan(i, n)); });
    digests.push_back(index.digest());
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[0], digests[2]);
}

}  // namespace
}  // namespace concord::test
