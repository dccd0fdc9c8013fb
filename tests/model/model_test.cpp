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
std::string explain(std::uint64_t seed, bool lies = false) {
  const std::vector<Operation> shortest = shrink(
      make_life(seed, kOperations),
      [&](const std::vector<Operation>& life) { return live(seed, life, lies).has_value(); });
  std::ostringstream text;
  text << "seed " << seed << ", " << shortest.size() << " operations:";
  for (const Operation& operation : shortest) text << "\n  " << operation;
  text << "\n" << live(seed, shortest, lies).value_or("does not fail again");
  return text.str();
}

TEST(Model, RandomLives) {
  for (std::uint64_t seed = 1; seed <= scaled(150, 10); ++seed) {
    ASSERT_FALSE(live(seed, make_life(seed, kOperations))) << explain(seed);
  }
}

/// A number of the environment, or nothing.
std::optional<std::uint64_t> number_of(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? std::nullopt : std::optional(std::strtoull(text, nullptr, 10));
}

// CONCORD_MODEL_OPERATIONS in all, or for CONCORD_MODEL_SECONDS, whatever ends first; from a seed
// of the clock, or CONCORD_MODEL_SEED.
TEST(Model, RandomLivesForALongTime) {
  const auto seconds = number_of("CONCORD_MODEL_SECONDS");
  const auto operations = number_of("CONCORD_MODEL_OPERATIONS");
  if (!seconds && !operations) {
    GTEST_SKIP() << "neither CONCORD_MODEL_SECONDS nor CONCORD_MODEL_OPERATIONS is set";
  }
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::seconds(seconds.value_or(3600));
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const auto first = number_of("CONCORD_MODEL_SEED").value_or(static_cast<std::uint64_t>(now));
  std::cout << "seeds from " << first << std::endl;
  std::uint64_t lives = 0;
  while (std::chrono::steady_clock::now() < end &&
         lives * kOperations < operations.value_or(~std::uint64_t{0})) {
    const std::uint64_t seed = first + lives++;
    ASSERT_FALSE(live(seed, make_life(seed, kOperations))) << explain(seed);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << lives << " lives, " << lives * kOperations << " operations in " << took.count()
            << " s, seeds from " << first << "\n";
}

// The test can fail, and what it then shows is short.
TEST(Model, ALieIsFoundAndMadeShort) {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    if (!live(seed, make_life(seed, kOperations), true)) continue;
    ++found;
    const std::string text = explain(seed, true);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    EXPECT_LE(lines, 2 + 10) << text;
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
