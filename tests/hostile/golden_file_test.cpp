// Index files kept in the tree load for ever: with the digest that they were saved with, and
// growing to the digest that is stored beside it.
//
// tests/golden/*.concord were written once and are never written again; tests/golden/files.txt
// holds their digests. After a deliberate change of the construction,
//   CONCORD_UPDATE_GOLDEN=1 build/cpu/tests/hostile/concord_hostile_tests --gtest_filter='GoldenF*'
// writes the digests of the grown indexes anew, and the file of a case that has none yet.

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

struct Case {
  const char* name;
  Shape shape;
  std::size_t n;      ///< vectors in the file
  std::size_t grown;  ///< vectors after growth
  std::uint32_t dimension;
  Metric metric;
  std::uint32_t M;
  std::uint32_t epoch_limit;
  bool labelled;
  Codes codes = Codes::none;
};

constexpr Case kCases[] = {
    {"v1-empty", Shape::random, 0, 200, 5, Metric::l2sq, 4, 64, false},
    {"v1-one", Shape::random, 1, 200, 9, Metric::inner_product, 16, 1024, true},
    // In the middle of an epoch, with overflow and sealed copies.
    {"v1-open-epoch", Shape::duplicate, 150, 400, 3, Metric::l2sq, 2, 4096, false},
    {"v1-cosine-labels", Shape::clustered, 200, 500, 19, Metric::cosine, 4, 16, true},
    {"v1-bytes", Shape::zero, 60, 120, 8, Metric::l2sq, 3, 32, false},
    {"v2-open-epoch", Shape::duplicate, 150, 400, 3, Metric::l2sq, 2, 4096, false},
    {"v2-cosine-labels", Shape::clustered, 200, 500, 19, Metric::cosine, 4, 16, true},
    {"v2-u8", Shape::u8, 70, 200, 13, Metric::l2sq, 4, 32, true},
    {"v2-i8", Shape::i8, 70, 200, 13, Metric::inner_product, 4, 32, false},
    // The older ones above have nodes that are equal.
    {"v4-copies", Shape::duplicate, 150, 400, 3, Metric::l2sq, 2, 4096, false},
    {"v2-codes", Shape::clustered, 70, 200, 13, Metric::cosine, 4, 32, false, Codes::sq8},
    // Before there is a centre, and after.
    {"v2-sq4-few", Shape::random, 60, 1100, 3, Metric::l2sq, 2, 64, false, Codes::sq4},
    {"v2-sq4", Shape::random, 1030, 1200, 3, Metric::l2sq, 2, 64, false, Codes::sq4},
};

// Adds the vectors from the index's size to `end`.
void add(Index& index, const Case& c, const Matrix& data, std::size_t end) {
  const std::size_t first = index.size();
  if (!c.labelled) {
    index.add(data.slice(first, end - first));
    return;
  }
  std::vector<std::uint64_t> labels;
  for (std::size_t i = first; i < end; ++i) labels.push_back(kNoLabel - (i == 0 ? 1 : 11 * i));
  index.add(data.slice(first, end - first), labels);
}

std::filesystem::path file_of(const Case& c) {
  return std::filesystem::path(CONCORD_GOLDEN_FOLDER) / (std::string(c.name) + ".concord");
}

RuntimeOptions on_cpu() {
  RuntimeOptions options;
  options.threads = 2;
  options.device = "cpu";
  return options;
}

void make_file(const Case& c) {
  IndexParams params = make_params(c.dimension, c.M, 20, c.epoch_limit, c.metric);
  params.codes = c.codes;
  Index index(params, on_cpu());
  const Matrix data = make_data(c.shape, c.grown, c.dimension);
  add(index, c, data, c.n);
  index.save(file_of(c));
}

struct Digests {
  std::string loaded;
  std::string grown;
};

Digests digests_of(const Case& c) {
  Index index = Index::load(file_of(c), on_cpu());
  EXPECT_EQ(index.size(), c.n);
  Digests digests{index.digest(), ""};
  const Matrix data = make_data(c.shape, c.grown, c.dimension);
  add(index, c, data, c.grown);
  expect_sound(index.audit());
  digests.grown = index.digest();
  return digests;
}

std::map<std::string, Digests> stored() {
  std::map<std::string, Digests> digests;
  std::ifstream file(std::filesystem::path(CONCORD_GOLDEN_FOLDER) / "files.txt");
  for (std::string name; file >> name;) {
    if (name == "#") {
      std::getline(file, name);
    } else {
      file >> digests[name].loaded >> digests[name].grown;
    }
  }
  return digests;
}

TEST(GoldenFile, LoadsAndGrowsAsItAlwaysDid) {
  const char* update = std::getenv("CONCORD_UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1") {
    std::ofstream file(std::filesystem::path(CONCORD_GOLDEN_FOLDER) / "files.txt");
    file << "# Digests of the index files beside this one, as loaded and as grown;\n"
            "# tests/hostile/golden_file_test.cpp says how.\n";
    for (const Case& c : kCases) {
      if (!std::filesystem::exists(file_of(c))) make_file(c);
      const Digests digests = digests_of(c);
      file << c.name << ' ' << digests.loaded << ' ' << digests.grown << '\n';
    }
    GTEST_SKIP() << "wrote digests of the files in " << CONCORD_GOLDEN_FOLDER;
  }
  const auto digests = stored();
  EXPECT_EQ(digests.size(), std::size(kCases));
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    ASSERT_TRUE(digests.contains(c.name));
    const Digests found = digests_of(c);
    EXPECT_EQ(found.loaded, digests.at(c.name).loaded);
    EXPECT_EQ(found.grown, digests.at(c.name).grown);
  }
}

// Those with labels were written when add took kNoLabel, and have it: they load and answer with it,
// and take it no second time.
TEST(GoldenFile, KeepsALabelThatAddRefuses) {
  for (const Case& c : kCases) {
    if (!c.labelled) continue;
    SCOPED_TRACE(c.name);
    Index index = Index::load(file_of(c), on_cpu());
    ASSERT_TRUE(index.contains(kNoLabel));
    EXPECT_TRUE(Index::map(file_of(c)).contains(kNoLabel));
    const std::vector<float> first = index.vector(kNoLabel);
    const SearchResult found =
        index.exact_search({first.data(), 1, first.size()}, static_cast<std::uint32_t>(c.n));
    EXPECT_EQ(found.counts[0], index.size());
    EXPECT_TRUE(std::ranges::count(found.labels, kNoLabel) == 1);
    const std::vector<std::uint64_t> label{kNoLabel};
    expect_error(ErrorCode::invalid_parameter, {"18446744073709551615"}, [&] {
      index.add({first.data(), 1, first.size()}, label);
    });
    EXPECT_EQ(index.size(), c.n);
  }
}

// Whoever writes a file of today's version writes these very bytes; an older one comes out as the
// same index in today's version.
TEST(GoldenFile, IsSavedAgainAsTheSameIndexAndTheSameBytes) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const TempPath path;
    const Index loaded = Index::load(file_of(c), on_cpu());
    loaded.save(path);
    EXPECT_EQ(Index::load(path, on_cpu()).digest(), loaded.digest());
    if (!std::string(c.name).starts_with("v1-")) {
      EXPECT_EQ(read_file(path), read_file(file_of(c)));
    }
    const TempPath of_mapped;
    Index::map(file_of(c), MapCheck::on_open, on_cpu()).save(of_mapped);
    EXPECT_EQ(read_file(of_mapped), read_file(path));
  }
}

}  // namespace
}  // namespace concord::test
