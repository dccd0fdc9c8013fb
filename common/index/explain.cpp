// Index::explain: why a search returns a vector or does not.
//
// What a search with ef returns, one with a greater ef returns as well, if its rank is at most k:
// both make the same hops in the same order (common/search/hop_limits.hpp), and nothing that is met
// later comes before it. With a filter, the scan and the giving up of a walk come with a greater ef
// as well (common/search/filter_rule.hpp), and a scan returns it. So a bisection over searches
// finds the least ef.

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>

#include "common/base/float_environment.hpp"
#include "common/base/number_text.hpp"
#include "common/index/index_impl.hpp"

namespace concord {
namespace {

constexpr std::uint32_t kMostEf = 65536;
constexpr std::array kUsedByExplain = {core::FilePart::graph, core::FilePart::vectors,
                                       core::FilePart::labels};

/// The least of [first, kMostEf] for which `returns` holds, which then holds for all greater ones;
/// 0 if there is none.
template <class Returns>
std::uint32_t least_of(std::uint32_t first, const Returns& returns) {
  std::uint32_t below = first - 1;
  std::uint32_t enough = first;
  while (!returns(enough)) {
    if (enough == kMostEf) return 0;
    below = enough;
    enough = std::min(2 * enough, kMostEf);
  }
  while (enough - below > 1) {
    const std::uint32_t middle = below + (enough - below) / 2;
    (returns(middle) ? enough : below) = middle;
  }
  return enough;
}

void expect_one_query(const core::Contents& contents, MatrixView<const float> query) {
  contents.vectors.check_shape(query, "query");
  if (query.rows == 1) return;
  throw Error(ErrorCode::dimension_mismatch,
              std::to_string(query.rows) + " queries; one is explained at a time");
}

}  // namespace

/// One question, for an index that stands still.
class Index::Impl::Explainer {
 public:
  Explainer(const Impl& impl, const float* query, std::uint32_t k, const core::MatchSet* set)
      : impl_(impl),
        query_(query),
        k_(k),
        set_(set),
        placed_(set == nullptr ? nullptr : &set->under(impl.contents.graph.numbering(), own_)) {}

  [[nodiscard]] Explanation explain(std::uint64_t label, core::NodeId node) const {
    using Reason = Explanation::Reason;
    const core::Graph& graph = impl_.contents.graph;
    const cpu::Searcher::Standing standing = impl_.searcher.standing(query_, placed_, node);
    Explanation found{.label = label,
                      .k = k_,
                      .distance = core::key_distance(standing.key),
                      .rank = standing.before + 1,
                      .level = graph.level(graph.copies().node_of(node))};
    const auto because = [&](Reason reason) {
      found.reason = reason;
      return found;
    };
    if (graph.tombstones().any() && graph.tombstones().is_dead(node, graph.size())) {
      return because(Reason::removed);
    }
    if (placed_ != nullptr && !std::ranges::binary_search(placed_->ids(), node)) {
      return because(Reason::filter);
    }
    if (found.rank > k_) return because(Reason::farther);
    const std::uint32_t least = least_of(k_, [&](std::uint32_t ef) { return returns(ef, node); });
    found.ef = least == k_ ? 1 : least;
    describe_walk(least > 0 ? least : kMostEf, node, found);
    if (found.ef == 1) return because(Reason::returned);
    const bool is_near_by =
        set_ == nullptr &&
        impl_.searcher.returns_from(query_, {.k = k_, .ef = k_}, standing.nearest, node);
    return because(is_near_by ? Reason::descent : Reason::links);
  }

 private:
  [[nodiscard]] bool returns(std::uint32_t ef, core::NodeId node) const {
    std::vector<core::Key> keys(k_);
    std::uint32_t count = 0;
    const MatrixView<const float> rows(query_, 1, impl_.contents.graph.params().dimension);
    const SearchParams params{.k = k_, .ef = ef, .use_codes = false};
    if (set_ == nullptr) {
      impl_.searcher.search(rows, params, keys.data(), &count, *impl_.pool);
    } else {
      const std::array<const core::MatchSet*, 1> sets = {set_};
      impl_.searcher.filtered(rows, params, {sets}, false, keys.data(), &count, *impl_.pool);
    }
    return std::any_of(keys.begin(), keys.begin() + count,
                       [&](core::Key key) { return core::key_id(key) == node; });
  }

  void describe_walk(std::uint32_t ef, core::NodeId node, Explanation& found) const {
    const cpu::Searcher::Meeting meeting =
        impl_.searcher.meeting(query_, {.k = k_, .ef = ef}, placed_, node);
    if (!meeting.is_met) return;
    found.hop = meeting.hop;
    if (meeting.parent != core::kNoNode) {
      found.parent = impl_.contents.labels.label(meeting.parent);
    }
    const bool may_slack = impl_.contents.graph.params().metric != Metric::inner_product;
    if (set_ == nullptr && may_slack) found.slack = meeting.slack;
  }

  const Impl& impl_;
  const float* query_;
  std::uint32_t k_;
  const core::MatchSet* set_;
  std::unique_ptr<core::PlacedSet> own_;
  const core::PlacedSet* placed_;  ///< the set with the ids that nodes have now
};

Explanation Index::explain(MatrixView<const float> query, std::uint64_t label, std::uint32_t k,
                           const Filter* filter) const {
  return IndexAccess::explain(*this, query, label, k, filter, nullptr);
}

Explanation IndexAccess::explain(const Index& index, MatrixView<const float> query,
                                 std::uint64_t label, std::uint32_t k, const Filter* filter,
                                 std::uint64_t* number) {
  check_exact(k);
  const Index::Impl& impl = *index.impl_;
  const core::FloatEnvironment environment;
  expect_one_query(impl.contents, query);
  const std::vector<const core::MatchSet*> sets = filters_of(index, {.filter = filter}, 1);
  const core::WriterLock::Pause pause(index.impl_->writer_lock);
  const auto reading = impl.readers.enter();
  impl.mapped.expect_sound(kUsedByExplain);
  core::NodeId node = impl.find(label);
  if (node == core::kNoNode) {
    const std::vector<core::NodeId> dead = impl.contents.graph.dead();
    const auto found = std::find_if(dead.begin(), dead.end(), [&](core::NodeId id) {
      return impl.contents.labels.label(id) == label;
    });
    if (found == dead.end()) {
      throw Error(ErrorCode::unknown_label, "no vector has label " + std::to_string(label));
    }
    node = *found;
  }
  if (number != nullptr) *number = number_of(index, node);
  const core::MatchSet* const set = sets.empty() ? nullptr : sets.front();
  return Index::Impl::Explainer(impl, query.row(0), k, set).explain(label, node);
}

std::uint64_t IndexAccess::count_before(const Index& index, MatrixView<const float> query,
                                        float distance, std::uint64_t number,
                                        const Filter* filter) {
  const Index::Impl& impl = *index.impl_;
  const core::FloatEnvironment environment;
  const std::vector<const core::MatchSet*> sets = filters_of(index, {.filter = filter}, 1);
  const core::WriterLock::Pause pause(index.impl_->writer_lock);
  const auto reading = impl.readers.enter();
  impl.mapped.expect_sound(kUsedByExplain);
  std::unique_ptr<core::PlacedSet> own;
  const core::PlacedSet* const placed =
      sets.empty() ? nullptr : &sets.front()->under(impl.contents.graph.numbering(), own);
  const core::NodeId first = impl.contents.graph.first_from(number);
  return impl.searcher.before(query.row(0), placed, core::make_key(distance, first));
}

const char* to_string(Explanation::Reason reason) noexcept {
  switch (reason) {
    case Explanation::Reason::returned:
      return "returned";
    case Explanation::Reason::farther:
      return "farther";
    case Explanation::Reason::descent:
      return "descent";
    case Explanation::Reason::links:
      return "links";
    case Explanation::Reason::filter:
      return "filter";
    case Explanation::Reason::removed:
      return "removed";
  }
  return "unknown";
}

namespace {

std::string meaning_of(const Explanation& found) {
  const std::string k = std::to_string(found.k);
  switch (found.reason) {
    case Explanation::Reason::returned:
      return "Every search with k = " + k + " returns it.";
    case Explanation::Reason::farther:
      return std::to_string(found.rank - 1) + " vectors come before it, so it is not among the " +
             k + " nearest.";
    case Explanation::Reason::descent:
      return "The descent through the upper layers hides it: from the nearest vector on, any "
             "search "
             "would return it.";
    case Explanation::Reason::links:
      return "The links of layer 0 hide it: they lead to it through farther candidates alone.";
    case Explanation::Reason::filter:
      return "The filter does not let it match.";
    case Explanation::Reason::removed:
      return "It was removed or replaced.";
  }
  return {};
}

}  // namespace

std::string Explanation::text() const {
  std::string text = "Label " + std::to_string(label) + " has rank " + std::to_string(rank) +
                     ", at a distance of " + core::text_of(distance) + ". " + meaning_of(*this);
  const bool is_hidden = reason == Reason::descent || reason == Reason::links;
  if (is_hidden && ef > 0) {
    text += " A search with k = " + std::to_string(k) +
            " returns it from ef = " + std::to_string(ef) + " on";
    if (slack < std::numeric_limits<float>::infinity()) {
      text += ", or with ef = 65536 from slack = " + core::text_of(slack) + " on";
    }
    text += ".";
  }
  if (is_hidden && ef == 0) text += " No ef up to 65536 finds it.";
  if (hop > 0) {
    text += " The walk meets it at hop " + std::to_string(hop) + ", in the list of label " +
            std::to_string(parent) + ".";
  }
  return text;
}

}  // namespace concord
