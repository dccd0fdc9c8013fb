// Index::explain: what it names is what searches do, for every miss, and for hits, filters, removed
// vectors and small indexes as well.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concord/index.hpp>
#include <limits>
#include <set>
#include <thread>

#include "common/index/index_access.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Reason = Explanation::Reason;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::uint32_t kMostEf = 65536;

Index make_index(const Matrix& data, std::uint32_t M, std::size_t n, Metric metric = Metric::l2sq,
                 std::uint32_t epoch_limit = 256) {
  Index index(make_params(static_cast<std::uint32_t>(data.cols), M, 40, epoch_limit, metric),
              {2, "cpu", 0, {}});
  index.add(data.slice(0, n));
  return index;
}

bool returns(const Index& index, MatrixView<const float> query, const SearchParams& params,
             std::uint64_t label, const Filter* filter = nullptr) {
  const SearchResult found = index.search(query, params, {.filter = filter});
  const auto end = found.labels.begin() + found.counts[0];
  return std::find(found.labels.begin(), end, label) != end;
}

/// That the least ef and the least slack are the least.
void expect_least(const Index& index, MatrixView<const float> query, const Explanation& why,
                  const Filter* filter = nullptr) {
  ASSERT_GT(why.ef, 0u);
  EXPECT_TRUE(returns(index, query, {.k = why.k, .ef = why.ef}, why.label, filter)) << why.text();
  if (why.ef > 1) {
    EXPECT_FALSE(returns(index, query, {.k = why.k, .ef = why.ef - 1}, why.label, filter))
        << why.text();
  }
  if (why.slack == kInfinity) return;
  EXPECT_TRUE(returns(index, query, {why.k, kMostEf, why.slack}, why.label)) << why.text();
  if (why.slack > 0) {
    const float less = std::nextafter(why.slack, 0.0f);
    EXPECT_FALSE(returns(index, query, {why.k, kMostEf, less}, why.label)) << why.text();
  }
}

class ExplainOf : public testing::TestWithParam<Metric> {};
INSTANTIATE_TEST_SUITE_P(Metrics, ExplainOf, testing::ValuesIn(kAllMetrics),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

// Every miss of a thousand queries.
TEST_P(ExplainOf, EveryMissIsExplained) {
  const std::size_t n = scaled(4000, 600);
  const std::size_t queries = scaled(1000, 100);
  const Matrix data = make_data(Shape::clustered, n + queries, 12);
  const Index index = make_index(data, 3, n, GetParam());
  std::size_t misses = 0;
  std::set<Reason> reasons;
  for (std::size_t q = 0; q < queries; ++q) {
    const MatrixView<const float> query = data.slice(n + q, 1);
    const SearchResult truth = index.exact_search(query, 8);
    for (std::size_t j = 0; j < 8; ++j) {
      if (returns(index, query, {.k = 8, .ef = 12}, truth.labels[j])) continue;
      ++misses;
      const Explanation why = index.explain(query, truth.labels[j], 8);
      EXPECT_EQ(why.label, truth.labels[j]);
      EXPECT_EQ(why.rank, j + 1);
      EXPECT_EQ(why.distance, truth.distances[j]);
      EXPECT_GT(why.ef, 12u);
      EXPECT_GT(why.hop, 0u);
      EXPECT_NE(why.parent, kNoLabel);
      EXPECT_EQ(why.slack == kInfinity, GetParam() == Metric::inner_product);
      expect_least(index, query, why);
      reasons.insert(why.reason);
      EXPECT_THAT(why.text(), testing::HasSubstr("from ef = " + std::to_string(why.ef) + " on"));
    }
  }
  EXPECT_GT(misses, queries / 20);
  for (const Reason reason : reasons) {
    EXPECT_TRUE(reason == Reason::descent || reason == Reason::links) << to_string(reason);
  }
}

// A walk written down once more: best first, with everything seen in a set.
TEST(Explain, NamesHopAndParentOfTheWalk) {
  const std::size_t n = 1500;
  const Matrix data = make_data(Shape::clustered, n + 40, 6);
  const Index index = make_index(data, 4, n);
  const core::Graph& graph = IndexAccess::contents(index).graph;
  for (std::size_t q = 0; q < 40; ++q) {
    const MatrixView<const float> query = data.slice(n + q, 1);
    const SearchResult all = index.exact_search(query, static_cast<std::uint32_t>(n));
    std::vector<float> distance(n);
    for (std::size_t j = 0; j < n; ++j) distance[all.labels[j]] = all.distances[j];
    const auto key_of = [&](core::NodeId id) { return core::make_key(distance[id], id); };
    core::Key from = key_of(graph.entry_point().node);
    std::vector<core::NodeId> ids(core::kMaxListCapacity);
    for (std::uint32_t layer = graph.entry_point().level; layer > 0; --layer) {
      for (core::Key last = 0; last != from;) {
        last = from;
        const std::uint32_t degree = graph.read(core::key_id(last), layer, ids.data());
        for (std::uint32_t i = 0; i < degree; ++i) from = std::min(from, key_of(ids[i]));
      }
    }
    std::set<core::Key> open{from};
    std::set<core::NodeId> seen{core::key_id(from)};
    std::uint64_t hop = 0;
    while (!open.empty()) {
      const core::NodeId at = core::key_id(*open.begin());
      open.erase(open.begin());
      ++hop;
      const std::uint32_t degree = graph.read(at, 0, ids.data());
      for (std::uint32_t i = 0; i < degree; ++i) {
        if (!seen.insert(ids[i]).second) continue;
        open.insert(key_of(ids[i]));
        if (hash(q, ids[i]) % 40 != 0) continue;  // some of them
        const Explanation why = index.explain(query, ids[i], static_cast<std::uint32_t>(n));
        EXPECT_EQ(why.hop, hop);
        EXPECT_EQ(why.parent, at);
      }
    }
  }
}

// Whatever ef: found if and only if it is at least the one that is named.
TEST(Explain, NoGreaterEfLosesIt) {
  const std::size_t n = 1200;
  const Matrix data = make_data(Shape::random, n + 20, 8);
  const Index index = make_index(data, 3, n);
  for (std::size_t q = 0; q < 20; ++q) {
    const MatrixView<const float> query = data.slice(n + q, 1);
    const SearchResult truth = index.exact_search(query, 5);
    for (std::size_t j = 0; j < 5; ++j) {
      const Explanation why = index.explain(query, truth.labels[j], 5);
      for (std::uint32_t ef = 1; ef <= 200; ef += ef < 60 ? 1 : 7) {
        EXPECT_EQ(returns(index, query, {.k = 5, .ef = ef}, why.label), ef >= why.ef) << ef;
      }
    }
  }
}

TEST(Explain, AFilterIsPartOfTheQuestion) {
  const std::size_t n = scaled(6000, 6000);
  const Matrix data = make_data(Shape::clustered, n + 60, 40);
  const Index index = make_index(data, 4, n);
  std::size_t needed = 0;
  std::size_t walked = 0;
  for (const std::size_t per_mille : {1000u, 700u, 500u, 300u, 20u, 1u}) {
    std::vector<std::uint8_t> mask(n);
    for (std::size_t i = 0; i < n; ++i) mask[i] = hash(9, i) % 1000 < per_mille ? 1 : 0;
    const Filter filter = Filter::of_mask(index, mask);
    for (std::size_t q = 0; q < 60; ++q) {
      const MatrixView<const float> query = data.slice(n + q, 1);
      const SearchResult truth = index.exact_search(query, 6, {.filter = &filter});
      for (std::size_t j = 0; j < truth.counts[0]; ++j) {
        const Explanation why = index.explain(query, truth.labels[j], 6, &filter);
        EXPECT_EQ(why.rank, j + 1);
        expect_least(index, query, why, &filter);
        needed += why.ef > 1 ? 1 : 0;
        walked += why.hop > 0 && per_mille < 1000 ? 1 : 0;
      }
      const SearchResult nearest = index.exact_search(query, 1);
      if (mask[nearest.labels[0]] != 0) continue;
      const Explanation why = index.explain(query, nearest.labels[0], 6, &filter);
      EXPECT_EQ(why.reason, Reason::filter);
      EXPECT_EQ(why.rank, 1u);
      EXPECT_EQ(why.ef, 0u);
      EXPECT_THAT(why.text(), testing::HasSubstr("filter"));
    }
  }
  EXPECT_GT(needed, 20u);
  EXPECT_GT(walked, 20u);
  const Index other = make_index(data, 4, 10);
  const Filter foreign = Filter::of_range(other, 0, 5);
  expect_error(ErrorCode::invalid_parameter, {"another index"},
               [&] { (void)index.explain(data.slice(n, 1), 0, 6, &foreign); });
}

TEST(Explain, RemovedVectorsAreTombstonesAndThenUnknown) {
  const std::size_t n = 700;
  const Matrix data = make_data(Shape::random, n + 50, 8);
  Index index = make_index(data, 3, n, Metric::l2sq, 512);
  std::vector<std::uint64_t> gone;
  for (std::uint64_t label = 0; label < n; label += 3) gone.push_back(label);
  std::size_t removed = 0;
  do {
    index.remove(std::span(gone).subspan(removed++, 1));
  } while (index.stats().tombstones == 0);  // a seal may come at once
  const std::uint64_t last = gone[removed - 1];
  const Explanation why = index.explain(data.slice(last, 1), last, 10);
  EXPECT_EQ(why.reason, Reason::removed);
  EXPECT_EQ(why.ef, 0u);
  EXPECT_THAT(why.text(), testing::HasSubstr("removed"));
  // Beside tombstones, and after they are unlinked.
  for (const bool unlinked : {false, true}) {
    if (unlinked) {
      index.remove(std::span(gone).subspan(removed));
      index.flush();
    }
    for (std::size_t q = 0; q < 50; ++q) {
      const MatrixView<const float> query = data.slice(n + q, 1);
      const SearchResult truth = index.exact_search(query, 5);
      for (std::size_t j = 0; j < 5; ++j) {
        expect_least(index, query, index.explain(query, truth.labels[j], 5));
      }
    }
  }
  expect_error(ErrorCode::unknown_label, {"label 3"},
               [&] { (void)index.explain(data.slice(3, 1), 3, 10); });
}

TEST(Explain, RanksBeyondKAreFarther) {
  const Matrix data = make_data(Shape::random, 300, 5);
  const Index index = make_index(data, 4, 299);
  const SearchResult all = index.exact_search(data.slice(299, 1), 299);
  for (std::size_t j = 0; j < 299; j += 13) {
    const Explanation why = index.explain(data.slice(299, 1), all.labels[j], 5);
    EXPECT_EQ(why.rank, j + 1);
    EXPECT_EQ(why.distance, all.distances[j]);
    EXPECT_EQ(why.reason == Reason::farther, j >= 5);
    EXPECT_EQ(why.ef == 0, j >= 5);
  }
  EXPECT_EQ(index.explain(data.slice(0, 1), 0, 0).reason, Reason::farther);
}

TEST(Explain, SmallAndConstantIndexes) {
  for (const Shape shape : {Shape::random, Shape::constant, Shape::duplicate, Shape::huge_norm}) {
    for (const std::size_t dimension : {1u, 4u}) {
      for (std::size_t n = 1; n <= 5; ++n) {
        const Matrix data = make_data(shape, n, dimension);
        const Index index = make_index(data, 2, n);
        for (std::uint64_t label = 0; label < n; ++label) {
          for (const std::uint32_t k : {1u, 3u, 10u}) {
            const Explanation why = index.explain(data.slice(0, 1), label, k);
            EXPECT_EQ(why.reason, why.rank <= k ? Reason::returned : Reason::farther);
            EXPECT_EQ(why.ef, why.rank <= k ? 1u : 0u);
          }
        }
      }
    }
  }
  const Matrix data = make_data(Shape::random, 1, 3);
  const Index empty = make_index(data, 2, 0);
  expect_error(ErrorCode::unknown_label, {}, [&] { (void)empty.explain(data.slice(0, 1), 0); });
}

// Equal distances are ordered by id, in ranks as in searches.
TEST(Explain, ExactCopies) {
  const std::size_t n = 900;
  const Matrix data = make_data(Shape::duplicate, n + 30, 4);
  const Index index = make_index(data, 3, n);
  for (std::size_t q = 0; q < 30; ++q) {
    const MatrixView<const float> query = data.slice(n + q, 1);
    const SearchResult truth = index.exact_search(query, 6);
    for (std::size_t j = 0; j < 6; ++j) {
      const Explanation why = index.explain(query, truth.labels[j], 6);
      EXPECT_EQ(why.rank, j + 1);
      expect_least(index, query, why);
    }
  }
}

TEST(Explain, RefusesWhatIsNotAllowed) {
  const Matrix data = make_data(Shape::random, 20, 4);
  const Index index = make_index(data, 2, 20);
  expect_error(ErrorCode::dimension_mismatch, {"2 queries"},
               [&] { (void)index.explain(data.slice(0, 2), 0); });
  expect_error(ErrorCode::dimension_mismatch, {"0 queries"}, [&] {
    (void)index.explain({data.row(0), 0, 4}, 0);
  });
  expect_error(ErrorCode::dimension_mismatch, {}, [&] {
    (void)index.explain({data.row(0), 1, 3}, 0);
  });
  expect_error(ErrorCode::invalid_parameter, {"k is 65537"},
               [&] { (void)index.explain(data.slice(0, 1), 0, 65537); });
  expect_error(ErrorCode::unknown_label, {"label 20"},
               [&] { (void)index.explain(data.slice(0, 1), 20); });
  Matrix bad = data;
  bad.row(0)[1] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorCode::invalid_vector, {}, [&] { (void)index.explain(bad.slice(0, 1), 0); });
}

TEST(Explain, IsTheSameOfAMappedIndexAndOnAnyKernel) {
  const std::size_t n = 1500;
  const Matrix data = make_data(Shape::clustered, n + 20, 10);
  std::vector<std::string> texts;
  const TempPath file;
  make_index(data, 3, n).save(file);
  for (const std::string& isa : supported_isas()) {
    const ScopedEnvironment chosen("CONCORD_ISA", isa);
    for (const bool mapped : {false, true}) {
      const Index index = mapped ? Index::map(file) : Index::load(file);
      std::string text;
      for (std::size_t q = 0; q < 20; ++q) {
        const std::uint64_t label = index.exact_search(data.slice(n + q, 1), 10).labels[9];
        text += index.explain(data.slice(n + q, 1), label).text();
      }
      texts.push_back(text);
    }
  }
  for (const std::string& text : texts) EXPECT_EQ(text, texts.front());
}

// The index stands still for the call, so the explanation is of one moment.
TEST(Explain, BesideAWriter) {
  const std::size_t n = scaled(3000, 800);
  const Matrix data = make_data(Shape::clustered, n, 8);
  Index index = make_index(data, 4, n / 4, Metric::l2sq, 128);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    index.add(data.slice(n / 4, n - n / 4));
    std::vector<std::uint64_t> labels(n / 8);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = n / 4 + 2 * i;
    index.remove(labels);
    done = true;
  });
  std::size_t count = 0;
  for (std::size_t q = 0; !done || count < 5; q = (q + 1) % (n / 8)) {
    const Explanation why = index.explain(data.slice(q, 1), q, 10);
    EXPECT_EQ(why.rank, 1u);
    EXPECT_GE(why.ef, 1u);
    ++count;
  }
  writer.join();
  expect_sound(index.audit());
}

}  // namespace
}  // namespace concord::test
