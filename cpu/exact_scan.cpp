#include "cpu/exact_scan.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "cpu/candidate_list.hpp"
#include "cpu/query_block.hpp"

namespace concord::cpu {

using core::NodeId;

bool exact_scan(const core::VectorStore& vectors, std::size_t rows, const MetricKernels& kernels,
                MatrixView<const float> queries, const core::KNearest& results,
                core::ThreadPool& pool, const std::function<bool(std::size_t)>& go_on) {
  const std::size_t chunk =
      std::clamp<std::size_t>((queries.rows + pool.size() - 1) / pool.size(), 1, QueryBlock::kMost);
  const std::size_t capacity = std::max<std::size_t>(1, std::min<std::size_t>(results.k, rows));
  std::atomic<std::size_t> answered{0};
  const auto scan = [&](unsigned, std::size_t first, std::size_t last) {
    std::vector<CandidateList> lists(last - first);
    std::vector<float> distances(kScoredAtOnce);
    QueryBlock block(vectors, lists.size());
    for (std::size_t i = 0; i < lists.size(); ++i) {
      vectors.prepare(queries.row(first + i), block.vector(i), "query", first + i);
      lists[i].reset(capacity);
    }
    const Scorer scorer(vectors, kernels);
    block.prepare(scorer);
    if (results.k > 0) {
      score_rows(scorer, block, 0, static_cast<NodeId>(rows), distances.data(),
                 [&](std::size_t q, core::Key key) { lists[q].insert(key); });
    }
    for (std::size_t i = 0; i < lists.size(); ++i) results.collect(first + i, lists[i]);
    answered += last - first;
  };
  return pool.parallel_for(queries.rows, chunk, scan, [&] { return !go_on(answered); });
}

}  // namespace concord::cpu
