// The choice of kernels.

#include "cpu/isa.hpp"

#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

TEST(Isa, TakesTheWidestSupportedByDefault) {
  const test::ScopedEnvironment none("CONCORD_ISA", "");
  EXPECT_EQ(choose_kernels().isa, test::supported_isas().back());
}

TEST(Isa, FollowsTheEnvironment) {
  for (const std::string& isa : test::supported_isas()) {
    const test::ScopedEnvironment forced("CONCORD_ISA", isa);
    EXPECT_EQ(choose_kernels().isa, isa);
  }
}

TEST(Isa, RefusesUnknownNames) {
  for (const std::string name : {"nonsense", "AVX2", "avx", " scalar"}) {
    const test::ScopedEnvironment forced("CONCORD_ISA", name);
    test::expect_error(ErrorCode::invalid_parameter,
                       {"CONCORD_ISA=" + name, "scalar, avx2 and avx512"},
                       [] { choose_kernels(); });
  }
}

TEST(Isa, RefusesWhatTheMachineLacks) {
  const std::size_t supported = test::supported_isas().size();
  if (supported == 3) GTEST_SKIP() << "this machine has every instruction set";
  const std::string isa = supported == 2 ? "avx512" : "avx2";
  test::expect_error(ErrorCode::unsupported, {isa, "does not support"},
                     [&] { kernels_named(isa); });
}

}  // namespace
}  // namespace concord::cpu
