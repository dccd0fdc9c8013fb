// The gate: whoever waits, waits for those who were inside, and for no one else for ever.

#include "common/threads/reader_gate.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace concord::core {
namespace {

TEST(ReaderGate, NobodyInsideIsNotWaitedFor) {
  const ReaderGate gate;
  gate.wait_for_readers();
  { const auto reader = gate.enter(); }
  gate.wait_for_readers();
}

TEST(ReaderGate, WaitsForTheReaderThatWasInside) {
  const ReaderGate gate;
  std::atomic<bool> left{false};
  std::atomic<bool> entered{false};
  std::atomic<bool> may_leave{false};
  std::thread reader([&] {
    const auto inside = gate.enter();
    entered = true;
    while (!may_leave) std::this_thread::yield();
    left = true;
  });
  while (!entered) std::this_thread::yield();
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    may_leave = true;
  });
  gate.wait_for_readers();
  EXPECT_TRUE(left);
  reader.join();
  release.join();
}

// What was replaced is freed after the wait; ASan and TSan see whoever still reads it.
TEST(ReaderGate, NothingIsFreedUnderAReader) {
  const ReaderGate gate;
  struct Value {
    std::uint64_t a, b;
  };
  std::atomic<Value*> shown{new Value{0, ~std::uint64_t{0}}};
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 6; ++t) {
    readers.emplace_back([&] {
      while (!stop) {
        const auto inside = gate.enter();
        const Value* const value = shown.load(std::memory_order_acquire);
        torn += value->a != ~value->b;
      }
    });
  }
  for (std::uint64_t i = 1; i <= 300; ++i) {
    const std::unique_ptr<Value> old(shown.exchange(new Value{i, ~i}));
    gate.wait_for_readers();
    old->b = old->a;  // a reader that is still there finds it torn
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0);
  delete shown.load();
}

}  // namespace
}  // namespace concord::core
