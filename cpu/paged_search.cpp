#include "cpu/paged_search.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <utility>

#include "common/search/entries.hpp"
#include "common/search/filter_rule.hpp"
#include "common/search/reach.hpp"
#include "cpu/filtered_search.hpp"
#include "cpu/search.hpp"

namespace concord::cpu {

using core::Key;
using core::NodeId;

namespace {

/// The smallest keys of many, in a number that only grows.
class Nearest {
 public:
  void grow(std::size_t wanted) {
    wanted_ = std::max(wanted_, wanted);
    while (near_.size() < wanted_ && !far_.empty()) {
      std::pop_heap(far_.begin(), far_.end(), std::greater<>());
      near_.push_back(far_.back());
      std::push_heap(near_.begin(), near_.end());
      far_.pop_back();
    }
  }
  void add(Key key) {
    if (near_.size() < wanted_) {
      near_.push_back(key);
      std::push_heap(near_.begin(), near_.end());
      return;
    }
    if (wanted_ > 0 && key < near_.front()) {
      std::pop_heap(near_.begin(), near_.end());
      std::swap(near_.back(), key);
      std::push_heap(near_.begin(), near_.end());
    }
    far_.push_back(key);
    std::push_heap(far_.begin(), far_.end(), std::greater<>());
  }
  /// Of the keys wanted, those that there are, and the largest of them.
  [[nodiscard]] std::size_t size() const noexcept { return near_.size(); }
  [[nodiscard]] bool is_full() const noexcept { return near_.size() == wanted_; }
  [[nodiscard]] Key last() const noexcept { return near_.front(); }
  /// The face of a list for core::AdaptiveReach, which asks for the last alone.
  [[nodiscard]] Key key(std::size_t /*i*/) const noexcept { return last(); }

 private:
  std::size_t wanted_ = 0;
  std::vector<Key> near_;  ///< a heap, the largest first
  std::vector<Key> far_;   ///< a heap, the smallest first
};

/// Keys of which the smallest is taken next.
class Queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return keys_.empty(); }
  [[nodiscard]] Key next() const noexcept { return keys_.front(); }
  void add(Key key) {
    keys_.push_back(key);
    std::push_heap(keys_.begin(), keys_.end(), std::greater<>());
  }
  Key take() noexcept {
    std::pop_heap(keys_.begin(), keys_.end(), std::greater<>());
    const Key key = keys_.back();
    keys_.pop_back();
    return key;
  }

 private:
  std::vector<Key> keys_;
};

/// A set of ids that only grows.
class Ids {
 public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool contains(NodeId id) const noexcept {
    return size_ > 0 && slots_[place_of(id)] == id;
  }
  /// False if it is there already.
  bool insert(NodeId id) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    NodeId& slot = slots_[place_of(id)];
    if (slot == id) return false;
    slot = id;
    ++size_;
    return true;
  }

 private:
  // The id's slot, or the empty one where it belongs.
  [[nodiscard]] std::size_t place_of(NodeId id) const noexcept {
    std::size_t place = (id * 0x9E3779B97F4A7C15u) >> shift_;
    while (slots_[place] != id && slots_[place] != core::kNoNode) {
      place = (place + 1) & (slots_.size() - 1);
    }
    return place;
  }
  void grow() {
    const std::size_t slots = std::max<std::size_t>(1024, 2 * slots_.size());
    std::vector<NodeId> old(slots, core::kNoNode);
    slots_.swap(old);
    shift_ = 64 - static_cast<unsigned>(std::bit_width(slots) - 1);
    for (const NodeId id : old) {
      if (id != core::kNoNode) slots_[place_of(id)] = id;
    }
  }

  std::vector<NodeId> slots_;  ///< a power of two, at most half of them full
  std::size_t size_ = 0;
  unsigned shift_ = 0;
};

/// How a reader names nodes, and their numbers of insertion.
class Names {
 public:
  Names(const core::Graph& graph, const core::LiveView& /*view*/) noexcept
      : before_(graph.numbering()), after_(before_) {}
  Names(const core::Graph& graph, const core::SlidingView& view) noexcept
      : before_(graph.numbering()), after_(graph.next_numbering()), hole_(view.hole) {}

  [[nodiscard]] std::uint64_t number(NodeId name) const noexcept {
    return (name < hole_.begin ? after_ : before_).number(name);
  }
  /// The name of the node with the number, or kNoNode where its slot was given back.
  [[nodiscard]] NodeId find(std::uint64_t number) const noexcept {
    const NodeId id = after_.find(number);
    return id < hole_.begin || id == core::kNoNode ? id : before_.find(number);
  }
  /// Nodes with smaller numbers have names before this one, all others from it on.
  [[nodiscard]] NodeId first_from(std::uint64_t number) const noexcept {
    const NodeId id = after_.first_from(number);
    return id < hole_.begin ? id : std::max(hole_.end, before_.first_from(number));
  }
  [[nodiscard]] std::uint64_t slides() const noexcept { return before_.slides(); }

 private:
  const core::Numbering& before_;
  const core::Numbering& after_;
  core::Hole hole_;
};

}  // namespace

/// What the search has met, under the ids between two slides.
struct PagedSearch::Walk {
  std::uint64_t slides = 0;
  Ids seen;        ///< exactly
  Ids given;       ///< before this walk began
  Queue frontier;  ///< not expanded
  Queue results;   ///< nodes of which not all was given
  /// What nodes that were taken from these stand for, not given: a heap, the next first.
  std::vector<core::RankedResult> open;
  Nearest by_width;       ///< results, given ones too
  Nearest by_count;       ///< the same; unused without slack
  std::size_t taken = 0;  ///< vectors that were given, and results that have died
  bool all_seen = false;  ///< nothing is left to expand or scan
  // Of the derived graph:
  std::vector<std::uint64_t> work{0};  ///< until hop h
  std::size_t checked = 8;             ///< hops before this one are no costlier than `worst`
  std::size_t worst = 0;
};

/// The part of a search in one stay in the gate.
template <class View>
class PagedSearch::Page {
 public:
  Page(PagedSearch& search, const View& view)
      : search_(search),
        graph_(search.graph_),
        view_(view),
        scorer_(search.vectors_, search.kernels_),  // after the view, so that it has all of it
        query_(
            scorer_.as_query(search.scratch_->query.data(), search.scratch_->query_bytes.data())),
        scratch_(*search.scratch_),
        names_(graph_, view),
        end_(names_.first_from(search.end_)) {
    if (search.set_ != nullptr) matches_.emplace(matches_in(graph_, view, *search.set_, own_));
  }

  std::uint32_t take(std::uint32_t k, Key* out) {
    if (!search_.walk_ || search_.walk_->slides != names_.slides()) begin();
    Walk& walk = *search_.walk_;
    std::vector<core::RankedResult> page;
    while (page.size() < k) {
      go_on(walk.taken + (k - page.size()));
      const bool is_nearer = !walk.results.empty() &&
                             (walk.open.empty() || walk.results.next() < walk.open.front().order);
      if (is_nearer) {
        if (!open(walk.results.take())) ++walk.taken;
        continue;
      }
      if (walk.open.empty()) break;
      std::pop_heap(walk.open.begin(), walk.open.end(), std::greater<>());
      const core::RankedResult next = walk.open.back();
      walk.open.pop_back();
      if (!may_be_given(next.id)) continue;
      page.push_back(next);
      ++walk.taken;
    }
    // Where a result has died, the walk goes on and may meet nearer ones.
    std::sort(page.begin(), page.end());
    for (std::size_t j = 0; j < page.size(); ++j) {
      out[j] = page[j].key();
      search_.given_.push_back(names_.number(page[j].id));  // has room
    }
    return static_cast<std::uint32_t>(page.size());
  }

  /// What is there in the beginning.
  void look() {
    search_.end_ = names_.number(view_.size);
    search_.living_ = graph_.nodes_of(view_.living);
    if (matches_) {
      search_.matches_ = matches_->living(view_.size - view_.living, [&](NodeId node) {
        return !core::stands_for_match(graph_, view_, *matches_, node);
      });
    }
  }

 private:
  using Matches =
      decltype(matches_in(std::declval<const core::Graph&>(), std::declval<View>(),
                          std::declval<const core::MatchSet&>(), std::declval<OwnPlaces&>()));

  [[nodiscard]] bool lives(NodeId id) const noexcept {
    return !graph_.tombstones().any() || !graph_.tombstones().is_dead(id, view_.size);
  }
  /// Whether the search may give a vector, if that lives.
  [[nodiscard]] bool is_seen(NodeId id) const noexcept {
    return id < end_ && (!matches_ || matches_->contains(id));
  }
  [[nodiscard]] bool may_be_given(NodeId id) const noexcept {
    return is_seen(id) && lives(id) && !search_.walk_->given.contains(id);
  }
  /// Whether a node stands for a result, given or not.
  [[nodiscard]] bool is_result(NodeId node) const {
    if (graph_.copies().next(node) == core::kNoNode) return is_seen(node) && lives(node);
    bool is_one = false;
    core::for_each_entry(graph_, view_, node, [&](NodeId id) {
      is_one = is_seen(id);
      return !is_one;
    });
    return is_one;
  }
  /// Brings what a node stands for into walk.open. False if it has died.
  bool open(Key node) {
    std::vector<core::RankedResult>& open = search_.walk_->open;
    bool lives = false;
    const auto is_match = [&](NodeId id) {
      lives |= this->lives(id);
      return is_seen(id);
    };
    core::for_each_result(graph_, view_, core::key_id(node), is_match, [&](NodeId rank, NodeId id) {
      if (!may_be_given(id)) return true;
      open.push_back({core::make_key(core::key_distance(node), rank), id});
      std::push_heap(open.begin(), open.end(), std::greater<>());
      return true;
    });
    return lives;
  }
  [[nodiscard]] core::Hole hole_in(const core::LiveView& /*view*/) const noexcept {
    return graph_.tombstones().hole();
  }
  [[nodiscard]] core::Hole hole_in(const core::SlidingView& view) const noexcept {
    return view.moved_from != nullptr ? view.hole : graph_.tombstones().hole();
  }
  [[nodiscard]] bool is_derived() const noexcept {
    return matches_ && search_.matches_ != search_.living_;
  }

  void begin() {
    auto walk = std::make_unique<Walk>();
    walk->slides = names_.slides();
    for (const std::uint64_t number : search_.given_) {
      const NodeId id = names_.find(number);
      if (id != core::kNoNode) walk->given.insert(id);
    }
    walk->taken = search_.given_.size();
    search_.walk_ = std::move(walk);
    if (view_.entry.node == core::kNoNode || (matches_ && search_.matches_ == 0)) {
      search_.walk_->all_seen = true;
    }
  }

  /// Where the walk begins, for a walk that will be needed.
  void begin_walk() {
    const Key nearest = descend(graph_, view_, scorer_, query_, scratch_);
    if (!is_derived()) {
      search_.walk_->seen.insert(core::key_id(nearest));
      add(nearest);
      return;
    }
    with_derived_lists([&](auto& lists, const auto& is_match) {
      const NodeId node = core::key_id(nearest);
      if (is_match(node) != 0) {
        search_.walk_->seen.insert(node);
        add(nearest);
      } else {
        search_.walk_->work[0] = expand_derived(lists, node);
      }
      std::uint32_t n = 0;
      for (std::uint32_t i = 0; i < core::FilterRule::kSeeds; ++i) {
        const NodeId seed = matches_->seed(i);
        if (seed == core::kNoNode || is_match(seed) == 0) continue;
        if (search_.walk_->seen.insert(seed)) scratch_.ids[n++] = seed;
      }
      add_scored(n);
    });
  }

  /// Until the search of `count` results, and as much wider as it is asked to be, would end.
  void go_on(std::size_t count) {
    Walk& walk = *search_.walk_;
    if (walk.all_seen) return;
    const std::size_t width = search_.params_.ef + count;
    const core::AdaptiveReach reach{static_cast<std::uint32_t>(count),
                                    core::reach_factor(search_.params_.slack)};
    const bool has_reach = reach.factor != core::kUnlimitedReach;
    const core::FilterRule rule(search_.living_, search_.matches_, graph_.params().M,
                                search_.vectors_.stride(), has_reach ? reach.hops(width) : width);
    if (is_derived() && (rule.scans() || !matches_->has_bits())) return scan();
    walk.by_width.grow(width);
    if (has_reach) walk.by_count.grow(count);
    if (walk.seen.empty()) begin_walk();
    const auto ends = [&] {
      if (walk.frontier.empty()) return true;
      const Key closest = walk.frontier.next();
      if (walk.by_width.is_full() && closest > walk.by_width.last()) return true;
      return has_reach && reach.ends(walk.by_count, closest);
    };
    if (is_derived()) {
      if (walk_derived(rule, ends)) return scan();
    } else {
      while (!ends()) expand(core::key_id(walk.frontier.take()));
    }
    if (walk.frontier.empty() && walk.by_width.size() < count) scan();
  }

  void expand(NodeId node) {
    ++scratch_.counts.hops;
    std::uint32_t n = 0;
    graph_.visit_live(view_, node, 0, [&](NodeId id, bool shown) {
      if (shown && search_.walk_->seen.insert(id)) scratch_.ids[n++] = id;
    });
    add_scored(n);
  }

  /// True where the rule gives the walk up: at this hop, or at one before it for a wider search.
  template <class Ends>
  bool walk_derived(const core::FilterRule& rule, const Ends& ends) {
    Walk& walk = *search_.walk_;
    const auto gives_up = [&] {
      const std::size_t hops = walk.work.size() - 1;
      for (; walk.checked <= hops && rule.is_early(walk.checked); ++walk.checked) {
        if (walk.worst == 0 ||
            walk.work[walk.checked] * walk.worst > walk.work[walk.worst] * walk.checked) {
          walk.worst = walk.checked;
        }
      }
      return rule.gives_up(walk.work[hops], hops) ||
             (walk.worst > 0 && rule.gives_up(walk.work[walk.worst], walk.worst));
    };
    bool given_up = walk.work.size() > 1 && gives_up();
    if (given_up) return true;
    with_derived_lists([&](auto& lists, const auto& /*is_match*/) {
      while (!given_up && !ends()) {
        const std::uint64_t before = walk.work.back();
        walk.work.push_back(before + expand_derived(lists, core::key_id(walk.frontier.take())));
        given_up = gives_up();
      }
    });
    return given_up;
  }

  /// Calls use(lists, is_match) with the derived graph.
  template <class Use>
  void with_derived_lists(const Use& use) {
    FilterScratch& own = filter_scratch(scratch_);
    own.passed.reset(search_.params_.ef);
    const core::FilterRule rule(search_.living_, search_.matches_, graph_.params().M,
                                search_.vectors_.stride(), search_.params_.ef);
    const WalkedGraph<View> over{graph_, view_, scorer_, query_};
    const auto run = [&](const auto& is_match) {
      DerivedLists lists(over, rule, is_match, own, scratch_.counts);
      use(lists, is_match);
    };
    if (graph_.tombstones().any()) {
      run(LivingMatches(graph_, view_, *matches_));
    } else {
      run(MatchingIds(matches_->bits()));
    }
  }

  template <class Lists>
  std::uint64_t expand_derived(Lists& lists, NodeId node) {
    return lists.expand(node, [&](std::uint32_t found) {
      std::uint32_t n = 0;
      for (std::uint32_t j = 0; j < found; ++j) {
        const NodeId id = scratch_.filtered->matches[j];
        if (search_.walk_->seen.insert(id)) scratch_.ids[n++] = id;
      }
      add_scored(n);
    });
  }

  /// Scores what was not met, of all nodes or all matches; nothing is left then.
  void scan() {
    search_.walk_->all_seen = true;
    if (matches_) {
      for (const auto part : matches_->nodes())
        scan(part.size(), [&](std::size_t i) { return part[i]; });
      return;
    }
    const core::Hole hole = hole_in(view_);
    const NodeId front = std::min(hole.begin, end_);
    scan(front, [](std::size_t i) { return static_cast<NodeId>(i); });
    const NodeId behind = std::min(hole.end, end_);
    scan(end_ - behind, [&](std::size_t i) { return behind + static_cast<NodeId>(i); });
  }
  template <class IdOf>
  void scan(std::size_t count, const IdOf& id_of) {
    std::uint32_t n = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const NodeId id = id_of(i);
      if (id >= view_.size || graph_.copies().is_copy(id) || !is_result(id)) continue;
      if (!search_.walk_->seen.insert(id)) continue;
      scratch_.ids[n++] = id;
      if (n < core::kMaxListCapacity) continue;
      add_scored(n);
      n = 0;
    }
    add_scored(n);
  }

  /// Takes the first `n` of scratch.ids in, which were not met before.
  void add_scored(std::uint32_t n) {
    for (std::uint32_t j = 0; j < n; ++j) scorer_.prefetch(scratch_.ids[j]);
    scorer_.score(query_, scratch_.ids.data(), n, scratch_.distances.data());
    scratch_.counts.distances += n;
    for (std::uint32_t j = 0; j < n; ++j) {
      add(core::make_key(scratch_.distances[j], scratch_.ids[j]));
    }
  }
  void add(Key key) {
    Walk& walk = *search_.walk_;
    const NodeId id = core::key_id(key);
    walk.frontier.add(key);
    if (!is_result(id)) return;  // walked through, never found
    walk.by_width.add(key);
    if (search_.params_.slack != core::kUnlimitedReach) walk.by_count.add(key);
    const bool stands_alone = graph_.copies().next(id) == core::kNoNode;
    if (!stands_alone || !walk.given.contains(id)) walk.results.add(key);
  }

  PagedSearch& search_;
  const core::Graph& graph_;
  const View view_;
  const Scorer scorer_;
  const Query query_;
  Scratch& scratch_;
  const Names names_;
  const NodeId end_;
  OwnPlaces own_;
  std::optional<Matches> matches_;
};

PagedSearch::PagedSearch(const core::Contents& contents, const MetricKernels& kernels,
                         std::vector<float> query, const SearchParams& params,
                         const core::MatchSet* set)
    : graph_(contents.graph),
      vectors_(contents.vectors),
      kernels_(kernels),
      params_(params),
      set_(set),
      scratch_(std::make_unique<Scratch>()) {
  scratch_->query = std::move(query);
  scratch_->query_bytes.resize(vectors_.stride());
  core::Patience::Tries tries(graph_.patience());
  for (;; tries.again()) {  // a seal may unlink what is replaced by a node that the view lacks
    const std::uint64_t unlinkings = graph_.unlinkings();
    if (graph_.is_sliding()) {
      Page(*this, graph_.sliding_view()).look();
    } else {
      Page(*this, graph_.live()).look();
    }
    if (graph_.unlinkings() == unlinkings) return;
  }
}

PagedSearch::~PagedSearch() = default;

std::uint32_t PagedSearch::next(std::uint32_t k, Key* out) {
  if (given_.capacity() - given_.size() < k) {
    given_.reserve(std::max(given_.size() + k, 2 * given_.size()));
  }
  try {
    if (!graph_.is_sliding()) return Page(*this, graph_.live()).take(k, out);
    walk_.reset();  // ids of a slide are good for one stay
    const std::uint32_t found = Page(*this, graph_.sliding_view()).take(k, out);
    walk_.reset();
    return found;
  } catch (...) {
    walk_.reset();
    throw;
  }
}

SearchCounts PagedSearch::take_counts() noexcept { return std::exchange(scratch_->counts, {}); }

}  // namespace concord::cpu
