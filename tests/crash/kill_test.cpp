// A real process is killed (SIGKILL) while it adds, compacts and opens. What it had acknowledged
// over a pipe is there, in the file system of this machine, and nothing but a prefix.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "common/journal_writer.hpp"
#include "tests/crash/reference.hpp"

namespace concord::test {
namespace {

/// The last number that was written to a pipe; 0 if none was. Closes it.
std::uint64_t last_number(int pipe) {
  std::uint64_t number = 0;
  while (read(pipe, &number, sizeof number) > 0) {
  }
  close(pipe);
  return number;
}

/// What the process that is killed does: adds, now and then compacts or reopens, and tells after
/// each addition how many vectors the index has.
[[noreturn]] void add_and_tell(const Reference& reference, const std::filesystem::path& path,
                               Durability durability, std::uint64_t seed, int pipe) {
  std::optional<Index> index = reference.open(path, durability);
  for (std::uint64_t step = 0; index->size() < reference.rows(); ++step) {
    const std::uint64_t action = hash(seed, step) % 16;
    if (action == 0) {
      index->compact();
    } else if (action == 1) {
      index.reset();
      index = reference.open(path, durability);
    } else {
      const std::size_t left = reference.rows() - index->size();
      reference.add(*index, std::min<std::size_t>(left, 1 + hash(seed, step, 1) % 40));
    }
    const std::uint64_t size = index->size();
    if (write(pipe, &size, sizeof size) != sizeof size) break;
  }
  _exit(0);
}

/// Lets a process add for up to `microseconds`, then kills it; returns what it last acknowledged.
std::uint64_t run_and_kill(const Reference& reference, const std::filesystem::path& path,
                           Durability durability, std::uint64_t seed, unsigned microseconds) {
  int pipes[2];
  EXPECT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(pipes[0]);
    try {
      add_and_tell(reference, path, durability, seed, pipes[1]);
    } catch (...) {
      _exit(1);
    }
  }
  close(pipes[1]);
  usleep(microseconds);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "the process failed by itself";
  return last_number(pipes[0]);
}

class Kill : public testing::TestWithParam<Durability> {};

TEST_P(Kill, LosesNothingAcknowledged) {
  const Reference reference(make_params(4, 4, 16, 64), 600, 11);
  const std::size_t rounds = scaled(GetParam() == Durability::synced ? 60 : 100);
  std::size_t interrupted = 0;
  TempPath path;
  std::uint64_t before = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    const auto pause = static_cast<unsigned>(hash(round, 1) % 30000);
    const std::uint64_t acknowledged =
        std::max(before, run_and_kill(reference, path, GetParam(), hash(round, 2), pause));
    {
      const Index index = reference.open(path, GetParam());
      reference.expect_prefix(index);
      ASSERT_GE(index.size(), acknowledged);
      ASSERT_LE(index.size(), std::max<std::size_t>(acknowledged + 40, before));
      before = index.size();
    }
    if (before < reference.rows()) {
      ++interrupted;
    } else {
      for (const auto& file : std::filesystem::directory_iterator(path.path().parent_path()))
        std::filesystem::remove(file);
      before = 0;
    }
  }
  EXPECT_GT(interrupted, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, Kill, testing::Values(Durability::synced, Durability::system),
                         [](const auto& test) {
                           return test.param == Durability::synced ? "Synced" : "System";
                         });

// One call that adds everything, killed again and again, resumed by adding the rest.
TEST(KilledBuild, EndsWithTheDigestOfOneThatWasNot) {
  const std::size_t rows = scaled(6000, 2000);
  const Matrix data = make_data(Shape::clustered, rows, 16, 4);
  const IndexParams params = make_params(16, 8, 64, 256);
  Index whole(params, one_thread());
  whole.add(data.view());

  const TempPath path;
  std::size_t size = 0;
  std::size_t lives = 0;
  for (unsigned pause = 2000; size < rows; pause += 20000, ++lives) {
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
      try {
        Index index = Index::open(path, params, Durability::synced, one_thread());
        const std::uint64_t first = index.size();
        index.add(data.slice(first, rows - first), [&](std::uint64_t added, std::uint64_t) {
          const std::uint64_t committed = first + added;
          return write(pipes[1], &committed, sizeof committed) == sizeof committed;
        });
        _exit(0);
      } catch (...) {
        _exit(1);
      }
    }
    close(pipes[1]);
    usleep(pause);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    const std::uint64_t committed = last_number(pipes[0]);
    const Index index = Index::open(path, params, Durability::synced, one_thread());
    ASSERT_GE(index.size(), size) << "nothing that was recorded is lost";
    ASSERT_GE(index.size() + core::JournalWriter::kAhead * params.epoch_limit, committed);
    ASSERT_EQ(index.stats().build.beam_search.count, 0u) << "nothing recorded is sought again";
    size = index.size();
  }
  EXPECT_GT(lives, 1u);
  EXPECT_EQ(Index::open(path, params, Durability::synced, one_thread()).digest(), whole.digest());
}

}  // namespace
}  // namespace concord::test
