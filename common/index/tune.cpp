// Index::tune: a sample of queries, scored exactly and searched once each, from which
// common/search/tuning.hpp chooses.

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/float_environment.hpp"
#include "common/base/mix64.hpp"
#include "common/base/number_text.hpp"
#include "common/index/index_impl.hpp"
#include "common/search/tuning.hpp"

namespace concord {
namespace {

constexpr std::uint32_t kMostEf = 16384;    // profiles take 16 bytes a hop
constexpr std::uint32_t kFirstEf = 256;     // of the first walks
constexpr std::uint32_t kWider = 4;         // than what ef alone needs, because of slacks
constexpr int kRounds = 4;                  // beside a writer that removes
constexpr std::size_t kMostCovered = 4096;  // vectors of an index that may be searched whole
constexpr std::array kUsedByTune = {core::FilePart::graph, core::FilePart::vectors,
                                    core::FilePart::labels};

void check_goal(const TuneParams& goal) {
  const auto refuse = [](const std::string& what, const char* allowed) {
    throw Error(ErrorCode::invalid_parameter, what + "; allowed are " + allowed);
  };
  if (!(goal.recall > 0 && goal.recall < 1)) {
    refuse("recall is " + core::text_of(goal.recall), "numbers above 0 and below 1");
  }
  if (goal.k < 1 || goal.k > 65536) refuse("k is " + std::to_string(goal.k), "1 to 65536");
  if (goal.sample < 1) refuse("sample is 0", "1 and more");
}

[[noreturn]] void refuse_empty() {
  throw Error(ErrorCode::invalid_parameter, "the index is empty: there is nothing to tune for");
}

// So that levels, which are a hash of the same number, say nothing about it.
std::uint64_t draw_of(std::uint64_t insertion) noexcept {
  return core::mix64(insertion ^ 0x73616D706C65ull);
}

}  // namespace

struct Index::Impl::Sample {
  std::vector<std::uint64_t> own;  ///< numbers of insertion of the queries, or none
  std::vector<float> vectors;      ///< of them
  MatrixView<const float> queries;
  std::vector<float> farthest;  ///< distance of the last wanted neighbor of each
  std::uint32_t wanted = 0;     ///< neighbors that each query can find

  void keep(const std::vector<std::size_t>& numbers);
};

// Queries of the caller are never dropped, so those that are kept are rows of `vectors`.
void Index::Impl::Sample::keep(const std::vector<std::size_t>& numbers) {
  const std::size_t width = queries.cols;
  for (std::size_t to = 0; to < numbers.size(); ++to) {
    const std::size_t from = numbers[to];
    own[to] = own[from];
    farthest[to] = farthest[from];
    std::memmove(vectors.data() + to * width, vectors.data() + from * width, width * sizeof(float));
  }
  own.resize(numbers.size());
  farthest.resize(numbers.size());
  queries = {vectors.data(), numbers.size(), width};
}

// Nodes of level 0, so that no descent passes them, and not the entry point, where it begins.
// REQUIRES that the graph stands still.
Index::Impl::Sample Index::Impl::own_sample(std::uint32_t most) const {
  const core::Graph& graph = contents.graph;
  Sample sample;
  std::vector<std::pair<std::uint64_t, core::NodeId>> drawn;
  const core::LiveView live = graph.live();
  const core::Hole hole = graph.tombstones().hole();
  for (core::NodeId id = 0; id < live.size; ++id) {
    if (hole.contains(id) || graph.level(id) > 0 || id == live.entry.node) continue;
    if (graph.copies().is_copy(id) || graph.is_dead(id, live.size)) continue;
    drawn.emplace_back(draw_of(graph.insertion(id)), id);
  }
  const std::size_t count = std::min<std::size_t>(most, drawn.size());
  if (count < drawn.size()) {
    const auto end = drawn.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(drawn.begin(), end, drawn.end());
    drawn.erase(end, drawn.end());
  }
  std::sort(drawn.begin(), drawn.end());
  const std::size_t width = graph.params().dimension;
  sample.vectors.resize(count * width);
  std::vector<float> stored(contents.vectors.stride());
  for (std::size_t q = 0; q < count; ++q) {
    sample.own.push_back(graph.insertion(drawn[q].second));
    contents.vectors.copy(drawn[q].second, 1, stored.data());
    std::copy_n(stored.data(), width, sample.vectors.data() + q * width);
  }
  sample.queries = {sample.vectors.data(), count, width};
  return sample;
}

namespace {

/// Of the neighbors of a query, those that are not the query itself.
std::vector<core::Key> others(std::span<const core::Key> found, core::NodeId self,
                              std::uint32_t k) {
  std::vector<core::Key> keys;
  for (const core::Key key : found) {
    if (core::key_id(key) != self && keys.size() < k) keys.push_back(key);
  }
  return keys;
}

}  // namespace

// Runs work(first, count) for pieces of n queries, each at a moment between two commits: nothing
// slides then, and ids are good for a piece. Then calls done(queries so far).
template <class Work, class Done>
void Index::Impl::in_pieces(std::size_t n, const Work& work, const Done& done) const {
  const std::size_t piece = std::size_t{32} * pool->size();
  for (std::size_t first = 0; first < n; first += piece) {
    const std::size_t count = std::min(piece, n - first);
    {
      const core::WriterLock::Pause pause(writer_lock);
      const auto reading = readers.enter();
      work(first, count);
    }
    done(first + count);
  }
}

// The node of query number q, or kNoNode where it was given or has been removed.
core::NodeId Index::Impl::node_of(const Sample& sample, std::size_t q) const {
  return sample.own.empty() ? core::kNoNode : contents.graph.numbering().find(sample.own[q]);
}

void Index::Impl::score(Sample& sample, const TuneParams& goal,
                        const TuneProgress& progress) const {
  const std::size_t n = sample.queries.rows;
  const bool is_own = !sample.own.empty();
  const std::uint32_t k = goal.k + (is_own ? 1 : 0);
  std::vector<std::vector<core::Key>> neighbors(n);
  std::vector<std::size_t> without_copy;
  const auto score_some = [&](std::size_t first, std::size_t count) {
    std::vector<core::Key> keys(count * k);
    std::vector<std::uint32_t> found(count);
    searcher.exact_nodes(sample.queries.rows_from(first, count), k, keys.data(), found.data(),
                         *pool);
    for (std::size_t q = 0; q < count; ++q) {
      const core::NodeId self = node_of(sample, first + q);
      const std::span<const core::Key> all(keys.data() + q * k, found[q]);
      std::vector<core::Key>& of_query = neighbors[first + q];
      of_query = others(all, self, goal.k);
      const bool has_copy = self != core::kNoNode &&
                            std::any_of(of_query.begin(), of_query.end(), [&](core::Key key) {
                              return contents.vectors.are_equal(self, core::key_id(key));
                            });
      if (!has_copy) without_copy.push_back(first + q);
    }
  };
  in_pieces(n, score_some, [&](std::size_t done) {
    if (progress) progress(done, 2 * n);
  });
  sample.wanted = goal.k;
  for (const auto& keys : neighbors) {
    sample.wanted = std::min(sample.wanted, static_cast<std::uint32_t>(keys.size()));
  }
  if (sample.wanted == 0) refuse_empty();  // all was removed meanwhile
  sample.farthest.resize(n);
  for (std::size_t q = 0; q < n; ++q) {
    sample.farthest[q] = core::key_distance(neighbors[q][sample.wanted - 1]);
  }
  if (is_own && 2 * without_copy.size() >= n) sample.keep(without_copy);
}

namespace {

void take(const core::Tuner::Choice& found, std::size_t queries, const TuneParams& goal,
          Preset& preset) {
  preset.recall = goal.recall;
  preset.k = goal.k;
  preset.ef = found.ef;
  preset.slack = found.slack;
  preset.measured = found.measured;
  preset.at_least = found.at_least;
  preset.distances = found.distances;
  preset.queries = queries;
}

/// A search that visits all of a small index, and so misses nothing.
core::Tuner::Choice covering(std::size_t size, const TuneParams& goal) {
  return {.ef = static_cast<std::uint32_t>(std::max<std::size_t>(goal.k, size)),
          .slack = core::kUnlimitedReach,
          .measured = 1,
          .at_least = 1,
          .distances = static_cast<double>(size)};
}

[[noreturn]] void refuse_sample(std::size_t queries, const TuneParams& goal) {
  throw Error(ErrorCode::invalid_parameter,
              "a sample of " + std::to_string(queries) + " queries cannot show a recall of " +
                  core::text_of(goal.recall) + " with a confidence of 95 %; at least " +
                  std::to_string(core::least_sample(goal.recall)) + " are needed");
}

}  // namespace

Preset Index::Impl::tune(Index& index, const MatrixView<const float>* given, const TuneParams& goal,
                         const TuneProgress& progress) const {
  check_goal(goal);
  const core::FloatEnvironment environment;
  Preset preset;
  Sample sample;
  {
    const core::WriterLock::Pause pause(writer_lock);
    const auto reading = readers.enter();
    mapped.expect_sound(kUsedByTune);
    preset.size = contents.graph.living();
    preset.insertions = contents.graph.insertions();
    preset.removals = contents.graph.removals();
    if (given == nullptr) {
      sample = own_sample(goal.sample);
    } else {
      sample.queries = *given;
    }
  }
  if (preset.size == 0) refuse_empty();
  choose(std::move(sample), goal, progress, preset);
  index.remember(preset);
  return preset;
}

void Index::Impl::choose(Sample sample, const TuneParams& goal, const TuneProgress& progress,
                         Preset& preset) const {
  const std::size_t size = preset.size;
  const auto is_too_small = [&] { return sample.queries.rows < core::least_sample(goal.recall); };
  const auto widest = static_cast<std::uint32_t>(
      std::max<std::size_t>(goal.k, std::min<std::size_t>(kMostEf, size)));
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t removals = contents.graph.removals();
    if (!is_too_small()) score(sample, goal, progress);
    if (is_too_small()) {
      if (size <= kMostCovered) return take(covering(size, goal), 0, goal, preset);
      refuse_sample(sample.queries.rows, goal);
    }
    if (const auto found = cheapest(sample, goal, widest, progress)) {
      return take(*found, sample.queries.rows, goal, preset);
    }
    // Neighbors that were removed after they were scored cannot be found: the rest is scored anew.
    if (contents.graph.removals() == removals) break;
  }
  throw Error(ErrorCode::unsupported, "no ef up to " + std::to_string(widest) +
                                          " reaches a recall of " + core::text_of(goal.recall));
}

// Searches the sample with more and more ef, until that is enough for every slack to be tried.
std::optional<core::Tuner::Choice> Index::Impl::cheapest(const Sample& sample,
                                                         const TuneParams& goal,
                                                         std::uint32_t widest,
                                                         const TuneProgress& progress) const {
  const std::size_t n = sample.queries.rows;
  std::vector<core::SearchProfile> profiles(n);
  for (std::uint32_t ef = std::min(widest, std::max(kWider * goal.k, kFirstEf));;) {
    const auto walk_some = [&](std::size_t first, std::size_t count) {
      std::vector<core::ScoredQuery> scored;
      for (std::size_t q = first; q < first + count; ++q) {
        scored.push_back({node_of(sample, q), sample.farthest[q]});
      }
      searcher.profile(sample.queries.rows_from(first, count), scored, goal.k, sample.wanted, ef,
                       std::span(profiles).subspan(first, count), *pool);
    };
    in_pieces(n, walk_some, [&](std::size_t done) {
      if (progress) progress(n + done, 2 * n);
    });
    const core::Tuner tuner(profiles, goal.recall, goal.k, sample.wanted, ef);
    const auto by_ef = tuner.least_ef(core::kUnlimitedReach);
    if (ef == widest || (by_ef && by_ef->ef <= ef / kWider)) {
      return tuner.cheapest(contents.graph.params().metric != Metric::inner_product);
    }
    ef = std::min<std::uint32_t>(widest, kWider * (by_ef ? by_ef->ef : ef));
  }
}

Preset Index::tune(const TuneParams& goal, const TuneProgress& progress) {
  return impl_->tune(*this, nullptr, goal, progress);
}

Preset Index::tune(MatrixView<const float> queries, const TuneParams& goal,
                   const TuneProgress& progress) {
  impl_->contents.vectors.check_shape(queries, "queries");
  return impl_->tune(*this, &queries, goal, progress);
}

}  // namespace concord
