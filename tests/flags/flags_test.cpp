// Vectors that are not finite, where a parent project's flags let the compiler assume that there
// are none (CMakeLists.txt).

#include <cstring>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

TEST(ParentsFlags, LetNeitherNanNorInfinityIn) {
  for (const Metric metric : kAllMetrics) {
    Matrix data = make_data(Shape::random, 50, 9);
    Index index(make_params(9, 4, 20, 64, metric), {});
    index.add(data.view());
    const std::string digest = index.digest();
    for (const std::uint32_t bits : {0x7fc00000U, 0xffc00001U, 0x7f800000U, 0xff800000U}) {
      std::memcpy(&data.row(31)[4], &bits, sizeof bits);
      const bool is_nan = (bits & 0x7fffff) != 0;
      const char* const what = is_nan ? "NaN" : "infinity";
      expect_error(ErrorCode::invalid_vector, {"vector 31", what}, [&] { index.add(data.view()); });
      expect_error(ErrorCode::invalid_vector, {"query 31", what},
                   [&] { (void)index.search(data.view(), {}); });
    }
    EXPECT_EQ(index.digest(), digest);
  }
}

}  // namespace
}  // namespace concord::test
