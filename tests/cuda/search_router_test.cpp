// SearchRouter: which side answers a batch, from what batches have cost.
#include "cuda/search_router.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace concord::cuda {
namespace {

/// A machine whose batches take what a model says.
struct Costs {
  double cpu_query;
  double device_launch;
  double device_query;

  void answer(SearchRouter& router, std::size_t queries, std::uint32_t ef, bool on_device) const {
    const double n = static_cast<double>(queries);
    if (on_device) {
      router.note_device(queries, ef, (device_launch + n * device_query) * ef);
    } else {
      router.note_cpu(queries, ef, n * cpu_query * ef);
    }
  }
  bool route(SearchRouter& router, std::size_t queries, std::uint32_t ef) const {
    const bool on_device = router.prefers_device(queries, ef);
    answer(router, queries, ef, on_device);
    return on_device;
  }
};

TEST(SearchRouter, GuessesUntilBothSidesAreMeasured) {
  SearchRouter router;
  EXPECT_FALSE(router.prefers_device(1, 64));
  EXPECT_FALSE(router.prefers_device(SearchRouter::kFirstGuess - 1, 64));
  EXPECT_TRUE(router.prefers_device(SearchRouter::kFirstGuess, 64));
  router.note_cpu(10, 64, 1);
  EXPECT_TRUE(router.prefers_device(SearchRouter::kFirstGuess, 64));
  EXPECT_FALSE(router.prefers_device(SearchRouter::kFirstGuess - 1, 64));
}

TEST(SearchRouter, FindsTheCrossover) {
  const Costs costs{1e-6, 100e-6, 0.02e-6};  // crossover at about 102 queries
  SearchRouter router;
  for (int i = 0; i < 200; ++i) {
    for (const std::size_t batch : {1u, 20u, 64u, 1000u, 10000u}) costs.route(router, batch, 64);
  }
  EXPECT_FALSE(router.prefers_device(1, 64));
  EXPECT_FALSE(router.prefers_device(50, 64));
  EXPECT_TRUE(router.prefers_device(300, 64));
  EXPECT_TRUE(router.prefers_device(10000, 64));
}

TEST(SearchRouter, ASlowDeviceIsLeftAlone) {
  const Costs costs{1e-6, 1e-3, 5e-6};
  SearchRouter router;
  int on_device = 0;
  for (std::size_t i = 0; i < 1000; ++i) on_device += costs.route(router, 1 + i % 500, 64);
  EXPECT_LT(on_device, 20);
}

// The first search on a device also loads its kernels.
TEST(SearchRouter, AFirstMeasurementThatWasFarTooHighIsForgotten) {
  const Costs costs{1e-6, 20e-6, 0.02e-6};
  SearchRouter router;
  costs.answer(router, 10, 64, false);
  router.note_device(1000, 64, 0.5);
  EXPECT_FALSE(router.prefers_device(1000, 64));
  int on_device = 0;
  for (int i = 0; i < 6000; ++i) on_device += costs.route(router, 1000, 64);
  EXPECT_GT(on_device, 1000);
  EXPECT_TRUE(router.prefers_device(1000, 64));
}

TEST(SearchRouter, TheWidthOfSearchScalesBothSides) {
  const Costs costs{1e-6, 100e-6, 0.02e-6};
  SearchRouter router;
  for (std::uint32_t i = 0; i < 100; ++i) {
    for (const std::size_t batch : {10u, 1000u}) costs.route(router, batch, 16 + 16 * (i % 8));
  }
  for (const std::uint32_t ef : {1u, 64u, 4096u}) {
    EXPECT_FALSE(router.prefers_device(10, ef));
    EXPECT_TRUE(router.prefers_device(1000, ef));
  }
}

TEST(SearchRouter, TimesOfZeroDecideNothing) {
  SearchRouter router;
  for (int i = 0; i < 10; ++i) {
    router.note_cpu(5, 10, 0);
    router.note_device(500, 10, 0);
  }
  EXPECT_TRUE(router.prefers_device(1000, 64));
}

}  // namespace
}  // namespace concord::cuda
