// The thread that submits work to a device: order, errors, and a system that gives no thread.
#include "cuda/submitter.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "tests/support/no_threads.hpp"

namespace concord::cuda {
namespace {

TEST(Submitter, DoesJobsInOrderOnAnotherThread) {
  std::vector<int> done;
  std::thread::id where;
  Submitter submitter;
  for (int job = 0; job < 100; ++job) {
    submitter.post([&, job] {
      done.push_back(job);
      where = std::this_thread::get_id();
    });
  }
  submitter.drain();
  EXPECT_NE(where, std::this_thread::get_id());
  ASSERT_EQ(done.size(), 100u);
  for (int job = 0; job < 100; ++job) EXPECT_EQ(done[static_cast<std::size_t>(job)], job);
}

TEST(Submitter, DropsWhatFollowsAnErrorUntilItIsTaken) {
  Submitter submitter;
  bool dropped = true;
  submitter.post([] { throw std::runtime_error("the first"); });
  submitter.post([&] { dropped = false; });
  EXPECT_THROW(submitter.drain(), std::runtime_error);
  EXPECT_TRUE(dropped);
  bool done = false;
  submitter.wait(submitter.post([&] { done = true; }));
  EXPECT_TRUE(done);
}

// The same on the caller's thread. Once the system gives a thread, that one goes on.
TEST(Submitter, DoesJobsOnTheCallersThreadIfTheSystemGivesNoOther) {
  Submitter submitter;
  std::vector<std::thread::id> done;
  const auto note = [&] { done.push_back(std::this_thread::get_id()); };
  {
    const test::NoThreads none;
    submitter.post(note);
    EXPECT_EQ(done, std::vector{std::this_thread::get_id()});
    submitter.wait_until_idle();
    submitter.post([] { throw std::runtime_error("the second"); });
    submitter.post(note);
    EXPECT_EQ(done.size(), 1u);
    EXPECT_THROW(submitter.drain(), std::runtime_error);
  }
  submitter.wait(submitter.post(note));
  ASSERT_EQ(done.size(), 2u);
  EXPECT_NE(done.back(), std::this_thread::get_id());
}

}  // namespace
}  // namespace concord::cuda
