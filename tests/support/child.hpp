// A forked child that runs part of a test.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/support/sanitizers.hpp"

namespace concord::test {

/// Whether the child of a process whose other threads are at work can go on. AddressSanitizer's
/// allocator keeps in the child the locks that those threads held, and the child waits for ever.
#if defined(CONCORD_UNDER_ASAN)
inline constexpr bool kChildrenOutliveThreads = false;
#else
inline constexpr bool kChildrenOutliveThreads = true;
#endif
inline constexpr const char* kWhyNotBesideThreads =
    "the sanitizer's own locks may be held by threads that the child lacks";

/// A child that does `action`, and is killed if that takes more than a minute. It exits with 0 if
/// no expectation failed in it.
inline pid_t start_child(const std::function<void()>& action) {
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(60);
  action();
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

inline void expect_good_end(pid_t child) {
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

/// Does `action` in a child, and expects of it what the action expects.
inline void in_a_child(const std::function<void()>& action) {
  expect_good_end(start_child(action));
}

}  // namespace concord::test
