// A replica in this process follows one writer after another in a process of its own, each of which
// is killed (SIGKILL) at any moment. Threads search beside it.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <concord/replica.hpp>
#include <csignal>
#include <thread>

#include "tests/crash/operations.hpp"

namespace concord::test {
namespace {

/// Does operations of every kind from where the index is, until it is killed or all are done.
[[noreturn]] void do_all(const Operations& operations, const std::filesystem::path& path,
                         Durability durability, std::uint64_t seed) {
  try {
    std::optional<Index> index = operations.open(path, durability);
    std::size_t done = operations.position_of(*index, 0, operations.count());
    for (std::uint64_t step = 0; done < operations.count(); ++step) {
      done = operations.take_step(index, path, durability, done, seed, step);
    }
  } catch (...) {
    _exit(1);
  }
  _exit(0);
}

class ReplicaOfAProcess : public testing::TestWithParam<Durability> {};

TEST_P(ReplicaOfAProcess, IsAlwaysTheIndexAfterSoManyOperations) {
  const Operations operations(make_params(4, 4, 16, 64), scaled(800, 300), 21);
  const TempPath path;
  { const Index begun = operations.open(path, GetParam()); }
  Replica replica = Replica::open(path, one_thread());
  std::size_t seen = 0;
  std::size_t looks = 0;
  for (std::uint64_t round = 0; seen < operations.count(); ++round) {
    const pid_t writer = fork();
    if (writer == 0) do_all(operations, path, GetParam(), round);
    const std::size_t before_kill = 1 + hash(round, 1) % 40;
    int status = 0;
    bool is_gone = false;
    for (std::size_t look = 0; look < before_kill && !is_gone; ++look, ++looks) {
      usleep(static_cast<unsigned>(hash(round, 2, look) % 1500));
      replica.catch_up();
      seen = operations.position_of(*replica.index(), seen, operations.count());
      ASSERT_FALSE(HasFailure()) << "round " << round << ", look " << look;
      is_gone = waitpid(writer, &status, WNOHANG) == writer;
    }
    if (!is_gone) {
      kill(writer, SIGKILL);
      waitpid(writer, &status, 0);
    }
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "the writer failed by itself";
    // What it acknowledged, and at most what it had only written.
    replica.catch_up();
    seen = operations.position_of(*replica.index(), seen, operations.count());
    const Index index = operations.open(path, GetParam());
    EXPECT_GE(operations.position_of(index, seen, operations.count()), seen);
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  EXPECT_GT(looks, 10u);
  EXPECT_EQ(replica.index()->digest(), operations.digests().back());
  expect_sound(replica.index()->audit());
  EXPECT_EQ(replica.promote(GetParam())->digest(), operations.digests().back());
}

INSTANTIATE_TEST_SUITE_P(All, ReplicaOfAProcess,
                         testing::Values(Durability::synced, Durability::system),
                         [](const auto& test) {
                           return test.param == Durability::synced ? "Synced" : "System";
                         });

// Every answer has only vectors of the writer, and each vector that was there when it began.
TEST(ReplicaBesideReaders, AnswersAsAnIndexBesideItsWriter) {
  const std::size_t rows = scaled(3000, 800);
  const Matrix data = make_data(Shape::clustered, rows, 8, 4);
  const TempPath path;
  Index index = Index::open(path, make_params(8, 6, 24, 64), Durability::system, one_thread());
  index.add(data.slice(0, 1));
  RuntimeOptions options = one_thread();
  options.threads = 2;
  Replica replica = Replica::open(path, options);
  std::atomic<bool> is_done{false};
  std::thread writer([&] {
    for (std::size_t done = 1; done < rows;) {
      const std::size_t some = std::min<std::size_t>(rows - done, 1 + hash(done, 1) % 50);
      index.add(data.slice(done, some));
      done += some;
      if (done % 3 == 0) index.remove(std::vector<std::uint64_t>{done - 1});
      if (done % 7 == 0) index.compact();
    }
    is_done = true;
  });
  std::vector<std::thread> readers;
  for (std::uint64_t reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, reader] {
      for (std::uint64_t turn = 0; !is_done; ++turn) {
        const std::shared_ptr<const Index> shown = replica.index();
        const std::size_t size = shown->size();
        SearchParams how;
        how.k = 5;
        const SearchResult found =
            shown->search(data.slice(hash(reader, turn) % (rows - 3), 3), how);
        for (std::size_t q = 0; q < 3; ++q) {
          ASSERT_TRUE(size < 60 || found.counts[q] == 5);
          const float* const distances = &found.distances[5 * q];
          EXPECT_TRUE(std::is_sorted(distances, distances + found.counts[q]));
          for (std::size_t i = 0; i < found.counts[q]; ++i) {
            ASSERT_LT(found.labels[5 * q + i], rows);
          }
        }
        if (turn % 16 == 0) static_cast<void>(shown->digest());
        if (turn % 8 == 0) static_cast<void>(replica.lag());
      }
    });
  }
  const std::optional<Error> error = [&]() -> std::optional<Error> {
    try {
      while (!is_done) replica.catch_up();
    } catch (const Error& thrown) {
      return thrown;
    }
    return std::nullopt;
  }();
  writer.join();
  for (std::thread& reader : readers) reader.join();
  ASSERT_FALSE(error) << error->what();
  replica.catch_up();
  EXPECT_EQ(replica.index()->digest(), index.digest());
}

}  // namespace
}  // namespace concord::test
