// A process that forks while it has an index open: the child may search and destroy its copy. The
// journal stays with the parent, and the child holds nothing that the parent or others need.

#include <csignal>

#include "tests/crash/reference.hpp"
#include "tests/support/child.hpp"
#include "tests/support/sanitizers.hpp"

namespace concord::test {
namespace {

class Fork : public testing::TestWithParam<unsigned> {
 protected:
  Fork() : reference_(make_params(3, 2, 8, 8), 40, 9) { options_.threads = GetParam(); }
  Index open() const {
    return Index::open(path_, reference_.params(), Durability::synced, options_);
  }

  Reference reference_;
  TempPath path_;
  RuntimeOptions options_ = one_thread();
};

TEST_P(Fork, LetsTheChildDestroyItsCopy) {
  std::optional<Index> index = open();
  reference_.add(*index, 20);
  expect_good_end(start_child([&] { index.reset(); }));
  expect_good_end(start_child([&] { *index = Index(reference_.params(), one_thread()); }));
  reference_.add(*index, 10);  // the journal is still the parent's, and locked
  reference_.expect_prefix(*index);
  expect_error(ErrorCode::io, {"in use"}, [&] { open(); });
  index.reset();
  EXPECT_EQ(open().digest(), reference_.digest(30));
}

TEST_P(Fork, LetsTheChildSearchAndSaysWhyItCannotAdd) {
#if defined(CONCORD_UNDER_TSAN)
  if (GetParam() > 1) GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
  Index index = open();
  reference_.add(index, 20);
  in_a_child([&] {
    reference_.expect_prefix(index);
    EXPECT_EQ(index.search(reference_.data().slice(0, 20), {.k = 1, .ef = 20}).counts[19], 1u);
    const std::string digest = index.digest();
    for (const std::function<void()>& call : std::initializer_list<std::function<void()>>{
             [&] { reference_.add(index, 1); }, [&] { index.remove(index.labels()); },
             [&] { index.compact(); }}) {
      expect_error(ErrorCode::unsupported, {"journal", "forked this one"}, call);
    }
    EXPECT_EQ(index.digest(), digest);
    const TempPath copy;
    index.save(copy);
    EXPECT_EQ(Index::load(copy).digest(), digest);
  });
  reference_.add(index, 10);
  index.compact();
  EXPECT_EQ(index.digest(), reference_.digest(30));
}

// An addition is under way on another thread, for good in the child.
TEST_P(Fork, LetsTheChildDestroyWhatIsBeingAddedTo) {
  std::optional<Index> index = open();
  bool forked = false;
  reference_.add(*index, 30, [&](std::uint64_t, std::uint64_t) {
    if (!std::exchange(forked, true)) expect_good_end(start_child([&] { index.reset(); }));
    return true;
  });
  EXPECT_TRUE(forked);
  index.reset();
  EXPECT_EQ(open().digest(), reference_.digest(30));
}

TEST_P(Fork, AChildThatLivesOnDoesNotKeepTheJournal) {
  std::optional<Index> index = open();
  reference_.add(*index, 10);
  const pid_t child = start_child([] { pause(); });
  index.reset();
  index = open();
  reference_.add(*index, 10);
  index->compact();
  EXPECT_EQ(index->digest(), reference_.digest(20));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
}

// A killed process cannot give its lock back, so its children must not have it.
TEST_P(Fork, AChildOfAKilledOwnerDoesNotKeepTheJournal) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const pid_t owner = start_child([&] {
    Index index = reference_.open(path_);
    reference_.add(index, 10);
    start_child([&] {
      const pid_t child = getpid();  // told from there, so that the child has left fork()
      if (write(pipes[1], &child, sizeof child) != sizeof child) _exit(1);
      pause();
    });
    pause();
  });
  pid_t child = 0;
  ASSERT_EQ(read(pipes[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  close(pipes[0]);
  close(pipes[1]);
  kill(owner, SIGKILL);
  ASSERT_EQ(waitpid(owner, nullptr, 0), owner);
  EXPECT_EQ(kill(child, 0), 0) << "the child lives";
  Index index = open();
  EXPECT_EQ(index.digest(), reference_.digest(10));
  reference_.add(index, 10);
  kill(child, SIGKILL);
}

INSTANTIATE_TEST_SUITE_P(Threads, Fork, testing::Values(1u, 4u));

}  // namespace
}  // namespace concord::test
