// Filtered searches before, during and behind slides: the same answers to the last bit, for the
// same work. During a slide a reader is inside as often as the slide waits for one.

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include "common/base/float_environment.hpp"
#include "common/contents/slide.hpp"
#include "common/search/match_set.hpp"
#include "common/threads/reader_gate.hpp"
#include "cpu/paged_search.hpp"
#include "cpu/searcher.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using core::MatchSet;
using core::NodeId;
using Set = std::shared_ptr<const MatchSet>;

constexpr std::size_t kDimension = 960;  // so that walks begin at 137 matches
constexpr std::size_t kQueries = 6;

/// Labels, distances and counts, and what they took.
using Answers = std::tuple<std::vector<std::uint64_t>, std::vector<float>,
                           std::vector<std::uint32_t>, std::uint64_t, std::uint64_t>;

class Life {
 public:
  Life(NodeId size, std::uint32_t M)
      : data_(make_data(Shape::clustered, size + kQueries, kDimension)),
        built_(make_params(kDimension, M, 20, 64), data_) {
    built_.contents.labels.append({}, data_.rows, 0);
    for (NodeId i = 0; i < size; ++i) built_.step();
    built_.contents.discard_announced();
  }

  /// Removes one of `of` nodes, and seals.
  void remove(std::uint64_t of, std::uint64_t seed) {
    for_each_living([&](NodeId node) {
      if (hash(seed, label(node)) % of == 0) kill(node);
    });
    built_.committer.seal(built_.proposer);
  }
  /// Removes a few that stay linked.
  void remove_some(std::uint64_t seed) {
    for_each_living([&](NodeId node) {
      if (hash(seed, label(node)) % 60 == 0) kill(node);
    });
  }
  void slide() { core::slide(built_.contents); }
  /// Slides beside a reader that calls look() until it is false or the slide ends. Returns how
  /// often it was called while nodes moved.
  template <class Look>
  std::size_t slide_beside(const Look& look) {
    const core::ReaderGate gate;
    built_.contents.gate = &gate;
    std::atomic<bool> done{false};
    std::atomic<std::size_t> looks{0}, looks_in_slide{0};
    using Reader = core::ReaderGate::Reader;
    std::thread reader([&] {
      std::unique_ptr<Reader> inside(new Reader(gate.enter()));
      for (bool go_on = true; !done && go_on;) {
        const bool is_sliding = built_.graph.is_sliding();
        go_on = look();
        ++looks;
        looks_in_slide += is_sliding ? 1 : 0;
        // It enters anew before it leaves, so that each wait of the slide finds it inside.
        std::unique_ptr<Reader> next(new Reader(gate.enter()));
        inside.swap(next);
      }
    });
    while (looks == 0) std::this_thread::yield();
    slide();
    done = true;
    reader.join();
    built_.contents.gate = nullptr;
    return looks_in_slide;
  }

  /// The living nodes for whose label `is_match` holds.
  template <class IsMatch>
  [[nodiscard]] Set set(const IsMatch& is_match) const {
    std::vector<NodeId> ids;
    auto dead = std::make_shared<std::vector<NodeId>>();
    const core::Graph& graph = built_.graph;
    for (NodeId node = 0; node < graph.size(); ++node) {
      if (is_dead(node)) {
        dead->push_back(node);
      } else if (is_match(label(node))) {
        ids.push_back(node);
      }
    }
    core::FilterSnapshot snapshot{1,
                                  graph.numbering().shared_from_this(),
                                  graph.size(),
                                  graph.size() - graph.living(),
                                  built_.vectors.stride(),
                                  dead};
    return std::make_shared<const MatchSet>(snapshot, ids);
  }

  /// All searches there are, with all filters; each query of a batch has its own, too.
  [[nodiscard]] std::vector<Answers> search(const std::vector<Set>& sets) {
    std::vector<Answers> all;
    std::vector<const MatchSet*> each(kQueries, nullptr);
    for (std::size_t q = 0; q + 1 < kQueries; ++q) each[q] = sets[q % sets.size()].get();
    for (const SearchParams& params :
         {SearchParams{10, 12}, SearchParams{3, 60, 0.1f}, SearchParams{150, 12}}) {
      for (const Set& set : sets) all.push_back(answers(params, {{set.get()}}));
      all.push_back(answers(params, each));
    }
    return all;
  }

  /// A search that goes on: the labels of `pages` pages, from where it is.
  using Paged = std::unique_ptr<cpu::PagedSearch>;
  [[nodiscard]] Paged begin(const MatchSet* set) {
    const core::FloatEnvironment environment;
    const float* const query = data_.row(data_.rows - 1);
    return std::make_unique<cpu::PagedSearch>(
        built_.contents, cpu::for_metric(cpu::choose_kernels(), Metric::l2sq),
        std::vector<float>(query, query + kDimension), SearchParams{1, 12}, set);
  }
  [[nodiscard]] std::vector<std::uint64_t> pages(cpu::PagedSearch& search, int pages) {
    const core::FloatEnvironment environment;
    std::vector<std::uint64_t> labels;
    for (int page = 0; page < pages; ++page) {
      core::Key keys[9];
      const std::uint32_t found = search.next(9, keys);
      for (std::uint32_t j = 0; j < found; ++j) labels.push_back(label(core::key_id(keys[j])));
    }
    return labels;
  }

  [[nodiscard]] const core::Graph& graph() const { return built_.graph; }
  [[nodiscard]] std::uint64_t label(NodeId node) const {
    return built_.contents.labels.label(node);
  }

 private:
  [[nodiscard]] bool is_dead(NodeId node) const {
    const core::Tombstones& tombstones = built_.graph.tombstones();
    return tombstones.any() && tombstones.is_dead(node, built_.graph.size());
  }
  template <class Use>
  void for_each_living(const Use& use) {
    for (NodeId node = 0; node < built_.graph.size(); ++node) {
      if (!is_dead(node)) use(node);
    }
  }
  void kill(NodeId node) {
    built_.graph.reserve_deaths(1);
    built_.graph.remove(node);
  }
  [[nodiscard]] Answers answers(const SearchParams& params, std::span<const MatchSet* const> sets) {
    const core::FloatEnvironment environment;
    std::vector<core::Key> keys(kQueries * params.k);
    std::vector<std::uint32_t> counts(kQueries);
    const cpu::SearchCounts work =
        searcher_.filtered(data_.slice(data_.rows - kQueries, kQueries), params, {sets}, false,
                           keys.data(), counts.data(), pool_);
    std::vector<std::uint64_t> labels;
    std::vector<float> distances;
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::uint32_t j = 0; j < counts[q]; ++j) {
        labels.push_back(label(core::key_id(keys[q * params.k + j])));
        distances.push_back(core::key_distance(keys[q * params.k + j]));
      }
    }
    return {labels, distances, counts, work.distances, work.hops};
  }

  Matrix data_;
  GraphBuilder built_;
  core::ThreadPool pool_{1};
  cpu::Searcher searcher_{built_.contents, cpu::for_metric(cpu::choose_kernels(), Metric::l2sq)};
};

std::vector<Set> some_sets(const Life& life, std::uint64_t seed) {
  std::vector<Set> sets;
  for (const std::uint64_t share : {950u, 700u, 450u, 100u}) {
    sets.push_back(life.set([&](std::uint64_t l) { return hash(seed, l) % 1000 < share; }));
  }
  sets.push_back(life.set([&](std::uint64_t l) { return 100 <= l && l < 450; }));
  sets.push_back(life.set([](std::uint64_t) { return true; }));
  sets.push_back(core::both(*sets[0], *sets[1]));
  sets.push_back(core::complement(*core::either(*sets[3], *sets[2])));
  return sets;
}

// A search that begins at any moment of a slide, and one that was begun before and goes on there.
TEST(Paged, SearchesAreTheSameBeforeDuringAndBehindSlides) {
  for (const std::uint64_t share : {1000u, 800u, 60u}) {
    SCOPED_TRACE(share);
    Life life(600, 8);
    Set owner;
    if (share < 1000) owner = life.set([&](std::uint64_t l) { return hash(5, l) % 1000 < share; });
    const MatchSet* const set = owner.get();
    life.remove(3, 1);
    life.remove_some(2);
    const std::vector<std::uint64_t> expected = life.pages(*life.begin(set), 3);
    ASSERT_GT(expected.size(), 18u);
    const std::vector<std::uint64_t> rest(expected.begin() + 9, expected.end());
    const auto one_page_given = [&] {
      Life::Paged search = life.begin(set);
      static_cast<void>(life.pages(*search, 1));
      return search;
    };
    const Life::Paged behind = one_page_given();
    std::vector<Life::Paged> begun;  // each for one look
    for (int i = 0; i < 60; ++i) begun.push_back(one_page_given());
    std::size_t wrong = 0;
    const std::size_t looks = life.slide_beside([&] {
      if (!life.graph().is_sliding()) return true;
      wrong += life.pages(*life.begin(set), 3) == expected ? 0 : 1;
      wrong += life.pages(*begun.back(), 2) == rest ? 0 : 1;
      begun.pop_back();
      return !begun.empty();
    });
    EXPECT_EQ(wrong, 0u);
    EXPECT_GE(looks, 5u);
    EXPECT_EQ(life.graph().slides(), 1u);
    EXPECT_EQ(life.pages(*life.begin(set), 3), expected);
    EXPECT_EQ(life.pages(*behind, 2), rest);
  }
}

TEST(Filtered, SearchesAreTheSameBeforeDuringAndBehindSlides) {
  for (const std::uint32_t M : {4u, 12u}) {
    if (M == 12 && !full_scale()) continue;
    Life life(static_cast<NodeId>(scaled(600, 400)), M);
    std::vector<Set> sets = some_sets(life, 1);
    const std::vector<Set> oldest = sets;
    for (std::uint64_t round = 0; round < 4; ++round) {
      SCOPED_TRACE(testing::Message() << "M " << M << " round " << round);
      life.remove(round == 0 ? 3 : 8, round);
      life.remove_some(100 + round);
      const std::vector<Answers> before = life.search(sets);
      if (round < 2) {
        std::size_t wrong = 0;
        EXPECT_GE(life.slide_beside([&] {
          wrong += life.search(sets) == before ? 0 : 1;
          return true;
        }),
                  3u);
        ASSERT_EQ(wrong, 0u);
      } else {
        life.slide();
      }
      const std::vector<Answers> behind = life.search(sets);
      for (std::size_t i = 0; i < before.size(); ++i) ASSERT_EQ(behind[i], before[i]) << i;
      // Filters of all ages, and combinations across slides.
      for (const Set& set : some_sets(life, round + 2)) sets.push_back(set);
      sets.push_back(core::either(*sets[1], *sets.back()));
      sets.push_back(core::both(*sets[1], *sets[sets.size() - 3]));
    }
    EXPECT_EQ(life.graph().slides(), 4u);
    // A combination that is made later is the one that was made at once.
    const Set late = core::complement(*core::either(*oldest[3], *oldest[2]));
    EXPECT_TRUE(std::ranges::equal(late->ids(), oldest.back()->ids()));
    EXPECT_EQ(life.search({late}), life.search({oldest.back()}));
  }
}

// One thread renumbers a filter for all searches; who comes meanwhile does it for itself.
TEST(Filtered, AFilterIsRenumberedOnceAndByNobodyElseWaitedFor) {
  Life life(400, 6);
  const Set set = life.set([](std::uint64_t l) { return l % 10 != 0; });
  const std::size_t bytes = set->bytes();
  for (std::uint64_t round = 0; round < 12; ++round) {
    life.remove(20, round);
    life.slide();
    std::vector<std::thread> threads;
    std::atomic<int> ready{0}, made{0}, wrong{0};
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        ++ready;
        while (ready < 4) std::this_thread::yield();
        std::unique_ptr<core::PlacedSet> own;
        const core::PlacedSet& placed = set->under(life.graph().numbering(), own);
        made += own ? 1 : 0;
        std::size_t count = 0;
        for (const NodeId id : placed.ids()) {
          const bool is_in = life.label(id) % 10 != 0;
          count += is_in && (!placed.has_bits() || placed.bits()[id] == 1) ? 1 : 0;
        }
        if (count != placed.ids().size()) ++wrong;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(made, 3);
    EXPECT_EQ(wrong, 0);
    std::unique_ptr<core::PlacedSet> own;
    set->under(life.graph().numbering(), own);
    EXPECT_EQ(own, nullptr) << "was made before";
    EXPECT_LE(set->bytes(), 3 * bytes + 1000);
  }
}

}  // namespace
}  // namespace concord::test
