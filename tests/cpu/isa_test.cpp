// The choice of kernels.

#include "cpu/isa.hpp"

#include <algorithm>

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
                       {"CONCORD_ISA=" + name, "scalar, avx2, avx512, neon and neon-dotprod"},
                       [] { choose_kernels(); });
  }
}

// Those of another processor as well.
TEST(Isa, RefusesWhatTheMachineLacks) {
  const std::vector<std::string> supported = test::supported_isas();
  std::size_t refused = 0;
  for (const std::string isa : {"scalar", "avx2", "avx512", "neon", "neon-dotprod"}) {
    if (std::find(supported.begin(), supported.end(), isa) != supported.end()) continue;
    ++refused;
    test::expect_error(ErrorCode::unsupported, {isa, "does not support"},
                       [&] { kernels_named(isa); });
  }
  EXPECT_GE(refused, 2u) << "no processor is of two kinds";
}

TEST(Isa, AreSeveralOnEveryProcessorThatHasItsOwn) {
  EXPECT_EQ(compiled_kernels().front(), &kScalarKernels);
  EXPECT_EQ(compiled_kernels().size(), 3u);
  EXPECT_GE(test::supported_isas().size(), 2u) << "AVX2 and NEON are in what runs these tests";
}

}  // namespace
}  // namespace concord::cpu
