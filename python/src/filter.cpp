// Filters and groups, searches with them, and range searches.
#include <chrono>
#include <concord/filter.hpp>
#include <vector>

#include "answers.hpp"
#include "changes.hpp"
#include "gil.hpp"
#include "number.hpp"
#include "pieces.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

std::span<const std::uint8_t> bytes_of(const Array& array) {
  return {reinterpret_cast<const std::uint8_t*>(array.data()), array.cols()};
}

/// The filters of a search's queries, borrowed from Python objects that outlive the search.
class Filters {
 public:
  explicit Filters(nb::handle given) : is_none_(given.is_none()) {
    if (is_none_) return;
    if (nb::isinstance<Filter>(given)) {
      of_all_ = nb::cast<const Filter*>(given);
      return;
    }
    for (const nb::handle filter : given) {
      of_each_.push_back(filter.is_none() ? nullptr : nb::cast<const Filter*>(filter));
    }
  }

  void expect_one_each(std::size_t queries) const {
    if (is_none_ || of_all_ != nullptr || of_each_.size() == queries) return;
    throw Error(ErrorCode::invalid_parameter, std::to_string(of_each_.size()) + " filters for " +
                                                  std::to_string(queries) +
                                                  " queries; there must be one each");
  }
  /// Those of `count` queries from number `first` on.
  [[nodiscard]] SearchOptions of(std::size_t first, std::size_t count) const {
    if (is_none_ || of_all_ != nullptr) return {.filter = of_all_};
    return {.filters = std::span(of_each_).subspan(first, count)};
  }

 private:
  const bool is_none_;  ///< no query has one
  const Filter* of_all_ = nullptr;
  std::vector<const Filter*> of_each_;
};

}  // namespace

template <class Core>
template <class Search>
nb::object PythonIndexOf<Core>::among(const Array& queries, std::uint32_t k, nb::handle filters,
                                      nb::handle out, nb::handle progress, std::size_t piece,
                                      const Search& search) const {
  if (queries.on_device()) {
    throw Error(ErrorCode::unsupported,
                "a search with a filter reads queries from host memory only");
  }
  const Filters given(filters);
  given.expect_one_each(queries.rows());
  const Reading reading(*lock_);
  use_first(used_links_, [&] { (void)index_->search({}, {}); });
  search(MatrixView<const float>(), SearchOptions());  // refuses k before memory is taken
  const Answers answers(queries.rows(), k, queries.ndim() == 1, out);
  const std::size_t done = in_pieces(
      queries, progress, [&] { return piece; },
      [&](std::size_t first, MatrixView<const float> rows) {
        answers.put(search(rows, given.of(first, rows.rows)), first);
      });
  answers.leave_empty(done);
  return answers.arrays(labels_fit());
}

template <class Core>
nb::object PythonIndexOf<Core>::search_among(nb::handle queries, nb::handle k, nb::handle ef,
                                             nb::handle slack, nb::handle rescore, bool use_codes,
                                             nb::handle filters, nb::handle groups,
                                             nb::handle group_hits, nb::handle out,
                                             nb::handle progress) const {
  const Array rows(queries, "queries");
  const SearchParams how = search_params(k, ef, slack, rescore, use_codes);
  const Groups* const of = groups.is_none() ? nullptr : nb::cast<const Groups*>(groups);
  const std::uint32_t hits = number32(group_hits, "group_hits");
  return among(rows, of == nullptr ? how.k : how.k * hits, filters, out, progress,
               queries_per_piece(std::max(how.ef, how.k)),
               [&](MatrixView<const float> piece, SearchOptions options) {
                 options.groups = of;
                 options.group_hits = hits;
                 return index_->search(piece, how, options);
               });
}

template <class Core>
nb::object PythonIndexOf<Core>::exact_search_among(nb::handle queries, nb::handle k,
                                                   nb::handle filters, nb::handle out,
                                                   nb::handle progress) const {
  const Array rows(queries, "queries");
  const std::uint32_t width = number32(k, "k");
  return among(rows, width, filters, out, progress, 4 * workers(),
               [&](MatrixView<const float> piece, const SearchOptions& options) {
                 return index_->exact_search(piece, width, options);
               });
}

template <class Core>
nb::object PythonIndexOf<Core>::range_search(nb::handle queries, nb::handle radius, nb::handle ef,
                                             nb::handle slack, nb::handle limit, nb::handle filters,
                                             nb::handle progress) const {
  const Array rows(queries, "queries");
  if (rows.on_device()) {
    throw Error(ErrorCode::unsupported, "range_search reads queries from host memory only");
  }
  const float within = real_number(radius, "radius");
  RangeParams how{number32(ef, "ef"), real_number(slack, "slack")};
  if (!limit.is_none()) how.limit = number32(limit, "limit");
  const Filters given(filters);
  given.expect_one_each(rows.rows());
  const Reading reading(*lock_);
  use_first(used_links_, [&] { (void)index_->search({}, {}); });
  RangeResult all = index_->range_search({}, within, how);  // refuses what is not allowed
  Pace pace(workers());
  in_pieces(
      rows, progress, [&] { return pace.queries(); },
      [&](std::size_t first, MatrixView<const float> piece) {
        const auto start = std::chrono::steady_clock::now();
        const RangeResult found =
            index_->range_search(piece, within, how, given.of(first, piece.rows));
        const std::size_t before = all.labels.size();
        for (std::size_t q = 1; q <= piece.rows; ++q) all.lims.push_back(before + found.lims[q]);
        all.labels.insert(all.labels.end(), found.labels.begin(), found.labels.end());
        all.distances.insert(all.distances.end(), found.distances.begin(), found.distances.end());
        pace.took(piece.rows, std::chrono::steady_clock::now() - start);
      });
  all.lims.resize(rows.rows() + 1, all.lims.back());  // queries that were not run have no hits
  return nb::make_tuple(to_numpy(all.lims, "i8"),
                        to_numpy(all.labels, labels_fit(all.labels) ? "i8" : "u8"),
                        to_numpy(all.distances, "f4"));
}

template <class Core>
Filter PythonIndexOf<Core>::filter_of_mask(nb::handle mask) const {
  const Array bytes(mask, "mask");
  const Reading reading(*lock_);
  const WithoutGil released;
  return Filter::of_mask(*index_, bytes_of(bytes));
}

template <class Core>
Filter PythonIndexOf<Core>::filter_of_bits(nb::handle bits, std::size_t count,
                                           std::size_t offset) const {
  const Array bytes(bits, "bits");
  const Reading reading(*lock_);
  const WithoutGil released;
  return Filter::of_bits(*index_, bytes_of(bytes), count, offset);
}

template <class Core>
Filter PythonIndexOf<Core>::filter_of_labels(nb::handle labels) const {
  const Array array(labels, "labels");
  const Reading reading(*lock_);
  const WithoutGil released;
  return Filter::of_labels(*index_, labels_of(array));
}

template <class Core>
Filter PythonIndexOf<Core>::filter_of_range(std::size_t first, std::size_t last) const {
  const Reading reading(*lock_);
  const WithoutGil released;
  return Filter::of_range(*index_, first, last);
}

template <class Core>
Groups PythonIndexOf<Core>::groups_of_keys(nb::handle keys) const {
  const Array array(keys, "keys");
  const Reading reading(*lock_);
  const WithoutGil released;
  return Groups::of_keys(*index_, labels_of(array));
}

template nb::object PythonIndexOf<Index>::search_among(nb::handle, nb::handle, nb::handle,
                                                       nb::handle, nb::handle, bool, nb::handle,
                                                       nb::handle, nb::handle, nb::handle,
                                                       nb::handle) const;
template nb::object PythonIndexOf<ShardedIndex>::search_among(nb::handle, nb::handle, nb::handle,
                                                              nb::handle, nb::handle, bool,
                                                              nb::handle, nb::handle, nb::handle,
                                                              nb::handle, nb::handle) const;
template nb::object PythonIndexOf<Index>::exact_search_among(nb::handle, nb::handle, nb::handle,
                                                             nb::handle, nb::handle) const;
template nb::object PythonIndexOf<ShardedIndex>::exact_search_among(nb::handle, nb::handle,
                                                                    nb::handle, nb::handle,
                                                                    nb::handle) const;
template nb::object PythonIndexOf<Index>::range_search(nb::handle, nb::handle, nb::handle,
                                                       nb::handle, nb::handle, nb::handle,
                                                       nb::handle) const;
template nb::object PythonIndexOf<ShardedIndex>::range_search(nb::handle, nb::handle, nb::handle,
                                                              nb::handle, nb::handle, nb::handle,
                                                              nb::handle) const;
template Filter PythonIndexOf<Index>::filter_of_mask(nb::handle) const;
template Filter PythonIndexOf<ShardedIndex>::filter_of_mask(nb::handle) const;
template Filter PythonIndexOf<Index>::filter_of_bits(nb::handle, std::size_t, std::size_t) const;
template Filter PythonIndexOf<ShardedIndex>::filter_of_bits(nb::handle, std::size_t,
                                                            std::size_t) const;
template Filter PythonIndexOf<Index>::filter_of_labels(nb::handle) const;
template Filter PythonIndexOf<ShardedIndex>::filter_of_labels(nb::handle) const;
template Filter PythonIndexOf<Index>::filter_of_range(std::size_t, std::size_t) const;
template Filter PythonIndexOf<ShardedIndex>::filter_of_range(std::size_t, std::size_t) const;
template Groups PythonIndexOf<Index>::groups_of_keys(nb::handle) const;
template Groups PythonIndexOf<ShardedIndex>::groups_of_keys(nb::handle) const;

}  // namespace concord::python
