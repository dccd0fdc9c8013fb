// Worker threads take no signals of the process.

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <ctime>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

volatile std::sig_atomic_t taken = 0;

TEST(Signals, AreLeftToTheProgramsOwnThreads) {
  const Matrix data = make_data(Shape::random, 2000, 16);
  RuntimeOptions options;
  options.threads = 4;
  options.device = "cpu";
  Index index(make_params(16, 8, 20, 4096), options);
  index.add(data.view());
  const auto before = std::signal(SIGTERM, [](int) { taken = 1; });
  sigset_t set;
  sigset_t old;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, &old);
  kill(getpid(), SIGTERM);
  (void)index.search(data.view(), {});
  const timespec wait{5, 0};
  EXPECT_EQ(sigtimedwait(&set, nullptr, &wait), SIGTERM);
  EXPECT_EQ(taken, 0);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  std::signal(SIGTERM, before);
}

}  // namespace
}  // namespace concord::test
