// Memory that comes back from removed vectors: how much, and what readers see beside it.

#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <concord/filter.hpp>
#include <concord/index.hpp>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "common/index/index_access.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Labels = std::vector<std::uint64_t>;

Labels range(std::uint64_t first, std::uint64_t end, std::uint64_t step = 1) {
  Labels labels;
  for (; first < end; first += step) labels.push_back(first);
  return labels;
}

// ---------------------------------------------------------------------------------------- memory

/// Bytes of the large arrays of all indexes that are in memory: virtual_array.hpp says where.
std::size_t resident() {
  std::ifstream maps("/proc/self/smaps");
  std::size_t bytes = 0;
  bool is_array = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first.find('-') != std::string::npos) {
      const std::size_t begin = std::stoull(first, nullptr, 16);
      is_array = begin >= std::size_t{18} << 40 && begin < std::size_t{82} << 40;
    } else if (first == "Rss:" && is_array) {
      std::size_t kib = 0;
      words >> kib;
      bytes += kib << 10;
    }
  }
  return bytes;
}

/// The most that is resident at any time while it lives, as far as a thread can see it.
class Peak {
 public:
  ~Peak() { bytes(); }
  std::size_t bytes() {
    done_ = true;
    if (watcher_.joinable()) watcher_.join();
    return most_;
  }

 private:
  std::atomic<bool> done_{false};
  std::size_t most_ = 0;
  std::thread watcher_{[this] {
    while (!done_) most_ = std::max(most_, resident());
  }};
};

class Memory : public testing::Test {
 protected:
  void SetUp() override {
#if defined(CONCORD_UNDER_ASAN) || defined(CONCORD_UNDER_TSAN)
    GTEST_SKIP() << "a sanitizer's shadow is where arrays are looked for";
#endif
    set_huge_pages(false);
  }
  void TearDown() override { set_huge_pages(true); }
  /// The kernel makes huge pages of some arrays, at any moment.
  static void set_huge_pages(bool may_be) {
    ASSERT_EQ(prctl(PR_SET_THP_DISABLE, may_be ? 0ul : 1ul, 0ul, 0ul, 0ul), 0);
  }
  static constexpr std::size_t kDimension = 128;
  /// The arrays that are so small that they are not mapped, or give nothing back.
  static constexpr std::size_t kHeap = std::size_t{256} << 10;
  static IndexParams params() { return make_params(kDimension, 16, 24, 256); }
  /// The same bytes for the same numbers.
  static Matrix some_bytes(std::size_t first, std::size_t n) {
    Matrix data(n, kDimension);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t d = 0; d < kDimension; ++d) {
        data.row(i)[d] = static_cast<float>(hash(first + i, d) % 200);
      }
    }
    return data;
  }
  /// Adds vectors first … first + n, a few at a time, so that no huge matrix is in the way.
  static void add(Index& index, std::size_t first, std::size_t n) {
    for (std::size_t i = 0; i < n; i += 1000) {
      index.add(some_bytes(first + i, std::min<std::size_t>(1000, n - i)).view());
    }
  }
};

TEST_F(Memory, OfNineTenthsComesBack) {
  const std::size_t n = scaled(30000, 12000);
  for (const bool at_random : {false, true}) {
    SCOPED_TRACE(at_random);
    const std::size_t nothing = resident();
    Index index(params(), on_threads(2));
    add(index, 0, n);
    const std::size_t full = resident() - nothing;
    const std::size_t says_full = index.memory().total();
    Labels gone;
    for (std::uint64_t label = 0; label < n; ++label) {
      if ((at_random ? hash(1, label) % n : label) < n / 10 * 9) gone.push_back(label);
    }
    Peak peak;
    for (std::size_t i = 0; i < gone.size(); i += 500) {
      index.remove(std::span(gone).subspan(i, std::min<std::size_t>(500, gone.size() - i)));
    }
    index.flush();
    EXPECT_LE(peak.bytes() - nothing, full + full / 50);
    expect_sound(index.audit());
    const std::size_t left = resident() - nothing;
    const std::size_t says_left = index.memory().total();
    Index anew(params(), on_threads(2));
    for (const std::uint64_t label : index.labels()) anew.add(some_bytes(label, 1).view());
    const std::size_t fresh = resident() - nothing - left;
    EXPECT_LE(left, fresh * 5 / 4 + kHeap);
    EXPECT_LE(says_left, anew.memory().total() * 5 / 4);
    EXPECT_LT(says_left, says_full / 6);
  }
}

TEST_F(Memory, ComesBackWhileAFilterLives) {
  const std::size_t n = scaled(30000, 12000);
  const std::size_t nothing = resident();
  Index index(params(), on_threads(2));
  add(index, 0, n);
  const Filter filter = Filter::of_range(index, 0, n);
  const Filter half = Filter::of_range(index, 0, n / 2);
  const std::size_t bytes = filter.bytes();
  const std::size_t full = resident() - nothing;
  const Matrix queries = some_bytes(n, 10);
  Labels gone;
  for (std::uint64_t label = 0; label < n; ++label) {
    if (hash(1, label) % 10 != 0) gone.push_back(label);
  }
  for (std::size_t i = 0; i < gone.size(); i += 500) {
    index.remove(std::span(gone).subspan(i, std::min<std::size_t>(500, gone.size() - i)));
    static_cast<void>(index.search(queries.view(), {10, 20}, {.filter = &filter}));
  }
  index.flush();
  EXPECT_GT(IndexAccess::contents(index).graph.slides(), 3u);
  EXPECT_LT(resident() - nothing, full / 6 + kHeap);
  EXPECT_LT(index.memory().total(), full / 6);
  EXPECT_LE(filter.bytes(), 3 * bytes);
  EXPECT_EQ(index.search(queries.view(), {10, 20}, {.filter = &filter}).labels,
            index.search(queries.view(), {10, 20}).labels);
  for (const std::uint64_t label :
       index.exact_search(queries.view(), 10, {.filter = &half}).labels) {
    EXPECT_LT(label, n / 2);
  }
}

// A window over time stays as large as it is, and hardly a vector moves. If nothing came back, it
// would grow to four times the size.
TEST_F(Memory, OfAWindowIsBounded) {
  constexpr std::size_t kTurnovers = 6;
  const std::size_t n = scaled(12000, 6000);
  const std::size_t nothing = resident();
  Index index(params(), on_threads(2));
  add(index, 0, n);
  const std::size_t full = resident() - nothing;
  const std::size_t says_full = index.memory().total();
  std::size_t most = 0;
  std::size_t says_most = 0;
  const std::size_t step = n / 20;
  for (std::size_t turn = 0; turn < kTurnovers * 20; ++turn) {
    add(index, n + turn * step, step);
    index.remove(range(turn * step, (turn + 1) * step));
    most = std::max(most, resident() - nothing);
    says_most = std::max<std::size_t>(says_most, index.memory().total());
  }
  expect_sound(index.audit());
  EXPECT_LE(most, full + full / 4 + kHeap);
  EXPECT_LE(says_most, says_full + says_full / 4 + kHeap);
  EXPECT_LE(IndexAccess::contents(index).graph.slides(), kTurnovers / 2);
}

// The table that finds copies is forgotten with most of the vectors, and copies are found as
// before.
TEST(CopyTable, GivesItsMemoryBack) {
  constexpr std::size_t kSize = 3000;
  const Matrix data = make_data(Shape::random, kSize, 4);
  for (const bool at_the_front : {false, true}) {
    SCOPED_TRACE(at_the_front);
    Index index(make_params(4, 4, 8, 64), on_threads(1));
    index.add(data.view());
    const core::Contents& contents = IndexAccess::contents(index);
    EXPECT_GE(contents.copy_finder.bytes(), 8 * kSize);
    index.remove(at_the_front ? range(0, kSize / 10 * 7) : range(0, kSize, 2));
    index.flush();
    EXPECT_EQ(contents.graph.slides(), at_the_front ? 0u : 1u);
    EXPECT_EQ(contents.copy_finder.bytes(), 0u);
    const std::uint64_t copies = index.stats().copies;
    index.add(data.slice(kSize - 1, 1));
    EXPECT_EQ(index.stats().copies, copies + 1);
    index.add(data.slice(0, 1));  // the vector itself is gone
    EXPECT_EQ(index.stats().copies, copies + 1);
    expect_sound(index.audit());
  }
}

TEST_F(Memory, OfCopiesAtTheFrontComesBack) {
  constexpr std::size_t kSize = 20000;
  constexpr std::uint64_t kEqual = 200;
  Matrix data(kSize, 4);
  for (std::size_t i = 0; i < kSize; ++i) data.row(i)[0] = static_cast<float>(i / kEqual);
  const std::size_t nothing = resident();
  Index index(make_params(4, 2, 8, 256), on_threads(1));
  index.add(data.view());
  const core::Graph& graph = IndexAccess::contents(index).graph;
  const std::size_t full = resident() - nothing;
  const std::size_t of_copies = graph.copies().bytes();
  index.remove(range(0, kSize / 2));
  index.flush();
  EXPECT_EQ(graph.slides(), 0u);
  EXPECT_LE(resident() - nothing, full * 9 / 16);
  EXPECT_LE(graph.copies().bytes(), of_copies * 9 / 16);
  index.remove(range(kSize / 2, kSize / 10 * 9));  // so much that what is left slides to the front
  index.flush();
  EXPECT_EQ(graph.slides(), 1u);
  EXPECT_LE(resident() - nothing, full / 6);
  EXPECT_EQ(graph.copies().bytes(), of_copies * graph.size() / kSize);
  expect_sound(index.audit());
  for (std::uint64_t first = kSize / 10 * 9; first < kSize; first += kEqual) {
    EXPECT_EQ(index.search(data.slice(first, 1), {kEqual, kEqual}).labels,
              range(first, first + kEqual));
  }
}

// --------------------------------------------------------------------------------------- readers

// Vectors 0 … n − 1 stay; others, far from all queries, come and go between them, so that those
// that stay slide down again and again. Every answer about them is the one of an index at rest.
class Beside : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::size_t kDimension = 8;
  static constexpr std::uint64_t kOther = 1000000;

  Beside() : data_(make_data(Shape::random, n_ + 64, kDimension)) {
    for (std::size_t i = 0; i < n_; ++i) add(i);
    reference_ = std::make_unique<Index>(params(), on_threads(1));
    reference_->add(data_.slice(0, n_));
    expected_ = reference_->exact_search(queries(), kNearest);
    lasting_ = Filter::of_labels(index_, range(0, n_));
    for (int round = 0; round < 3; ++round) churn();
  }

  static IndexParams params() { return make_params(kDimension, 6, 40, 16); }
  [[nodiscard]] MatrixView<const float> queries() const { return data_.slice(n_, 16); }

  /// A vector that stays, and two that will go.
  void add(std::size_t i) {
    Matrix three(3, kDimension);
    std::copy_n(data_.row(i), kDimension, three.row(1));
    for (const std::size_t r : {0u, 2u}) {
      for (std::size_t d = 0; d < kDimension; ++d) three.row(r)[d] = 1000.0f + data_.row(i)[d];
    }
    const Labels labels = {kOther + 2 * i, i, kOther + 2 * i + 1};
    index_.add(three.view(), labels);
  }
  /// All others go and come again.
  void churn() {
    const Labels others = range(kOther, kOther + 2 * n_);
    for (std::size_t i = 0; i < others.size(); i += 40) {
      const std::size_t some = std::min<std::size_t>(40, others.size() - i);
      if (index_.contains(others[i])) index_.remove(std::span(others).subspan(i, some));
    }
    // What stays is put between new ones, so that there are holes everywhere.
    for (std::size_t i = 0; i < n_; i += 10) {
      Matrix some(20, kDimension);
      for (std::size_t r = 0; r < 20; ++r) {
        for (std::size_t d = 0; d < kDimension; ++d) {
          some.row(r)[d] = 1000.0f + data_.row(r)[d] + static_cast<float>(i);
        }
      }
      index_.upsert(some.view(), std::span(others).subspan(2 * i, 20));
      if (!updates_) continue;
      const Labels same = range(i, i + 10);  // the same vectors again, as the latest
      index_.update(data_.slice(i, 10), same);
    }
  }

  void look_once() {
    const SearchResult exact = index_.exact_search(queries(), kNearest);
    if (exact.labels != expected_.labels) ++wrong_;
    const SearchResult walked = index_.search(queries(), {kNearest, 200});
    for (std::size_t q = 0; q < queries().rows; ++q) {
      const auto* const labels = &walked.labels[q * kNearest];
      if (std::set(labels, labels + kNearest).size() != kNearest) ++twice_;
      for (std::size_t j = 0; j < kNearest; ++j) {
        if (labels[j] != expected_.labels[q * kNearest + j]) ++missed_;
      }
    }
    searched_ += queries().rows * kNearest;
    const Filter filter = Filter::of_labels(index_, range(0, n_));
    if (!updates_) {
      const Filter both = filter & ~(~lasting_ | ~filter);
      for (const Filter* const each :
           std::initializer_list<const Filter*>{&filter, &lasting_, &both}) {
        const SearchResult filtered = index_.exact_search(queries(), kNearest, {.filter = each});
        if (filtered.labels != expected_.labels) ++wrong_;
      }
    }
    for (std::uint64_t label = searched_ % 7; label < n_; label += 7) {
      if (!index_.contains(label)) ++wrong_;
      const std::vector<float> vector = index_.vector(label);
      if (!std::equal(vector.begin(), vector.end(), data_.row(label))) ++wrong_;
    }
    Labels labels = index_.labels();
    std::sort(labels.begin(), labels.end());
    if (std::adjacent_find(labels.begin(), labels.end()) != labels.end()) ++twice_;
    labels.resize(std::min<std::size_t>(n_, labels.size()));
    if (labels != range(0, n_)) ++wrong_;
  }

  static constexpr std::uint32_t kNearest = 10;
  const std::size_t n_ = scaled(600, 200) / 10 * 10;
  const bool updates_ = GetParam();
  Matrix data_;
  Index index_{params(), on_threads(1)};
  std::unique_ptr<Index> reference_;
  SearchResult expected_;
  Filter lasting_ = Filter::of_range(index_, 0, 0);
  std::atomic<std::uint64_t> wrong_{0}, twice_{0}, missed_{0}, searched_{0};
};

TEST_P(Beside, SlidesAnswersAreThoseOfAnIndexAtRest) {
  const std::uint64_t before = IndexAccess::contents(index_).graph.slides();
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&] {
      while (!done) look_once();
    });
  }
  for (std::size_t round = 0; round < scaled(12, 3); ++round) churn();
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(IndexAccess::contents(index_).graph.slides(), before + 2);
  EXPECT_EQ(wrong_, 0u);
  EXPECT_EQ(twice_, 0u);
  // A graph that is large enough for a search to miss one of ten, slide or not.
  EXPECT_LE(missed_, searched_ / 200) << "of " << searched_;
  expect_sound(index_.audit());
}

// Filters go on over a slide, whatever they have named, and the dead of both numberings.
TEST(Filters, GoOnOverASlide) {
  constexpr std::size_t kSize = 600;
  const Matrix data = make_data(Shape::random, kSize, 8);
  Index index(make_params(8, 6, 40, 16), on_threads(1));
  index.add(data.view());
  const auto nearest = [&](const Filter& filter) {
    return index.exact_search(data.slice(0, 20), 5, {.filter = &filter}).labels;
  };
  const Filter evens = Filter::of_labels(index, range(0, kSize, 2));
  index.remove(Labels{1, 4});
  const Filter first = Filter::of_range(index, 0, 4);  // the index keeps what has died by now
  index.remove(range(7, kSize, 3));
  const Labels expected = nearest(evens);
  const std::string digest = [&] {
    const Index copy = [&] {
      std::vector<std::byte> bytes;
      index.write([&](std::span<const std::byte> piece, std::uint64_t /*left*/) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
      });
      Index made = Index::from_bytes(bytes, on_threads(1));
      made.flush();
      return made;
    }();
    return copy.digest();
  }();
  index.flush();
  EXPECT_GE(IndexAccess::contents(index).graph.slides(), 1u);
  EXPECT_EQ(index.digest(), digest);
  const Filter anew =
      Filter::of_predicate(index, [](std::uint64_t label) { return label % 2 == 0; });
  EXPECT_EQ(nearest(anew), expected);
  EXPECT_EQ(nearest(evens), expected);
  EXPECT_EQ(nearest(evens & anew), expected);
  EXPECT_EQ(first.matches(), 4u);
  EXPECT_EQ(first.size(), kSize - 2);
  EXPECT_EQ((~first).matches(), kSize - 6);
  // As many have died as before the slide, and they are others.
  index.remove(Labels{0, 2});
  EXPECT_EQ(Filter::of_labels(index, Labels{0, 2, 6}).matches(), 1u);
}

// A replaced vector that waits for its seal before the first slot that a slide fills.
TEST(Replaced, StayReplacedWhereTheyDoNotMove) {
  constexpr std::size_t kSize = 600;
  const Matrix data = make_data(Shape::random, kSize + 100, 8);
  const TempPath path("index");
  const IndexParams params = make_params(8, 6, 40, 64);
  Index index = Index::open(path, params, Durability::system, on_threads(1));
  index.add(data.slice(0, kSize));
  index.remove(range(100, 228));  // two epochs, too few for a slide in passing
  index.upsert(data.slice(kSize, 1), Labels{3});
  std::vector<std::byte> bytes;
  index.write([&](std::span<const std::byte> piece, std::uint64_t /*left*/) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  Index other = Index::from_bytes(bytes, on_threads(1));
  index.remove(Labels{kSize - 1});
  other.remove(Labels{kSize - 1});
  ASSERT_EQ(IndexAccess::contents(index).graph.slides(), 0u);
  const std::uint64_t tombstones = index.stats().tombstones;
  ASSERT_GE(tombstones, 2u);
  index.compact();  // slides on request, and unlinks nothing
  ASSERT_EQ(IndexAccess::contents(index).graph.slides(), 1u);
  ASSERT_EQ(index.stats().tombstones, tombstones);
  EXPECT_EQ(index.labels().size(), index.size());
  const std::vector<float> vector = index.vector(3);
  EXPECT_TRUE(std::equal(vector.begin(), vector.end(), data.row(kSize)));
  EXPECT_GT(index.exact_search(data.slice(3, 1), 1).distances[0], 0.0f);
  for (Index* const each : {&index, &other}) {
    each->add(data.slice(kSize + 1, 99), range(1000, 1099));
    each->flush();
  }
  EXPECT_EQ(index.digest(), other.digest());
  EXPECT_EQ(index.vector(3), vector);
}

// A block of a slide holds as many vectors as there are empty slots before it, and waits for
// readers.
TEST(Waits, OfASlideAreBounded) {
  const Matrix data = make_data(Shape::random, 6000, 4);
  Index index(make_params(4, 4, 8, 256), on_threads(1));
  index.add(data.view());
  index.remove(Labels{1});
  index.remove(range(4200, 6000));
  index.flush();
  const core::Graph& graph = IndexAccess::contents(index).graph;
  EXPECT_EQ(graph.slides(), 0u) << "one by one";
  index.remove(range(10, 500));
  index.flush();
  EXPECT_EQ(graph.slides(), 1u);
  EXPECT_LT(graph.size(), 4200u);
  expect_sound(index.audit());
}

INSTANTIATE_TEST_SUITE_P(WithoutAndWithUpdates, Beside, testing::Bool());

}  // namespace
}  // namespace concord::test
