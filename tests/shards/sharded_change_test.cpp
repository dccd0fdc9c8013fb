// Removal and replacement over shards: refused by all or by none, what readers see beside them, and
// what the failure of one shard leaves.

#include <atomic>
#include <cerrno>
#include <limits>
#include <set>
#include <thread>

#include "tests/shards/sharded_model.hpp"
#include "tests/support/memory_file_system.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 3;
constexpr ShardParams kShards{3, 1};

IndexParams small() { return make_params(kDimension, 3, 12, 8); }

Matrix whole_rows(std::uint64_t seed, std::size_t n) {
  Matrix rows(n, kDimension);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = whole_row(kDimension, seed, i);
    std::copy(row.begin(), row.end(), rows.row(i));
  }
  return rows;
}

TEST(ShardedChange, IsRefusedByAllShardsOrByNone) {
  ShardedIndex index(small(), kShards, {on_cpu(2), {}});
  const Matrix rows = whole_rows(1, 30);
  index.add(rows.view());
  index.remove(std::vector<std::uint64_t>{4, 17});
  const std::string digest = index.digest();
  const auto refuse = [&](ErrorCode code, const std::vector<std::string>& words,
                          const auto& action) {
    expect_error(code, words, action);
    EXPECT_EQ(index.digest(), digest);
    EXPECT_EQ(index.size(), 28U);
    EXPECT_EQ(index.resume_at(), 28U);
  };
  using Labels = std::vector<std::uint64_t>;
  // The wrong one is last, and its shard is not the first that would have changed.
  for (const std::uint64_t unknown : {std::uint64_t{17}, std::uint64_t{30}}) {
    const Labels labels{0, 1, 2, 3, unknown};
    const std::vector<std::string> words = {"label " + std::to_string(unknown), "number 4"};
    refuse(ErrorCode::unknown_label, words, [&] { index.remove(labels); });
    refuse(ErrorCode::unknown_label, words, [&] { index.update(rows.slice(0, 5), labels); });
  }
  const Labels twice{0, 1, 2, 7, 1};
  const std::vector<std::string> words = {"label 1 stands twice"};
  refuse(ErrorCode::duplicate_label, words, [&] { index.remove(twice); });
  refuse(ErrorCode::duplicate_label, words, [&] { index.update(rows.slice(0, 5), twice); });
  refuse(ErrorCode::duplicate_label, words, [&] { index.upsert(rows.slice(0, 5), twice); });
  // New ones, which may be dealt to two shards.
  refuse(ErrorCode::duplicate_label, {"label 50 stands twice"}, [&] {
    index.upsert(rows.slice(0, 3), Labels{50, 0, 50});
  });
  refuse(ErrorCode::duplicate_label, {"label 9 of vector 2", "already in the index"}, [&] {
    index.add(rows.slice(0, 3), Labels{50, 51, 9});
  });
  Matrix bad = rows;
  bad.row(4)[1] = std::numeric_limits<float>::quiet_NaN();
  const Labels known{0, 1, 2, 3, 5};
  refuse(ErrorCode::invalid_vector, {"vector 4 "}, [&] { index.update(bad.slice(0, 5), known); });
  refuse(ErrorCode::invalid_vector, {"vector 4 "}, [&] { index.upsert(bad.slice(0, 5), known); });
  refuse(ErrorCode::dimension_mismatch, {"5 labels for 4"},
         [&] { index.update(rows.slice(0, 4), known); });
  refuse(ErrorCode::dimension_mismatch, {"columns"},
         [&] { index.update(MatrixView<const float>(rows.row(0), 5, kDimension - 1), known); });
  refuse(ErrorCode::invalid_parameter, {"label of vector 1"}, [&] {
    index.upsert(rows.slice(0, 2), Labels{0, kNoLabel});
  });
  EXPECT_EQ(index.remove(Labels{}), 0U);
  EXPECT_EQ(index.update(rows.slice(0, 0), Labels{}), 0U);
  EXPECT_EQ(index.digest(), digest);
}

TEST(ShardedChange, AMappedIndexTakesNone) {
  const TempPath folder("set");
  const Matrix rows = whole_rows(1, 10);
  {
    ShardedIndex index(small(), kShards, {on_cpu(), {}});
    index.add(rows.view());
    index.remove(std::vector<std::uint64_t>{3});
    index.save(folder);
  }
  ShardedIndex index = ShardedIndex::map(folder, MapCheck::on_first_use, {on_cpu(), {}});
  const std::vector<std::uint64_t> labels{1};
  const std::vector<std::string> words = {"mapped"};
  expect_error(ErrorCode::unsupported, words, [&] { index.remove(labels); });
  expect_error(ErrorCode::unsupported, words, [&] { index.update(rows.slice(0, 1), labels); });
  expect_error(ErrorCode::unsupported, words, [&] { index.upsert(rows.slice(0, 1), labels); });
  expect_error(ErrorCode::unsupported, words, [&] { index.flush(); });
  EXPECT_EQ(index.size(), 9U);
  EXPECT_FALSE(index.contains(3));
}

TEST(ShardedChange, ARemovedLabelCanBeUsedAgainInAnyShard) {
  ShardedIndex index(small(), kShards, {on_cpu(), {}});
  const Matrix rows = whole_rows(2, 12);
  index.add(rows.view());
  const std::vector<std::uint64_t> all_of_two_shards{0, 1, 3, 4, 6, 7, 9};
  index.remove(all_of_two_shards);
  std::set<std::uint32_t> shards;
  for (const std::uint64_t label : all_of_two_shards) {
    index.add(rows.slice(label, 1), {&label, 1});
    for (std::uint32_t s = 0; s < 3; ++s) {
      if (index.shard(s).contains(label)) shards.insert(s);
    }
  }
  EXPECT_EQ(index.size(), 12U);
  EXPECT_EQ(shards, (std::set<std::uint32_t>{0, 1}));  // the shards are even again
  for (std::uint32_t s = 0; s < 3; ++s) EXPECT_EQ(index.shard(s).size(), 4U);
}

TEST(ShardedChange, CancellingLeavesAPrefix) {
  const std::size_t n = 20000;  // more than 20 ms of work, after which progress is asked
  Matrix rows(n, kDimension);
  ShardedIndex index(make_params(kDimension, 3, 12, 64), kShards, {on_cpu(2), {}});
  index.add(rows.view());
  std::vector<std::uint64_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) {
    labels[i] = i * 7 % n;
    rows.row(i)[0] = static_cast<float>(i + 1);
  }
  const std::size_t replaced = index.update(
      rows.view(), labels, [&](std::uint64_t done, std::uint64_t) { return done < 200; });
  EXPECT_GE(replaced, 200U);
  EXPECT_LT(replaced, n);
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_EQ(index.vector(labels[i])[0], i < replaced ? static_cast<float>(i + 1) : 0.0F) << i;
  }
  expect_sound(index.audit());
}

// Every answer has each label once, with one of the vectors that it had since the search began.
TEST(ShardedChange, ReadersSeeOneVectorOfEachLabel) {
  constexpr std::uint32_t kLabels = 60;
  const auto row_of = [](std::uint64_t label, std::uint64_t version) {
    return std::vector<float>{static_cast<float>(100 * label), static_cast<float>(version % 64), 0};
  };
  ShardedIndex index(make_params(kDimension, 4, 30, 16), kShards, {on_cpu(2), {}});
  const auto upsert_all = [&](std::uint64_t version, std::uint64_t step) {
    Matrix rows(kLabels, kDimension);
    std::vector<std::uint64_t> labels;
    for (std::uint64_t i = 0; i < kLabels; ++i) {
      labels.push_back((i * 7 + step) % kLabels);
      const auto row = row_of(labels.back(), version);
      std::copy(row.begin(), row.end(), rows.row(i));
    }
    index.upsert(rows.view(), labels);
  };
  upsert_all(0, 0);
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> answers{0};
  std::vector<std::thread> readers;
  for (unsigned r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      const std::vector<float> query(kDimension, 0.0F);
      const MatrixView<const float> view(query.data(), 1, kDimension);
      while (!over) {
        const SearchResult found = r == 0 ? index.exact_search(view, kLabels)
                                          : index.search(view, {.k = kLabels, .ef = 4 * kLabels});
        ASSERT_EQ(found.counts[0], kLabels);
        for (std::uint64_t label = 0; label < kLabels; ++label) {
          ASSERT_EQ(found.labels[label], label);
        }
        ASSERT_EQ(index.vector(7)[0], 700.0F);
        ++answers;
      }
    });
  }
  for (std::uint64_t version = 1; version < scaled(150, 40) || answers < 20; ++version) {
    upsert_all(version, version);
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
  expect_sound(index.audit());
}

// A label that is removed and added again comes to another shard; no answer has it twice.
TEST(ShardedChange, NoAnswerHasALabelTwice) {
  ShardedIndex index(small(), kShards, {on_cpu(2), {}});
  const Matrix rows = whole_rows(3, 40);
  index.add(rows.view());
  std::atomic<bool> over{false};
  std::atomic<std::uint64_t> answers{0};
  std::thread reader([&] {
    while (!over) {
      const SearchResult found = index.search(rows.slice(0, 5), {.k = 40, .ef = 80});
      const RangeResult near =
          index.range_search(rows.slice(0, 1), std::numeric_limits<float>::infinity());
      for (std::size_t q = 0; q < 5; ++q) {
        const auto begin = found.labels.begin() + static_cast<std::ptrdiff_t>(40 * q);
        const std::set<std::uint64_t> labels(begin, begin + found.counts[q]);
        ASSERT_EQ(labels.size(), found.counts[q]);
      }
      ASSERT_EQ(std::set<std::uint64_t>(near.labels.begin(), near.labels.end()).size(),
                near.labels.size());
      ++answers;
    }
  });
  for (std::uint64_t step = 0; step < scaled(400, 100) || answers < 20; ++step) {
    std::vector<std::uint64_t> labels;
    for (std::uint64_t i = 0; i < 7; ++i) labels.push_back((step * 11 + i * 5) % 40);
    index.remove(labels);
    std::rotate(labels.begin(), labels.begin() + 3, labels.end());
    index.add(rows.slice(step % 30, 7), labels);
  }
  over = true;
  reader.join();
  EXPECT_EQ(index.size(), 40U);
}

/// A filter, a cursor and groups are of one index.
TEST(ShardedChange, FiltersOfOtherIndexesAreRefused) {
  const Matrix rows = whole_rows(4, 20);
  ShardedIndex index(small(), kShards, {on_cpu(), {}});
  ShardedIndex other(small(), kShards, {on_cpu(), {}});
  Index lone(small(), on_cpu());
  index.add(rows.view());
  other.add(rows.view());
  lone.add(rows.view());
  const auto query = rows.slice(0, 1);
  const std::vector<std::uint64_t> keys(20);
  const Filter of_other = Filter::of_range(other, 0, 5);
  const Filter of_lone = Filter::of_range(lone, 0, 5);
  const Filter own = Filter::of_range(index, 0, 5);
  const Groups groups_of_other = Groups::of_keys(other, keys);
  const Groups groups_of_lone = Groups::of_keys(lone, keys);
  for (const Filter* const filter : {&of_other, &of_lone}) {
    const SearchOptions options{.filter = filter};
    const auto refuse = [&](const auto& action) {
      expect_error(ErrorCode::invalid_parameter, {"another index"}, action);
    };
    refuse([&] { (void)index.search(query, {}, options); });
    refuse([&] { (void)index.exact_search(query, 3, options); });
    refuse([&] { (void)index.range_search(query, 1, {}, options); });
    refuse([&] { (void)index.cursor({rows.row(0), kDimension}, {}, options); });
    refuse([&] { (void)index.explain(query, 3, 5, filter); });
  }
  expect_error(ErrorCode::invalid_parameter, {"of a ShardedIndex"},
               [&] { (void)lone.search(query, {}, {.filter = &own}); });
  expect_error(ErrorCode::invalid_parameter, {"different indexes"}, [&] { (void)(own & of_lone); });
  expect_error(ErrorCode::invalid_parameter, {"different indexes"},
               [&] { (void)(own | of_other); });
  for (const Groups* const groups : {&groups_of_other, &groups_of_lone}) {
    expect_error(ErrorCode::invalid_parameter, {"another index"},
                 [&] { (void)index.search(query, {}, {.groups = groups}); });
  }
  const Groups own_groups = Groups::of_keys(index, keys);
  expect_error(ErrorCode::invalid_parameter, {"of a ShardedIndex"},
               [&] { (void)lone.search(query, {}, {.groups = &own_groups}); });
  expect_error(ErrorCode::invalid_parameter, {"takes no groups"},
               [&] { (void)index.range_search(query, 1, {}, {.groups = &own_groups}); });
  expect_error(ErrorCode::invalid_parameter, {"takes no groups"}, [&] {
    (void)index.cursor({rows.row(0), kDimension}, {}, {.groups = &own_groups});
  });
  const std::vector<const Filter*> two = {&own, &own};
  expect_error(ErrorCode::invalid_parameter, {"2 filters for 1 queries"},
               [&] { (void)index.search(query, {}, {.filters = two}); });
  expect_error(ErrorCode::invalid_parameter, {"only one of the two"},
               [&] { (void)index.search(query, {}, {.filter = &own, .filters = two}); });
  expect_error(ErrorCode::invalid_parameter, {"the mask is of 3 vectors"},
               [&] { (void)Filter::of_mask(index, std::vector<std::uint8_t>(3)); });
  expect_error(ErrorCode::invalid_parameter, {"[3, 21)"},
               [&] { (void)Filter::of_range(index, 3, 21); });
  expect_error(ErrorCode::invalid_parameter, {"array of keys is of 3"},
               [&] { (void)Groups::of_keys(index, std::span(keys).first(3)); });
  expect_error(ErrorCode::unknown_label, {"99"}, [&] { (void)index.explain(query, 99); });
  Matrix bad = rows;
  bad.row(3)[0] = std::numeric_limits<float>::infinity();
  expect_error(ErrorCode::invalid_vector, {"query 3 "},
               [&] { (void)index.range_search(bad.view(), 1); });
  expect_error(ErrorCode::invalid_vector, {"query 3 "},
               [&] { (void)index.search(bad.view(), {}, {.groups = &own_groups}); });
}

// One file operation after the other fails, in whichever shard. Each label has its old vector or
// the new one, nothing is lost, and the call repeated as an upsert does what it meant.
TEST(ShardedChange, AFailingShardLeavesEachLabelOldOrNew) {
  const Matrix old_rows = whole_rows(5, 30);
  const Matrix new_rows = whole_rows(6, 30);
  std::vector<std::uint64_t> labels;
  for (std::uint64_t i = 0; i < 30; ++i) labels.push_back(i);
  const auto open = [] {
    return ShardedIndex::open(MemoryFileSystem::kDirectory, small(), kShards, Durability::synced,
                              {on_cpu(), {}});
  };
  for (const bool removes : {false, true}) {
    bool failed = true;
    for (std::size_t failing = 0; failed; ++failing) {
      SCOPED_TRACE(testing::Message() << "call " << failing << (removes ? ", remove" : ""));
      MemoryFileSystem disk;
      const ScopedFileSystem in_place(disk);
      std::optional<ShardedIndex> index = open();
      index->add(old_rows.view(), labels);
      std::size_t calls = 0;
      failed = false;
      disk.set_oracle([&](MemoryFileSystem::Call call) {
        if (calls++ != failing || call == MemoryFileSystem::Call::close) {
          return MemoryFileSystem::Fate{};
        }
        failed = true;
        return MemoryFileSystem::Fate{ENOSPC, false};
      });
      const std::span<const std::uint64_t> some = std::span(labels).subspan(3, 20);
      bool threw = false;
      try {
        removes ? index->remove(some) : index->update(new_rows.slice(3, 20), some);
      } catch (const Error& error) {
        threw = true;
        EXPECT_EQ(error.code(), ErrorCode::io);
        EXPECT_THAT(error.what(), testing::HasSubstr("shard"));
      }
      disk.set_oracle({});
      EXPECT_EQ(threw, failed);
      const auto expect_old_or_new = [&] {
        expect_sound(index->audit());
        for (const std::uint64_t label : labels) {
          const bool is_one = label >= 3 && label < 23;
          ASSERT_TRUE(index->contains(label) || (removes && is_one)) << label;
          if (!index->contains(label)) continue;
          const std::vector<float> is = index->vector(label);
          const bool is_old = std::equal(is.begin(), is.end(), old_rows.row(label));
          const bool is_new = std::equal(is.begin(), is.end(), new_rows.row(label));
          ASSERT_TRUE(is_old || (is_one && !removes && is_new)) << label;
        }
      };
      ASSERT_NO_FATAL_FAILURE(expect_old_or_new());
      if (failing % 2 == 0) {
        if (threw) index->compact();
      } else {
        index.reset();
        index = open();
        ASSERT_NO_FATAL_FAILURE(expect_old_or_new());
      }
      if (removes) {
        std::vector<std::uint64_t> left;
        for (const std::uint64_t label : some) {
          if (index->contains(label)) left.push_back(label);
        }
        index->remove(left);
        EXPECT_EQ(index->size(), 10U);
      } else {
        index->upsert(new_rows.slice(3, 20), some);
        EXPECT_EQ(index->size(), 30U);
        for (const std::uint64_t label : some) {
          const std::vector<float> is = index->vector(label);
          EXPECT_TRUE(std::equal(is.begin(), is.end(), new_rows.row(label)));
        }
      }
      const std::string digest = index->digest();
      index.reset();
      EXPECT_EQ(open().digest(), digest);
    }
  }
}

}  // namespace
}  // namespace concord::test
