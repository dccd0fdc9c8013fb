// The writer's lock: exclusion, lending, and passing through in the writer's own callbacks.

#include "common/threads/writer_lock.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/support.hpp"

namespace concord::core {
namespace {

TEST(WriterLock, AVisitorWaitsForTheWriterToLendOrEnd) {
  WriterLock lock;
  int steps = 0;  // guarded by the lock
  std::atomic<bool> begun{false};
  std::thread writer([&] {
    WriterLock::Writing writing(lock);
    begun = true;
    for (int i = 0; i < 2000; ++i) {
      ++steps;  // an odd number is no state to look at
      ++steps;
      writing.lend();
    }
  });
  while (!begun) std::this_thread::yield();
  std::vector<std::thread> visitors;
  std::atomic<int> odd{0};
  for (int t = 0; t < 4; ++t) {
    visitors.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const WriterLock::Pause visit(lock);
        odd += steps % 2;
      }
    });
  }
  for (std::thread& visitor : visitors) visitor.join();
  writer.join();
  EXPECT_EQ(odd, 0);
  EXPECT_EQ(steps, 4000);
}

TEST(WriterLock, TheWriterGoesOnWhileVisitorsKeepComing) {
  WriterLock lock;
  std::atomic<bool> done{false};
  std::vector<std::thread> visitors;
  for (int t = 0; t < 3; ++t) {
    visitors.emplace_back([&] {
      while (!done) const WriterLock::Pause visit(lock);
    });
  }
  {
    WriterLock::Writing writing(lock);
    for (int i = 0; i < 200; ++i) writing.lend();
  }
  done = true;
  for (std::thread& visitor : visitors) visitor.join();
}

// Visitors that come again at once do not keep the writer out.
TEST(WriterLock, ALendingLetsEachVisitorInOnce) {
  constexpr int kVisitors = 3;
  WriterLock lock;
  std::atomic<bool> done{false};
  std::atomic<int> visits{0};
  std::vector<std::thread> visitors;
  int most = 0;
  {
    WriterLock::Writing writing(lock);
    for (int t = 0; t < kVisitors; ++t) {
      visitors.emplace_back([&] {
        while (!done) {
          const WriterLock::Pause visit(lock);
          ++visits;
        }
      });
    }
    for (int i = 0; i < 200; ++i) {
      while (!writing.is_awaited()) std::this_thread::yield();
      const int before = visits;
      writing.lend();
      most = std::max(most, visits - before);
    }
    done = true;
  }
  for (std::thread& visitor : visitors) visitor.join();
  EXPECT_LE(most, kVisitors);
}

// As the destructor of an index does it: whoever comes after all others may free the lock.
TEST(WriterLock, WhoCameFirstHasLeftWhenTheNextIsLetIn) {
  for (int round = 0; round < 300; ++round) {
    auto lock = std::make_unique<WriterLock>();
    bool visited = false;  // guarded by the lock
    std::thread visitor;
    std::thread destroyer;
    {
      WriterLock::Writing writing(*lock);
      visitor = std::thread([&, &live = *lock] {
        const WriterLock::Pause visit(live);
        visited = true;
      });
      while (!writing.is_awaited()) std::this_thread::yield();
      destroyer = std::thread([&] {
        lock->wait_for_writer();
        {
          const WriterLock::Pause visit(*lock);
          EXPECT_TRUE(visited);
        }
        lock.reset();
      });
    }
    visitor.join();
    destroyer.join();
  }
}

TEST(WriterLock, InACallbackOfTheWriterVisitsPassAndWritingIsRefused) {
  WriterLock lock;
  {
    const WriterLock::Writing writing(lock);
    WriterLock::Pause visit(lock);
    visit.end();
    test::expect_error(ErrorCode::invalid_parameter, {"callback"},
                       [&] { const WriterLock::Writing again(lock); });
  }
  const WriterLock::Writing afterwards(lock);
}

}  // namespace
}  // namespace concord::core
