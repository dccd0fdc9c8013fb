// A process that forks: the child goes on with the parent's ShardedIndex, by its own threads.

#include <optional>

#include "tests/shards/sharded_world.hpp"
#include "tests/support/child.hpp"
#include "tests/support/forked_addition.hpp"
#include "tests/support/sanitizers.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kVectors = 1200;
constexpr std::size_t kMore = 300;
constexpr ShardParams kShards{3, 16};

IndexParams params() { return make_params(8, 6, 40, 128); }
const Matrix& data() {
  static const Matrix matrix = make_data(Shape::clustered, kVectors + kMore, 8);
  return matrix;
}
const std::string& digest_of_all() {
  static const std::string digest = [] {
    ShardedIndex index(params(), kShards, {on_cpu(), {}});
    index.add(data().view());
    return index.digest();
  }();
  return digest;
}

class ForkedShards : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
#if defined(CONCORD_UNDER_TSAN)
    GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
  }
  [[nodiscard]] ShardRuntime runtime() const { return {on_cpu(GetParam()), {}}; }
};

TEST_P(ForkedShards, SearchAndGrowInTheChildAsInTheParent) {
  ShardedIndex index(params(), kShards, runtime());
  index.add(data().slice(0, kVectors));
  const SearchResult found = index.search(data().view(), {.k = 5, .ef = 30});
  in_a_child([&] {
    expect_equal(index.search(data().view(), {.k = 5, .ef = 30}), found);
    index.add(data().slice(kVectors, kMore));
    EXPECT_EQ(index.digest(), digest_of_all());
    const std::vector<std::uint64_t> labels{0, 17, 40, 900};
    index.update(data().slice(0, 4), labels);
    index.remove(labels);
    index.flush();
    EXPECT_EQ(index.size(), kVectors + kMore - 4);
    EXPECT_FALSE(index.contains(17));
  });
  index.add(data().slice(kVectors, kMore));
  EXPECT_EQ(index.digest(), digest_of_all());
}

// The addition is on another thread, which is not in the child.
TEST_P(ForkedShards, SearchInTheChildOfAnAdditionAndSayWhyTheyCannotAdd) {
  if (!kChildrenOutliveThreads) GTEST_SKIP() << kWhyNotBesideThreads;
  std::optional<ShardedIndex> index(std::in_place, params(), kShards, runtime());
  expect_children_beside_an_addition_search(
      index, data(), 300, kVectors,
      {[&] { index->add(data().slice(kVectors, 1)); }, [&] { (void)index->digest(); },
       [&] { index->remove(std::vector<std::uint64_t>{1}); }, [&] { index->flush(); },
       [&] { (void)index->audit(); }});
  index->add(data().slice(kVectors, kMore));
  EXPECT_EQ(index->digest(), digest_of_all());
}

// Wherever the callback forks: while shards are inserted on other threads, between rounds, at the
// end.
TEST_P(ForkedShards, ACallbackThatForksEndsTheAdditionInTheChild) {
  if (!kChildrenOutliveThreads && GetParam() != 1) GTEST_SKIP() << kWhyNotBesideThreads;
  for (std::size_t least = 0; least <= kVectors + kMore; least += 100) {
    SCOPED_TRACE("when " + std::to_string(least) + " vectors are there");
    ShardedIndex index(params(), kShards, runtime());
    pid_t child = -1;
    const pid_t parent = getpid();
    std::optional<Error> error;
    try {
      index.add(data().view(), [&](std::uint64_t done, std::uint64_t) {
        if (done >= least && child == -1) {
          child = fork();
          if (child == 0) alarm(60);
        }
        return true;
      });
    } catch (const Error& caught) {
      error = caught;
    }
    if (getpid() != parent) {
      const bool as_said = error && error->code() == ErrorCode::unsupported;
      const SearchResult found = index.search(data().slice(0, 50), {.k = 3, .ef = 20});
      const bool finds = found.counts[49] == std::min<std::size_t>(3, index.size());
      { const ShardedIndex gone = std::move(index); }
      _exit(as_said && finds ? 0 : 1);
    }
    EXPECT_FALSE(error);
    expect_good_end(child);
    EXPECT_EQ(index.digest(), digest_of_all());
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ForkedShards, testing::Values(1U, 2U, 4U));

}  // namespace
}  // namespace concord::test
