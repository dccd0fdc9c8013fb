// A process that forks: the child goes on with the parent's indexes, by its own threads.
//
// tests/crash has indexes with a journal, tests/cuda those with a device.

#include <atomic>
#include <optional>
#include <thread>

#include "tests/support/child.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/forked_addition.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/process_threads.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kVectors = 1500;
constexpr std::size_t kMore = 500;

IndexParams params() { return make_params(12, 6, 40, 256); }
const Matrix& data() {
  static const Matrix matrix = make_data(Shape::clustered, kVectors + kMore, 12);
  return matrix;
}
RuntimeOptions with_threads(unsigned threads) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = "cpu";
  return options;
}
const std::string& digest_of_all() {
  static const std::string digest = [] {
    Index index(params(), with_threads(1));
    index.add(data().view());
    return index.digest();
  }();
  return digest;
}

class ForkedIndex : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
#if defined(CONCORD_UNDER_TSAN)
    GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
  }
  [[nodiscard]] RuntimeOptions options() const { return with_threads(GetParam()); }
  [[nodiscard]] Index built() const {
    Index index(params(), options());
    index.add(data().slice(0, kVectors));
    return index;
  }

  /// What the child does with an index must be what the parent does.
  void expect_all_works(Index& index) const {
    const SearchResult found = index.search(data().view(), {.k = 5, .ef = 30});
    const SearchResult exact = index.exact_search(data().slice(0, 100), 5);
    const std::string digest = index.digest();
    in_a_child([&] {
      const SearchResult again = index.search(data().view(), {.k = 5, .ef = 30});
      EXPECT_EQ(again.labels, found.labels);
      EXPECT_EQ(again.distances, found.distances);
      EXPECT_EQ(index.exact_search(data().slice(0, 100), 5).labels, exact.labels);
      EXPECT_EQ(index.digest(), digest);
      EXPECT_EQ(threads_of_process() > 1, options().threads != 1);
    });
  }
};

TEST_P(ForkedIndex, SearchesAndGrowsInTheChildAsInTheParent) {
  Index index = built();
  expect_all_works(index);
  in_a_child([&] {
    index.add(data().slice(kVectors, kMore));
    EXPECT_EQ(index.digest(), digest_of_all());
    expect_sound(index.audit());
    index.set_runtime(with_threads(3));
    in_a_child([&] { EXPECT_EQ(index.search(data().view(), {}).counts.size(), data().rows); });
    index = Index(params(), options());  // frees what the parent made
    index.add(data().view());
    EXPECT_EQ(index.digest(), digest_of_all());
  });
  index.add(data().slice(kVectors, kMore));
  EXPECT_EQ(index.digest(), digest_of_all());
}

TEST_P(ForkedIndex, SearchesInTheChildWhenLoadedOrMapped) {
  const TempPath path;
  built().save(path);
  Index loaded = Index::load(path, options());
  expect_all_works(loaded);
  in_a_child([&] {
    loaded.add(data().slice(kVectors, kMore));
    EXPECT_EQ(loaded.digest(), digest_of_all());
  });
  Index mapped = Index::map(path, MapCheck::on_first_use, options());
  in_a_child([&] { EXPECT_EQ(mapped.digest(), loaded.digest()); });
  expect_all_works(mapped);
}

TEST_P(ForkedIndex, WorksInTheChildWhilePoolsAreBusyInTheParent) {
  if (!kChildrenOutliveThreads) GTEST_SKIP() << kWhyNotBesideThreads;
  Index index = built();
  const SearchResult expected = index.search(data().view(), {});
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int t = 0; t < 3; ++t) {
    busy.emplace_back([&] {
      while (!stop) (void)index.exact_search(data().slice(0, 200), 5);
    });
  }
  for (int round = 0; round < 10; ++round) {
    in_a_child([&] {
      EXPECT_EQ(index.search(data().view(), {}).labels, expected.labels);
      index.add(data().slice(kVectors, kMore));
      EXPECT_EQ(index.digest(), digest_of_all());
      index = built();
    });
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
}

// The addition is on another thread, which is not in the child.
TEST_P(ForkedIndex, SearchesInTheChildOfAnAdditionAndSaysWhyItCannotAdd) {
  if (!kChildrenOutliveThreads) GTEST_SKIP() << kWhyNotBesideThreads;
  std::optional<Index> index(std::in_place, params(), options());
  expect_children_beside_an_addition_search(
      index, data(), 500, kVectors,
      {[&] { index->add(data().slice(kVectors, 1)); }, [&] { (void)index->digest(); },
       [&] { (void)index->audit(); }, [&] { index->set_runtime({}); }});
  index->add(data().slice(kVectors, kMore));
  EXPECT_EQ(index->digest(), digest_of_all());
}

TEST_P(ForkedIndex, ACallbackThatForksEndsTheAdditionInTheChild) {
  if (!kChildrenOutliveThreads && GetParam() != 1) GTEST_SKIP() << kWhyNotBesideThreads;
  Index index(params(), options());
  pid_t child = -1;
  const pid_t parent = getpid();
  const auto add = [&] {
    index.add(data().view(), [&](std::uint64_t done, std::uint64_t) {
      if (done > 300 && child == -1) {
        child = fork();
        if (child == 0) alarm(60);
      }
      return true;
    });
  };
  std::optional<Error> error;
  try {
    add();
  } catch (const Error& caught) {
    error = caught;
  }
  if (getpid() != parent) {
    const bool as_said =
        error && error->code() == ErrorCode::unsupported && index.size() > 0 && index.audit().ok;
    if (as_said) index.add(data().slice(index.size(), data().rows - index.size()));
    _exit(as_said && index.digest() == digest_of_all() ? 0 : 1);
  }
  EXPECT_FALSE(error);
  expect_good_end(child);
  EXPECT_EQ(index.digest(), digest_of_all());
}

INSTANTIATE_TEST_SUITE_P(Threads, ForkedIndex, testing::Values(1U, 2U, 0U));

TEST(ForkedProcess, MakesIndexesWhereTheParentHasNone) {
#if defined(CONCORD_UNDER_TSAN)
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
  in_a_child([] {
    Index index(params(), with_threads(4));
    index.add(data().view());
    EXPECT_EQ(index.digest(), digest_of_all());
  });
}

}  // namespace
}  // namespace concord::test
