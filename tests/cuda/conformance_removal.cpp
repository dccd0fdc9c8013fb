#include "tests/cuda/conformance_removal.hpp"

#include <cstdio>

#include "tests/cuda/churn_history.hpp"

namespace concord::cuda::testing {
namespace {

bool same(const SearchResult& a, const SearchResult& b) {
  return a.labels == b.labels && a.distances == b.distances && a.counts == b.counts;
}

int judge(bool pass, const char* what) {
  std::printf("%s removals: %s\n", pass ? "PASS" : "FAIL", what);
  return pass ? 0 : 1;
}

}  // namespace

int check_removals() {
  const Churned cpu = live_through_churn("cpu");
  const Churned there = live_through_churn("cuda");
  return judge(there.device != "cpu", "the device is in use at the end") +
         judge(there.digest == cpu.digest, "the CPU's digest") +
         judge(there.digest == kChurnDigest, "the digest that is pinned") +
         judge(same(there.found, cpu.found), "searches through tombstones") +
         judge(same(there.exact, cpu.exact), "exact searches") +
         judge(same(there.filtered, cpu.filtered), "searches with a filter");
}

}  // namespace concord::cuda::testing
