// Lists against a model of plain vectors: appends, removals, overflowed neighbors, sealed copies.

#include "common/graph/link_table.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/data_sets.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

std::vector<NodeId> content(const LinkTable& lists, ListIndex list) {
  std::vector<NodeId> ids(lists.capacity());
  ids.resize(lists.read(list, ids.data()));
  std::vector<NodeId> buffer(lists.capacity());
  const auto in_place = lists.ids(list, buffer.data());
  EXPECT_EQ(std::vector<NodeId>(in_place.begin(), in_place.end()), ids);
  return ids;
}

TEST(LinkTable, BehavesAsListsOfIdsUnderRandomOperations) {
  for (const std::uint32_t max_degree : {2u, 3u, 32u, 128u}) {
    constexpr ListIndex kLists = 40;
    LinkTable lists(max_degree);
    lists.resize(kLists);
    std::vector<std::vector<NodeId>> model(kLists);
    std::set<ListIndex> touched;
    std::uint32_t epoch = 1;
    NodeId next_id = 1;
    for (std::uint64_t step = 0; step < 20000; ++step) {
      const auto list = static_cast<ListIndex>(test::hash(1, step) % kLists);
      std::vector<NodeId>& expected = model[list];
      if (test::hash(2, step) % 3 != 0 && lists.has_room(list)) {
        lists.append(list, next_id, epoch);
        expected.push_back(next_id++);
        touched.insert(list);
      } else if (!expected.empty()) {
        const std::size_t place = test::hash(3, step) % expected.size();
        const NodeId id = expected[place];
        if (test::hash(4, step) % 2 != 0 && lists.has_room(list)) {
          lists.replace(list, id, next_id, epoch);
          expected[place] = expected.back();
          expected.back() = next_id++;
          ASSERT_EQ(content(lists, list), expected);
          touched.insert(list);
          continue;
        }
        EXPECT_TRUE(lists.contains(list, id));
        EXPECT_EQ(lists.count(list, id), 1u);
        lists.remove(list, id);
        EXPECT_FALSE(lists.contains(list, id));
        EXPECT_EQ(lists.count(list, id), 0u);
        expected[place] = expected.back();
        expected.pop_back();
      }
      ASSERT_EQ(content(lists, list), expected);
      ASSERT_EQ(lists.has_room(list), expected.size() < 2 * max_degree);
      if (step % 500 != 499) continue;
      // A seal: every list back to max_degree, overflow dropped.
      const std::set<ListIndex> listed(lists.touched().begin(), lists.touched().end());
      EXPECT_EQ(listed.size(), lists.touched().size()) << "a list is listed once";
      EXPECT_EQ(listed, touched);
      for (ListIndex r = 0; r < kLists; ++r) {
        while (model[r].size() > max_degree) {
          lists.remove(r, model[r].front());
          model[r].front() = model[r].back();
          model[r].pop_back();
        }
      }
      lists.drop_overflow();
      lists.forget_touched();
      touched.clear();
      ++epoch;
      EXPECT_TRUE(lists.overflowed().empty());
      for (ListIndex r = 0; r < kLists; ++r) ASSERT_EQ(content(lists, r), model[r]);
    }
  }
}

// Which ids of a list are sealed, in place and in the overflow, is drawn at random.
TEST(LinkTable, KeepsSealedCopiesUntilTheyAreDropped) {
  constexpr std::uint32_t kMaxDegree = 6;
  LinkTable lists(kMaxDegree);
  lists.resize(400);
  std::map<ListIndex, std::vector<NodeId>> kept;
  for (ListIndex list = 0; list < 400; list += 2) {
    const std::uint32_t degree = list / 2 % (2 * kMaxDegree + 1);
    for (NodeId j = 0; j < degree; ++j) {
      const bool sealed = kept[list].size() < kMaxDegree && test::hash(1, list, j) % 3 != 0;
      const NodeId id = list * 100 + j * 2 + (sealed ? 0 : 1);
      lists.append(list, id, 1);
      if (sealed) kept[list].push_back(id);
    }
    lists.keep_sealed_copy(list, [](NodeId id) { return id % 2 == 0; });
    if (degree > 0) lists.remove(list, content(lists, list).front());
  }
  for (ListIndex list = 0; list < 400; ++list) {
    ASSERT_EQ(lists.has_sealed_copy(list), list % 2 == 0);
    if (list % 2 != 0) continue;
    const auto copy = lists.sealed_copy(list);
    EXPECT_EQ(std::vector<NodeId>(copy.begin(), copy.end()), kept[list]);
  }
  EXPECT_EQ(lists.copied().size(), 200u);
  lists.drop_sealed_copies();
  for (ListIndex list = 0; list < 400; ++list) EXPECT_FALSE(lists.has_sealed_copy(list));
  EXPECT_TRUE(lists.copied().empty());
}

TEST(LinkTable, FillsAnEmptyList) {
  LinkTable lists(5);
  lists.resize(3);
  const std::vector<NodeId> ids = {9, 4, 7, 2, 1};
  for (const std::size_t count : {0u, 3u, 5u}) {
    const auto list = static_cast<ListIndex>(count / 2);
    lists.fill(list, {ids.data(), count}, 4);
    EXPECT_EQ(content(lists, list), std::vector<NodeId>(ids.data(), ids.data() + count));
    EXPECT_EQ(lists.touched_epoch(list), 4u);
  }
  EXPECT_EQ(lists.touched(), (std::vector<ListIndex>{0, 1, 2}));
}

// What a removal leaves behind the end of a list is in no list any more.
TEST(LinkTable, FindsNothingBehindTheEnd) {
  for (const std::uint32_t max_degree : {2u, 7u, 32u}) {
    LinkTable lists(max_degree);
    lists.resize(1);
    for (NodeId id = 1; id <= 2 * max_degree; ++id) lists.append(0, id, 1);
    for (NodeId id = 2 * max_degree; id >= 1; --id) {
      lists.remove(0, id);
      EXPECT_FALSE(lists.contains(0, id));
      EXPECT_EQ(lists.count(0, id), 0u);
      for (NodeId left = 1; left < id; ++left) EXPECT_TRUE(lists.contains(0, left));
    }
  }
}

TEST(LinkTable, CountsAnIdInPlaceAndInOverflow) {
  LinkTable lists(4);
  lists.resize(1);
  std::uint32_t sevens = 0;
  for (const NodeId id : {7u, 1u, 7u, 2u, 7u, 3u, 7u}) {
    lists.append(0, id, 1);
    sevens += id == 7 ? 1 : 0;
    EXPECT_EQ(lists.count(0, 7), sevens);
  }
}

// A header of a file may say anything.
TEST(LinkTable, IsNotReadableBeyondItsRoom) {
  LinkTable lists(4);
  lists.resize(1);
  for (const std::uint32_t overflow : {0u, 1u}) {
    for (const int degree : {0, 4, 5, 8, 9, 0xFFFF}) {
      lists.header(0) = {static_cast<std::uint16_t>(degree), 0, overflow, 0, 0};
      EXPECT_EQ(lists.is_readable(0), degree <= (overflow == 0 ? 4 : 8))
          << degree << " " << overflow;
    }
  }
}

TEST(LinkTable, TouchNamesAListOncePerEpoch) {
  LinkTable lists(4);
  lists.resize(5);
  lists.touch(3, 1);
  lists.append(3, 9, 1);
  lists.touch(1, 1);
  EXPECT_EQ(lists.touched(), (std::vector<ListIndex>{3, 1}));
  lists.forget_touched();
  lists.touch(3, 2);
  EXPECT_EQ(lists.touched(), (std::vector<ListIndex>{3}));
}

// The file format's way out and in again: lists, overflow and copies with blocks renumbered by
// list.
TEST(LinkTable, ImportsWhatItExported) {
  LinkTable lists(3);
  lists.resize(20);
  for (const ListIndex list : {11u, 4u, 17u}) {  // blocks are numbered in this order
    for (NodeId id = 0; id < 5; ++id) lists.append(list, list * 10 + id, 8);
    lists.keep_sealed_copy(list, [&](NodeId id) { return id % 10 < 2; });
  }
  lists.append(2, 1, 7);

  std::vector<std::uint32_t> words;
  std::vector<std::uint32_t> overflow;
  std::vector<std::uint32_t> copies;
  std::uint32_t blocks = 0;
  for (ListIndex list = 0; list < 20; ++list) {
    ListHeader header = lists.header(list);
    if (header.overflow != 0) {
      lists.export_overflow(list, overflow);
      lists.export_sealed_copy(list, copies);
      header.overflow = header.sealed_copy = ++blocks;
    }
    lists.export_list(list, header, words);
  }
  const auto import = [&](LinkTable& target, std::uint32_t epoch) {
    target.resize(20);
    const LinkTable::Import to = target.begin_import(blocks, blocks);
    std::copy(words.begin(), words.end(), to.lists);
    std::copy(overflow.begin(), overflow.end(), to.overflow);
    std::copy(copies.begin(), copies.end(), to.copies);
    return target.end_import(epoch);
  };
  LinkTable again(3);
  ASSERT_TRUE(import(again, 8));
  for (ListIndex list = 0; list < 20; ++list) {
    EXPECT_EQ(content(again, list), content(lists, list));
    ASSERT_EQ(again.has_sealed_copy(list), lists.has_sealed_copy(list));
    if (!lists.has_sealed_copy(list)) continue;
    const auto read = again.sealed_copy(list);
    EXPECT_EQ(std::vector<NodeId>(read.begin(), read.end()),
              (std::vector<NodeId>{list * 10, list * 10 + 1}));
  }
  EXPECT_EQ(again.touched(), (std::vector<ListIndex>{4, 11, 17}));

  // Every way in which the numbers could lie.
  const auto refused = [&](ListIndex list, auto&& damage) {
    auto* header = reinterpret_cast<ListHeader*>(&words[list * lists.stride_words()]);
    const ListHeader saved = *header;
    damage(*header);
    LinkTable target(3);
    EXPECT_FALSE(import(target, 8)) << "list " << list;
    *header = saved;
  };
  refused(2, [](ListHeader& h) { h.degree = 7; });
  refused(2, [](ListHeader& h) { h.degree = 4; });  // more than max_degree without a overflow
  refused(2, [](ListHeader& h) { h.overflow = 1; });
  refused(4, [](ListHeader& h) { h.overflow = 2; });
  refused(4, [](ListHeader& h) { h.overflow = 0; });
  refused(17, [](ListHeader& h) { h.overflow = 4; });
  refused(11, [](ListHeader& h) { h.sealed_copy = 0xFFFFFFFF; });
  refused(11, [](ListHeader& h) { h.sealed_copy = 0; });
  refused(2, [](ListHeader& h) { h.touched_epoch = 9; });
}

}  // namespace
}  // namespace concord::core
