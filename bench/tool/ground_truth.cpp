#include "bench/tool/ground_truth.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "bench/tool/dot_block.hpp"
#include "bench/tool/exact_distance.hpp"
#include "bench/tool/parallel.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kQueryBlock = 64;
constexpr std::size_t kVectorBlock = 2048;
constexpr std::size_t kCheckedQueries = 64;

template <class Score>
using Scored = std::pair<Score, std::uint32_t>;  // ordered by (score, id)

/// Turns an inner product into a single-precision score in the metric's order:
/// score = offset[v] + scale[v] × dot, which is the distance less a constant of the query,
/// in units of the metric (cosine: query norm 1).
struct ScoreTerms {
  std::vector<float> offset;
  std::vector<float> scale;
  double largest_norm = 0;
};

ScoreTerms score_terms(const FloatMatrix& vectors, Metric metric) {
  ScoreTerms terms;
  terms.offset.assign(vectors.rows, 0.0F);
  terms.scale.assign(vectors.rows, -1.0F);
  for (std::size_t v = 0; v < vectors.rows; ++v) {
    const double squared = dot(vectors.row(v), vectors.row(v), vectors.cols);
    terms.largest_norm = std::max(terms.largest_norm, std::sqrt(squared));
    if (metric == Metric::l2sq) {
      terms.offset[v] = static_cast<float>(squared);
      terms.scale[v] = -2.0F;
    } else if (metric == Metric::cosine) {
      terms.scale[v] = squared > 0 ? static_cast<float>(-1 / std::sqrt(squared)) : 0.0F;
    }
  }
  return terms;
}

/// Keeps the `capacity` best of a stream of scores; all that were left out score at least bound().
class Preselection {
 public:
  explicit Preselection(std::size_t capacity) : capacity_(capacity) { kept_.reserve(2 * capacity); }

  void offer(float score, std::uint32_t id) {
    if (!(score < bound_)) return;
    kept_.emplace_back(score, id);
    if (kept_.size() == 2 * capacity_) shrink();
  }

  void shrink() {
    if (kept_.size() <= capacity_) return;
    const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(capacity_ - 1);
    std::nth_element(kept_.begin(), last, kept_.end());
    bound_ = last->first;
    kept_.resize(capacity_);
  }

  [[nodiscard]] float bound() const noexcept { return bound_; }
  [[nodiscard]] const std::vector<Scored<float>>& kept() const noexcept { return kept_; }

 private:
  std::size_t capacity_;
  float bound_ = std::numeric_limits<float>::infinity();
  std::vector<Scored<float>> kept_;
};

class Scan {
 public:
  Scan(const FloatMatrix& vectors, const FloatMatrix& queries, Metric metric, std::size_t k)
      : vectors_(vectors),
        queries_(queries),
        metric_(metric),
        k_(k),
        terms_(score_terms(vectors, metric)) {}

  /// Fills the rows of queries [first, first + count) of `truth`.
  void run(std::size_t first, std::size_t count, GroundTruth& truth) const {
    // Four times k leaves room for the order to change between single and double precision.
    std::vector<Preselection> selections(count, Preselection(4 * k_));
    std::vector<float> dots(count * std::min(kVectorBlock, vectors_.rows));
    for (std::size_t v = 0; v < vectors_.rows; v += kVectorBlock) {
      const std::size_t width = std::min(kVectorBlock, vectors_.rows - v);
      dot_block_(queries_.row(first), count, vectors_.row(v), width, vectors_.cols, dots.data());
      for (std::size_t q = 0; q < count; ++q) offer(selections[q], &dots[q * width], v, width);
    }
    for (std::size_t q = 0; q < count; ++q) {
      selections[q].shrink();
      finish(first + q, selections[q], truth);
    }
  }

  /// The k nearest of query q by a scan in double precision.
  [[nodiscard]] std::vector<Scored<double>> full_scan(std::size_t q) const {
    std::vector<Scored<double>> all(vectors_.rows);
    for (std::size_t v = 0; v < vectors_.rows; ++v) {
      all[v] = {distance(q, v), static_cast<std::uint32_t>(v)};
    }
    return nearest(std::move(all));
  }

 private:
  [[nodiscard]] double distance(std::size_t q, std::size_t v) const {
    return exact_distance(metric_, queries_.row(q), vectors_.row(v), vectors_.cols);
  }

  void offer(Preselection& selection, const float* dots, std::size_t first,
             std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t v = first + i;
      selection.offer(terms_.offset[v] + terms_.scale[v] * dots[i], static_cast<std::uint32_t>(v));
    }
  }

  [[nodiscard]] std::vector<Scored<double>> nearest(std::vector<Scored<double>> scored) const {
    const auto end = scored.begin() + static_cast<std::ptrdiff_t>(k_);
    std::partial_sort(scored.begin(), end, scored.end());
    scored.resize(k_);
    return scored;
  }

  void finish(std::size_t q, const Preselection& selection, GroundTruth& truth) const {
    std::vector<Scored<double>> scored;
    scored.reserve(selection.kept().size());
    for (const auto& [score, id] : selection.kept()) scored.emplace_back(distance(q, id), id);
    // Scores that overflow, of vectors far too large for an index, are not kept.
    if (scored.size() >= k_) scored = nearest(std::move(scored));
    if (scored.size() < k_ || !safe(q, selection, scored.back().first)) scored = full_scan(q);
    for (std::size_t i = 0; i < k_; ++i) {
      truth.distances.row(q)[i] = scored[i].first;
      truth.ids.row(q)[i] = scored[i].second;
    }
  }

  /// Whether nothing left out by `selection` can be as near as `worst`, rounding considered.
  [[nodiscard]] bool safe(std::size_t q, const Preselection& selection, double worst) const {
    if (std::isinf(selection.bound())) return selection.kept().size() == vectors_.rows;
    const double squared = dot(queries_.row(q), queries_.row(q), vectors_.cols);
    const double norm = std::sqrt(squared);
    const double reach = norm + terms_.largest_norm;
    if (reach * reach > std::numeric_limits<float>::max()) return false;  // a score may be NaN
    // |error| of a dot product of d terms in any order is below d·u·|x||y|, u = 2^-24; of the
    // norms' rounding and the last operations, a few u more.
    const double unit = (static_cast<double>(vectors_.cols) + 8) * 0x1p-24;
    double bound = static_cast<double>(selection.bound());
    double error = 0;
    if (metric_ == Metric::l2sq) {
      bound += squared;
      error = unit * reach * reach;
    } else if (metric_ == Metric::inner_product) {
      bound += 1;
      error = unit * norm * terms_.largest_norm;
    } else {
      if (norm == 0) return false;
      bound = 1 + bound / norm;
      error = unit;
    }
    return worst < bound - error;
  }

  const FloatMatrix& vectors_;
  const FloatMatrix& queries_;
  Metric metric_;
  std::size_t k_;
  ScoreTerms terms_;
  DotBlock dot_block_ = best_dot_block();
};

bool ids_in_range(const IdMatrix& stored, std::size_t queries, std::size_t k, std::size_t rows) {
  if (stored.rows < queries || stored.cols < k) return false;
  for (std::size_t q = 0; q < queries; ++q) {
    const std::uint32_t* const row = stored.row(q);
    if (std::any_of(row, row + k, [rows](std::uint32_t id) { return id >= rows; })) return false;
  }
  return true;
}

GroundTruth with_distances(const FloatMatrix& vectors, const FloatMatrix& queries, Metric metric,
                           std::size_t k, const IdMatrix& stored) {
  GroundTruth truth{k, IdMatrix(queries.rows, k), Matrix<double>(queries.rows, k), "stored"};
  for (std::size_t q = 0; q < queries.rows; ++q) {
    for (std::size_t i = 0; i < k; ++i) {
      const std::uint32_t id = stored.row(q)[i];
      truth.ids.row(q)[i] = id;
      truth.distances.row(q)[i] =
          exact_distance(metric, queries.row(q), vectors.row(id), vectors.cols);
    }
    // Files are sorted by their own rounding of the distances, so the k-th may be another.
    std::sort(truth.distances.row(q), truth.distances.row(q) + k);
  }
  return truth;
}

/// Scans a sample of the queries: no vector may be nearer than the k-th stored one says.
bool sample_holds(const FloatMatrix& vectors, const FloatMatrix& queries, Metric metric,
                  const GroundTruth& truth, unsigned threads) {
  const std::size_t sample = std::min(kCheckedQueries, queries.rows);
  FloatMatrix chosen(sample, queries.cols);
  const auto source_row = [&](std::size_t s) { return s * queries.rows / sample; };
  for (std::size_t s = 0; s < sample; ++s) {
    std::copy_n(queries.row(source_row(s)), queries.cols, chosen.row(s));
  }
  const GroundTruth exact = compute_ground_truth(vectors, chosen, metric, truth.k, threads);
  for (std::size_t s = 0; s < sample; ++s) {
    const double stored = truth.distances.row(source_row(s))[truth.k - 1];
    const double real = exact.distances.row(s)[truth.k - 1];
    if (stored > real + 1e-6 * std::max(1.0, std::abs(real))) return false;
  }
  return true;
}

}  // namespace

GroundTruth compute_ground_truth(const FloatMatrix& vectors, const FloatMatrix& queries,
                                 Metric metric, std::size_t k, unsigned threads,
                                 const StepCallback& step) {
  k = std::min(k, vectors.rows);
  GroundTruth truth{k, IdMatrix(queries.rows, k), Matrix<double>(queries.rows, k), "computed"};
  if (k == 0 || queries.empty()) return truth;
  const Scan scan(vectors, queries, metric, k);
  std::size_t done = 0;
  std::mutex step_mutex;
  parallel_for(threads, (queries.rows + kQueryBlock - 1) / kQueryBlock, [&](std::size_t block) {
    const std::size_t first = block * kQueryBlock;
    const std::size_t count = std::min(kQueryBlock, queries.rows - first);
    scan.run(first, count, truth);
    const std::lock_guard lock(step_mutex);
    done += count;
    if (step) step(done);
  });
  return truth;
}

GroundTruth checked_ground_truth(const FloatMatrix& vectors, const FloatMatrix& queries,
                                 Metric metric, std::size_t k, const IdMatrix& stored,
                                 unsigned threads, const StepCallback& step) {
  k = std::min(k, vectors.rows);
  std::string reason;
  if (stored.empty()) {
    reason = "computed";
  } else if (!ids_in_range(stored, queries.rows, k, vectors.rows)) {
    reason = "computed (the stored neighbors are of other vectors, or fewer than k)";
  } else {
    GroundTruth truth = with_distances(vectors, queries, metric, k, stored);
    if (k == 0 || queries.empty() || sample_holds(vectors, queries, metric, truth, threads)) {
      return truth;
    }
    reason = "computed (the stored neighbors are not the nearest of these vectors)";
  }
  GroundTruth truth = compute_ground_truth(vectors, queries, metric, k, threads, step);
  truth.source = reason;
  return truth;
}

}  // namespace concord::bench
