// Filters through the life of an index, in which vectors come and go and slides give their memory
// back: each filter and each combination against sets of labels, kept beside.

#include <algorithm>
#include <concord/index.hpp>
#include <iterator>
#include <set>
#include <thread>

#include "common/index/index_access.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/searched_index.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using Labels = std::vector<std::uint64_t>;
using Set = std::set<std::uint64_t>;

Set common(const Set& a, const Set& b) {
  Set both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}
Set united(const Set& a, const Set& b) {
  Set either = a;
  either.insert(b.begin(), b.end());
  return either;
}
Set without(const Set& a, const Set& b) {
  Set left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(left, left.end()));
  return left;
}

/// A filter, and what it must be: the labels that there were, and those that matched.
struct Known {
  Filter filter;
  Set seen;
  Set matching;

  friend Known operator&(const Known& a, const Known& b) {
    return {a.filter & b.filter, common(a.seen, b.seen), common(a.matching, b.matching)};
  }
  friend Known operator|(const Known& a, const Known& b) {
    const Set by_both = common(a.seen, b.seen);
    return {a.filter | b.filter, by_both, common(united(a.matching, b.matching), by_both)};
  }
  Known operator~() const { return {~filter, seen, without(seen, matching)}; }
};

/// An index whose labels are never used twice.
class Life {
 public:
  explicit Life(std::uint32_t M) : index_(make_params(kDimension, M, 20, 32), on_threads(2)) {}

  void add(std::size_t n) {
    Labels labels;
    for (std::size_t i = 0; i < n; ++i) labels.push_back(next_++);
    index_.add(make_data(Shape::clustered, n, kDimension, labels.front()).view(), labels);
    living_.insert(labels.begin(), labels.end());
  }
  template <class Goes>
  void remove(const Goes& goes) {
    Labels labels;
    std::copy_if(living_.begin(), living_.end(), std::back_inserter(labels), goes);
    index_.remove(labels);
    for (const std::uint64_t label : labels) living_.erase(label);
  }
  void flush() { index_.flush(); }

  template <class IsMatch>
  Known filter(const IsMatch& is_match) {
    Set matching;
    std::copy_if(living_.begin(), living_.end(), std::inserter(matching, matching.end()), is_match);
    return {Filter::of_predicate(index_, is_match), living_, matching};
  }

  void expect(const Known& known) {
    EXPECT_EQ(known.filter.size(), known.seen.size());
    EXPECT_EQ(known.filter.matches(), known.matching.size());
    const Set wanted = common(known.matching, living_);
    const Matrix queries = make_data(Shape::clustered, 3, kDimension, 77);
    const auto k = static_cast<std::uint32_t>(living_.size());
    const SearchResult found = index_.exact_search(queries.view(), k, {.filter = &known.filter});
    const SearchResult all = index_.exact_search(queries.view(), k);
    const SearchResult walked = index_.search(queries.view(), {20, 12}, {.filter = &known.filter});
    for (std::size_t q = 0; q < queries.rows; ++q) {
      Labels expected(all.labels.begin() + static_cast<std::ptrdiff_t>(q * k),
                      all.labels.begin() + static_cast<std::ptrdiff_t>((q + 1) * k));
      std::erase_if(expected, [&](std::uint64_t label) { return !wanted.contains(label); });
      ASSERT_EQ(found.counts[q], expected.size());
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(),
                             found.labels.begin() + static_cast<std::ptrdiff_t>(q * k)));
      ASSERT_EQ(walked.counts[q], std::min<std::size_t>(20, expected.size()));
      for (std::size_t j = 0; j < walked.counts[q]; ++j) {
        ASSERT_TRUE(wanted.contains(walked.labels[q * 20 + j]));
      }
    }
  }

  Index& index() { return index_; }
  [[nodiscard]] std::uint64_t slides() const {
    return IndexAccess::contents(index_).graph.slides();
  }

 private:
  static constexpr std::size_t kDimension = 128;
  Index index_;
  Set living_;
  std::uint64_t next_ = 0;
};

TEST(FilterLife, CombinationsAcrossSlidesAreThoseOfSets) {
  std::uint64_t slides = 0;
  for (std::uint64_t seed = 1; seed <= scaled(4, 2); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Life life(6);
    life.add(1300);  // so that sets have bits
    std::vector<Known> known;
    for (std::uint64_t round = 0; round < 10; ++round) {
      known.push_back(life.filter([&](std::uint64_t l) { return hash(seed, round, l) % 3 != 0; }));
      const auto any = [&](std::uint64_t of) -> const Known& {
        return known[hash(seed, round, of) % known.size()];
      };
      known.push_back(any(1) & any(2));
      known.push_back(any(3) | any(4));
      known.push_back(~any(5));
      life.remove([&](std::uint64_t l) { return hash(seed, 100 + round, l) % 6 == 0; });
      if (round % 3 != 2) life.flush();
      life.add(hash(seed, round) % 200 + 1);
      for (std::size_t i = 0; i < known.size(); i += 1 + known.size() / 8) life.expect(known[i]);
      if (HasFatalFailure()) return;
    }
    for (const Known& each : known) life.expect(each);
    slides += life.slides();
  }
  EXPECT_GT(slides, scaled(12, 6));
}

// A filter of the first day, while a window goes on until hardly any of its vectors is left.
TEST(FilterLife, OfAWindowGoesOnUntilItsLastVector) {
  Life life(8);
  life.add(1500);
  const Known even = life.filter([](std::uint64_t l) { return l % 2 == 0; });
  const Known rare = life.filter([](std::uint64_t l) { return l % 50 == 0 || l > 1490; });
  std::vector<Known> of_days;
  for (std::uint64_t day = 0; day < 16; ++day) {
    life.add(100);
    life.remove([&](std::uint64_t l) { return l < 100 * (day + 1) && l % 97 != 0; });
    of_days.push_back(life.filter([&](std::uint64_t l) { return l % 3 == day % 3; }));
    for (const Known& each : {even, rare, of_days[day / 2], of_days.back()}) life.expect(each);
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(life.slides(), 2u);
  for (const Known& day : of_days) life.expect((day & ~even) | rare);
}

// What belongs to another index is refused across slides as well.
TEST(FilterLife, OfAnotherIndexIsRefusedBehindASlide) {
  Life one(6), other(6);
  for (Life* const life : {&one, &other}) life->add(600);
  const Known before = one.filter([](std::uint64_t l) { return l % 2 == 0; });
  const Known there = other.filter([](std::uint64_t l) { return l % 2 == 0; });
  for (Life* const life : {&one, &other}) {
    life->remove([](std::uint64_t l) { return l % 3 == 0; });
    life->flush();
    ASSERT_GE(life->slides(), 1u);
  }
  const Matrix queries = make_data(Shape::random, 3, 128);
  expect_error(ErrorCode::invalid_parameter, {"another index"}, [&] {
    return one.index().search(queries.view(), {5, 20}, {.filter = &there.filter});
  });
  expect_error(ErrorCode::invalid_parameter, {"different indexes"},
               [&] { return before.filter & there.filter; });
  one.expect(before);
}

}  // namespace
}  // namespace concord::test
