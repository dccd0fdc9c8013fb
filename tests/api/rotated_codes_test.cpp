// Indexes with codes of four bits: from the 1,024th insertion on, however vectors come, go and are
// kept, and exact before. Walks are compared with a naive one in filtered_search_test.cpp, digests
// across machines and splits in determinism_test.cpp.

#include <algorithm>
#include <atomic>
#include <concord/index.hpp>
#include <cstdint>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/index_file.hpp"
#include "tests/support/search_results.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 40;
constexpr std::size_t kRows = 2600;
constexpr std::size_t kFirst = 1024;  // insertions that make the centre
constexpr SearchParams kSearch{.k = 10, .ef = 60};

IndexParams coded(Metric metric = Metric::l2sq, std::uint32_t dimension = kDimension) {
  IndexParams params = make_params(dimension, 8, 40, 200, metric);
  params.codes = Codes::sq4;
  return params;
}

Index coded_index(const Matrix& data, Metric metric = Metric::l2sq, std::size_t step = kRows) {
  Index index(coded(metric, static_cast<std::uint32_t>(data.cols)), on_threads(2));
  for (std::size_t first = 0; first < data.rows; first += step) {
    index.add(data.slice(first, std::min(step, data.rows - first)));
  }
  return index;
}

bool walks_by_codes(const Index& index) {
  const Matrix query = make_data(Shape::random, 1, index.params().dimension, 3);
  const std::uint64_t before = index.stats().search.rescored;
  (void)index.search(query.view(), kSearch);
  return index.stats().search.rescored > before;
}

class OfFourBits : public testing::TestWithParam<Metric> {};
INSTANTIATE_TEST_SUITE_P(RotatedCodes, OfFourBits, testing::ValuesIn(kAllMetrics),
                         [](const auto& test) { return to_string(test.param); });

TEST_P(OfFourBits, AreThereFromTheLastOfTheFirstInsertionsOn) {
  const Matrix data = make_data(Shape::clustered, kFirst + 1, kDimension);
  const Matrix queries = make_data(Shape::clustered, 20, kDimension, 7);
  IndexParams params = coded(GetParam());
  params.codes = Codes::none;
  Index without(params, on_threads(1));
  without.add(data.slice(0, kFirst - 1));
  Index index(coded(GetParam()), on_threads(2));
  EXPECT_FALSE(walks_by_codes(index));
  index.add(data.slice(0, kFirst - 1));
  EXPECT_FALSE(walks_by_codes(index));
  EXPECT_TRUE(same(index.search(queries.view(), kSearch), without.search(queries.view(), kSearch)))
      << "the same graph, walked exactly";
  index.add(data.slice(kFirst - 1, 1));
  EXPECT_TRUE(walks_by_codes(index));
}

// Bit for bit the distance of exact_search, and in its order.
TEST_P(OfFourBits, GiveExactDistances) {
  for (const Shape shape : {Shape::random, Shape::clustered, Shape::duplicate, Shape::constant,
                            Shape::zero, Shape::sorted, Shape::u8}) {
    const Matrix data = make_data(shape, kRows, kDimension);
    const Matrix queries = make_data(shape, 20, kDimension, 7);
    const Index index = coded_index(data, GetParam());
    expect_sound(index.audit());
    const SearchResult exact = index.exact_search(queries.view(), kRows);
    for (const std::uint32_t rescore : {0u, 1u, 40u}) {
      expect_exact(index.search(queries.view(), {.k = 10, .ef = 60, .rescore = rescore}), exact);
      if (HasFatalFailure()) return;
    }
  }
}

// In tight clusters that are far apart, codes about one centre tell neighbors less well apart, so
// more has to be scored exactly. The graph is about as good.
TEST_P(OfFourBits, HaveTheRecallOfExactWalks) {
  for (const std::uint32_t dimension : {3u, 8u, 16u, 32u, 100u, 384u}) {
    for (const Shape shape : {Shape::random, Shape::clustered, Shape::sorted, Shape::duplicate}) {
      const bool is_one_element = shape == Shape::sorted && GetParam() == Metric::cosine;
      if (is_one_element) continue;  // docs/compact.md: no code tells such vectors apart
      const Matrix data = make_data(shape, kRows, dimension);
      const Matrix queries = make_data(shape, 100, dimension, 7);
      IndexParams params = make_params(dimension, 16, 100, 200, GetParam());
      Index without(params, on_threads(2));
      without.add(data.view());
      params.codes = Codes::sq4;
      Index index(params, on_threads(2));
      index.add(data.view());
      const SearchResult exact = index.exact_search(queries.view(), 10);
      const auto recall = [&](const Index& of, const SearchParams& search) {
        return recall_of(of.search(queries.view(), search), exact);
      };
      const bool is_clustered = shape == Shape::clustered;
      const std::uint32_t rescore = is_clustered ? 160 : 0;
      const double plain = recall(without, {.k = 10, .ef = 160});
      const double less = GetParam() == Metric::inner_product ? 0.07 : 0.03;
      EXPECT_GE(recall(index, {.k = 10, .ef = 160, .rescore = rescore}), plain - less)
          << to_string(shape) << ' ' << dimension;
      EXPECT_GE(recall(index, {.k = 10, .ef = 160, .use_codes = false}), plain - less)
          << to_string(shape) << ' ' << dimension;
    }
  }
}

TEST(RotatedCodes, FindInnerProductsOfNormsThatDifferTenfold) {
  Matrix data = make_data(Shape::random, kRows, 64);
  for (std::size_t r = 0; r < data.rows; ++r) {
    for (std::size_t e = 0; e < data.cols; ++e) {
      data.row(r)[e] *= 1 + 9 * static_cast<float>(hash(5, r) % 1000) / 1000;
    }
  }
  const Matrix queries = make_data(Shape::random, 100, 64, 7);
  const Index index = coded_index(data, Metric::inner_product);
  const SearchResult exact = index.exact_search(queries.view(), 10);
  const SearchParams exact_walk{.k = 10, .ef = 80, .use_codes = false};
  EXPECT_GE(recall_of(index.search(queries.view(), {.k = 10, .ef = 80}), exact),
            recall_of(index.search(queries.view(), exact_walk), exact) - 0.02);
}

TEST(RotatedCodes, RescoreMoreThanThoseOfEightBits) {
  const Index index = coded_index(make_data(Shape::random, kRows, kDimension));
  const Matrix queries = make_data(Shape::random, 10, kDimension, 7);
  const auto rescored = [&](const SearchParams& search) {
    const std::uint64_t counted = index.stats().search.rescored;
    (void)index.search(queries.view(), search);
    return (index.stats().search.rescored - counted) / queries.rows;
  };
  EXPECT_EQ(rescored({.k = 10, .ef = 64}), 40u);
  EXPECT_EQ(rescored({.k = 3, .ef = 64}), 33u);
  EXPECT_EQ(rescored({.k = 20, .ef = 100}), 80u);
  EXPECT_EQ(rescored({.k = 10, .ef = 15}), 15u) << "at most ef";
  EXPECT_EQ(rescored({.k = 10, .ef = 64, .rescore = 1}), 10u) << "at least k";
  EXPECT_EQ(rescored({.k = 10, .ef = 64, .use_codes = false}), 0u);
}

// Every split near the insertion that makes the centre, through a file, a mapping or a journal.
TEST(RotatedCodes, DoNotDependOnWhereCallsAreSplit) {
  const Matrix data = make_data(Shape::clustered, kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 30, kDimension, 7);
  const Index whole = coded_index(data);
  const SearchResult expected = whole.search(queries.view(), kSearch);
  const TempPath file;
  const TempPath journaled("journal.concord");
  for (const std::size_t cut :
       {std::size_t{0}, std::size_t{1}, kFirst - 1, kFirst, kFirst + 1, std::size_t{1500}}) {
    Index index(coded(), on_threads(3));
    index.add(data.slice(0, cut));
    index.save(file);
    const Index mapped = Index::map(file, MapCheck::on_open, on_threads(1));
    EXPECT_EQ(mapped.digest(), index.digest());
    EXPECT_EQ(walks_by_codes(mapped), cut >= kFirst);
    EXPECT_TRUE(
        same(mapped.search(queries.view(), kSearch), index.search(queries.view(), kSearch)));
    Index loaded = Index::load(file, on_threads(2));
    EXPECT_EQ(walks_by_codes(loaded), cut >= kFirst);
    for (Index* each : {&index, &loaded}) {
      each->add(data.slice(cut, kRows - cut));
      EXPECT_EQ(each->digest(), whole.digest()) << cut;
      EXPECT_TRUE(same(each->search(queries.view(), kSearch), expected)) << cut;
    }
    const TempPath path("x" + std::to_string(cut));
    {
      Index half = Index::open(path, coded(), Durability::system, on_threads(2));
      half.add(data.slice(0, cut));
      if (cut % 2 == 0) half.compact();
      half.add(data.slice(cut, 40));
    }
    Index again = Index::open(path, coded(), Durability::system, on_threads(2));
    again.add(data.slice(cut + 40, kRows - cut - 40));
    EXPECT_EQ(again.digest(), whole.digest()) << cut;
    EXPECT_TRUE(same(again.search(queries.view(), kSearch), expected)) << cut;
  }
  EXPECT_EQ(coded_index(data, Metric::l2sq, 37).digest(), whole.digest());
}

// The centre is of what was inserted first, whatever is gone when the last of it comes, and
// wherever nodes have slid.
TEST(RotatedCodes, HaveACentreThatRemovalsDoNotTouch) {
  const Matrix data = make_data(Shape::clustered, 2 * kRows, kDimension);
  const Matrix queries = make_data(Shape::clustered, 40, kDimension, 7);
  std::string digests[3];
  for (const std::size_t way : {0u, 1u, 2u}) {
    Index index(coded(), on_threads(way == 0 ? 1 : 3));
    const auto through_a_file = [&] {
      if (way != 2) return;
      const TempPath file;
      index.save(file);
      index = Index::load(file, on_threads(2));
    };
    const auto add = [&](std::size_t first, std::size_t n) {
      const std::size_t most = way == 0 ? n : 41;
      for (std::size_t i = 0; i < n; i += most) {
        index.add(data.slice(first + i, std::min(most, n - i)));
      }
      through_a_file();
    };
    add(0, 900);
    std::vector<std::uint64_t> gone(880);
    std::iota(gone.begin(), gone.end(), 0);
    index.remove(gone);
    index.flush();  // slides
    through_a_file();
    EXPECT_FALSE(walks_by_codes(index));
    add(900, 123);
    EXPECT_FALSE(walks_by_codes(index)) << "1,023 insertions ever";
    add(1023, 1);
    EXPECT_TRUE(walks_by_codes(index));
    add(1024, kRows);
    std::vector<std::uint64_t> replaced(300);
    std::iota(replaced.begin(), replaced.end(), 900);  // all of the first that are left, and more
    index.update(data.slice(1024 + kRows, 300), replaced);
    index.flush();
    through_a_file();
    expect_sound(index.audit());
    digests[way] = index.digest();
    const SearchResult exact = index.exact_search(queries.view(), 10);
    EXPECT_GT(recall_of(index.search(queries.view(), {.k = 10, .ef = 80}), exact), 0.9);
  }
  EXPECT_EQ(digests[1], digests[0]);
  EXPECT_EQ(digests[2], digests[0]);
}

// Two indexes of the same vectors and another past go on differently, so their digests differ.
// The first vectors are not like the others, so the centre is far from nearly all: walks by codes
// may lose their way (docs/compact.md), the graph may not.
TEST(RotatedCodes, OfACentreThatDoesNotFitLeaveTheGraphWhole) {
  Matrix data = make_data(Shape::random, 4100, 64, 11);
  for (std::size_t r = kFirst; r < data.rows; ++r) {
    for (std::size_t e = 0; e < data.cols; ++e) data.row(r)[e] += 46;  // ten deviations
  }
  IndexParams params = make_params(64, 16, 200, 1024, Metric::l2sq);
  params.codes = Codes::sq4;
  Index index(params, on_threads(2));
  index.add(data.slice(0, 4000));
  EXPECT_TRUE(index.audit().ok);
  const auto queries = data.slice(4000, 100);
  const SearchResult exact = index.exact_search(queries, 10);
  const auto recall = [&](SearchParams search) {
    return recall_of(index.search(queries, search), exact);
  };
  EXPECT_GE(recall({.k = 10, .ef = 128, .use_codes = false}), 0.98);
  RecordProperty("by_codes", std::to_string(recall({.k = 10, .ef = 128})));
  RecordProperty("all_rescored", std::to_string(recall({.k = 10, .ef = 128, .rescore = 128})));
}

TEST(RotatedCodes, HaveTheirCentreInTheDigest) {
  const Matrix data = make_data(Shape::clustered, 300, kDimension);
  Matrix other = data;
  for (std::size_t e = 0; e < kDimension; ++e) other.row(0)[e] += 1;
  const auto digest_of = [&](const Matrix& rows) {
    Index index(coded(), on_threads(1));
    index.add(rows.slice(0, 1));
    index.remove(std::vector<std::uint64_t>{0});
    index.flush();
    index.add(data.slice(1, 299));
    return index.digest();
  };
  EXPECT_EQ(digest_of(data), digest_of(data));
  EXPECT_NE(digest_of(data), digest_of(other));
}

// Sums of such squares are exact, so each distance can be told from the vector of its label.
TEST(RotatedCodes, AreSearchedBesideAWriterThatMakesThem) {
  const Matrix data = make_data(Shape::u8, 1500, 24);
  const Matrix queries = make_data(Shape::u8, 10, 24, 9);
  Index index(coded(Metric::l2sq, 24), on_threads(1));
  index.add(data.slice(0, 800));
  std::atomic<bool> is_done{false};
  std::atomic<std::size_t> wrong{0};
  const auto search = [&] {
    do {
      const SearchResult found = index.search(queries.view(), {.k = 5, .ef = 20});
      for (std::size_t i = 0; i < found.labels.size(); ++i) {
        float distance = 0;
        for (std::size_t e = 0; e < data.cols; ++e) {
          const float difference = queries.row(i / 5)[e] - data.row(found.labels[i])[e];
          distance += difference * difference;
        }
        wrong += distance == found.distances[i] ? 0 : 1;
      }
    } while (!is_done);
  };
  std::thread readers[] = {std::thread(search), std::thread(search)};
  for (std::size_t first = 800; first < data.rows; first += 20) {
    index.add(data.slice(first, 20));
    if (first % 100 == 0) index.remove(std::vector<std::uint64_t>{first - 50, first - 40});
  }
  is_done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(walks_by_codes(index));
}

TEST(RotatedCodes, TakeHalfOfTheMemoryOfThoseOfEightBits) {
  const Matrix data = make_data(Shape::random, kRows, 100);
  const Index with = coded_index(data);
  IndexParams params = coded(Metric::l2sq, 100);
  params.codes = Codes::none;
  Index without(params, on_threads(2));
  without.add(data.view());
  EXPECT_EQ(with.memory().vectors - without.memory().vectors, kRows * 64);
}

TEST(RotatedCodes, RefuseWhatTheyCannotServe) {
  Matrix data = make_data(Shape::random, 3, kDimension);
  data.row(1)[5] = 1.1e16f;
  Index index(coded(), on_threads(1));
  expect_error(ErrorCode::invalid_vector, {"vector 1", "squared norm above 1e+32"},
               [&] { index.add(data.view()); });
  RuntimeOptions options = on_threads(1);
  options.device = "cuda";
  expect_error(ErrorCode::unsupported, {"codes", "auto and cpu"},
               [&] { const Index refused(coded(), options); });
  IndexParams params = coded();
  params.codes = Codes::sq8;
  const TempPath file("x.concord");
  { Index::open(file, coded(), Durability::system, on_threads(1)).add(data.slice(0, 1)); }
  expect_error(ErrorCode::invalid_parameter, {"codes", "sq4", "sq8"},
               [&] { (void)Index::open(file, params, Durability::system, on_threads(1)); });
}

}  // namespace
}  // namespace concord::test
