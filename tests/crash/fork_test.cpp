// A process that forks while it has an index open: the child may destroy its copy, and holds
// nothing that the parent or others need.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "tests/crash/reference.hpp"

namespace concord::test {
namespace {

/// A child that does `action`, and is killed if that takes more than a minute.
pid_t start_child(const std::function<void()>& action) {
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(60);
  action();
  _exit(0);
}

void expect_good_end(pid_t child) {
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

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

INSTANTIATE_TEST_SUITE_P(Threads, Fork, testing::Values(1u, 4u));

}  // namespace
}  // namespace concord::test
