// Index::remove, update, upsert and flush: what is found, what is refused, and that the graph is a
// function of the sequence of operations.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concord/index.hpp>
#include <map>
#include <set>
#include <thread>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kDimension = 8;

IndexParams params(std::uint32_t M = 6, std::uint32_t epoch_limit = 64) {
  return make_params(kDimension, M, 40, epoch_limit);
}
using Labels = std::vector<std::uint64_t>;

Labels range(std::uint64_t first, std::uint64_t end, std::uint64_t step = 1) {
  Labels labels;
  for (; first < end; first += step) labels.push_back(first);
  return labels;
}

/// What an index must hold: vectors by label.
class Model {
 public:
  std::map<std::uint64_t, std::vector<float>> vectors;

  void put(std::uint64_t label, const float* row) { vectors[label].assign(row, row + kDimension); }
  void expect_equal(const Index& index) const {
    ASSERT_EQ(index.size(), vectors.size());
    Labels labels = index.labels();
    std::sort(labels.begin(), labels.end());
    ASSERT_EQ(labels.size(), vectors.size());
    std::size_t i = 0;
    for (const auto& [label, vector] : vectors) {
      ASSERT_EQ(labels[i++], label);
      ASSERT_TRUE(index.contains(label));
      ASSERT_EQ(index.vector(label), vector);
    }
  }
};

/// Every vector that lives is found by itself, by walking and by scanning, and no other is.
void expect_found(const Index& index, const Model& model) {
  Matrix queries(model.vectors.size(), kDimension);
  std::size_t q = 0;
  for (const auto& [label, vector] : model.vectors) {
    std::copy(vector.begin(), vector.end(), queries.row(q++));
  }
  const auto k = static_cast<std::uint32_t>(std::min<std::size_t>(5, model.vectors.size()));
  const SearchResult exact = index.exact_search(queries.view(), 5);
  const SearchResult found = index.search(queries.view(), {5, 64});
  for (q = 0; q < model.vectors.size(); ++q) {
    ASSERT_EQ(found.counts[q], k);
    ASSERT_EQ(exact.counts[q], k);
    ASSERT_EQ(exact.distances[q * 5], 0.0f);
    for (std::uint32_t j = 0; j < k; ++j) {
      ASSERT_TRUE(model.vectors.contains(found.labels[q * 5 + j]));
      ASSERT_TRUE(model.vectors.contains(exact.labels[q * 5 + j]));
    }
  }
}

TEST(Removal, FindsWhatIsLeftAndNothingElse) {
  for (const std::uint32_t epoch_limit : {1u, 16u, 1024u}) {
    SCOPED_TRACE(epoch_limit);
    const Matrix data = make_data(Shape::random, 600, kDimension);
    Index index(params(6, epoch_limit), on_threads(1));
    Model model;
    index.add(data.slice(0, 500));
    for (std::uint64_t label = 0; label < 500; ++label) model.put(label, data.row(label));
    const Labels gone = range(0, 500, 3);
    EXPECT_EQ(index.remove(gone), gone.size());
    for (const std::uint64_t label : gone) model.vectors.erase(label);
    model.expect_equal(index);
    expect_found(index, model);
    expect_sound(index.audit());
    index.flush();
    model.expect_equal(index);
    expect_found(index, model);
    expect_sound(index.audit());
    EXPECT_EQ(index.stats().tombstones, 0u);
    EXPECT_EQ(index.stats().removals, gone.size());

    // Labels can be used again, and those that are given count insertions.
    index.add(data.slice(500, 10), range(0, 30, 3));
    for (std::uint64_t i = 0; i < 10; ++i) model.put(3 * i, data.row(500 + i));
    index.add(data.slice(510, 5));
    for (std::uint64_t i = 0; i < 5; ++i) model.put(510 + i, data.row(510 + i));
    model.expect_equal(index);
    expect_found(index, model);
  }
}

TEST(Removal, OfEverythingLeavesAnEmptyIndexThatGrowsAgain) {
  for (const std::size_t n : {1u, 2u, 3u, 4u, 5u, 200u}) {
    SCOPED_TRACE(n);
    const Matrix data = make_data(Shape::clustered, n, kDimension);
    Index index(params(), on_threads(1));
    for (std::uint64_t round = 0; round < 3; ++round) {
      index.add(data.view());
      index.remove(range(round * n, (round + 1) * n));
      EXPECT_TRUE(index.empty());
      EXPECT_EQ(index.search(data.view(), {3, 10}).counts, std::vector<std::uint32_t>(n, 0));
      EXPECT_EQ(index.exact_search(data.view(), 3).counts, std::vector<std::uint32_t>(n, 0));
      expect_sound(index.audit());
    }
    index.add(data.view());
    EXPECT_EQ(index.search(data.view(), {1, 10}).labels, range(3 * n, 4 * n));
  }
}

TEST(Removal, RefusesWhatItCannotDoAndChangesNothing) {
  const Matrix data = make_data(Shape::random, 100, kDimension);
  Index index(params(), on_threads(1));
  index.add(data.view());
  index.remove(Labels{7});
  const std::string before = index.digest();
  expect_error(ErrorCode::unknown_label, {"label 1000", "number 1 of the call"}, [&] {
    index.remove(Labels{5, 1000});
  });
  expect_error(ErrorCode::unknown_label, {"label 7"}, [&] { index.remove(Labels{7}); });
  expect_error(ErrorCode::duplicate_label, {"label 5", "twice"}, [&] {
    index.remove(Labels{5, 6, 5});
  });
  expect_error(ErrorCode::unknown_label, {"label 7"}, [&] {
    index.update(data.slice(0, 2), Labels{5, 7});
  });
  expect_error(ErrorCode::duplicate_label, {"label 5", "twice"}, [&] {
    index.update(data.slice(0, 2), Labels{5, 5});
  });
  expect_error(ErrorCode::duplicate_label, {"label 500", "twice"}, [&] {
    index.upsert(data.slice(0, 2), Labels{500, 500});
  });
  expect_error(ErrorCode::dimension_mismatch, {"1 labels for 2 vectors"},
               [&] { index.update(data.slice(0, 2), Labels{5}); });
  expect_error(ErrorCode::invalid_parameter, {"no label"},
               [&] { index.upsert(data.slice(0, 1), Labels{kNoLabel}); });
  Matrix bad = make_data(Shape::random, 2, kDimension);
  bad.row(1)[3] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorCode::invalid_vector, {"vector 1"}, [&] {
    index.update(bad.view(), Labels{5, 6});
  });
  expect_error(ErrorCode::duplicate_label, {"label 5"},
               [&] { index.add(data.slice(0, 1), Labels{5}); });
  EXPECT_EQ(index.remove({}), 0u);
  EXPECT_EQ(index.update(data.slice(0, 0), {}), 0u);
  EXPECT_EQ(index.digest(), before);
  expect_sound(index.audit());
}

TEST(Removal, UpdatePutsTheNewVectorInThePlaceOfTheOld) {
  const Matrix data = make_data(Shape::random, 800, kDimension);
  Index index(params(), on_threads(1));
  Model model;
  index.add(data.slice(0, 300));
  for (std::uint64_t label = 0; label < 300; ++label) model.put(label, data.row(label));
  EXPECT_EQ(index.update(data.slice(300, 100), range(100, 200)), 100u);
  for (std::uint64_t i = 0; i < 100; ++i) model.put(100 + i, data.row(300 + i));
  model.expect_equal(index);
  expect_found(index, model);
  // Again, and some that are new.
  EXPECT_EQ(index.upsert(data.slice(400, 300), range(150, 450)), 300u);
  for (std::uint64_t i = 0; i < 300; ++i) model.put(150 + i, data.row(400 + i));
  model.expect_equal(index);
  expect_found(index, model);
  expect_sound(index.audit());
  index.remove(range(150, 450));
  for (std::uint64_t label = 150; label < 450; ++label) model.vectors.erase(label);
  model.expect_equal(index);
  index.flush();
  expect_found(index, model);
  expect_sound(index.audit());
}

TEST(Removal, ACancelledUpdateLeavesTheRestAsItWas) {
  const Matrix data = make_data(Shape::random, 2000, kDimension);
  Index index(params(6, 32), on_threads(1));
  index.add(data.slice(0, 1000));
  int asked = 0;
  const std::size_t done =
      index.update(data.slice(1000, 1000), range(0, 1000), [&](std::uint64_t, std::uint64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(25));  // it is asked every 20 ms
        return ++asked < 10;
      });
  ASSERT_GT(done, 0u);
  ASSERT_LT(done, 1000u);
  EXPECT_EQ(index.size(), 1000u);
  Model model;
  for (std::uint64_t i = 0; i < 1000; ++i) model.put(i, data.row(i < done ? 1000 + i : i));
  model.expect_equal(index);
  expect_sound(index.audit());
  index.update(data.slice(1000 + done, 1000 - done), range(done, 1000));
  Index at_once(params(6, 32), on_threads(1));
  at_once.add(data.slice(0, 1000));
  at_once.update(data.slice(1000, 1000), range(0, 1000));
  EXPECT_EQ(index.digest(), at_once.digest());
}

/// One history of all operations, cut into calls by a seed.
std::string digest_of_history(unsigned threads, std::uint64_t cuts, std::uint32_t epoch_limit) {
  const Matrix data = make_data(Shape::clustered, 3000, kDimension);
  Index index(params(5, epoch_limit), on_threads(threads));
  std::uint64_t drawn = 0;
  const auto in_pieces = [&](std::size_t n, const auto& call) {
    for (std::size_t i = 0; i < n;) {
      const std::size_t most = cuts == 0 ? n : 1 + hash(cuts, ++drawn) % 50;
      const std::size_t some = std::min(most, n - i);
      call(i, some);
      i += some;
    }
  };
  const auto remove = [&](const Labels& labels) {
    in_pieces(labels.size(),
              [&](std::size_t i, std::size_t n) { index.remove(std::span(labels).subspan(i, n)); });
  };
  in_pieces(1000, [&](std::size_t i, std::size_t n) { index.add(data.slice(i, n)); });
  remove(range(0, 1000, 4));
  in_pieces(500, [&](std::size_t i, std::size_t n) { index.add(data.slice(1000 + i, n)); });
  const Labels again = range(1, 1001, 4);
  in_pieces(again.size(), [&](std::size_t i, std::size_t n) {
    index.update(data.slice(1500 + i, n), std::span(again).subspan(i, n));
  });
  remove(range(1000, 1500));
  index.flush();
  const Labels mixed = range(2, 1002, 2);
  in_pieces(mixed.size(), [&](std::size_t i, std::size_t n) {
    index.upsert(data.slice(2000 + i, n), std::span(mixed).subspan(i, n));
  });
  remove(again);
  in_pieces(400, [&](std::size_t i, std::size_t n) { index.add(data.slice(2500 + i, n)); });
  expect_sound(index.audit());
  return index.digest();
}

TEST(Removal, TheGraphIsAFunctionOfTheSequenceOfOperations) {
  for (const std::uint32_t epoch_limit : {1u, 7u, 100u, 1024u}) {
    SCOPED_TRACE(epoch_limit);
    const std::string digest = digest_of_history(1, 0, epoch_limit);
    for (std::uint64_t cuts = 1; cuts <= scaled(6, 2); ++cuts) {
      EXPECT_EQ(digest_of_history(1 + static_cast<unsigned>(cuts % 3), cuts, epoch_limit), digest)
          << "cuts " << cuts;
    }
    for (const std::string& isa : supported_isas()) {
      const ScopedEnvironment environment("CONCORD_ISA", isa);
      EXPECT_EQ(digest_of_history(2, 0, epoch_limit), digest) << isa;
    }
  }
}

// What was saved goes on as what was not, at any moment; and a file has no trace of slots.
TEST(Removal, AFileHoldsAllThatTheFutureDependsOn) {
  const Matrix data = make_data(Shape::clustered, 1500, kDimension);
  const TempPath path;
  for (const std::uint64_t stop : {1u, 30u, 64u, 100u, 150u, 199u, 200u}) {
    for (const bool flushed : {false, true}) {
      SCOPED_TRACE(testing::Message() << stop << (flushed ? ", flushed" : ""));
      Index index(params(6, 128), on_threads(1));
      index.add(data.slice(0, 700));
      index.remove(range(100, 100 + stop));
      index.update(data.slice(700, 50), range(400, 450));
      index.remove(range(0, 50));
      if (flushed) index.flush();
      index.save(path);
      Index loaded = Index::load(path, on_threads(2));
      const Index mapped = Index::map(path, MapCheck::on_open, on_threads(1));
      expect_sound(loaded.audit());
      const auto expect_same = [&](const Index& other) {
        EXPECT_EQ(other.digest(), index.digest());
        EXPECT_EQ(other.size(), index.size());
        EXPECT_EQ(other.labels(), index.labels());
        const SearchResult a = index.search(data.slice(1400, 50), {10, 30});
        const SearchResult b = other.search(data.slice(1400, 50), {10, 30});
        EXPECT_EQ(a.labels, b.labels);
        EXPECT_EQ(a.distances, b.distances);
        EXPECT_EQ(index.exact_search(data.slice(1400, 50), 10).labels,
                  other.exact_search(data.slice(1400, 50), 10).labels);
      };
      expect_same(loaded);
      expect_same(mapped);
      for (Index* const one : {&index, &loaded}) {
        one->add(data.slice(800, 300));
        one->remove(range(450, 650));
        one->upsert(data.slice(1100, 200), range(500, 700));
      }
      expect_same(loaded);
      const TempPath other;
      index.save(path);
      loaded.save(other);
      EXPECT_EQ(read_file(path), read_file(other));
    }
  }
}

// Replacements, and the seals that unlink what they replaced, beside readers: no vector is missing
// at any moment, and every search finds k.
TEST(Removal, NothingIsMissingBesideUpdatesAndRemovals) {
  constexpr std::size_t kLabels = 400;
  const Matrix data = make_data(Shape::random, 2000, kDimension);
  Index index(params(6, 16), on_threads(1));
  index.add(data.slice(0, kLabels));
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    const Labels all = range(0, kLabels);
    while (!done) {
      Labels found = index.labels();
      std::sort(found.begin(), found.end());
      found.erase(std::lower_bound(found.begin(), found.end(), kLabels), found.end());
      if (found != all) ++wrong;
      for (std::uint32_t count : index.search(data.slice(1900, 8), {10, 10}).counts) {
        if (count != 10) ++wrong;
      }
    }
  });
  const std::size_t rounds = scaled(60, 4);
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::size_t first = round * 37 % (kLabels - 50);
    index.update(data.slice(round % 1000, 50), range(first, first + 50));
    // 300 more beside one place, and away with them in one call.
    const Labels more = range(10000 + round * 1000, 10300 + round * 1000);
    index.add(data.slice(1500, 300), more);
    index.remove(more);
  }
  done = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
  expect_sound(index.audit());
}

// Whatever scans all vectors finds all, and no label is unknown to a filter, although vectors are
// replaced and unlinked in the middle of a scan.
TEST(Removal, ScansFindAllBesideReplacements) {
  const std::size_t n = scaled(4000, 2000);
  Matrix data = make_data(Shape::random, n + 100, 64);
  for (std::size_t i = 0; i < n / 2; ++i) {  // half are copies
    std::copy_n(data.row(i), 64, data.row(n / 2 + i));
  }
  Index index(make_params(64, 4, 8, 256), on_threads(1));
  index.add(data.slice(0, n));
  const Labels labels = range(0, n);
  const std::vector<std::uint64_t> keys(n, 1);
  const MatrixView<const float> queries = data.slice(0, 16);
  const std::vector<std::uint32_t> all_found(16, 10);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::uint64_t i = 0; !done; ++i) {
      index.update(data.slice(n + i % 100, 1), Labels{i * 37 % n});
      index.flush();
    }
  });
  std::size_t unknown = 0;
  for (std::size_t i = 0; i < scaled(100, 20); ++i) {
    unknown += Filter::of_labels(index, labels).unknown();
    if (i % 20 != 0) continue;
    EXPECT_EQ(index.exact_search(queries, 10).counts, all_found);
    const Filter some = Filter::of_labels(index, range(0, n, 2));
    EXPECT_EQ(index.exact_search(queries, 10, {.filter = &some}).counts, all_found);
    EXPECT_EQ(index.range_search(queries, 1e9f).lims.back(), 16 * n);
    const Groups groups = Groups::of_keys(index, keys);
    EXPECT_EQ(index.exact_search(queries, 1, {.groups = &groups}).counts.size(), 16u);
    EXPECT_EQ(index.labels().size(), n);
  }
  done = true;
  writer.join();
  EXPECT_EQ(unknown, 0u);
  expect_sound(index.audit());
}

// churn.md, table "Tombstones": a removed cluster hides nothing, and what is added there gets
// neighbors.
TEST(Removal, APendingClusterHidesNothing) {
  constexpr std::size_t kNear = 800;
  const Matrix data = make_data(Shape::random, 6000, kDimension);
  Index index(params(16, 4096), on_threads(2));
  index.add(data.view());
  index.remove(Labels{4000});
  index.flush();  // the next seal is an epoch away
  const MatrixView<const float> centre = data.slice(17, 1);
  const SearchResult nearest = index.exact_search(centre, kNear);
  index.remove(nearest.labels);
  ASSERT_EQ(index.stats().tombstones, kNear);
  const SearchResult exact = index.exact_search(centre, 10);
  const SearchResult found = index.search(centre, {10, 40});
  ASSERT_EQ(found.counts[0], 10u);
  std::size_t hits = 0;
  for (std::uint32_t j = 0; j < 10; ++j) {
    hits += static_cast<std::size_t>(
        std::count(exact.labels.begin(), exact.labels.end(), found.labels[j]));
  }
  EXPECT_GE(hits, 9u);
  // All of them again: each finds itself, and most of their neighbors.
  Matrix again(kNear, kDimension);
  for (std::size_t i = 0; i < kNear; ++i) {
    std::copy_n(data.row(nearest.labels[i]), kDimension, again.row(i));
  }
  index.add(again.view(), nearest.labels);
  index.flush();
  expect_sound(index.audit());
  const SearchResult walked = index.search(again.view(), {10, 60});
  const SearchResult scanned = index.exact_search(again.view(), 10);
  std::size_t right = 0;
  for (std::size_t i = 0; i < kNear * 10; ++i) {
    right += walked.distances[i] <= scanned.distances[i / 10 * 10 + 9] ? 1 : 0;
  }
  EXPECT_GE(right, kNear * 10 * 95 / 100);
}

// After three turnovers the graph answers as well as one built anew, at about the same cost.
TEST(Removal, ChurnLeavesAGraphAsGoodAsANewOne) {
  constexpr std::size_t kLive = 3000;
  const Matrix data = make_data(Shape::random, 4 * kLive, 16);
  const Matrix queries = make_data(Shape::random, 300, 16, 9);
  const IndexParams p = make_params(16, 12, 80, 256);
  Index index(p, on_threads(2));
  index.add(data.slice(0, kLive));
  for (std::size_t i = 0; i < 3 * kLive; i += 100) {
    Labels oldest = index.labels();
    oldest.resize(300);
    Labels some;
    for (std::size_t j = 0; j < 300; j += 3) some.push_back(oldest[j]);
    index.remove(some);
    index.add(data.slice(kLive + i, 100));
  }
  index.flush();
  Index anew(p, on_threads(2));
  for (const std::uint64_t label : index.labels()) anew.add(data.slice(label, 1));
  const auto measure = [&](const Index& on) {
    const SearchResult exact = on.exact_search(queries.view(), 10);
    const SearchResult found = on.search(queries.view(), {10, 40});
    std::size_t hits = 0;
    for (std::size_t i = 0; i < found.distances.size(); ++i) {
      hits += found.distances[i] <= exact.distances[i / 10 * 10 + 9] ? 1 : 0;
    }
    return static_cast<double>(hits) / static_cast<double>(found.distances.size());
  };
  EXPECT_GE(measure(index), measure(anew) - 0.02);
}

}  // namespace
}  // namespace concord::test
