// What opening a journal may take: memory in proportion to its length, as SECURITY.md states it.

#include "common/graph/level.hpp"
#include "tests/crash/reference.hpp"
#include "tests/hostile/data_limit.hpp"
#include "tests/support/journal_file.hpp"

namespace concord::test {
namespace {

using core::file::JournalHeader;
using core::file::RecordHeader;

// So many that they outweigh what is taken at once; fewer, scaled, would need another bound.
constexpr std::size_t kRows = DataLimit::supported() ? 6000 : 500;

/// Bytes that opening a journal of this length may take.
std::size_t bound(std::size_t length) {
  constexpr std::size_t kConstant = std::size_t{4} << 20;
  constexpr std::size_t kFactor = 200;
  return kConstant + kFactor * length;
}

/// Opens the journal within that bound; returns the size of the index.
std::size_t open_within_memory(const TempPath& path, const IndexParams& params) {
  const std::filesystem::path journal = path.path().string() + ".journal";
  const DataLimit limit(bound(std::filesystem::file_size(journal)));
  return Index::open(path, params, Durability::system, one_thread()).size();
}

class JournalMemory : public testing::Test {
 protected:
  void SetUp() override {
    const DataLimit limit(std::size_t{1} << 20);
    if (DataLimit::supported() && !DataLimit::refuses(std::size_t{16} << 20))
      GTEST_SKIP() << "this system does not enforce RLIMIT_DATA";
  }
};

TEST_F(JournalMemory, IsBoundedByTheLengthOfAJournalOfAnIndex) {
  for (const std::uint32_t M : {2u, 16u, 64u}) {
    for (const std::uint32_t dimension : {1u, 32u}) {
      for (const Shape shape : {Shape::duplicate, Shape::random}) {
        SCOPED_TRACE(testing::Message() << "M " << M << ", dimension " << dimension);
        const IndexParams params = make_params(dimension, M, 8, 128);
        const TempPath path;
        {
          Index index = Index::open(path, params, Durability::system, one_thread());
          index.add(make_data(shape, kRows, dimension).view());
        }
        EXPECT_EQ(open_within_memory(path, params), kRows);
      }
    }
  }
}

// The most that few bytes can stand for: vectors of one byte without neighbors, with long rows.
void expect_bounded_by_a_forged_journal(const IndexParams& params) {
  const TempPath path;
  const std::filesystem::path journal = path.path().string() + ".journal";
  {
    Index index = Index::open(path, params, Durability::system, one_thread());
    index.add(make_data(Shape::duplicate, 1, 1).view());
  }
  std::vector<char> forged = read_file(journal);
  forged.resize(core::file::kRecordsBegin);
  write_at(forged, sizeof(JournalHeader) + offsetof(core::file::ClosedAt, length),
           core::file::kRecordsBegin);
  core::Epoch epoch = core::Epoch::of(0, params.epoch_limit);
  for (core::NodeId first = 0; first < kRows; epoch = epoch.next(params.epoch_limit)) {
    const auto end = std::min(epoch.end, static_cast<core::NodeId>(kRows));
    RecordHeader header{};
    header.magic = core::file::kRecordMagic;
    header.count = end - first;
    header.before.inserts = first;
    std::size_t lists = 0;
    for (; first < end; ++first) lists += 1 + core::level_of(params.seed, first, params.M);
    constexpr std::size_t kStride = 8;
    header.length = sizeof header + (lists + 7) / 8 * 8 + header.count * kStride;
    const std::size_t at = forged.size();
    forged.resize(at + header.length);
    write_at(forged, at, header);
  }
  sign_journal(forged);
  write_file(journal, forged);
  EXPECT_EQ(open_within_memory(path, params), kRows);
}

TEST_F(JournalMemory, IsBoundedByTheLengthOfAForgedJournal) {
  expect_bounded_by_a_forged_journal(make_params(1, 64, 1, 128));
}

// In the longest epochs there are, what every proposal could ask for would be gigabytes.
TEST_F(JournalMemory, IsBoundedByTheLengthOfAForgedJournalOfLongEpochs) {
  expect_bounded_by_a_forged_journal(make_params(1, 64, 1, 65536));
}

}  // namespace
}  // namespace concord::test
