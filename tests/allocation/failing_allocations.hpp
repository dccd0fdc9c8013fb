// Makes one allocation of an action fail, and counts: of operator new, which this binary replaces.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <concord/error.hpp>
#include <cstdint>
#include <new>

namespace concord::test {

/// Allocations until the one that fails; all succeed while it is negative.
extern std::atomic<std::int64_t> allocations_left;

/// Of all that operator new has given and operator delete has not taken back.
extern std::atomic<std::int64_t> bytes_held;

/// True if `action` ended without the failure of its allocation number `n`.
template <class Action>
bool ends_before(std::int64_t n, const Action& action) {
  bool failed = false;
  allocations_left = n;
  try {
    action();
  } catch (const Error& error) {
    allocations_left = -1;
    failed = true;
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  const bool reached = allocations_left.exchange(-1) < 0;
  EXPECT_TRUE(!failed || reached);
  return !reached;
}

/// How many allocations an action makes.
template <class Action>
std::int64_t allocations_of(const Action& action) {
  constexpr std::int64_t kEnough = std::int64_t{1} << 40;
  allocations_left = kEnough;
  action();
  return kEnough - allocations_left.exchange(-1);
}

}  // namespace concord::test
