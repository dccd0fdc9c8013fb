// Memory that runs out while filters are made, combined and used, and between two pages of a
// cursor.

#include <concord/index.hpp>
#include <functional>
#include <optional>

#include "common/index/index_access.hpp"
#include "tests/allocation/failing_allocations.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"

namespace concord::test {
namespace {

using Labels = std::vector<std::uint64_t>;

constexpr std::size_t kSize = 400;
constexpr std::size_t kDimension = 512;  // so that filters have bits

Labels range(std::uint64_t first, std::uint64_t end, std::uint64_t step) {
  Labels labels;
  for (; first < end; first += step) labels.push_back(first);
  return labels;
}

class FilterAllocations : public testing::Test {
 protected:
  FilterAllocations() { index_.add(data_.slice(0, kSize)); }

  SearchResult search(const Filter& filter) const {
    return index_.search(data_.slice(kSize, 6), {10, 12}, {.filter = &filter});
  }
  static bool same(const SearchResult& a, const SearchResult& b) {
    return a.labels == b.labels && a.distances == b.distances && a.counts == b.counts;
  }
  /// Removes a third of the vectors, and has the others slide.
  void slide(std::uint64_t first) {
    index_.remove(range(first, kSize, 3));
    index_.flush();
  }
  [[nodiscard]] std::uint64_t slides() const {
    return IndexAccess::contents(index_).graph.slides();
  }

  Matrix data_ = make_data(Shape::clustered, kSize + 6, kDimension);
  Index index_{make_params(kDimension, 6, 20, 64), {1, "cpu", 0, {}}};
};

TEST_F(FilterAllocations, MakingAndCombiningLeavesAllAsItWas) {
  const Labels odd = range(1, kSize, 2);
  index_.remove(Labels{8});
  const Filter old = Filter::of_labels(index_, odd);
  const SearchResult before = search(old);
  const std::string digest = index_.digest();
  for (const bool behind_a_slide : {false, true}) {
    if (behind_a_slide) slide(0);
    ASSERT_EQ(slides() > 0, behind_a_slide);
    const Filter other = Filter::of_range(index_, 0, index_.size() - 20);
    const std::vector<std::uint8_t> mask(index_.size(), 1);
    const std::function<Filter()> ways[] = {
        [&] { return Filter::of_mask(index_, mask); },
        [&] { return Filter::of_labels(index_, odd); },
        [&] { return Filter::of_range(index_, 3, index_.size()); },
        [&] { return Filter::of_predicate(index_, [](std::uint64_t l) { return l % 5 != 0; }); },
        [&] { return old & other; },
        [&] { return old | other; },
        [&] { return ~old; },
    };
    for (const auto& make : ways) {
      const Filter wanted = make();
      std::int64_t n = 0;
      for (std::optional<Filter> made; !ends_before(n, [&] { made = make(); }); ++n) {
        // One that was made all the same has done without the memory, and is whole.
        if (made) {
          ASSERT_TRUE(same(search(*made), search(wanted)));
        }
        made.reset();
      }
      EXPECT_GE(n, 2);
      EXPECT_TRUE(same(search(make()), search(wanted)));
    }
    if (behind_a_slide) continue;
    EXPECT_TRUE(same(search(old), before));
    EXPECT_EQ(index_.digest(), digest);
  }
}

// The first search behind a slide makes what all later ones use.
TEST_F(FilterAllocations, AFilterBehindASlideIsRenumberedByALaterSearch) {
  const Filter filter = Filter::of_labels(index_, range(1, kSize, 2));
  for (std::uint64_t round = 0; round < 2; ++round) {
    const std::uint64_t before = slides();
    slide(2 * round);
    ASSERT_GT(slides(), before);
    const Filter anew =
        Filter::of_predicate(index_, [](std::uint64_t label) { return label % 2 == 1; });
    const SearchResult exact = index_.exact_search(data_.slice(kSize, 6), 20, {.filter = &anew});
    std::int64_t n = 0;
    for (SearchResult found; !ends_before(n, [&] { found = search(filter); }); ++n) {
    }
    EXPECT_GE(n, 5);
    EXPECT_TRUE(same(index_.exact_search(data_.slice(kSize, 6), 20, {.filter = &filter}), exact));
  }
}

TEST_F(FilterAllocations, APageThatFailedIsTheNextOne) {
  const Filter most = Filter::of_predicate(index_, [](std::uint64_t l) { return l % 9 != 0; });
  const Filter few = Filter::of_predicate(index_, [](std::uint64_t l) { return l % 9 == 0; });
  for (const Filter* const filter : {static_cast<const Filter*>(nullptr), &most, &few}) {
    const auto begin = [&] {
      return index_.cursor({data_.row(kSize), kDimension}, {.ef = 12}, {.filter = filter});
    };
    Cursor undisturbed = begin();
    static_cast<void>(undisturbed.next(10));
    const SearchResult wanted = undisturbed.next(15);
    const SearchResult last = undisturbed.next(400);
    std::int64_t n = 0;
    for (bool ended = false; !ended; ++n) {
      Cursor cursor = begin();
      static_cast<void>(cursor.next(10));
      SearchResult page;
      ended = ends_before(n, [&] { page = cursor.next(15); });
      if (page.k == 0) {
        EXPECT_EQ(cursor.given(), 10u);
        page = cursor.next(15);
      }
      ASSERT_TRUE(same(page, wanted)) << n;
      ASSERT_TRUE(same(cursor.next(400), last)) << n;
    }
    EXPECT_GE(n, 4);
    std::optional<Cursor> made;
    for (n = 0; !ends_before(n, [&] { made = begin(); }); ++n) ASSERT_FALSE(made);
    EXPECT_GE(n, 3);
  }
}

TEST(FilterMemory, IsTakenAsOftenForMoreVectors) {
  const auto allocations = [](std::size_t n) {
    const Matrix data = make_data(Shape::random, n, 2);
    Index index(make_params(2, 2, 4, 256), {1, "cpu", 0, {}});
    index.add(data.view());
    return allocations_of([&] {
      static_cast<void>(Filter::of_predicate(index, [](std::uint64_t l) { return l % 2 == 0; }));
    });
  };
  EXPECT_EQ(allocations(4000), allocations(1000));
}

}  // namespace
}  // namespace concord::test
