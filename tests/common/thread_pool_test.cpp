// The thread pool: every item once, exceptions, stopping, nesting and concurrent callers.

#include "common/threads/thread_pool.hpp"

#include <atomic>
#include <chrono>
#include <concord/thread_limit.hpp>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/no_threads.hpp"
#include "tests/support/process_threads.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

TEST(ThreadPool, RunsEveryItemOnceForAnySizeAndChunk) {
  for (const unsigned threads : {1u, 2u, 7u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::size_t n : {0u, 1u, 2u, 7u, 100u, 1001u}) {
      for (const std::size_t chunk : {1u, 3u, 64u, 5000u}) {
        std::vector<std::atomic<int>> runs(n);
        std::atomic<bool> worker_in_range{true};
        EXPECT_TRUE(pool.parallel_for(n, chunk, [&](unsigned worker, std::size_t a, std::size_t b) {
          if (worker >= threads || a >= b || b - a > chunk) worker_in_range = false;
          for (std::size_t i = a; i < b; ++i) ++runs[i];
        }));
        EXPECT_TRUE(worker_in_range);
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(runs[i], 1) << i;
      }
    }
  }
}

TEST(ThreadPool, ZeroMeansTheHardware) {
  EXPECT_EQ(ThreadPool(0).size(), std::max(1u, std::thread::hardware_concurrency()));
}

TEST(ThreadPool, AWorkerNumberIsUsedByOneThreadAtATime) {
  ThreadPool pool(5);
  std::vector<std::atomic<int>> inside(5);
  std::atomic<bool> shared{false};
  pool.parallel_for(20000, 1, [&](unsigned worker, std::size_t, std::size_t) {
    if (++inside[worker] != 1) shared = true;
    --inside[worker];
  });
  EXPECT_FALSE(shared);
}

TEST(ThreadPool, RethrowsAnExceptionAndGoesOnWorking) {
  for (const unsigned threads : {1u, 4u}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      EXPECT_THROW(pool.parallel_for(100, 1,
                                     [](unsigned, std::size_t first, std::size_t) {
                                       if (first == 42) throw std::runtime_error("body");
                                     }),
                   std::runtime_error);
      std::atomic<int> done{0};
      pool.parallel_for(
          100, 3, [&](unsigned, std::size_t a, std::size_t b) { done += static_cast<int>(b - a); });
      EXPECT_EQ(done, 100);
    }
  }
}

// Chunks begin in order, so the first failing one always runs: which error is reported must not
// depend on the threads.
TEST(ThreadPool, ReportsTheErrorOfTheFirstFailingItem) {
  ThreadPool pool(4);
  for (int round = 0; round < 300; ++round) {
    try {
      pool.parallel_for(200, 1, [](unsigned, std::size_t first, std::size_t) {
        if (first == 20) std::this_thread::sleep_for(std::chrono::microseconds(50));
        if (first >= 20) throw std::runtime_error(std::to_string(first));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      ASSERT_STREQ(error.what(), "20");
    }
  }
}

TEST(ThreadPool, StopsBetweenChunksAndSaysSo) {
  for (const unsigned threads : {1u, 4u}) {
    ThreadPool pool(threads);
    const auto caller = std::this_thread::get_id();
    std::atomic<std::size_t> done{0};
    std::atomic<int> asked{0};
    std::atomic<bool> elsewhere{false};
    const bool complete = pool.parallel_for(
        100000, 1,
        [&](unsigned worker, std::size_t, std::size_t) {
          // Slow elsewhere: a caller kept off its core for a while still finds something to stop.
          if (worker != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          ++done;
        },
        [&] {
          elsewhere = elsewhere || std::this_thread::get_id() != caller;
          return ++asked == 5;
        });
    EXPECT_FALSE(complete);
    EXPECT_FALSE(elsewhere) << "stop is asked on the calling thread";
    EXPECT_EQ(asked, 5);
    EXPECT_LT(done, 100000u);
    if (threads == 1) {
      EXPECT_EQ(done, 4u);
    }
  }
}

TEST(ThreadPool, ALimitHoldsForTheLoopsOfItsThreadAndScope) {
  ThreadPool pool(5);
  const auto threads_of_a_loop = [&] {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    pool.parallel_for(400, 1, [&](unsigned, std::size_t, std::size_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(300));
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    });
    return threads.size();
  };
  {
    const ThreadLimit two(2);
    EXPECT_LE(threads_of_a_loop(), 2u);
    {
      const ThreadLimit one(1);
      EXPECT_EQ(threads_of_a_loop(), 1u);
      const ThreadLimit none(0);
      EXPECT_GT(threads_of_a_loop(), 2u);
    }
    EXPECT_LE(threads_of_a_loop(), 2u);
    std::size_t elsewhere = 0;
    std::thread([&] { elsewhere = threads_of_a_loop(); }).join();
    EXPECT_GT(elsewhere, 2u);
  }
  EXPECT_GT(threads_of_a_loop(), 2u);
}

TEST(ThreadPool, ALoopInsideALoopRunsAlone) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  pool.parallel_for(20, 1, [&](unsigned, std::size_t, std::size_t) {
    const auto thread = std::this_thread::get_id();
    pool.parallel_for(30, 4, [&](unsigned worker, std::size_t a, std::size_t b) {
      EXPECT_EQ(worker, 0u);
      EXPECT_EQ(std::this_thread::get_id(), thread);
      done += static_cast<int>(b - a);
    });
  });
  EXPECT_EQ(done, 600);
}

TEST(ThreadPool, ServesManyCallersAtOnce) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        pool.parallel_for(17, 2, [&](unsigned, std::size_t a, std::size_t b) {
          done += static_cast<int>(b - a);
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 6 * 200 * 17);
}

TEST(ThreadPool, ComesAndGoesQuickly) {
  for (int round = 0; round < 100; ++round) {
    ThreadPool pool(8);
    if (round % 2 == 0) pool.parallel_for(8, 1, [](unsigned, std::size_t, std::size_t) {});
  }
}

TEST(ThreadPool, RunsOnTheCallersThreadWhereTheSystemGivesNoOther) {
  const test::NoThreads none;
  ThreadPool pool(4);
  std::size_t done = 0;
  EXPECT_TRUE(
      pool.parallel_for(100, 3, [&](unsigned, std::size_t a, std::size_t b) { done += b - a; }));
  EXPECT_EQ(done, 100u);
}

// Each chunk waits for another, so loops end only if each has two threads at once.
TEST(ThreadPool, PoolsOfOneProcessHelpTheirCallersAtOnce) {
  ThreadPool first(2);
  ThreadPool second(3);  // two worker threads are allowed, and each loop asks for one
  const auto meet = [](ThreadPool& pool) {
    std::atomic<int> inside{0};
    pool.parallel_for(2, 1, [&](unsigned, std::size_t, std::size_t) {
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
  };
  for (int round = 0; round < 200; ++round) {
    std::thread other([&] { meet(first); });
    meet(second);
    other.join();
  }
}

TEST(ThreadPool, ManyPoolsHaveTheThreadsOfTheLargest) {
  const std::size_t before = test::threads_at_rest();
  {
    std::vector<std::unique_ptr<ThreadPool>> pools;
    for (unsigned i = 0; i < 500; ++i) {
      pools.push_back(std::make_unique<ThreadPool>(2 + i % 7));
      pools.back()->parallel_for(100, 1, [](unsigned, std::size_t, std::size_t) {});
    }
    EXPECT_GE(test::threads_of_process(), before + 7);
    EXPECT_LE(test::threads_of_process(),
              before + std::max(7U, std::thread::hardware_concurrency() - 1));
  }
  EXPECT_EQ(test::threads_left(before), before);
}

}  // namespace
}  // namespace concord::core
