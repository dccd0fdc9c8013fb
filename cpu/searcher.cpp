#include "cpu/searcher.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/thread_number.hpp"

namespace concord::cpu {

using core::Key;
using core::NodeId;

/// Scratch borrowed for the length of a scope. A thread looks first where it looked last time, so
/// that threads seldom meet.
class Searcher::Lease {
 public:
  explicit Lease(const Searcher& searcher) : searcher_(searcher) {
    for (std::size_t i = 0; i < kSlots && !scratch_; ++i) {
      Slot& slot = slot_at(i);
      if (slot.idle.load(std::memory_order_relaxed) == nullptr) continue;
      scratch_.reset(slot.idle.exchange(nullptr, std::memory_order_acquire));
    }
    if (!scratch_) scratch_ = std::make_unique<Scratch>();
    scratch_->query.resize(searcher.vectors_.stride());
    scratch_->query_bytes.resize(searcher.vectors_.stride());
    scratch_->counts = {};
  }
  ~Lease() {
    for (std::size_t i = 0; i < kSlots; ++i) {
      Slot& slot = slot_at(i);
      Scratch* none = nullptr;
      if (slot.idle.load(std::memory_order_relaxed) != nullptr) continue;
      const std::size_t bytes = sizeof(Scratch) + scratch_->bytes();
      if (!slot.idle.compare_exchange_strong(none, scratch_.get(), std::memory_order_release))
        continue;
      static_cast<void>(scratch_.release());  // whoever takes it next owns it
      slot.bytes.store(bytes, std::memory_order_relaxed);
      return;
    }
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Scratch& operator*() const { return *scratch_; }

 private:
  [[nodiscard]] Slot& slot_at(std::size_t i) const noexcept {
    return searcher_.slots_[(core::thread_number() + i) % kSlots];
  }

  const Searcher& searcher_;
  std::unique_ptr<Scratch> scratch_;
};

namespace {

// Runs body(query number, scratch) for all queries, a lease per chunk, and sums the counts.
template <class Lease, class Searcher, class Body>
SearchCounts for_each_query(const Searcher& searcher, std::size_t n, std::size_t chunk,
                            core::ThreadPool& pool, const Body& body) {
  std::atomic<std::uint64_t> distances{0};
  std::atomic<std::uint64_t> hops{0};
  const auto run = [&](unsigned, std::size_t first, std::size_t last) {
    const Lease lease(searcher);
    body(first, last, *lease);
    distances += (*lease).counts.distances;
    hops += (*lease).counts.hops;
  };
  if (n <= chunk) {
    if (n > 0) run(0, 0, n);
  } else {
    pool.parallel_for(n, chunk, run);
  }
  return {distances, hops};
}

}  // namespace

Searcher::Searcher(const core::Graph& graph, const core::VectorStore& vectors,
                   const MetricKernels& kernels)
    : graph_(graph), vectors_(vectors), kernels_(kernels) {}

Searcher::~Searcher() {
  for (const Slot& slot : slots_) delete slot.idle.load();
}

SearchCounts Searcher::search(MatrixView<const float> queries, const SearchParams& params, Key* out,
                              std::uint32_t* counts, core::ThreadPool& pool) const {
  return for_each_query<Lease>(
      *this, queries.rows, 8, pool, [&](std::size_t first, std::size_t last, Scratch& scratch) {
        for (std::size_t q = first; q < last; ++q) {
          vectors_.prepare(queries.row(q), scratch.query.data(), "query", q);
          search_one(params, out + q * params.k, counts[q], scratch);
        }
      });
}

// A search that passes rows while a seal moves links between them may miss what it would have found
// before and after. Where that left it with too little, it is repeated. It never waits for the seal
// to go on: the graph is whole at every moment.
void Searcher::search_one(const SearchParams& params, Key* out, std::uint32_t& count,
                          Scratch& scratch) const {
  const Scorer scorer(vectors_, kernels_);
  const Query query = scorer.as_query(scratch.query.data(), scratch.query_bytes.data());
  std::uint64_t seals;
  do {
    seals = graph_.seals();
  } while (!fill_list(scorer, query, params, scratch) && graph_.was_sealing_since(seals));
  count = static_cast<std::uint32_t>(std::min<std::size_t>(params.k, scratch.list.size()));
  for (std::uint32_t j = 0; j < count; ++j) out[j] = scratch.list[j] & ~core::kExpanded;
}

bool Searcher::fill_list(const Scorer& scorer, const Query& query, const SearchParams& params,
                         Scratch& scratch) const {
  const std::uint32_t k = params.k;
  const std::uint32_t ef = std::max(params.ef, k);
  const core::LiveView live = graph_.live();
  const core::EntryPoint entry = live.entry;
  if (entry.node == core::kNoNode || k == 0) {
    scratch.list.reset(1);
    return true;
  }
  float distance;
  scorer.score(query, &entry.node, 1, &distance);
  ++scratch.counts.distances;
  Key closest = core::make_key(distance, entry.node);
  for (std::uint32_t layer = entry.level; layer > 0; --layer) {
    const auto visit_row = [&](NodeId node, const auto& visit) {
      graph_.visit_live(live, node, layer, visit);
    };
    closest = greedy_descent(scorer, query, closest, visit_row, scratch);
  }
  const auto visit_row = [&](NodeId node, const auto& visit) {
    graph_.visit_live(live, node, 0, visit);
  };
  const auto prefetch_row = [&](NodeId node) { graph_.table(0).prefetch(node); };
  const float factor = core::reach_factor(params.slack);
  if (factor == core::kUnlimitedReach) {
    const UnlimitedReach reach{ef};
    beam_search(scorer, query, closest, ef, visit_row, prefetch_row, reach, scratch);
    return scratch.list.size() >= std::min(ef, live.size);
  }
  const AdaptiveReach reach{k, factor, std::min(ef, 4 * k)};
  beam_search(scorer, query, closest, ef, visit_row, prefetch_row, reach, scratch);
  return scratch.list.size() >= std::min(k, live.size);
}

SearchCounts Searcher::exact(MatrixView<const float> queries, std::uint32_t k, Key* out,
                             std::uint32_t* counts, core::ThreadPool& pool) const {
  constexpr std::size_t kQueries = 16;  // at most, share a block of rows while it is in the cache
  const std::size_t chunk =
      std::clamp<std::size_t>((queries.rows + pool.size() - 1) / pool.size(), 1, kQueries);
  constexpr NodeId kRows = core::kMaxScored;
  const NodeId n = graph_.size();
  return for_each_query<Lease>(
      *this, queries.rows, chunk, pool, [&](std::size_t first, std::size_t last, Scratch& scratch) {
        const Scorer scorer(vectors_, kernels_);
        std::vector<CandidateList> lists(last - first);
        const std::size_t stride = vectors_.stride();
        std::vector<float> floats((last - first) * stride);
        std::vector<std::uint8_t> bytes((last - first) * stride);
        std::vector<Query> prepared;
        for (std::size_t q = first; q < last; ++q) {
          const std::size_t at = (q - first) * stride;
          vectors_.prepare(queries.row(q), &floats[at], "query", q);
          prepared.push_back(scorer.as_query(&floats[at], &bytes[at]));
          lists[q - first].reset(std::max(1u, std::min(k, n)));
        }
        for (NodeId begin = 0; begin < n && k > 0; begin += kRows) {
          const NodeId rows = std::min(kRows, n - begin);
          for (std::size_t q = 0; q < lists.size(); ++q) {
            scorer.score_range(prepared[q], begin, rows, scratch.distances.data());
            for (NodeId j = 0; j < rows; ++j) {
              lists[q].insert(core::make_key(scratch.distances[j], begin + j));
            }
          }
          scratch.counts.distances += rows * lists.size();
        }
        for (std::size_t q = first; q < last; ++q) {
          const CandidateList& list = lists[q - first];
          counts[q] = static_cast<std::uint32_t>(list.size());
          for (std::size_t j = 0; j < list.size(); ++j) out[q * k + j] = list[j];
        }
      });
}

std::size_t Searcher::scratch_bytes() const {
  std::size_t bytes = 0;
  for (const Slot& slot : slots_) {
    if (slot.idle.load(std::memory_order_relaxed) != nullptr) bytes += slot.bytes;
  }
  return bytes;
}

}  // namespace concord::cpu
