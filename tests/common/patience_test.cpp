// A writer's patience: a reader ends whatever the writer would do, and nobody waits for ever.

#include "common/threads/patience.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <new>
#include <thread>
#include <vector>

namespace concord::core {
namespace {

TEST(Patience, WhoBeginsAgainSeldomIsNotWaitedFor) {
  const Patience patience;
  Patience::Tries tries(patience);
  patience.wait();
  for (int i = 0; i < 2; ++i) tries.again();
  patience.wait();
}

TEST(Patience, EndsWithTheReaderThatAsked) {
  Patience patience;
  {
    Patience::Tries tries(patience);
    for (int i = 0; i < 10; ++i) tries.again();
  }
  patience.wait();
  alignas(Patience::Tries) std::byte memory[sizeof(Patience::Tries)];
  auto* const of_another_thread = new (memory) Patience::Tries(patience);
  for (int i = 0; i < 10; ++i) of_another_thread->again();
  patience.after_fork();  // that thread is not in the child
  patience.wait();
}

// Each try of these readers takes longer than the writer needs to disturb it.
TEST(Patience, ReadersEndBesideAWriterThatIsFaster) {
  const Patience patience;
  std::atomic<std::uint64_t> changes{0};
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done) {
      patience.wait();
      ++changes;
    }
  });
  constexpr int kFew = 8;
  std::atomic<int> most{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      Patience::Tries tries(patience);
      int count = 1;
      for (; count <= kFew; ++count, tries.again()) {
        const std::uint64_t before = changes;
        for (int i = 0; i < 300 && changes == before; ++i) {
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
        if (changes == before) break;
      }
      int seen = most;
      while (seen < count && !most.compare_exchange_weak(seen, count)) {
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  done = true;
  writer.join();
  EXPECT_LE(most, kFew);
  EXPECT_GT(most, 3) << "nobody was disturbed";
}

}  // namespace
}  // namespace concord::core
