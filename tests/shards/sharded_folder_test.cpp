// A ShardedIndex in a folder: ordinary files, refused where they do not belong together.

#include <algorithm>
#include <concord/interchange.hpp>
#include <fstream>

#include "common/base/xxh3.hpp"
#include "tests/shards/sharded_world.hpp"
#include "tests/support/memory_file_system.hpp"

namespace concord::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kDimension = 4;
constexpr ShardParams kShards{3, 2};

IndexParams small() { return make_params(kDimension, 4, 20, 8); }
ShardRuntime runtime(unsigned threads = 2) { return {on_cpu(threads), {}}; }
fs::path shard_in(const fs::path& folder, int s) {
  return folder / ("shard-000" + std::to_string(s) + ".concord");
}
ShardedIndex open(const fs::path& folder, const ShardParams& shards = kShards) {
  return ShardedIndex::open(folder, small(), shards, Durability::system, runtime());
}

TEST(ShardedFolder, SavedIsLoadedAndMapped) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{300}}) {
    const Matrix data = make_data(Shape::duplicate, n, kDimension);
    const Matrix queries = make_data(Shape::random, 7, kDimension, 3);
    ShardedIndex index(small(), kShards, runtime());
    index.add(data.view(), permuted_labels(n));
    const TempPath folder("set");
    index.save(folder);
    ShardedIndex loaded = ShardedIndex::load(folder, runtime(1));
    ShardedIndex mapped = ShardedIndex::map(folder, MapCheck::on_open, runtime());
    for (const ShardedIndex* other : {&loaded, &mapped}) {
      EXPECT_EQ(other->digest(), index.digest());
      EXPECT_EQ(other->resume_at(), n);
      EXPECT_EQ(other->shard_params(), kShards);
      EXPECT_EQ(other->params(), small());
      EXPECT_EQ(other->labels(), index.labels());
      expect_equal(other->search(queries.view()), index.search(queries.view()));
    }
    const Matrix more = make_data(Shape::random, 20, kDimension, 4);
    std::vector<std::uint64_t> labels(20);
    for (std::size_t i = 0; i < 20; ++i) labels[i] = 100000 + i;
    loaded.add(more.view(), labels);
    index.add(more.view(), labels);
    EXPECT_EQ(loaded.digest(), index.digest());
  }
}

TEST(ShardedFolder, ItsFilesAreOrdinaryIndexFiles) {
  const Matrix data = make_data(Shape::random, 200, kDimension);
  const TempPath folder("set");
  {
    ShardedIndex index = open(folder);
    index.add(data.view());
    index.compact();
  }
  for (std::uint32_t s = 0; s < 3; ++s) {
    const Index shard = Index::load(shard_in(folder, static_cast<int>(s)), on_cpu());
    EXPECT_EQ(shard.digest(), lone_shard(small(), kShards, data, 200, s).digest());
    expect_sound(shard.audit());
  }
}

// As a scheduler does it: each shard by a process of its own, wherever.
TEST(ShardedFolder, TakesOverShardsThatWereBuiltElsewhere) {
  const Matrix data = make_data(Shape::random, 200, kDimension);
  const TempPath folder("set");
  fs::create_directory(folder.path());
  for (std::uint32_t s = 0; s < 3; ++s) {
    lone_shard(small(), kShards, data, 200, s).save(shard_in(folder, static_cast<int>(s)));
  }
  expect_error(ErrorCode::io, {"manifest"}, [&] { ShardedIndex::open(folder); });
  expect_error(ErrorCode::invalid_parameter, {"shard-0002", "only 2 shards"}, [&] {
    open(folder, {2, 2});
  });
  {
    const ShardedIndex index = open(folder);
    EXPECT_EQ(index.resume_at(), 200U);
    expect_lone_shards(index, data, 200);
  }
  EXPECT_EQ(ShardedIndex::load(folder, runtime()).resume_at(), 200U);
}

TEST(ShardedFolder, RefusesShardsFromElsewhereThatShareALabel) {
  const Matrix data = make_data(Shape::random, 20, kDimension);
  const TempPath folder("set");
  fs::create_directory(folder.path());
  for (int s = 0; s < 3; ++s) {
    lone_shard(small(), kShards, data, 20, 1).save(shard_in(folder, s));
  }
  expect_error(ErrorCode::duplicate_label, {"two shards"}, [&] { open(folder); });
}

TEST(ShardedFolder, OpenedAgainHasWhatWasAdded) {
  const Matrix data = make_data(Shape::clustered, 400, kDimension);
  const TempPath folder("set");
  std::string digest;
  for (std::size_t first = 0; first < 400; first += 50) {
    ShardedIndex index = first % 100 == 0 ? open(folder) : ShardedIndex::open(folder);
    EXPECT_EQ(index.resume_at(), first);
    if (first > 0) {
      EXPECT_EQ(index.digest(), digest);
    }
    index.add(data.slice(first, 50));
    if (first % 150 == 0) index.compact();
    digest = index.digest();
  }
  const ShardedIndex index = open(folder);
  expect_lone_shards(index, data, 400);
  EXPECT_GT(index.stats().journal.bytes, 0U);
}

TEST(ShardedFolder, IsOpenOnce) {
  const TempPath folder("set");
  const ShardedIndex index = open(folder);
  expect_error(ErrorCode::io, {"in use"}, [&] { open(folder); });
  expect_error(ErrorCode::invalid_parameter, {"holds an index already"},
               [&] { index.save(folder); });
  ShardedIndex other(small(), kShards, runtime());
  expect_error(ErrorCode::invalid_parameter, {"compact() is for"}, [&] { other.compact(); });
  expect_error(ErrorCode::io, {"no manifest"}, [&] { ShardedIndex::load(folder.path() / "no"); });
}

TEST(ShardedFolder, RefusesOtherParameters) {
  const TempPath folder("set");
  open(folder);
  expect_error(ErrorCode::invalid_parameter, {"3 shards with block 2", "asked for were 4"}, [&] {
    open(folder, {4, 2});
  });
  expect_error(ErrorCode::invalid_parameter, {"block 3"}, [&] { open(folder, {3, 3}); });
  IndexParams params = small();
  params.seed = 1;
  expect_error(ErrorCode::invalid_parameter, {"other parameters"},
               [&] { ShardedIndex::open(folder, params, kShards, Durability::system, runtime()); });
}

TEST(ShardedFolder, RefusesFilesThatTheManifestDoesNotName) {
  const Matrix data = make_data(Shape::random, 60, kDimension);
  const TempPath folder("set");
  ShardedIndex index(small(), kShards, runtime());
  index.add(data.view());
  index.save(folder);
  const auto expect_refused = [&](const char* name) {
    const std::vector<std::string> words = {name};
    expect_error(ErrorCode::corrupt_file, words, [&] { ShardedIndex::load(folder, runtime()); });
    expect_error(ErrorCode::corrupt_file, words, [&] { ShardedIndex::map(folder); });
    expect_error(ErrorCode::corrupt_file, words, [&] { open(folder); });
  };
  fs::rename(shard_in(folder, 0), shard_in(folder, 9));  // two shards of equal size change places
  fs::rename(shard_in(folder, 1), shard_in(folder, 0));
  fs::rename(shard_in(folder, 9), shard_in(folder, 1));
  expect_refused("shard-0000.concord");
  fs::remove(shard_in(folder, 0));
  expect_refused("shard-0000.concord' is missing");
}

/// A folder in memory, so that a thousand manifests take a second.
class ForgedManifest : public testing::Test {
 protected:
  ForgedManifest() {
    ShardedIndex index(small(), kShards, runtime(1));
    index.add(make_data(Shape::random, 40, kDimension).view());
    index.save(MemoryFileSystem::kDirectory);
    manifest_ = disk_.content(kPath);
  }

  static void sign(std::vector<char>& manifest) {
    if (manifest.size() < 8) return;
    const std::uint64_t checksum = XXH3_64bits(manifest.data(), manifest.size() - 8);
    std::memcpy(manifest.data() + manifest.size() - 8, &checksum, 8);
  }

  /// Refused as damaged, or else an index that can be searched.
  static void expect_refused_or_sound() {
    try {
      const ShardedIndex index = ShardedIndex::load(MemoryFileSystem::kDirectory, runtime(1));
      expect_sound(index.audit());
      const std::vector<float> query(index.params().dimension);
      EXPECT_EQ(index.search({query.data(), 1, query.size()}).counts[0], 10U);
      EXPECT_EQ(index.size(), 40U);
      EXPECT_EQ(index.labels().size(), 40U);
    } catch (const Error& error) {
      EXPECT_THAT(error.code(), testing::AnyOf(ErrorCode::corrupt_file, ErrorCode::io))
          << error.what();
    }
  }

  static constexpr const char* kPath = "/disk/manifest";
  MemoryFileSystem disk_;
  ScopedFileSystem in_place_{disk_};
  std::vector<char> manifest_;
};

TEST_F(ForgedManifest, IsRefusedAtAnyByte) {
  for (std::size_t i = 0; i < manifest_.size(); ++i) {
    for (const int change : {1, 0x80, 0xFF}) {
      std::vector<char> damaged = manifest_;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      disk_.replace(kPath, damaged);
      expect_error(ErrorCode::corrupt_file, {"manifest"},
                   [] { ShardedIndex::load(MemoryFileSystem::kDirectory, runtime(1)); });
    }
  }
  for (std::size_t length = 0; length < manifest_.size() + 9; ++length) {
    if (length == manifest_.size()) continue;
    std::vector<char> damaged = manifest_;
    damaged.resize(length);
    disk_.replace(kPath, damaged);
    expect_error(ErrorCode::corrupt_file, {"manifest"},
                 [] { ShardedIndex::load(MemoryFileSystem::kDirectory, runtime(1)); });
  }
}

TEST_F(ForgedManifest, WithItsChecksumMadeRightIsRefusedOrSound) {
  for (std::size_t i = 0; i < manifest_.size() - 8; ++i) {
    for (const int change : {1, 2, 0x80, 0xFF}) {
      std::vector<char> forged = manifest_;
      forged[i] = static_cast<char>(forged[i] ^ change);
      sign(forged);
      disk_.replace(kPath, forged);
      expect_refused_or_sound();
    }
  }
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::vector<char> forged = manifest_;
    for (std::uint64_t j = 0; j < 1 + seed % 4; ++j) {
      forged[hash(seed, j) % forged.size()] = static_cast<char>(hash(seed, j, 1));
    }
    if (seed % 3 == 0) forged.resize(hash(seed, 9) % (2 * forged.size()));
    sign(forged);
    disk_.replace(kPath, forged);
    expect_refused_or_sound();
  }
}

}  // namespace
}  // namespace concord::test
