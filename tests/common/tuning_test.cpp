// The parts of tuning without an index: how far walks go, the bound of a mean, the choice, and the
// file of presets.

#include "common/search/tuning.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/file/presets_file.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::HopLimits;
using core::Key;
using core::SearchProfile;
using core::Tuner;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Keys {
  std::vector<Key> keys;
  [[nodiscard]] std::size_t size() const { return keys.size(); }
  [[nodiscard]] Key key(std::size_t i) const { return keys[i]; }
};

TEST(HopLimits, CountsTheKeysBefore) {
  Keys list;
  for (std::uint32_t i = 0; i < 20; ++i)
    list.keys.push_back(core::make_key(0.5f * static_cast<float>(i), i));
  for (std::size_t limit = 0; limit <= 21; ++limit) {
    for (std::uint32_t i = 0; i < 20; ++i) {
      for (const Key key : {list.keys[i] - 2, list.keys[i], list.keys[i] + 2}) {
        const auto naive = std::count_if(
            list.keys.begin(),
            list.keys.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(limit, 20)),
            [&](Key other) { return other < key; });
        EXPECT_EQ(core::keys_before(list, key, limit), static_cast<std::size_t>(naive));
      }
    }
  }
}

// The least slack that is named is enough, and the float below it is not.
TEST(HopLimits, TheLeastSlackIsTheLeast) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const float kth =
        std::ldexp(static_cast<float>(hash(1, i) % 4096), static_cast<int>(i % 41) - 20);
    const float closest = kth * (1 + static_cast<float>(hash(2, i) % 512) / 256);
    const float slack = core::least_slack(closest, kth, 0);
    if (slack == kInfinity) {
      EXPECT_EQ(kth, 0);
      continue;
    }
    const auto expands = [&](float s) {
      return !(closest > core::reach(kth, core::reach_factor(s)));
    };
    EXPECT_TRUE(expands(slack));
    if (slack > 0) {
      EXPECT_FALSE(expands(std::nextafter(slack, 0.0f))) << kth << " " << closest;
    }
    EXPECT_EQ(core::least_slack(closest, kth, 2 * slack), 2 * slack);  // never falls
  }
  EXPECT_EQ(core::least_slack(1, 0, 0), kInfinity);
  EXPECT_EQ(core::least_slack(1, -1e-9f, 0.25f), kInfinity);
  EXPECT_EQ(core::least_slack(0, -1e-9f, 0.25f), 0.25f);
  EXPECT_EQ(core::least_slack(1, std::numeric_limits<float>::denorm_min(), 0), kInfinity);
}

TEST(LowerBound, GrowsWithEveryHitAndStaysBelowTheMean) {
  std::vector<std::uint64_t> hits(500, 0);
  double last = -1;
  for (std::size_t step = 0; step < 5000; step += 7) {
    hits.assign(500, 0);
    for (std::size_t i = 0; i < step; ++i) ++hits[i % 500];
    std::uint64_t sum = 0;
    std::uint64_t squares = 0;
    for (const std::uint64_t h : hits) {
      sum += h;
      squares += h * h;
    }
    const double bound = core::lower_bound_of_mean(sum, squares, 500, 10);
    EXPECT_GE(bound, last);
    EXPECT_LT(bound, std::max(0.01, static_cast<double>(sum) / 5000));
    last = bound;
  }
}

TEST(LowerBound, TheLeastSampleIsTheLeast) {
  for (const double goal : {0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999}) {
    const std::uint64_t n = core::least_sample(goal);
    EXPECT_GE(core::lower_bound_of_mean(n, n, n, 1), goal);
    if (n > 30) {
      EXPECT_LT(core::lower_bound_of_mean(n - 1, n - 1, n - 1, 1), goal);
    }
    EXPECT_GE(n, 30u);
    // With no miss the exact bound of a share with 95 % is 0.05^(1/n): ours is not above it.
    EXPECT_LE(core::lower_bound_of_mean(n, n, n, 1), std::pow(0.05, 1.0 / static_cast<double>(n)));
  }
}

// Of samples whose true mean is just below the goal, about one in twenty may seem to reach it. The
// recalls are as skewed as those of searches: most queries miss nothing.
TEST(LowerBound, IsHonestForSkewedRecalls) {
  for (const std::uint64_t missing_per_mille : {5ull, 20ull, 100ull}) {
    for (const std::uint64_t most_missed : {1ull, 4ull, 10ull}) {
      const double mean = 1 - static_cast<double>(missing_per_mille) / 1000 *
                                  static_cast<double>(1 + most_missed) / 20;
      constexpr std::size_t kSamples = 2000;
      constexpr std::uint64_t kQueries = 1000;
      std::size_t seems_better = 0;
      for (std::uint64_t s = 0; s < kSamples; ++s) {
        std::uint64_t sum = 0;
        std::uint64_t squares = 0;
        for (std::uint64_t q = 0; q < kQueries; ++q) {
          const std::uint64_t draw = hash(s + 100 * missing_per_mille, q, most_missed);
          const std::uint64_t missed =
              draw % 1000 < missing_per_mille ? 1 + (draw >> 32) % most_missed : 0;
          sum += 10 - missed;
          squares += (10 - missed) * (10 - missed);
        }
        seems_better += core::lower_bound_of_mean(sum, squares, kQueries, 10) > mean ? 1 : 0;
      }
      EXPECT_LE(static_cast<double>(seems_better) / kSamples, 0.065)
          << missing_per_mille << " " << most_missed;
    }
  }
}

/// A profile whose hops need ever more.
SearchProfile profile_of(std::uint64_t seed, std::uint32_t wanted) {
  SearchProfile profile;
  HopLimits limits(1);
  Keys seen;
  std::uint32_t hits = 0;
  for (std::uint32_t hop = 0; hop < 60; ++hop) {
    profile.note(limits, {hits, 16 * hop});
    if (hits < wanted && hash(seed, hop) % 4 == 0) ++hits;
    seen.keys.push_back(
        core::make_key(1.0f + static_cast<float>(hash(seed, hop, 1) % 100) / 50, hop));
    std::sort(seen.keys.begin(), seen.keys.end());
    limits.add(seen, seen.keys[hash(seed, hop, 2) % seen.size()]);
  }
  profile.note(limits, {hits, 16 * 60});
  return profile;
}

TEST(Tuner, TakesTheCheapestOfAllThatReachTheGoal) {
  std::vector<SearchProfile> profiles;
  for (std::uint64_t q = 0; q < 400; ++q) profiles.push_back(profile_of(q, 10));
  for (const double goal : {0.3, 0.6, 0.8, 0.9}) {
    for (const bool may_slack : {false, true}) {
      const Tuner tuner(profiles, goal, 3, 10, 60);
      std::optional<Tuner::Choice> naive;
      for (int i = 101; i > 0; --i) {
        const float slack = i == 101 ? kInfinity : 0.005f * static_cast<float>(i);
        if (i < 101 && !may_slack) break;
        for (std::uint32_t ef = 3; ef <= 60; ++ef) {
          const Tuner::Choice tried = tuner.try_out(ef, slack);
          if (tried.at_least >= goal && (!naive || tried.distances < naive->distances))
            naive = tried;
        }
      }
      const auto chosen = tuner.cheapest(may_slack);
      ASSERT_EQ(chosen.has_value(), naive.has_value()) << goal;
      if (!chosen) continue;
      EXPECT_EQ(chosen->distances, naive->distances) << goal;
      EXPECT_GE(chosen->at_least, goal);
      EXPECT_LE(chosen->at_least, chosen->measured);
    }
  }
}

Preset some_preset() {
  return {.recall = 0.99,
          .k = 10,
          .ef = 73,
          .slack = 0.055f,
          .measured = 0.9923,
          .at_least = 0.9901,
          .distances = 812.53125,
          .queries = 3998,
          .size = 20000,
          .insertions = 20001,
          .removals = 1};
}

TEST(PresetsFile, ReadsWhatItWrote) {
  std::vector<Preset> presets{some_preset(), some_preset(), some_preset()};
  presets[1].slack = kInfinity;
  presets[2].recall = 0.1 + 0.2;  // has no short decimal form
  for (std::size_t n = 0; n <= presets.size(); ++n) {
    const std::string text = core::text_of_presets(std::span(presets).first(n));
    EXPECT_EQ(core::presets_of_text(text, "it"),
              std::vector(presets.begin(), presets.begin() + static_cast<std::ptrdiff_t>(n)));
  }
}

TEST(PresetsFile, RefusesEveryDamage) {
  const std::vector<Preset> presets{some_preset()};
  const std::string text = core::text_of_presets(presets);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    expect_error(ErrorCode::corrupt_file, {"it ", "may be deleted"},
                 [&] { (void)core::presets_of_text(damaged, "it"); });
    expect_error(ErrorCode::corrupt_file, {},
                 [&] { (void)core::presets_of_text(std::string_view(text).substr(0, i), "it"); });
  }
}

// With a checksum that is right.
TEST(PresetsFile, RefusesPresetsThatNoIndexCanHave) {
  const auto refuse = [](Preset preset) {
    const std::string text = core::text_of_presets(std::vector{preset});
    expect_error(ErrorCode::corrupt_file, {}, [&] { (void)core::presets_of_text(text, "it"); });
    expect_error(ErrorCode::invalid_parameter, {}, [&] { core::check_preset(preset); });
  };
  Preset preset = some_preset();
  for (const double recall : {0.0, 1.0, -1.0, std::nan("")}) {
    preset.recall = recall;
    refuse(preset);
  }
  preset = some_preset();
  preset.k = 0;
  refuse(preset);
  preset = some_preset();
  preset.ef = 65537;
  refuse(preset);
  preset = some_preset();
  preset.slack = -0.5f;
  refuse(preset);
  preset = some_preset();
  preset.measured = 1.5;
  refuse(preset);
  preset = some_preset();
  preset.distances = std::numeric_limits<double>::infinity();
  refuse(preset);
}

}  // namespace
}  // namespace concord::test
