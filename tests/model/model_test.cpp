// Random lives of an index against a naive oracle; a life that fails is made short and shown.

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "tests/model/life.hpp"
#include "tests/model/shrink.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kOperations = 80;

/// The shortest failing part of a life, as text.
std::string explain(std::uint64_t seed, std::size_t lie_at = ~std::size_t{0}) {
  const std::vector<Operation> shortest = shrink(
      make_life(seed, kOperations),
      [&](const std::vector<Operation>& life) { return live(seed, life, lie_at).has_value(); });
  std::ostringstream text;
  text << "seed " << seed << ", " << shortest.size() << " operations:";
  for (const Operation& operation : shortest) text << "\n  " << operation;
  text << "\n" << live(seed, shortest, lie_at).value_or("does not fail again");
  return text.str();
}

TEST(Model, RandomLives) {
  for (std::uint64_t seed = 1; seed <= scaled(150, 10); ++seed) {
    ASSERT_FALSE(live(seed, make_life(seed, kOperations))) << explain(seed);
  }
}

// For as long as CONCORD_MODEL_SECONDS says, from a seed of the clock.
TEST(Model, RandomLivesForALongTime) {
  const char* const seconds = std::getenv("CONCORD_MODEL_SECONDS");
  if (seconds == nullptr) GTEST_SKIP() << "CONCORD_MODEL_SECONDS is not set";
  const auto start = std::chrono::steady_clock::now();
  const auto first =
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  std::uint64_t seed = first;
  for (; std::chrono::steady_clock::now() - start < std::chrono::seconds(std::atoi(seconds));
       ++seed) {
    ASSERT_FALSE(live(seed, make_life(seed, kOperations))) << explain(seed);
  }
  std::cout << seed - first << " lives, " << (seed - first) * kOperations
            << " operations, seeds from " << first << "\n";
}

// The test can fail, and what it then shows is short.
TEST(Model, ALieIsFoundAndMadeShort) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    if (!live(seed, make_life(seed, kOperations), 3)) continue;
    ++found;
    const std::string text = explain(seed, 3);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    EXPECT_LE(lines, 2 + 5) << text;
    EXPECT_THAT(text, testing::HasSubstr("add"));
  }
  EXPECT_GE(found, 6);
}

TEST(Shrink, LeavesOutAllThatIsNotNeeded) {
  std::vector<int> numbers;
  for (int i = 0; i < 100; ++i) numbers.push_back(i);
  const auto fails = [](const std::vector<int>& some) {
    const auto has = [&](int n) { return std::find(some.begin(), some.end(), n) != some.end(); };
    return has(13) && has(14) && has(77);
  };
  EXPECT_EQ(shrink(numbers, fails), (std::vector<int>{13, 14, 77}));
}

}  // namespace
}  // namespace concord::test
