// Rows against a model of plain vectors: appends, removals, spilled neighbors, sealed copies.

#include "common/row_table.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

std::vector<NodeId> content(const RowTable& rows, RowIndex row) {
  std::vector<NodeId> ids(rows.capacity());
  ids.resize(rows.read(row, ids.data()));
  std::vector<NodeId> buffer(rows.capacity());
  const auto in_place = rows.ids(row, buffer.data());
  EXPECT_EQ(std::vector<NodeId>(in_place.begin(), in_place.end()), ids);
  return ids;
}

TEST(RowTable, BehavesAsListsOfIdsUnderRandomOperations) {
  for (const std::uint32_t max_degree : {2u, 3u, 32u, 128u}) {
    constexpr RowIndex kRows = 40;
    RowTable rows(max_degree, 1000);
    rows.resize(kRows);
    std::vector<std::vector<NodeId>> model(kRows);
    std::set<RowIndex> touched;
    std::uint32_t epoch = 1;
    NodeId next_id = 1;
    for (std::uint64_t step = 0; step < 20000; ++step) {
      const auto row = static_cast<RowIndex>(test::hash(1, step) % kRows);
      std::vector<NodeId>& list = model[row];
      if (test::hash(2, step) % 3 != 0 && rows.has_room(row)) {
        rows.append(row, next_id, epoch);
        list.push_back(next_id++);
        touched.insert(row);
      } else if (!list.empty()) {
        const std::size_t place = test::hash(3, step) % list.size();
        const NodeId id = list[place];
        if (test::hash(4, step) % 2 != 0 && rows.has_room(row)) {
          rows.replace(row, id, next_id, epoch);
          list[place] = list.back();
          list.back() = next_id++;
          ASSERT_EQ(content(rows, row), list);
          touched.insert(row);
          continue;
        }
        EXPECT_TRUE(rows.contains(row, id));
        EXPECT_EQ(rows.count(row, id), 1u);
        rows.remove(row, id);
        EXPECT_FALSE(rows.contains(row, id));
        EXPECT_EQ(rows.count(row, id), 0u);
        list[place] = list.back();
        list.pop_back();
      }
      ASSERT_EQ(content(rows, row), list);
      ASSERT_EQ(rows.has_room(row), list.size() < 2 * max_degree);
      if (step % 500 != 499) continue;
      // A seal: every row back to max_degree, spills dropped.
      const std::set<RowIndex> listed(rows.touched().begin(), rows.touched().end());
      EXPECT_EQ(listed.size(), rows.touched().size()) << "a row is listed once";
      EXPECT_EQ(listed, touched);
      for (RowIndex r = 0; r < kRows; ++r) {
        while (model[r].size() > max_degree) {
          rows.remove(r, model[r].front());
          model[r].front() = model[r].back();
          model[r].pop_back();
        }
      }
      rows.drop_spills();
      rows.forget_touched();
      touched.clear();
      ++epoch;
      EXPECT_TRUE(rows.spilled().empty());
      for (RowIndex r = 0; r < kRows; ++r) ASSERT_EQ(content(rows, r), model[r]);
    }
  }
}

// Which ids of a row are sealed, in place and in the spill, is drawn at random.
TEST(RowTable, KeepsSealedCopiesUntilTheyAreDropped) {
  constexpr std::uint32_t kMaxDegree = 6;
  RowTable rows(kMaxDegree, 1000);
  rows.resize(400);
  std::map<RowIndex, std::vector<NodeId>> kept;
  for (RowIndex row = 0; row < 400; row += 2) {
    const std::uint32_t degree = row / 2 % (2 * kMaxDegree + 1);
    for (NodeId j = 0; j < degree; ++j) {
      const bool sealed = kept[row].size() < kMaxDegree && test::hash(1, row, j) % 3 != 0;
      const NodeId id = row * 100 + j * 2 + (sealed ? 0 : 1);
      rows.append(row, id, 1);
      if (sealed) kept[row].push_back(id);
    }
    rows.keep_sealed_copy(row, [](NodeId id) { return id % 2 == 0; });
    if (degree > 0) rows.remove(row, content(rows, row).front());
  }
  for (RowIndex row = 0; row < 400; ++row) {
    ASSERT_EQ(rows.has_sealed_copy(row), row % 2 == 0);
    if (row % 2 != 0) continue;
    const auto copy = rows.sealed_copy(row);
    EXPECT_EQ(std::vector<NodeId>(copy.begin(), copy.end()), kept[row]);
  }
  EXPECT_EQ(rows.copied().size(), 200u);
  rows.drop_sealed_copies();
  for (RowIndex row = 0; row < 400; ++row) EXPECT_FALSE(rows.has_sealed_copy(row));
  EXPECT_TRUE(rows.copied().empty());
}

TEST(RowTable, FillsAnEmptyRow) {
  RowTable rows(5, 100);
  rows.resize(3);
  const std::vector<NodeId> ids = {9, 4, 7, 2, 1};
  for (const std::size_t count : {0u, 3u, 5u}) {
    const auto row = static_cast<RowIndex>(count / 2);
    rows.fill(row, {ids.data(), count}, 4);
    EXPECT_EQ(content(rows, row), std::vector<NodeId>(ids.data(), ids.data() + count));
    EXPECT_EQ(rows.touched_epoch(row), 4u);
  }
  EXPECT_EQ(rows.touched(), (std::vector<RowIndex>{0, 1, 2}));
}

// What a removal leaves behind the end of a row is in no row any more.
TEST(RowTable, FindsNothingBehindTheEnd) {
  for (const std::uint32_t max_degree : {2u, 7u, 32u}) {
    RowTable rows(max_degree, 100);
    rows.resize(1);
    for (NodeId id = 1; id <= 2 * max_degree; ++id) rows.append(0, id, 1);
    for (NodeId id = 2 * max_degree; id >= 1; --id) {
      rows.remove(0, id);
      EXPECT_FALSE(rows.contains(0, id));
      EXPECT_EQ(rows.count(0, id), 0u);
      for (NodeId left = 1; left < id; ++left) EXPECT_TRUE(rows.contains(0, left));
    }
  }
}

TEST(RowTable, CountsAnIdInPlaceAndSpilled) {
  RowTable rows(4, 100);
  rows.resize(1);
  std::uint32_t sevens = 0;
  for (const NodeId id : {7u, 1u, 7u, 2u, 7u, 3u, 7u}) {
    rows.append(0, id, 1);
    sevens += id == 7 ? 1 : 0;
    EXPECT_EQ(rows.count(0, 7), sevens);
  }
}

// A header of a file may say anything.
TEST(RowTable, IsNotReadableBeyondItsRoom) {
  RowTable rows(4, 100);
  rows.resize(1);
  for (const std::uint32_t spill : {0u, 1u}) {
    for (const int degree : {0, 4, 5, 8, 9, 0xFFFF}) {
      rows.header(0) = {static_cast<std::uint16_t>(degree), 0, spill, 0, 0};
      EXPECT_EQ(rows.is_readable(0), degree <= (spill == 0 ? 4 : 8)) << degree << " " << spill;
    }
  }
}

TEST(RowTable, TouchListsARowOncePerEpoch) {
  RowTable rows(4, 100);
  rows.resize(5);
  rows.touch(3, 1);
  rows.append(3, 9, 1);
  rows.touch(1, 1);
  EXPECT_EQ(rows.touched(), (std::vector<RowIndex>{3, 1}));
  rows.forget_touched();
  rows.touch(3, 2);
  EXPECT_EQ(rows.touched(), (std::vector<RowIndex>{3}));
}

// The file format's way out and in again: rows, spills and copies with blocks renumbered by row.
TEST(RowTable, ImportsWhatItExported) {
  RowTable rows(3, 100);
  rows.resize(20);
  for (const RowIndex row : {11u, 4u, 17u}) {  // blocks are numbered in this order
    for (NodeId id = 0; id < 5; ++id) rows.append(row, row * 10 + id, 8);
    rows.keep_sealed_copy(row, [&](NodeId id) { return id % 10 < 2; });
  }
  rows.append(2, 1, 7);

  std::vector<std::uint32_t> words;
  std::vector<std::uint32_t> spills;
  std::vector<std::uint32_t> copies;
  std::uint32_t blocks = 0;
  for (RowIndex row = 0; row < 20; ++row) {
    RowHeader header = rows.header(row);
    if (header.spill != 0) {
      rows.export_spill(row, spills);
      rows.export_sealed_copy(row, copies);
      header.spill = header.sealed_copy = ++blocks;
    }
    rows.export_row(row, header, words);
  }
  const auto import = [&](RowTable& target, std::uint32_t epoch) {
    target.resize(20);
    const RowTable::Import to = target.begin_import(blocks, blocks);
    std::copy(words.begin(), words.end(), to.rows);
    std::copy(spills.begin(), spills.end(), to.spills);
    std::copy(copies.begin(), copies.end(), to.copies);
    return target.end_import(epoch);
  };
  RowTable again(3, 100);
  ASSERT_TRUE(import(again, 8));
  for (RowIndex row = 0; row < 20; ++row) {
    EXPECT_EQ(content(again, row), content(rows, row));
    ASSERT_EQ(again.has_sealed_copy(row), rows.has_sealed_copy(row));
    if (!rows.has_sealed_copy(row)) continue;
    const auto read = again.sealed_copy(row);
    EXPECT_EQ(std::vector<NodeId>(read.begin(), read.end()),
              (std::vector<NodeId>{row * 10, row * 10 + 1}));
  }
  EXPECT_EQ(again.touched(), (std::vector<RowIndex>{4, 11, 17}));

  // Every way in which the numbers could lie.
  const auto refused = [&](RowIndex row, auto&& damage) {
    auto* header = reinterpret_cast<RowHeader*>(&words[row * rows.stride_words()]);
    const RowHeader saved = *header;
    damage(*header);
    RowTable target(3, 100);
    EXPECT_FALSE(import(target, 8)) << "row " << row;
    *header = saved;
  };
  refused(2, [](RowHeader& h) { h.degree = 7; });
  refused(2, [](RowHeader& h) { h.degree = 4; });  // more than max_degree without a spill
  refused(2, [](RowHeader& h) { h.spill = 1; });
  refused(4, [](RowHeader& h) { h.spill = 2; });
  refused(4, [](RowHeader& h) { h.spill = 0; });
  refused(17, [](RowHeader& h) { h.spill = 4; });
  refused(11, [](RowHeader& h) { h.sealed_copy = 0xFFFFFFFF; });
  refused(11, [](RowHeader& h) { h.sealed_copy = 0; });
  refused(2, [](RowHeader& h) { h.touched_epoch = 9; });
}

}  // namespace
}  // namespace concord::core
