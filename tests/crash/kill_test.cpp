// A real process is killed (SIGKILL) while it adds, compacts and opens, with one thread or several,
// and with signals that interrupt its system calls. What it had acknowledged over a pipe is there,
// in the file system of this machine, and nothing but a prefix. Several processes race to open.

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <new>
#include <string>

#include "common/journal/writer.hpp"
#include "tests/crash/operations.hpp"

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

/// Interrupts the system calls of this process every 300 microseconds.
void interrupt_often() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, nullptr);
  const itimerval interval{{0, 300}, {0, 300}};
  setitimer(ITIMER_REAL, &interval, nullptr);
}

/// What the process that is killed does: adds, now and then compacts or reopens, and tells after
/// each addition how many vectors the index has.
[[noreturn]] void add_and_tell(const Reference& reference, const std::filesystem::path& path,
                               Durability durability, std::uint64_t seed, int pipe) {
  if (hash(seed, 3) % 4 == 0) interrupt_often();
  const auto threads = static_cast<unsigned>(1 + hash(seed, 4) % 3);
  std::optional<Index> index = reference.open(path, durability, threads);
  for (std::uint64_t step = 0; index->size() < reference.rows(); ++step) {
    const std::uint64_t action = hash(seed, step) % 16;
    if (action == 0) {
      index->compact();
    } else if (action == 1) {
      index.reset();
      index = reference.open(path, durability, threads);
    } else {
      const std::size_t left = reference.rows() - index->size();
      reference.add(*index, std::min<std::size_t>(left, 1 + hash(seed, step, 1) % 40));
    }
    const std::uint64_t size = index->size();
    if (write(pipe, &size, sizeof size) != sizeof size) break;
  }
  _exit(0);
}

/// Does operations of every kind from `done` on, and tells how many after each call.
[[noreturn]] void do_and_tell(const Operations& operations, const std::filesystem::path& path,
                              Durability durability, std::size_t done, std::uint64_t seed,
                              int pipe) {
  std::optional<Index> index = operations.open(path, durability);
  for (std::uint64_t step = 0; done < operations.count(); ++step) {
    done = operations.take_step(index, path, durability, done, seed, step);
    const std::uint64_t told = done;
    if (write(pipe, &told, sizeof told) != sizeof told) break;
  }
  _exit(0);
}

/// Lets a process act for up to `microseconds`, then kills it; returns what it last acknowledged.
std::uint64_t run_and_kill(const std::function<void(int pipe)>& act, unsigned microseconds) {
  int pipes[2];
  EXPECT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(pipes[0]);
    try {
      act(pipes[1]);
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
    const std::uint64_t acknowledged = std::max(
        before,
        run_and_kill(
            [&](int pipe) { add_and_tell(reference, path, GetParam(), hash(round, 2), pipe); },
            pause));
    // Half of the times what the process left is looked at in a copy, so that the next process
    // recovers, and may be killed as it does.
    const TempPath copy;
    const bool looks_at_copy = hash(round, 3) % 2 == 0;
    if (looks_at_copy) {
      for (const char* suffix : {"", ".journal"}) {
        const std::string from = path.path().string() + suffix;
        if (std::filesystem::exists(from)) {
          std::filesystem::copy_file(from, copy.path().string() + suffix);
        }
      }
    }
    {
      const Index index = reference.open(looks_at_copy ? copy : path, GetParam());
      reference.expect_prefix(index);
      ASSERT_GE(index.size(), acknowledged);
      ASSERT_LE(index.size(), std::max<std::size_t>(acknowledged + 40, before));
      before = index.size();
    }
    if (!looks_at_copy) {
      for (const auto& file : std::filesystem::directory_iterator(path.path().parent_path())) {
        ASSERT_TRUE(file.path() == path.path() || file.path().extension() == ".journal")
            << file.path() << " is left by a killed process";
      }
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

TEST_P(Kill, LosesNoAcknowledgedOperationOfAnyKind) {
  const Operations operations(make_params(4, 4, 16, 64), 600, 12);
  const TempPath path;
  std::size_t done = 0;
  std::size_t interrupted = 0;
  for (std::uint64_t round = 0; round < scaled(60); ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    const std::uint64_t acknowledged = std::max<std::uint64_t>(
        done, run_and_kill(
                  [&](int pipe) {
                    do_and_tell(operations, path, GetParam(), done, hash(round, 2), pipe);
                  },
                  static_cast<unsigned>(hash(round, 1) % 30000)));
    {
      const Index index = operations.open(path, GetParam());
      done = operations.position_of(index, acknowledged, acknowledged + 40);
      expect_sound(index.audit());
    }
    ASSERT_FALSE(HasFailure());
    if (done < operations.count()) {
      ++interrupted;
      continue;
    }
    for (const auto& file : std::filesystem::directory_iterator(path.path().parent_path())) {
      std::filesystem::remove(file);
    }
    done = 0;
  }
  EXPECT_GT(interrupted, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, Kill, testing::Values(Durability::synced, Durability::system),
                         [](const auto& test) {
                           return test.param == Durability::synced ? "Synced" : "System";
                         });

/// Opens the index again and again until it has all vectors, and adds a few each time. `inside`, in
/// memory that the processes share, counts who has it open.
[[noreturn]] void race(const Reference& reference, const std::filesystem::path& path,
                       std::atomic<int>& inside, std::uint64_t seed) {
  for (std::uint64_t step = 0;; ++step) {
    try {
      Index index = reference.open(path, Durability::system);
      if (++inside != 1) _exit(2);
      const std::size_t left = reference.rows() - index.size();
      if (index.digest() != reference.digest(index.size())) _exit(3);
      reference.add(index, std::min<std::size_t>(left, 1 + hash(seed, step) % 9));
      if (hash(seed, step, 1) % 8 == 0) index.compact();
      --inside;
      if (left == 0) _exit(0);
    } catch (const Error& error) {
      if (std::string(error.what()).find("in use") == std::string::npos) _exit(4);
      usleep(static_cast<unsigned>(hash(seed, step, 2) % 200));
    }
  }
}

TEST(OpenInARace, IsOpenForOneProcessAtATimeAndLosesNothing) {
  const Reference reference(make_params(4, 4, 16, 64), scaled(600, 100), 11);
  const TempPath path;
  void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& inside = *new (shared) std::atomic<int>(0);
  std::vector<pid_t> children;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    try {
      race(reference, path, inside, seed);
    } catch (...) {
      _exit(1);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  }
  munmap(shared, sizeof(std::atomic<int>));
  EXPECT_EQ(reference.open(path).digest(), reference.digest(reference.rows()));
}

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
