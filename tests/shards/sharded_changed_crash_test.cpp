// The machine goes down between any two file operations of a ShardedIndex from which vectors are
// removed and replaced: each shard opens as a prefix of its own operations, nothing acknowledged is
// lost, and no label is in two shards.

#include <algorithm>
#include <optional>
#include <set>

#include "tests/shards/sharded_model.hpp"
#include "tests/support/memory_file_system.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 2;

IndexParams small() { return make_params(kDimension, 2, 6, 5); }

/// A random history: rows and labels of each call, and what each shard is after each step of it
/// that a crash may leave.
class History {
 public:
  struct Call {
    enum class Kind { add, remove, upsert, flush } kind;
    Matrix rows = Matrix(0, kDimension);
    std::vector<std::uint64_t> labels;
  };

  History(std::uint64_t seed, const ShardParams& shards)
      : shards_(shards), states_(shards.shards), ends_(1) {
    ShardedModel model(small(), shards);
    record(model);
    ends_[0] = std::vector<std::size_t>(shards.shards, 0);
    std::uint64_t next = 0;
    for (std::uint64_t step = 0; step < 24; ++step) {
      calls.push_back(draw(hash(seed, step), model, next));
      play(calls.back(), model);
      ends_.emplace_back();
      for (const auto& states : states_) ends_.back().push_back(states.size() - 1);
    }
  }

  void apply(ShardedIndex& index, std::size_t call) const {
    const Call& one = calls[call];
    switch (one.kind) {
      case Call::Kind::add:
        index.add(one.rows.view(), one.labels);
        break;
      case Call::Kind::remove:
        index.remove(one.labels);
        break;
      case Call::Kind::upsert:
        index.upsert(one.rows.view(), one.labels);
        break;
      case Call::Kind::flush:
        index.flush();
        break;
    }
  }
  /// Each shard is in a state that comes behind the first `done` calls, and not behind one more
  /// than was begun.
  void expect_prefixes(const ShardedIndex& index, std::size_t done) const {
    for (std::uint32_t s = 0; s < index.shards(); ++s) {
      const std::string digest = index.shard(s).digest();
      const auto& states = states_[s];
      const std::size_t last = ends_[std::min(done + 1, calls.size())][s];
      const auto begin = states.begin() + static_cast<std::ptrdiff_t>(ends_[done][s]);
      const auto end = states.begin() + static_cast<std::ptrdiff_t>(last) + 1;
      ASSERT_NE(std::find(begin, end, digest), end) << "shard " << s << " after call " << done;
    }
    expect_no_label_twice(index);
  }
  static void expect_no_label_twice(const ShardedIndex& index) {
    const std::vector<std::uint64_t> labels = index.labels();
    ASSERT_EQ(std::set<std::uint64_t>(labels.begin(), labels.end()).size(), labels.size());
    ASSERT_EQ(labels.size(), index.size());
  }

  std::vector<Call> calls;

 private:
  static Call draw(std::uint64_t seed, const ShardedModel& model, std::uint64_t& next) {
    Call call{.kind = Call::Kind::add, .labels = {}};
    const std::uint64_t kind = hash(seed, 1) % 8;
    std::vector<std::uint64_t> known = model.labels();
    std::sort(known.begin(), known.end(),
              [&](std::uint64_t a, std::uint64_t b) { return hash(seed, a) < hash(seed, b); });
    known.resize(std::min<std::size_t>(known.size(), 1 + hash(seed, 2) % 7));
    if (kind == 7) call.kind = Call::Kind::flush;
    if (kind == 7) return call;
    if (kind >= 5 && !known.empty()) {
      call.kind = Call::Kind::remove;
      call.labels = known;
      return call;
    }
    if (kind >= 2) {
      call.kind = Call::Kind::upsert;
      call.labels = known;
    }
    // New labels, or such as were removed.
    for (std::uint64_t i = 0; i < 1 + hash(seed, 3) % 6; ++i) {
      std::uint64_t label = hash(seed, 4, i) % 2 == 0 ? next : hash(seed, 5, i) % (next + 1);
      const bool is_taken = model.has(label) || std::ranges::count(call.labels, label) > 0;
      if (is_taken) label = next;
      if (label == next) ++next;
      call.labels.push_back(label);
    }
    call.rows = Matrix(call.labels.size(), kDimension);
    for (std::size_t i = 0; i < call.rows.rows; ++i) {
      const auto row = whole_row(kDimension, seed, i);
      std::copy(row.begin(), row.end(), call.rows.row(i));
    }
    return call;
  }
  // A shard's part of a removal is whole or not there.
  void play(const Call& call, ShardedModel& model) {
    if (call.kind == Call::Kind::flush) model.flush();
    if (call.kind == Call::Kind::remove) {
      for (const std::uint64_t label : call.labels) model.remove(label);
    }
    for (std::size_t i = 0; i < call.rows.rows; ++i) {
      model.upsert({call.rows.row(i), call.rows.row(i) + kDimension}, call.labels[i]);
      record(model);
    }
    record(model);
  }
  void record(const ShardedModel& model) {
    for (std::uint32_t s = 0; s < shards_.shards; ++s) {
      const std::string digest = model.digest(s);
      if (states_[s].empty() || states_[s].back() != digest) states_[s].push_back(digest);
    }
  }

  ShardParams shards_;
  std::vector<std::vector<std::string>> states_;  ///< [shards]
  std::vector<std::vector<std::size_t>> ends_;    ///< [calls + 1][shards]: numbers of states
};

struct CrashPoint {
  MemoryFileSystem disk;
  std::size_t done;
};

ShardedIndex open(const ShardParams& shards, Durability durability) {
  return ShardedIndex::open(MemoryFileSystem::kDirectory, small(), shards, durability,
                            {on_cpu(), {}});
}

std::vector<CrashPoint> play(const History& history, const ShardParams& shards,
                             Durability durability, std::uint64_t seed) {
  MemoryFileSystem disk;
  std::vector<CrashPoint> points;
  std::size_t file_calls = 0;
  std::size_t done = 0;
  disk.set_oracle([&](MemoryFileSystem::Call) {
    if (++file_calls % 7 == 0) points.push_back({disk, done});
    return MemoryFileSystem::Fate{};
  });
  const ScopedFileSystem in_place(disk);
  std::optional<ShardedIndex> index = open(shards, durability);
  while (done < history.calls.size()) {
    if (hash(seed, done, 1) % 9 == 0) index->compact();
    if (hash(seed, done, 2) % 9 == 0) {
      index.reset();
      index = open(shards, durability);
    }
    history.apply(*index, done);
    ++done;
  }
  EXPECT_NO_FATAL_FAILURE(history.expect_prefixes(*index, done));
  return points;
}

TEST(ShardedChangedCrash, LosesNothingAcknowledgedAtAnyPoint) {
  const std::size_t wanted = scaled(1500, 100);
  std::size_t crashes = 0;
  for (std::uint64_t seed = 1; crashes < wanted; ++seed) {
    const ShardParams shards{static_cast<std::uint32_t>(2 + seed % 3),
                             static_cast<std::uint32_t>(1 + seed % 2)};
    const History history(seed, shards);
    for (const CrashPoint& point : play(history, shards, Durability::synced, seed)) {
      for (const Survival survival : kAllSurvivals) {
        SCOPED_TRACE(testing::Message() << "history " << seed << ", after crash " << crashes);
        MemoryFileSystem disk(point.disk);
        disk.crash(survival, hash(seed, 1, crashes++));
        const ScopedFileSystem in_place(disk);
        std::optional<ShardedIndex> index = open(shards, Durability::synced);
        ASSERT_NO_FATAL_FAILURE(history.expect_prefixes(*index, point.done));
        expect_sound(index->audit());
        // It goes on: every label can be written.
        const std::vector<std::uint64_t> labels{0, 1, 2, 3, 4, 5, 6, 7};
        const Matrix rows = make_data(Shape::random, labels.size(), kDimension);
        index->upsert(rows.view(), labels);
        const std::string digest = index->digest();
        index.reset();
        index = open(shards, Durability::synced);
        ASSERT_EQ(index->digest(), digest);
        ASSERT_NO_FATAL_FAILURE(History::expect_no_label_twice(*index));
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

// What is not synced may be lost in one shard and kept in another: a label's removal is lost, and
// that it came to another shard is kept.
TEST(ShardedChangedCrash, WithoutSyncsNoLabelIsInTwoShards) {
  const std::size_t wanted = scaled(1500, 100);
  std::size_t crashes = 0;
  std::size_t warnings = 0;
  for (std::uint64_t seed = 1; crashes < wanted; ++seed) {
    const ShardParams shards{3, 1};
    const History history(seed, shards);
    for (const CrashPoint& point : play(history, shards, Durability::system, seed)) {
      for (const Survival survival : kAllSurvivals) {
        SCOPED_TRACE(testing::Message() << "history " << seed << ", after crash " << crashes);
        MemoryFileSystem disk(point.disk);
        disk.crash(survival, hash(seed, 1, crashes++));
        const ScopedFileSystem in_place(disk);
        ShardRuntime runtime{on_cpu(), {}};
        runtime.each.log = [&](LogLevel, std::string_view message) {
          warnings += message.find("were in two shards") == std::string_view::npos ? 0 : 1;
        };
        ShardedIndex index = ShardedIndex::open(MemoryFileSystem::kDirectory, small(), shards,
                                                Durability::system, runtime);
        ASSERT_NO_FATAL_FAILURE(History::expect_no_label_twice(index));
        expect_sound(index.audit());
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  if (full_scale()) {
    EXPECT_GT(warnings, 0U);  // else nothing of this was tested
  }
}

}  // namespace
}  // namespace concord::test
