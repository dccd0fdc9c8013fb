// The thread beside an addition that writes its records: order, bound, failures, its end; and an
// index that grows while it works.

#include <atomic>
#include <thread>

#include "common/journal/writer.hpp"
#include "tests/crash/reference.hpp"
#include "tests/support/no_threads.hpp"

namespace concord::test {
namespace {

using core::JournalWriter;
using core::NewRecord;
using core::NodeId;

/// Tells when the thread that it belongs to has ended.
struct EndOfThread {
  ~EndOfThread() { ++ended; }
  static std::atomic<int> ended;
};
std::atomic<int> EndOfThread::ended{0};

TEST(JournalWriter, WritesInOrderOnOneThreadThatEnds) {
  const int ended_before = EndOfThread::ended;
  std::vector<NodeId> written;
  std::thread::id first;
  JournalWriter writer([&](NewRecord& record) {
    thread_local const EndOfThread end;
    (void)&end;
    if (written.empty()) first = std::this_thread::get_id();
    EXPECT_EQ(std::this_thread::get_id(), first);
    written.push_back(record.batch.begin);
  });
  for (NodeId n = 0; n < 1000; ++n) {
    writer.free_record().batch.begin = n;
    writer.hand_over();
  }
  writer.finish();
  EXPECT_EQ(EndOfThread::ended, ended_before + 1);
  ASSERT_EQ(written.size(), 1000u);
  for (NodeId n = 0; n < 1000; ++n) EXPECT_EQ(written[n], n);
  EXPECT_NE(first, std::this_thread::get_id());
}

TEST(JournalWriter, LetsNoMoreRecordsWaitThanItSays) {
  std::atomic<std::size_t> written{0};
  JournalWriter writer([&](NewRecord&) {
    std::this_thread::yield();
    ++written;
  });
  for (std::size_t n = 0; n < 1000; ++n) {
    writer.free_record();
    ASSERT_LT(n - written, JournalWriter::kAhead);
    writer.hand_over();
  }
}

// As for the last record of an addition, or its only one.
TEST(JournalWriter, WritesOnTheCallersThreadAfterThoseBefore) {
  std::vector<std::pair<NodeId, std::thread::id>> written;
  JournalWriter writer([&](NewRecord& record) {
    written.emplace_back(record.batch.begin, std::this_thread::get_id());
  });
  for (NodeId n = 0; n < 3; ++n) {
    writer.free_record().batch.begin = n;
    if (n < 2) {
      writer.hand_over();
    } else {
      writer.write_now();
    }
  }
  ASSERT_EQ(written.size(), 3u);
  EXPECT_NE(written[1].second, std::this_thread::get_id());
  EXPECT_EQ(written[2], std::pair(NodeId{2}, std::this_thread::get_id()));
}

TEST(JournalWriter, WritesNothingMoreAfterAFailureAndTellsIt) {
  std::vector<NodeId> written;
  JournalWriter writer([&](NewRecord& record) {
    if (record.batch.begin == 5) throw Error(ErrorCode::io, "the fifth");
    written.push_back(record.batch.begin);
  });
  NodeId n = 0;
  expect_error(ErrorCode::io, {"the fifth"}, [&] {
    for (;; ++n) {
      writer.free_record().batch.begin = n;
      writer.hand_over();
    }
  });
  EXPECT_LE(n, 5 + JournalWriter::kAhead);
  expect_error(ErrorCode::io, {"the fifth"}, [&] { writer.free_record(); });
  expect_error(ErrorCode::io, {"the fifth"}, [&] { writer.wait(); });
  writer.finish();
  EXPECT_EQ(written, (std::vector<NodeId>{0, 1, 2, 3, 4}));
  writer.free_record().batch.begin = 9;  // it begins anew
  writer.hand_over();
  writer.wait();
  EXPECT_EQ(written.back(), 9u);
}

TEST(JournalWriter, WritesOnTheCallersThreadWhereTheSystemGivesNoOther) {
  const NoThreads none;
  std::vector<NodeId> written;
  JournalWriter writer([&](NewRecord& record) { written.push_back(record.batch.begin); });
  for (NodeId n = 0; n < 3; ++n) {
    writer.free_record().batch.begin = n;
    writer.hand_over();
    EXPECT_EQ(written.size(), n + 1);
  }
  EXPECT_EQ(written, (std::vector<NodeId>{0, 1, 2}));
}

// Whoever looks, between two commits or in a callback, while records are written.
TEST(JournalBesideAnAddition, MayBeInspected) {
  const std::size_t rows = 3000;
  const Matrix data = make_data(Shape::clustered, rows, 8, 4);
  const IndexParams params = make_params(8, 4, 16, 64);
  const TempPath path;
  std::string digest;
  {
    Index index = Index::open(path, params, Durability::system, one_thread());
    std::atomic<bool> done{false};
    std::thread other([&] {
      std::uint64_t bytes = 0;
      while (!done) {
        const JournalStats stats = index.stats().journal;
        EXPECT_GE(stats.bytes, bytes);
        bytes = stats.bytes;
      }
    });
    index.add(data.view(), [&](std::uint64_t, std::uint64_t) {
      EXPECT_GE(index.stats().journal.wait_seconds, 0.0);
      return true;
    });
    done = true;
    other.join();
    digest = index.digest();
    const JournalStats stats = index.stats().journal;
    EXPECT_EQ(stats.bytes, std::filesystem::file_size(path.path().string() + ".journal"));
    EXPECT_GT(stats.write_seconds, 0.0);
    EXPECT_GT(stats.wait_seconds, 0.0);
  }
  EXPECT_EQ(Index::open(path, params, Durability::system, one_thread()).digest(), digest);
}

}  // namespace
}  // namespace concord::test
