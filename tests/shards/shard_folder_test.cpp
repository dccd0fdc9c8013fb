// The rules of a whole for those who have its shards open one by one: what they do is what a
// ShardedIndex does.

#include <algorithm>
#include <concord/shard_folder.hpp>
#include <filesystem>
#include <fstream>

#include "tests/shards/sharded_world.hpp"

namespace concord::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kDimension = 4;
constexpr ShardParams kShards{3, 2};

IndexParams small() { return make_params(kDimension, 4, 20, 8); }
fs::path shard_in(const fs::path& folder, std::uint32_t s) {
  return folder / ("shard-000" + std::to_string(s) + ".concord");
}

/// The shards of a folder, each opened by itself as a process would.
std::vector<Index> open_each(const fs::path& folder) {
  std::vector<Index> shards;
  for (std::uint32_t s = 0; s < kShards.shards; ++s) {
    shards.push_back(Index::open(shard_in(folder, s), small(), Durability::system, on_cpu()));
  }
  return shards;
}

/// Deals the vectors at positions [begin, end) to them.
void add_each(std::vector<Index>& shards, const Matrix& data, std::size_t begin, std::size_t end,
              const std::vector<std::uint64_t>& labels) {
  for (std::size_t p = begin; p < end; ++p) {
    shards[p / kShards.block % kShards.shards].add(data.slice(p, 1), {&labels[p], 1});
  }
}

std::vector<std::string> digests_of(const std::vector<Index>& shards) {
  std::vector<std::string> digests;
  for (const Index& shard : shards) digests.push_back(shard.digest());
  return digests;
}

TEST(ShardFolder, ShardsThatAreOpenedOneByOneAreTheWhole) {
  const Matrix data = make_data(Shape::duplicate, 200, kDimension);
  const std::vector<std::uint64_t> labels = permuted_labels(200);
  const TempPath folder("set");
  fs::create_directory(folder.path());
  EXPECT_FALSE(read_shard_manifest(folder));
  write_shard_manifest(folder, small(), kShards);
  std::string digest;
  {
    std::vector<Index> shards = open_each(folder);
    add_each(shards, data, 0, 150, labels);
    write_shard_manifest(folder, small(), kShards, digests_of(shards));
    // A crash between any two of these leaves a folder that can be opened.
    for (Index& shard : shards) {
      EXPECT_TRUE(read_shard_manifest(folder));
      shard.compact();
    }
    write_shard_manifest(folder, small(), kShards);
    add_each(shards, data, 150, 200, labels);
    digest = digest_of_shards(kShards, digests_of(shards));
  }
  ShardedIndex alone(small(), kShards, {on_cpu(), {}});
  alone.add(data.view(), labels);
  EXPECT_EQ(digest, alone.digest());
  const ShardedIndex whole =
      ShardedIndex::open(folder, small(), kShards, Durability::system, {on_cpu(), {}});
  EXPECT_EQ(whole.digest(), digest);
  const auto manifest = read_shard_manifest(folder);
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->params, small());
  EXPECT_EQ(manifest->shards, kShards);
  EXPECT_EQ(manifest->generation, 1u);
  ASSERT_EQ(manifest->bytes.size(), kShards.shards);
  for (std::uint32_t s = 0; s < kShards.shards; ++s) {
    EXPECT_EQ(manifest->bytes[s], fs::file_size(shard_in(folder, s)));
  }
}

TEST(ShardFolder, WhatDoesNotFitIsRefused) {
  const TempPath folder("set");
  fs::create_directory(folder.path());
  write_shard_manifest(folder, small(), kShards);
  const std::string digest(32, 'a');
  const auto refuses = [&](const std::vector<std::string>& words, const auto& call) {
    expect_error(ErrorCode::invalid_parameter, words, call);
  };
  refuses({"other parameters"}, [&] { write_shard_manifest(folder, small(), {3, 1}); });
  refuses({"other parameters"},
          [&] { write_shard_manifest(folder, make_params(5, 4, 20, 8), kShards); });
  refuses({"shards is 0"}, [&] { write_shard_manifest(folder, small(), {0, 1}); });
  refuses({"2 digests", "3 shards"}, [&] {
    write_shard_manifest(folder, small(), kShards, std::vector<std::string>(2, digest));
  });
  refuses({"1 digests", "3 shards"},
          [&] { (void)digest_of_shards(kShards, std::vector<std::string>(1, digest)); });
  for (const std::string& wrong : {digest.substr(1), digest + "0", "g" + digest.substr(1),
                                   "+" + digest.substr(1), std::string()}) {
    refuses({"is no digest"}, [&] { (void)digest_of_shards({1, 1}, {&wrong, 1}); });
  }
  {
    std::vector<Index> shards = open_each(folder);
    add_each(shards, make_data(Shape::random, 10, kDimension), 0, 10, permuted_labels(10));
    for (Index& shard : shards) shard.compact();  // without a word to the manifest
  }
  expect_error(ErrorCode::corrupt_file, {"shard-0000", "manifest"},
               [&] { (void)read_shard_manifest(folder); });
  expect_error(ErrorCode::corrupt_file, {"shard-0000", "manifest"},
               [&] { write_shard_manifest(folder, small(), kShards); });
}

TEST(ShardFolder, NumbersOfInsertionAndLabelsAreThoseOfTheHistory) {
  Index index(make_params(kDimension, 4, 20, 8), on_cpu(2));
  const Matrix data = make_data(Shape::duplicate, 120, kDimension);
  const std::vector<std::uint64_t> labels = permuted_labels(120);
  index.add(data.slice(0, 100), std::span(labels).first(100));
  std::vector<std::uint64_t> expected(120, kNoLabel);
  for (std::uint64_t i = 0; i < 100; ++i) expected[i] = i;
  EXPECT_EQ(index.insertion_numbers(labels), expected);
  // Removed ones count for those behind them, also once their memory is given back.
  index.remove(std::span(labels).first(60));
  index.flush();
  index.add(data.slice(100, 20), std::span(labels).subspan(100));
  index.update(data.slice(0, 1), {&labels[70], 1});
  std::fill_n(expected.begin(), 60, kNoLabel);
  for (std::uint64_t i = 100; i < 120; ++i) expected[i] = i;
  expected[70] = 120;
  EXPECT_EQ(index.insertion_numbers(labels), expected);
  const std::uint64_t padding = kNoLabel;
  EXPECT_EQ(index.insertion_numbers({&padding, 1}), std::vector<std::uint64_t>{kNoLabel});
  EXPECT_TRUE(index.insertion_numbers({}).empty());
  const TempPath path("index");
  index.save(path);
  EXPECT_EQ(Index::map(path, MapCheck::on_open, on_cpu()).insertion_numbers(labels), expected);
}

}  // namespace
}  // namespace concord::test
