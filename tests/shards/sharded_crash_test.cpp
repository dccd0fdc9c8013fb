// The machine goes down between any two file operations of a ShardedIndex, a call fails, or the
// process is killed: what opens is, shard by shard, a prefix of its vectors; nothing acknowledged
// is lost; and the build goes on from resume_at() to the digests of an undisturbed one.

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "tests/shards/sharded_world.hpp"
#include "tests/support/memory_file_system.hpp"

namespace concord::test {
namespace {

constexpr std::size_t kRows = 60;
constexpr std::uint32_t kDimension = 3;

/// Vectors, labels, and what each shard must be for every number of its vectors.
class World {
 public:
  World(std::uint64_t seed, const ShardParams& shards)
      : data(make_data(Shape::duplicate, kRows, kDimension, seed)),
        labels(permuted_labels(kRows)),
        params(make_params(kDimension, 3, 8, static_cast<std::uint32_t>(1 + seed % 9))),
        shards_(shards) {
    const auto positions = positions_of(kRows, shards);
    for (std::uint32_t s = 0; s < shards.shards; ++s) {
      Index index(params, on_cpu());
      digests_.push_back({index.digest()});
      for (const std::size_t p : positions[s]) {
        index.add(data.slice(p, 1), {&labels[p], 1});
        digests_[s].push_back(index.digest());
      }
    }
  }

  [[nodiscard]] ShardedIndex open(const std::filesystem::path& folder,
                                  Durability durability = Durability::synced,
                                  unsigned threads = 1) const {
    return ShardedIndex::open(folder, params, shards_, durability, {on_cpu(threads), {}});
  }
  void add(ShardedIndex& index, std::size_t count) const {
    const std::size_t first = index.resume_at();
    count = std::min(count, kRows - first);
    index.add(data.slice(first, count), std::span(labels).subspan(first, count));
  }
  void expect_prefixes(const ShardedIndex& index) const {
    for (std::uint32_t s = 0; s < index.shards(); ++s) {
      ASSERT_LT(index.shard(s).size(), digests_[s].size());
      ASSERT_EQ(index.shard(s).digest(), digests_[s][index.shard(s).size()]) << "shard " << s;
    }
  }
  void expect_whole(const ShardedIndex& index) const {
    ASSERT_EQ(index.size(), kRows);
    ASSERT_EQ(index.resume_at(), kRows);
    ASSERT_NO_FATAL_FAILURE(expect_prefixes(index));
  }

  Matrix data;
  std::vector<std::uint64_t> labels;
  IndexParams params;

 private:
  ShardParams shards_;
  std::vector<std::vector<std::string>> digests_;
};

struct CrashPoint {
  MemoryFileSystem disk;
  std::size_t acknowledged;
};

/// Plays a history and takes every `every`-th moment between two calls as a crash point.
std::vector<CrashPoint> play(const World& world, std::uint64_t seed, std::size_t every) {
  MemoryFileSystem disk;
  std::vector<CrashPoint> points;
  std::size_t calls = 0;
  std::size_t acknowledged = 0;
  disk.set_oracle([&](MemoryFileSystem::Call) {
    if (++calls % every == 0) points.push_back({disk, acknowledged});
    return MemoryFileSystem::Fate{};
  });
  const ScopedFileSystem in_place(disk);
  std::optional<ShardedIndex> index = world.open(MemoryFileSystem::kDirectory);
  for (std::uint64_t step = 0; index->resume_at() < kRows; ++step) {
    const std::uint64_t action = hash(seed, step) % 6;
    if (action == 0) {
      index->compact();
    } else if (action == 1) {
      index.reset();
      index = world.open(MemoryFileSystem::kDirectory);
    } else {
      world.add(*index, 1 + hash(seed, step, 1) % (action == 2 ? 20 : 4));
    }
    acknowledged = index->resume_at();
  }
  EXPECT_NO_FATAL_FAILURE(world.expect_whole(*index));
  return points;
}

void open_and_go_on(const World& world, MemoryFileSystem& disk, std::size_t acknowledged,
                    Survival survival, std::uint64_t seed) {
  const ScopedFileSystem in_place(disk);
  for (const bool again : {false, true}) {
    std::optional<ShardedIndex> index = world.open(MemoryFileSystem::kDirectory);
    ASSERT_NO_FATAL_FAILURE(world.expect_prefixes(*index));
    ASSERT_GE(index->resume_at(), acknowledged);
    expect_sound(index->audit());
    world.add(*index, again ? kRows : hash(seed, 3) % 8);
    acknowledged = index->resume_at();
    if (again) {
      ASSERT_NO_FATAL_FAILURE(world.expect_whole(*index));
    }
    index.reset();
    disk.crash(survival, hash(seed, 4));
  }
}

TEST(ShardedCrash, LosesNothingAcknowledgedAtAnyPoint) {
  const std::size_t wanted = scaled(3000);
  std::size_t crashes = 0;
  for (std::uint64_t seed = 1; crashes < wanted; ++seed) {
    const World world(
        seed, {static_cast<std::uint32_t>(1 + seed % 4), static_cast<std::uint32_t>(1 + seed % 3)});
    for (const CrashPoint& point : play(world, seed, 7)) {
      for (const Survival survival : kAllSurvivals) {
        SCOPED_TRACE(testing::Message() << "history " << seed << ", after crash " << crashes);
        MemoryFileSystem disk(point.disk);
        if (hash(seed, crashes) % 4 != 0) disk.crash(survival, hash(seed, 1, crashes));
        open_and_go_on(world, disk, point.acknowledged, survival, hash(seed, 2, crashes));
        crashes += 2;
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  EXPECT_GE(crashes, wanted);
}

// One file operation after the other fails. The call says so, and everything goes on: by compact(),
// or opened again.
TEST(ShardedCrash, AFailingCallLosesNothing) {
  const World world(3, {3, 1});
  for (const bool by_compacting : {true, false}) {
    bool failed = true;
    for (std::size_t failing = 0; failed; ++failing) {
      SCOPED_TRACE(testing::Message() << "call " << failing << (by_compacting ? ", compact" : ""));
      MemoryFileSystem disk;
      const ScopedFileSystem in_place(disk);
      std::optional<ShardedIndex> index = world.open(MemoryFileSystem::kDirectory);
      world.add(*index, 20);
      std::size_t calls = 0;
      failed = false;
      disk.set_oracle([&](MemoryFileSystem::Call call) {
        if (calls++ != failing || call == MemoryFileSystem::Call::close) {
          return MemoryFileSystem::Fate{};
        }
        failed = true;
        return MemoryFileSystem::Fate{ENOSPC, false};
      });
      const std::size_t before = index->resume_at();
      bool threw = false;
      try {
        world.add(*index, 20);
      } catch (const Error& error) {
        threw = true;
        EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
      }
      disk.set_oracle({});
      EXPECT_EQ(threw, failed);
      ASSERT_GE(index->resume_at(), before);
      ASSERT_NO_FATAL_FAILURE(world.expect_prefixes(*index));
      if (by_compacting) {
        if (threw) index->compact();
      } else {
        index.reset();
        index = world.open(MemoryFileSystem::kDirectory);
      }
      world.add(*index, kRows);
      ASSERT_NO_FATAL_FAILURE(world.expect_whole(*index));
      index.reset();
      ASSERT_NO_FATAL_FAILURE(world.expect_whole(world.open(MemoryFileSystem::kDirectory)));
    }
  }
}

TEST(ShardedCrash, ACompactionMayFailAnywhere) {
  const World world(5, {3, 2});
  bool failed = true;
  for (std::size_t failing = 0; failed; ++failing) {
    SCOPED_TRACE(testing::Message() << "call " << failing);
    MemoryFileSystem disk;
    const ScopedFileSystem in_place(disk);
    std::optional<ShardedIndex> index = world.open(MemoryFileSystem::kDirectory);
    world.add(*index, 25);
    index->compact();
    world.add(*index, 20);
    std::size_t calls = 0;
    failed = false;
    disk.set_oracle([&](MemoryFileSystem::Call) {
      if (calls++ != failing) return MemoryFileSystem::Fate{};
      failed = true;
      return MemoryFileSystem::Fate{EIO, false};
    });
    try {
      index->compact();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
    }
    disk.set_oracle({});
    const bool again = failing % 2 == 0;
    if (again) index->compact();
    index.reset();
    index = world.open(MemoryFileSystem::kDirectory);
    EXPECT_EQ(index->resume_at(), 45U);
    world.add(*index, kRows);
    ASSERT_NO_FATAL_FAILURE(world.expect_whole(*index));
  }
}

// Other vectors than those that an interrupted addition left would be lost in silence.
TEST(ShardedCrash, OtherVectorsThanThoseThatAreThereAreRefused) {
  const World world(4, {3, 1});
  MemoryFileSystem disk;
  const ScopedFileSystem in_place(disk);
  std::size_t calls = 0;
  ShardedIndex index = world.open(MemoryFileSystem::kDirectory);
  disk.set_oracle([&](MemoryFileSystem::Call call) {
    const bool fails = call == MemoryFileSystem::Call::write && ++calls == 4;
    return fails ? MemoryFileSystem::Fate{ENOSPC, false} : MemoryFileSystem::Fate{};
  });
  EXPECT_THROW(world.add(index, 9), Error);
  disk.set_oracle({});
  index.compact();
  ASSERT_LT(index.resume_at(), index.size());
  const std::size_t first = index.resume_at();
  const std::string digest = index.digest();
  Matrix others = world.data;
  for (std::size_t i = first; i < kRows; ++i) others.row(i)[0] += 1;
  const auto refuse = [&](const Matrix& rows, const std::vector<std::uint64_t>& labels) {
    expect_error(ErrorCode::invalid_parameter, {"interrupted", "resume_at()"},
                 [&] { index.add(rows.slice(first, 9), std::span(labels).subspan(first, 9)); });
    EXPECT_EQ(index.digest(), digest);
  };
  refuse(others, world.labels);
  std::vector<std::uint64_t> other_labels = world.labels;
  for (std::size_t i = first; i < kRows; ++i) other_labels[i] += 100000;
  refuse(world.data, other_labels);
  // In pieces that end anywhere, too.
  while (index.resume_at() < kRows) world.add(index, 1);
  world.expect_whole(index);
}

// A real process, killed at any moment of adding, compacting and opening.
TEST(ShardedCrash, AKilledProcessLosesNothingAcknowledged) {
  const World world(7, {3, 2});
  for (std::uint64_t kill_after = 200; kill_after < 12000; kill_after += 550) {
    const TempPath folder("set");
    std::uint64_t acknowledged = 0;
    for (int round = 0; round < 3; ++round) {
      int pipes[2];
      ASSERT_EQ(pipe(pipes), 0);
      const pid_t child = fork();
      if (child == 0) {
        close(pipes[0]);
        ShardedIndex index = world.open(folder, Durability::system, 2);
        for (int step = 0; index.resume_at() < kRows; ++step) {
          if (step % 5 == 4) index.compact();
          world.add(index, 1 + hash(kill_after, static_cast<std::uint64_t>(step)) % 5);
          const std::uint64_t size = index.resume_at();
          if (write(pipes[1], &size, sizeof size) != sizeof size) break;
        }
        _exit(0);
      }
      close(pipes[1]);
      usleep(static_cast<useconds_t>(kill_after));
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
      while (read(pipes[0], &acknowledged, sizeof acknowledged) > 0) {
      }
      close(pipes[0]);
      const ShardedIndex index = world.open(folder, Durability::system);
      ASSERT_GE(index.resume_at(), acknowledged);
      ASSERT_NO_FATAL_FAILURE(world.expect_prefixes(index));
      expect_sound(index.audit());
    }
    ShardedIndex index = world.open(folder);
    world.add(index, kRows);
    ASSERT_NO_FATAL_FAILURE(world.expect_whole(index));
  }
}

}  // namespace
}  // namespace concord::test
