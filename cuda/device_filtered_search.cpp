// The DeviceSearcher's searches with filters: the queries in the order of a FilteredBatch, of which
// each piece is three launches at most. One searches without a filter, one walks, and one scans for
// those that the walks have left. Of an exact batch there is no walk, and who has no filter, or one
// that lets all match, is compared with all vectors in tiles.
// Thread-safety: as cuda/device_searcher.hpp.

#include <algorithm>
#include <cstring>

#include "common/search/reach.hpp"
#include "cuda/device_searcher.hpp"

namespace concord::cuda {
namespace {

using Way = FilteredBatch::Way;

/// Of a task for all places of a piece: the one for places [first, end).
SearchTask part_of(const SearchTask& all, std::size_t first, std::size_t end) {
  SearchTask part = all;
  part.queries += first * all.query_stride;
  part.out += first * all.k;
  part.counts += first;
  part.count = static_cast<std::uint32_t>(end - first);
  return part;
}

/// How many of the places [first, first + count) of a batch are of this way or of one before it.
std::size_t places_of(const FilteredBatch& batch, Way way, std::size_t first, std::size_t count) {
  return std::clamp(batch.end_of(way), first, first + count) - first;
}

}  // namespace

bool DeviceSearcher::can_filter(std::uint32_t ef) const noexcept {
  const IndexParams& p = graph_.params();
  return can_search(ef) && cuda::can_filter(ef, p.M, p.dimension, device_.shared_memory_limit());
}

bool DeviceSearcher::can_scan_matches(std::uint32_t k) const noexcept {
  return can_scan(k) &&
         cuda::can_scan_matches(k, graph_.params().dimension, device_.shared_memory_limit());
}

FilteredBatch DeviceSearcher::batch_of(std::size_t queries, const SearchParams& params,
                                       const core::QueryFilters& filters) const {
  const core::AdaptiveReach reach{params.k, core::reach_factor(params.slack)};
  const std::uint32_t ef = std::max(params.ef, params.k);
  const std::size_t width =
      reach.factor == core::kUnlimitedReach ? core::UnlimitedReach::hops(ef) : reach.hops(ef);
  return {queries, filters, graph_, vectors_.stride(), static_cast<std::uint32_t>(width)};
}

FilteredBatch DeviceSearcher::exact_batch_of(std::size_t queries,
                                             const core::QueryFilters& filters) const {
  return {queries, filters, graph_, vectors_.stride(), std::nullopt};
}

bool DeviceSearcher::make_filters_ready(const FilteredBatch& batch, std::uint32_t k) {
  const std::size_t piece = piece_of(batch.numbers().size(), k);
  ensure_room(piece, k);
  if (!filters_.hold(batch.sets(), d_filter_of_.missing(piece))) return false;
  filter_of_.ensure(piece);
  d_filter_of_.ensure(piece);
  return true;
}

Counters DeviceSearcher::filtered(MatrixView<const float> queries, const SearchParams& params,
                                  const core::QueryFilters& filters, const FilteredBatch& batch,
                                  Key* out, std::uint32_t* counts) {
  const std::size_t piece = piece_of(queries.rows, params.k);
  Counters total;
  try {
    if (!std::is_sorted(batch.numbers().begin(), batch.numbers().end())) {
      expect_valid(queries, piece);
    }
    for (std::size_t first = 0; first < queries.rows; first += piece) {
      const auto numbers = batch.numbers().subspan(first, std::min(piece, queries.rows - first));
      upload_queries(queries, numbers.size(), [&](std::size_t place) { return numbers[place]; });
      begin_work();
      launch_filtered(params, batch, first, numbers.size());
      fetch_piece(numbers.size(), params.k, total);
      if (batch.is_exact()) {
        finish_without(places_of(batch, Way::without, first, numbers.size()), params.k, total);
      }
      for (std::size_t place = 0; place < numbers.size(); ++place) {
        std::copy_n(keys_.data() + place * params.k, params.k, out + numbers[place] * params.k);
        counts[numbers[place]] = counts_[place];
      }
    }
  } catch (...) {
    device_.drain(mirror_.compute());  // filters may be on their way
    throw;
  }
  expand_matches(queries.rows, filters, {params.k, out, counts});
  return total;
}

void DeviceSearcher::expand_matches(std::size_t queries, const core::QueryFilters& filters,
                                    const core::KNearest& results) {
  if (!graph_.copies().any()) return;
  std::unique_ptr<core::PlacedSet> own;
  for (std::size_t q = 0; q < queries; ++q) {
    if (filters[q] == nullptr) {
      expand_one(q, results, [](NodeId /*id*/) { return true; });
      continue;
    }
    const core::Matches matches(filters[q]->under(graph_.numbering(), own));
    expand_one(q, results, [&](NodeId id) { return matches.contains(id); });
  }
}

// So that of several bad queries the first is named, in whatever order they are answered.
void DeviceSearcher::expect_valid(MatrixView<const float> queries, std::size_t piece) {
  for (std::size_t first = 0; first < queries.rows; first += piece) {
    pool_.for_each(std::min(piece, queries.rows - first), 64, [&](std::size_t q) {
      vectors_.prepare(queries.row(first + q), queries_.data() + q * vectors_.stride(), "query",
                       first + q);
    });
  }
}

// Places [first, first + count) of the batch, which are all of a piece.
void DeviceSearcher::launch_filtered(const SearchParams& params, const FilteredBatch& batch,
                                     std::size_t first, std::size_t count) {
  const Stream stream = mirror_.compute();
  const SearchTask all = search_task(params);
  const std::size_t filtered = places_of(batch, Way::without, first, count);
  if (filtered > 0) launch_without(params, batch.is_exact(), filtered);
  if (filtered == count) return;
  FilteredTask task;
  task.width = batch.width();
  task.living = graph_.nodes_of(graph_.living());
  task.filters = filters_.table();
  task.filter_of = d_filter_of_.data() + filtered;
  std::copy_n(batch.set_of().data() + first, count, filter_of_.data());
  device_.copy_async(d_filter_of_.data(), filter_of_.data(), count * sizeof(std::uint32_t), stream);
  static_assert(kUnanswered == ~std::uint32_t{0});
  device_.fill_async(all.counts + filtered, 0xFF, (count - filtered) * sizeof(std::uint32_t),
                     stream);
  task.search = part_of(all, filtered, places_of(batch, Way::walk, first, count));
  if (task.search.count > 0) device_.walk_matches_async(view(), task, stream);
  task.search = part_of(all, filtered, count);
  device_.scan_matches_async(view(), task, stream);
}

void DeviceSearcher::launch_without(const SearchParams& params, bool is_exact, std::size_t count) {
  if (!is_exact) {
    return device_.search_async(view(), part_of(search_task(params), 0, count), mirror_.compute());
  }
  ExactTask task = exact_task(params.k);
  task.count = static_cast<std::uint32_t>(count);
  device_.exact_async(view(), task, mirror_.compute());
}

void DeviceSearcher::finish_without(std::size_t count, std::uint32_t k, Counters& total) {
  std::fill_n(counts_.data(), count, std::min(k, graph_.nodes_of(graph_.living())));
  total.distances += std::uint64_t{count} * graph_.size();
}

}  // namespace concord::cuda
