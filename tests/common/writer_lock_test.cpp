// The writer's lock: exclusion, lending, and passing through in the writer's own callbacks.

#include "common/writer_lock.hpp"

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
        const WriterLock::Visit visit(lock);
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
      while (!done) const WriterLock::Visit visit(lock);
    });
  }
  {
    WriterLock::Writing writing(lock);
    for (int i = 0; i < 200; ++i) writing.lend();
  }
  done = true;
  for (std::thread& visitor : visitors) visitor.join();
}

TEST(WriterLock, InACallbackOfTheWriterVisitsPassAndWritingIsRefused) {
  WriterLock lock;
  {
    const WriterLock::Writing writing(lock);
    WriterLock::Visit visit(lock);
    visit.end();
    test::expect_error(ErrorCode::invalid_parameter, {"callback"},
                       [&] { const WriterLock::Writing again(lock); });
  }
  const WriterLock::Writing afterwards(lock);
}

}  // namespace
}  // namespace concord::core
