// Digests stored in the tree: an index made today has the bytes of one made on any machine before.
//
// After a deliberate change of the construction, write the file anew with
//   CONCORD_UPDATE_GOLDEN=1 build/cpu/tests/api/concord_api_tests --gtest_filter='Golden.*'
// and say in the commit why indexes of older versions differ.

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

struct Case {
  const char* name;
  Shape shape;
  std::size_t n;
  std::uint32_t dimension;
  Metric metric;
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t epoch_limit;
  std::uint64_t seed;
  Codes codes = Codes::none;
  Storage storage = Storage::automatic;
};

constexpr Case kCases[] = {
    {"empty", Shape::random, 0, 3, Metric::l2sq, 16, 200, 1024, 42},
    {"one", Shape::random, 1, 3, Metric::l2sq, 16, 200, 1024, 42},
    {"l2sq_odd", Shape::clustered, 1500, 37, Metric::l2sq, 16, 100, 1024, 42},
    {"inner_product_odd", Shape::clustered, 1500, 19, Metric::inner_product, 12, 80, 256, 7},
    {"cosine_odd", Shape::clustered, 1500, 101, Metric::cosine, 16, 100, 512, 42},
    {"cosine_padded", Shape::random, 1200, 32, Metric::cosine, 5, 40, 64, 1},
    {"one_dimension", Shape::random, 1200, 1, Metric::l2sq, 4, 30, 100, 42},
    {"epochs_of_one", Shape::random, 500, 9, Metric::l2sq, 6, 50, 1, 42},
    {"narrow_beam", Shape::random, 1200, 7, Metric::l2sq, 16, 3, 4096, 42},
    {"crowded", Shape::constant, 2500, 5, Metric::l2sq, 2, 20, 1024, 42},
    {"duplicates", Shape::duplicate, 2500, 5, Metric::l2sq, 2, 20, 1024, 42},
    {"widest_rows", Shape::random, 1500, 8, Metric::inner_product, 64, 100, 65536, 42},
    {"huge_norm", Shape::huge_norm, 800, 13, Metric::l2sq, 8, 40, 128, 42},
    {"codes_l2sq", Shape::clustered, 1500, 37, Metric::l2sq, 8, 40, 256, 42, Codes::sq8},
    {"codes_inner_product", Shape::random, 1500, 64, Metric::inner_product, 8, 40, 256, 7,
     Codes::sq8},
    {"codes_cosine", Shape::clustered, 1500, 101, Metric::cosine, 8, 40, 256, 42, Codes::sq8},
    {"codes_of_bytes", Shape::u8, 1500, 33, Metric::l2sq, 8, 40, 256, 42, Codes::sq8},
    {"sq4_l2sq", Shape::clustered, 2500, 37, Metric::l2sq, 8, 40, 256, 42, Codes::sq4},
    {"sq4_inner_product", Shape::random, 2500, 64, Metric::inner_product, 8, 40, 256, 7,
     Codes::sq4},
    {"sq4_cosine", Shape::clustered, 2500, 101, Metric::cosine, 8, 40, 256, 42, Codes::sq4},
    {"sq4_of_bytes", Shape::u8, 2500, 33, Metric::l2sq, 8, 40, 256, 42, Codes::sq4},
    {"f16_cosine", Shape::clustered, 1500, 37, Metric::cosine, 8, 40, 256, 42, Codes::none,
     Storage::f16},
    {"bf16_l2sq", Shape::clustered, 1500, 30, Metric::l2sq, 8, 40, 256, 42, Codes::none,
     Storage::bf16},
};

std::map<std::string, std::string> read_golden() {
  std::map<std::string, std::string> golden;
  std::ifstream file(CONCORD_GOLDEN_FILE);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::string digest;
    if (words >> name >> digest && name[0] != '#') golden[name] = digest;
  }
  return golden;
}

std::string digest_of(const Case& c) {
  IndexParams params = make_params(c.dimension, c.M, c.ef_construction, c.epoch_limit, c.metric);
  params.seed = c.seed;
  params.codes = c.codes;
  params.storage = c.storage;
  RuntimeOptions options;
  options.threads = 2;
  options.device = "cpu";
  Index index(params, options);
  index.add(make_data(c.shape, c.n, c.dimension).view());
  return index.digest();
}

TEST(Golden, DigestsAreThoseInTheTree) {
  const char* update = std::getenv("CONCORD_UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1") {
    std::ofstream file(CONCORD_GOLDEN_FILE, std::ios::trunc);
    file << "# Digests of the cases in tests/api/golden_test.cpp, which says how to write them "
            "anew.\n";
    for (const Case& c : kCases) file << c.name << ' ' << digest_of(c) << '\n';
    ASSERT_TRUE(file.flush().good());
    GTEST_SKIP() << "wrote " << CONCORD_GOLDEN_FILE;
  }
  const auto golden = read_golden();
  EXPECT_EQ(golden.size(), std::size(kCases));
  for (const Case& c : kCases) {
    const auto stored = golden.find(c.name);
    ASSERT_NE(stored, golden.end()) << c.name << " has no digest in the tree";
    EXPECT_EQ(digest_of(c), stored->second) << c.name;
  }
}

}  // namespace
}  // namespace concord::test
