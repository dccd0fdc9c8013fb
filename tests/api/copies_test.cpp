// Copies of a vector: all of them are found, in every way of searching, however the index came to
// be, and the vectors beside them as well.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concord/cursor.hpp>
#include <concord/filter.hpp>
#include <concord/groups.hpp>
#include <concord/index.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 3;
using Labels = std::vector<std::uint64_t>;
using Vector = std::vector<float>;

IndexParams params(std::uint32_t epoch_limit) {
  return make_params(kDimension, 4, 40, epoch_limit);
}

/// One of few vectors, or one of many.
Vector drawn(std::uint64_t seed, std::uint64_t i) {
  const std::uint64_t kind = hash(seed, i) % 4;
  Vector vector(kDimension);
  for (std::uint32_t e = 0; e < kDimension; ++e) {
    const std::uint64_t number = hash(seed + 1, i, e);
    vector[e] = static_cast<float>(kind == 0 ? number % 1000 : number % 2);
  }
  return vector;
}

float distance(const Vector& a, const float* b) {
  float sum = 0;
  for (std::uint32_t e = 0; e < kDimension; ++e) sum += (a[e] - b[e]) * (a[e] - b[e]);
  return sum;
}

/// What an index must hold, and what its searches must find.
class Model {
 public:
  std::map<std::uint64_t, Vector> vectors;

  /// Distances of the `k` nearest whose label `is_match` lets match.
  template <class IsMatch>
  [[nodiscard]] std::vector<float> nearest(const float* query, std::size_t k,
                                           const IsMatch& is_match) const {
    std::vector<float> distances;
    for (const auto& [label, vector] : vectors) {
      if (is_match(label)) distances.push_back(distance(vector, query));
    }
    std::sort(distances.begin(), distances.end());
    distances.resize(std::min(k, distances.size()));
    return distances;
  }
  /// Found labels are different ones, match, and have these distances, which are the nearest.
  template <class IsMatch>
  void expect(const float* query, std::span<const std::uint64_t> labels,
              std::span<const float> distances, std::size_t k, const IsMatch& is_match) const {
    const std::vector<float> wanted = nearest(query, k, is_match);
    ASSERT_EQ(labels.size(), wanted.size());
    ASSERT_EQ(std::set<std::uint64_t>(labels.begin(), labels.end()).size(), labels.size());
    for (std::size_t j = 0; j < labels.size(); ++j) {
      ASSERT_EQ(distances[j], wanted[j]);
      const auto found = vectors.find(labels[j]);
      ASSERT_NE(found, vectors.end());
      ASSERT_TRUE(is_match(labels[j]));
      ASSERT_EQ(distance(found->second, query), distances[j]);
    }
  }
};

constexpr auto kAll = [](std::uint64_t) { return true; };

template <class Use>
void for_each_row(const SearchResult& result, const Use& use) {
  for (std::size_t q = 0; q < result.counts.size(); ++q) {
    const std::size_t first = q * result.k;
    use(q, std::span(result.labels).subspan(first, result.counts[q]),
        std::span(result.distances).subspan(first, result.counts[q]));
  }
}

/// All ways of searching, with an ef of the whole index.
void expect_all_found(const Index& index, const Model& model, std::uint64_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ", size " << model.vectors.size());
  ASSERT_EQ(index.size(), model.vectors.size());
  expect_sound(index.audit());
  Labels labels = index.labels();
  std::sort(labels.begin(), labels.end());
  ASSERT_TRUE(std::equal(labels.begin(), labels.end(), model.vectors.begin(), model.vectors.end(),
                         [](std::uint64_t a, const auto& b) { return a == b.first; }));
  Matrix queries(4, kDimension);
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const Vector vector = drawn(seed, 1000 + q);
    std::copy(vector.begin(), vector.end(), queries.row(q));
  }
  const auto n = static_cast<std::uint32_t>(model.vectors.size());
  for (const std::uint32_t k : {1u, 7u, n + 3}) {
    SCOPED_TRACE(k);
    const SearchParams whole{.k = k, .ef = std::max(k, n)};
    const SearchResult exact = index.exact_search(queries.view(), k);
    const SearchResult found = index.search(queries.view(), whole);
    ASSERT_EQ(exact.labels, found.labels);
    ASSERT_EQ(exact.distances, found.distances);
    for_each_row(exact, [&](std::size_t q, auto of_labels, auto of_distances) {
      model.expect(queries.row(q), of_labels, of_distances, k, kAll);
    });

    const std::uint64_t modulus = 2 + hash(seed, k) % 3;
    const auto is_match = [&](std::uint64_t label) { return label % modulus == 0; };
    const Filter filter = Filter::of_predicate(index, is_match);
    for (const bool is_exact : {false, true}) {
      const SearchResult filtered = is_exact
                                        ? index.exact_search(queries.view(), k, {.filter = &filter})
                                        : index.search(queries.view(), whole, {.filter = &filter});
      for_each_row(filtered, [&](std::size_t q, auto of_labels, auto of_distances) {
        model.expect(queries.row(q), of_labels, of_distances, k, is_match);
      });
    }

    for (const Filter* const among : {static_cast<const Filter*>(nullptr), &filter}) {
      const auto may = [&](std::uint64_t label) { return among == nullptr || is_match(label); };
      for (std::size_t q = 0; q < queries.rows; ++q) {
        // Pages of two are the prefix of one search.
        Cursor cursor = index.cursor({queries.row(q), kDimension}, whole, {.filter = among});
        Labels paged;
        std::vector<float> distances;
        while (paged.size() < k) {
          const SearchResult page = cursor.next(2);
          paged.insert(paged.end(), page.labels.begin(), page.labels.begin() + page.counts[0]);
          distances.insert(distances.end(), page.distances.begin(),
                           page.distances.begin() + page.counts[0]);
          if (page.counts[0] < 2) break;
        }
        const std::size_t all = model.nearest(queries.row(q), paged.size(), may).size();
        ASSERT_EQ(paged.size(), all);
        model.expect(queries.row(q), paged, distances, paged.size(), may);

        const float radius = distances.empty() ? 1.0f : distances[distances.size() / 2];
        const RangeResult range = index.range_search(queries.view().rows_from(q, 1), radius,
                                                     {.ef = std::max(n, 1u)}, {.filter = among});
        std::size_t within = 0;
        for (const auto& [label, vector] : model.vectors) {
          within += may(label) && distance(vector, queries.row(q)) <= radius ? 1 : 0;
        }
        ASSERT_EQ(range.labels.size(), within);
        model.expect(queries.row(q), range.labels, range.distances, within, may);
      }
    }
  }

  const Labels in_order = index.labels();
  Labels keys(in_order.size());
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = in_order[i] % 5;
  const Groups groups = Groups::of_keys(index, keys);
  for (const bool is_exact : {false, true}) {
    const SearchOptions options{.groups = &groups, .group_hits = 2};
    const SearchResult found = is_exact
                                   ? index.exact_search(queries.view(), 3, options)
                                   : index.search(queries.view(), {.k = 3, .ef = n + 3}, options);
    for_each_row(found, [&](std::size_t q, auto of_labels, auto of_distances) {
      std::map<std::uint64_t, std::vector<float>> nearest;
      for (const auto& [label, vector] : model.vectors) {
        nearest[label % 5].push_back(distance(vector, queries.row(q)));
      }
      std::map<std::uint64_t, std::vector<float>> hits;
      for (std::size_t j = 0; j < of_labels.size(); ++j) {
        ASSERT_TRUE(j == 0 || of_distances[j - 1] <= of_distances[j]);
        hits[of_labels[j] % 5].push_back(of_distances[j]);
      }
      ASSERT_EQ(hits.size(), std::min<std::size_t>(3, nearest.size()));
      for (auto& [group, distances] : hits) {
        std::vector<float>& wanted = nearest[group];
        std::sort(wanted.begin(), wanted.end());
        wanted.resize(std::min<std::size_t>(2, wanted.size()));
        ASSERT_EQ(distances, wanted);
      }
    });
  }
}

Index restored(const Index& index, unsigned threads) {
  std::vector<std::byte> bytes;
  index.write([&](std::span<const std::byte> some, std::uint64_t) {
    bytes.insert(bytes.end(), some.begin(), some.end());
  });
  return Index::from_bytes(bytes, on_threads(threads));
}

/// The same history in three indexes: whole calls on two threads; a vector a call; and one that is
/// saved and loaded now and then.
class History {
 public:
  History(std::uint64_t seed, std::uint32_t epoch_limit)
      : seed_(seed),
        whole_(params(epoch_limit), on_threads(2)),
        split_(params(epoch_limit), on_threads(1)),
        saved_(params(epoch_limit), on_threads(1)) {}

  void step(std::uint64_t i) {
    const std::uint64_t kind = draw(10);
    if (kind < 4) {
      put(
          draw(12), [](Index& index, auto rows, auto labels) { index.add(rows, labels); }, true);
    } else if (kind < 6) {
      put(
          draw(6), [](Index& index, auto rows, auto labels) { index.upsert(rows, labels); }, false);
    } else if (kind < 8) {
      remove(draw(6));
    } else if (kind < 9) {
      for (Index* const index : all()) index->flush();
    }
    if (i % 7 == 3) saved_ = restored(saved_, 2);
    ASSERT_EQ(whole_.digest(), split_.digest()) << "seed " << seed_ << ", step " << i;
    ASSERT_EQ(whole_.digest(), saved_.digest()) << "seed " << seed_ << ", step " << i;
  }
  void expect_all_found() {
    for (Index* const index : all()) test::expect_all_found(*index, model_, draws_);
  }
  [[nodiscard]] std::uint64_t copies() const { return whole_.stats().copies; }

 private:
  std::uint64_t draw(std::uint64_t below) { return hash(seed_, ++draws_) % below; }
  std::array<Index*, 3> all() { return {&whole_, &split_, &saved_}; }

  template <class Put>
  void put(std::size_t count, const Put& put, bool are_new) {
    Matrix rows(count, kDimension);
    Labels labels;
    std::set<std::uint64_t> used;
    for (std::size_t r = 0; r < count; ++r) {
      std::uint64_t label = next_label_++;
      if (!are_new && !model_.vectors.empty()) {
        const auto at = std::next(model_.vectors.begin(),
                                  static_cast<std::ptrdiff_t>(draw(model_.vectors.size())));
        if (!used.contains(at->first)) label = at->first;
      }
      used.insert(label);
      labels.push_back(label);
      Vector vector = drawn(seed_, ++draws_);
      // Now and then with what it has already.
      const auto old = model_.vectors.find(label);
      if (old != model_.vectors.end() && draw(4) == 0) vector = old->second;
      std::copy(vector.begin(), vector.end(), rows.row(r));
    }
    for (std::size_t r = 0; r < count; ++r) {
      model_.vectors[labels[r]].assign(rows.row(r), rows.row(r) + kDimension);
    }
    put(whole_, rows.view(), std::span<const std::uint64_t>(labels));
    put(saved_, rows.view(), std::span<const std::uint64_t>(labels));
    for (std::size_t r = 0; r < count; ++r) {
      put(split_, rows.slice(r, 1), std::span<const std::uint64_t>(labels).subspan(r, 1));
    }
  }
  void remove(std::size_t count) {
    Labels labels;
    for (; count > 0 && !model_.vectors.empty(); --count) {
      const auto at = std::next(model_.vectors.begin(),
                                static_cast<std::ptrdiff_t>(draw(model_.vectors.size())));
      labels.push_back(at->first);
      model_.vectors.erase(at);
    }
    whole_.remove(labels);
    saved_.remove(labels);
    for (const std::uint64_t label : labels) split_.remove(std::span(&label, 1));
  }

  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
  std::uint64_t next_label_ = 100;
  Model model_;
  Index whole_, split_, saved_;
};

TEST(Copies, AreFoundInEveryWayAfterAnyHistory) {
  std::uint64_t most = 0;
  for (std::uint64_t seed = 1; seed <= scaled(24, 4); ++seed) {
    History history(seed, seed % 3 == 0 ? 1 : seed % 3 == 1 ? 16 : 1024);
    for (std::uint64_t i = 0; i < 60; ++i) {
      history.step(i);
      if (testing::Test::HasFatalFailure()) return;
      if (i % 6 == 5) history.expect_all_found();
      if (testing::Test::HasFatalFailure()) return;
      most = std::max(most, history.copies());
    }
  }
  EXPECT_GT(most, 20u);
}

// A node whose vector does not match is no match any more when the copies that did are gone.
TEST(Copies, ThatMatchedAndDiedLeaveNoMatch) {
  Matrix data(4, 2);
  std::fill_n(data.row(2), 2, 5.0f);
  std::fill_n(data.row(3), 2, 9.0f);
  for (const bool flushed : {false, true}) {
    Index index(make_params(2, 4, 20, 64), on_threads(1));
    index.add(data.view());
    const Filter filter =
        Filter::of_predicate(index, [](std::uint64_t label) { return label == 1 || label == 2; });
    index.remove(Labels{1});
    if (flushed) index.flush();
    const SearchOptions options{.filter = &filter};
    for (const SearchResult& found : {index.search(data.slice(0, 1), {.k = 2, .ef = 16}, options),
                                      index.exact_search(data.slice(0, 1), 2, options)}) {
      EXPECT_EQ(found.counts[0], 1u);
      EXPECT_EQ(found.labels[0], 2u);
    }
    Cursor cursor = index.cursor({data.row(0), 2}, {.k = 2, .ef = 16}, options);
    const SearchResult page = cursor.next(2);
    EXPECT_EQ(page.counts[0], 1u);
    EXPECT_EQ(page.labels[0], 2u);
  }
}

// A search that has found a node finds another in its place if all that it stands for is removed
// meanwhile.
TEST(Copies, OfWhichAllAreRemovedBesideASearchLeaveNoGap) {
  Matrix far = make_data(Shape::random, 1500, 8);
  for (float& value : far.values) value += 100;
  Index index(make_params(8, 4, 40, 64), on_threads(1));
  index.add(far.view());
  const Matrix near(3, 8);
  std::vector<std::uint8_t> mask(1503, 1);
  mask[1499] = 0;
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::mutex mutex;  // of `shown`: ThreadSanitizer does not see the lock in an atomic pointer
                     // (google/sanitizers, 1558)
  std::shared_ptr<const Filter> shown;
  std::thread reader([&] {
    while (!done) {
      const std::shared_ptr<const Filter> filter = [&] {
        const std::scoped_lock lock(mutex);
        return shown;
      }();
      if (!filter) continue;
      const SearchOptions options{.filter = filter.get()};
      for (const SearchResult& found : {index.search(near.slice(0, 1), {.k = 1, .ef = 16}, options),
                                        index.exact_search(near.slice(0, 1), 1, options),
                                        index.search(near.slice(0, 1), {.k = 1, .ef = 16}),
                                        index.exact_search(near.slice(0, 1), 1)}) {
        if (found.counts[0] != 1) ++wrong;
      }
    }
  });
  for (std::uint64_t round = 0; round < scaled(400, 40); ++round) {
    const Labels labels = {10000 + 3 * round, 10001 + 3 * round, 10002 + 3 * round};
    index.add(near.view(), labels);
    {
      const std::scoped_lock lock(mutex);
      shown = std::make_shared<const Filter>(Filter::of_mask(index, mask));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(hash(1, round) % 300));
    index.remove(labels);
    if (round % 50 == 49) index.flush();
  }
  done = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
}

// In one call and one epoch: each death asks what of the node lives, and all of that must not take
// the square of the copies.
TEST(Copies, ManyAreReplacedAndRemovedInOneCall) {
  const std::size_t n = scaled(60000, 3000);
  Matrix equal(n, 4);
  Matrix others = make_data(Shape::random, n, 4);
  Labels labels(n);
  std::iota(labels.begin(), labels.end(), 0u);
  Index index(make_params(4, 4, 10, 65536), on_threads(2));
  index.add(equal.view());
  EXPECT_EQ(index.stats().copies, n - 1);
  std::fill(equal.values.begin(), equal.values.end(), 1.0f);
  index.update(equal.view(), labels);
  EXPECT_EQ(index.stats().copies, n - 1);
  index.remove(std::span(labels).first(n - 1));
  EXPECT_EQ(index.size(), 1u);
  EXPECT_EQ(index.search(equal.slice(0, 1), {.k = 2, .ef = 8}).labels[0], n - 1);
  expect_sound(index.audit());
  index.flush();
  index.update(others.slice(0, 1), Labels{n - 1});
  EXPECT_EQ(index.stats().copies, 0u);
}

// More rows in one call than are hashed at once, with copies of each piece in every other.
TEST(Copies, OfOneCallAreFoundHoweverLongItIs) {
  constexpr std::size_t kDistinct = 2000;
  const Matrix distinct = make_data(Shape::random, kDistinct, 2);
  Matrix data(140000, 2);
  std::set<Vector> vectors;
  for (std::size_t r = 0; r < data.rows; ++r) {
    std::copy_n(distinct.row(hash(3, r) % kDistinct), 2, data.row(r));
    vectors.insert(Vector(data.row(r), data.row(r) + 2));
  }
  Index index(make_params(2, 2, 4, 1024), on_threads(2));
  index.add(data.view());
  EXPECT_EQ(index.stats().copies, data.rows - vectors.size());
}

TEST(Copies, OneAmongFiveThousandEqualIsFound) {
  Matrix data(5001, 16);
  for (std::size_t r = 0; r < data.rows; ++r) std::fill_n(data.row(r), 16, r == 2500 ? 2.0f : 1.0f);
  const Index index = index_of(data, 16);
  EXPECT_EQ(index.stats().copies, 4999u);
  const SearchResult found = index.search(data.slice(2500, 1), {.k = 1, .ef = 64});
  EXPECT_EQ(found.labels[0], 2500u);
  const SearchResult all = index.search(data.slice(0, 1), {.k = 5001, .ef = 5001});
  EXPECT_EQ(all.counts[0], 5001u);
  Labels labels = all.labels;
  EXPECT_EQ(labels.back(), 2500u);
  labels.pop_back();
  EXPECT_TRUE(std::is_sorted(labels.begin(), labels.end())) << "copies in order of insertion";
}

TEST(Copies, TakeNoPlaceFromOtherVectors) {
  constexpr std::size_t kDistinct = 200;
  for (const std::size_t times : {2u, 10u, 100u}) {
    const Matrix distinct = make_data(Shape::random, kDistinct, 8);
    Matrix data(kDistinct * times, 8);
    for (std::size_t r = 0; r < data.rows; ++r) {
      std::copy_n(distinct.row(hash(7, r) % kDistinct), 8, data.row(r));
    }
    const Index with = index_of(data, 8);
    // A search finds as many as it would without copies, and all copies of each.
    std::map<Vector, std::size_t> count;
    for (std::size_t r = 0; r < data.rows; ++r) ++count[Vector(data.row(r), data.row(r) + 8)];
    EXPECT_EQ(with.stats().copies, data.rows - count.size());
    const auto k = static_cast<std::uint32_t>(data.rows);
    const SearchResult found = with.search(distinct.slice(0, 20), {.k = k, .ef = k});
    for (const std::uint32_t n : found.counts) EXPECT_EQ(n, k);
  }
}

// A removal may end two at once: the last copy, and its node, which had died before.
TEST(Copies, AFileOfAnyMomentOpens) {
  constexpr std::size_t kDistinct = 100;
  constexpr std::uint32_t kEpochLimit = 16;
  const TempPath file;
  const Matrix distinct = make_data(Shape::random, kDistinct, 4);
  for (const std::size_t times : {2u, 3u}) {
    Index index(make_params(4, 4, 20, kEpochLimit), on_threads(1));
    for (std::size_t t = 0; t < times; ++t) index.add(distinct.view());
    std::uint64_t label = 0;
    for (; label < 32; ++label) index.remove(Labels{label});
    index.flush();  // nothing is unlinked: copies keep all of them
    for (std::size_t t = 1; t < times; ++t) {
      for (label = t * kDistinct; label < t * kDistinct + 40; ++label) {
        index.remove(Labels{label});
        index.save(file);
        const Index loaded = Index::load(file, on_threads(1));
        ASSERT_EQ(loaded.digest(), index.digest());
        ASSERT_EQ(loaded.size(), index.size());
      }
    }
    expect_sound(index.audit());
  }
}

TEST(Copies, AreEqualAsNumbers) {
  Matrix data(4, 2);
  data.row(0)[0] = 0.0f;
  data.row(1)[0] = -0.0f;
  data.row(2)[0] = 1.5f;
  data.row(3)[0] = -0.0f;
  const Index index = index_of(data, 4);
  EXPECT_EQ(index.stats().copies, 2u);
  expect_sound(index.audit());
  expect_sound(restored(index, 1).audit());
}

TEST(Copies, OfNothingCostNothing) {
  const Matrix data = make_data(Shape::random, 1000, 32);
  const Index index = index_of(data, 8);
  EXPECT_EQ(index.stats().copies, 0u);
  // The table that finds them: 8 bytes a slot, at most three quarters of them used.
  EXPECT_LE(index.memory().nodes, 1000u * (5 + 8 * 8 / 3) + 65536);
}

}  // namespace
}  // namespace concord::test
