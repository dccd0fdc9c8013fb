// A device that fails at any call: the CPU goes on, the bytes and answers are the same, the log has
// one warning, the stats say why, nothing leaks.

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

// The second addition has three epochs for the device. The third appends links of the first, and
// one of them has lists enough for the device to score.
constexpr std::size_t kFirstRows = 293;
constexpr std::size_t kRows = kFirstRows + 73 + 91 + 114;

IndexParams fault_params() { return make_params(4, 2, 10, 150); }
const Matrix& fault_data() {
  static const Matrix data = make_data(Shape::clustered, kRows, 4);
  return data;
}

struct Expected {
  std::string digest;
  SearchResult found;
  SearchResult exact;
};
const Expected& expected() {
  static const Expected answers = [] {
    Index index(fault_params(), on("cpu"));
    index.add(fault_data().view());
    const auto queries = fault_data().slice(0, 70);
    return Expected{index.digest(), index.search(queries, {5, 20}), index.exact_search(queries, 6)};
  }();
  return answers;
}

/// When a device fails and how.
struct Fault {
  std::uint64_t at = ~std::uint64_t{0};  ///< number of the call
  bool permanent = false;                ///< and all calls after it
  bool memory_only = false;              ///< calls that allocate, and their error
  std::atomic<bool> happened{false};

  [[nodiscard]] HostDevices::Hook hook() {
    return [this, count = std::make_shared<std::atomic<std::uint64_t>>(0)](const char* call,
                                                                           std::uint64_t) {
      const bool allocates = std::string(call).starts_with("allocate");
      if (memory_only && !allocates) return;
      const std::uint64_t number = (*count)++;
      if (number < at || (number > at && !permanent)) return;
      happened = true;
      throw Error(memory_only ? ErrorCode::out_of_memory : ErrorCode::cuda,
                  "injected at " + std::string(call));
    };
  }
};

/// Searches before, between and after two adds; the device fails somewhere.
void live_through(const Fault& fault) {
  LogLines log;
  RuntimeOptions options = on("auto", 1);
  options.log = log.callback();
  Index index(fault_params(), options);
  const auto queries = fault_data().slice(0, 70);
  (void)index.search(fault_data().slice(0, 256), {1, 1});  // so many queries open the device
  index.add(fault_data().slice(0, kFirstRows));
  (void)index.search(queries, {5, 20});
  index.add(fault_data().slice(kFirstRows, kRows - kFirstRows));
  expect_same(index.search(queries, {5, 20}), expected().found);
  expect_same(index.exact_search(queries, 6), expected().exact);
  expect_same(index.search(queries, {5, 20}), expected().found);
  ASSERT_EQ(index.digest(), expected().digest);
  ASSERT_TRUE(index.audit().ok);

  const DeviceStats stats = index.stats().device;
  ASSERT_EQ(log.warnings.size(), fault.happened ? 1u : 0u);
  ASSERT_EQ(stats.name, fault.happened ? "cpu" : "host team");
  if (!fault.happened) return;
  EXPECT_THAT(log.warnings.front(), testing::HasSubstr("injected at"));
  EXPECT_THAT(stats.reason, testing::HasSubstr("injected at"));
}

/// A life for every n: the n-th call fails, until there are no more calls.
void fail_at_every_call(bool permanent, bool memory_only, const HostDevices::Make& make,
                        std::uint64_t step) {
  std::uint64_t failures = 0;
  for (std::uint64_t n = 0;; n += step) {
    SCOPED_TRACE("call " + std::to_string(n));
    Fault fault;
    fault.at = n;
    fault.permanent = permanent;
    fault.memory_only = memory_only;
    const HostDevices devices(make, fault.hook());
    live_through(fault);
    if (testing::Test::HasFailure() || !fault.happened) break;
    ++failures;
  }
  EXPECT_GT(failures, (memory_only ? 20 : 100) / step);
}

HostDevices::Make immediate() {
  return [] { return std::make_unique<Watched<cuda::HostDevice>>(); };
}

TEST(BackendFaults, OneCallFails) {
  fail_at_every_call(false, false, immediate(), full_scale() ? 1 : 13);
}
TEST(BackendFaults, AllCallsFailFromOneOn) {
  fail_at_every_call(true, false, immediate(), full_scale() ? 1 : 17);
}
TEST(BackendFaults, AnAllocationIsRefused) {
  fail_at_every_call(false, true, immediate(), full_scale() ? 1 : 5);
}
TEST(BackendFaults, AllAllocationsAreRefusedFromOneOn) {
  fail_at_every_call(true, true, immediate(), full_scale() ? 1 : 7);
}

// Work is pending when the failure comes; memory may be neither freed nor reused before it is done.
TEST(BackendFaults, OneCallFailsWhileWorkIsPending) {
  fail_at_every_call(false, false, HostDevices::deferred(0), full_scale() ? 2 : 41);
  fail_at_every_call(false, false, HostDevices::deferred(3), full_scale() ? 3 : 47);
}

// Every kind of work is in this life, so every kind fails above.
TEST(BackendFaults, WithoutFaultTheDeviceDoesTheWork) {
  std::mutex mutex;
  std::set<std::string> calls;
  const HostDevices devices(immediate(), [&](const char* call, std::uint64_t) {
    const std::lock_guard lock(mutex);
    calls.insert(call);
  });
  live_through(Fault());
  for (const char* kernel :
       {"propose", "score_lists", "search", "exact", "scatter", "sort_gains", "append_links"}) {
    EXPECT_TRUE(calls.contains(kernel)) << kernel;
  }
}

TEST(BackendFaults, ARequiredDeviceThatFailsToOpenIsAnError) {
  Fault fault;
  fault.at = 1;
  const HostDevices devices(immediate(), fault.hook());
  expect_error(ErrorCode::unsupported, {"device 'cuda' cannot be used", "injected at", "auto"},
               [] { Index index(fault_params(), on("cuda")); });
}

// Searches that wait for their turn must not go on with a half-written mirror.
TEST(BackendFaults, SearchesBesideTheOneThatFailsGiveTheCpusAnswers) {
  for (const std::uint64_t n : {0u, 3u, 9u, 15u}) {
    std::atomic<bool> armed{false};
    std::atomic<std::uint64_t> calls{0};
    const HostDevices devices(immediate(), [&](const char* call, std::uint64_t) {
      if (armed && calls++ == n) throw Error(ErrorCode::cuda, "injected at " + std::string(call));
    });
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    Index index(fault_params(), options);
    index.add(fault_data().view());
    armed = true;
    std::vector<SearchResult> results(6);
    std::vector<std::thread> threads;
    for (SearchResult& result : results) {
      threads.emplace_back([&] { result = index.search(fault_data().slice(0, 70), {5, 20}); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const SearchResult& result : results) expect_same(result, expected().found);
    EXPECT_EQ(log.warnings.size(), 1u);
  }
}

TEST(BackendFaults, TheLogMayAskForStats) {
  Fault fault;
  fault.at = 60;
  const HostDevices devices(immediate(), fault.hook());
  std::unique_ptr<Index> index;
  std::string reason;
  RuntimeOptions options = on("auto");
  options.log = [&](LogLevel, std::string_view) { reason = index->stats().device.reason; };
  index = std::make_unique<Index>(fault_params(), options);
  const Matrix data = make_data(Shape::random, 1200, 4);
  index->add(data.view());
  EXPECT_TRUE(fault.happened);
  EXPECT_THAT(reason, testing::HasSubstr("injected at"));
}

}  // namespace
}  // namespace concord::test
