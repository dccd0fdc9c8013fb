#include "bench/tool/filter_kinds.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <utility>

#include "bench/tool/exact_distance.hpp"
#include "bench/tool/hdf5_file.hpp"
#include "bench/tool/input_error.hpp"
#include "bench/tool/parallel.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kFilters = 10;
constexpr std::size_t kCells = 256;

std::size_t count_of(double selectivity, std::size_t rows) {
  const auto count =
      static_cast<std::size_t>(std::llround(selectivity * static_cast<double>(rows)));
  return std::clamp<std::size_t>(count, 1, rows);
}

std::vector<double> distances_to(const DataSet& data, const float* from) {
  std::vector<double> distances(data.train.rows);
  for (std::size_t r = 0; r < distances.size(); ++r) {
    distances[r] = exact_distance(data.metric, from, data.train.row(r), data.train.cols);
  }
  return distances;
}

/// The rows by distance; only the one at `place` is sure to stand where it belongs.
std::vector<std::size_t> partly_sorted(const std::vector<double>& distances, std::size_t place) {
  std::vector<std::size_t> rows(distances.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  std::nth_element(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(place), rows.end(),
                   [&](std::size_t a, std::size_t b) {
                     return std::pair(distances[a], a) < std::pair(distances[b], b);
                   });
  return rows;
}

Mask ball(const DataSet& data, const float* center, std::size_t count) {
  const std::vector<std::size_t> rows = partly_sorted(distances_to(data, center), count - 1);
  Mask mask(data.train.rows);
  for (std::size_t i = 0; i < count; ++i) mask[rows[i]] = 1;
  return mask;
}

Mask around(const DataSet& data, const float* query, double percentile, std::size_t count) {
  const auto place =
      static_cast<std::size_t>(percentile * static_cast<double>(data.train.rows - 1));
  const std::vector<std::size_t> rows = partly_sorted(distances_to(data, query), place);
  return ball(data, data.train.row(rows[place]), count);
}

/// The cell of each row: that of the nearest of some rows drawn at random.
std::vector<std::size_t> cells_of(const DataSet& data, unsigned threads) {
  std::mt19937_64 random(3);
  std::vector<std::size_t> centers;
  for (std::size_t c = 0; c < kCells; ++c) centers.push_back(random() % data.train.rows);
  std::vector<std::size_t> cells(data.train.rows);
  parallel_for(threads, cells.size(), [&](std::size_t r) {
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < kCells; ++c) {
      const double distance = exact_distance(data.metric, data.train.row(r),
                                             data.train.row(centers[c]), data.train.cols);
      if (distance >= nearest) continue;
      nearest = distance;
      cells[r] = c;
    }
  });
  return cells;
}

/// Cells drawn at random until enough rows are in them.
Mask union_of(const std::vector<std::size_t>& cells, std::size_t count, std::mt19937_64& random) {
  std::vector<std::size_t> sizes(kCells);
  for (const std::size_t cell : cells) ++sizes[cell];
  std::vector<std::uint8_t> taken(kCells);
  for (std::size_t rows = 0; rows < count;) {
    const std::size_t cell = random() % kCells;
    if (taken[cell] != 0) continue;
    taken[cell] = 1;
    rows += sizes[cell];
  }
  Mask mask(cells.size());
  for (std::size_t r = 0; r < mask.size(); ++r) mask[r] = taken[cells[r]];
  return mask;
}

Mask random_rows(std::size_t rows, double selectivity, std::mt19937_64& random) {
  Mask mask(rows);
  for (std::uint8_t& byte : mask) {
    byte = static_cast<double>(random() >> 11) * 0x1p-53 < selectivity ? 1 : 0;
  }
  return mask;
}

Mask window(std::size_t rows, std::size_t count, std::mt19937_64& random) {
  const std::size_t first = random() % (rows - count + 1);
  Mask mask(rows);
  std::fill_n(mask.begin() + static_cast<std::ptrdiff_t>(first), count, std::uint8_t{1});
  return mask;
}

}  // namespace

FilterSet make_filters(const DataSet& data, const std::string& kind, double selectivity,
                       unsigned threads) {
  const std::size_t rows = data.train.rows;
  const std::size_t count = count_of(selectivity, rows);
  const bool of_query = kind == "near" || kind == "far";
  FilterSet set{kind, selectivity, std::vector<Mask>(of_query ? data.queries.rows : kFilters), {}};
  for (std::size_t q = 0; q < data.queries.rows; ++q) set.of_query.push_back(q % set.masks.size());
  if (of_query) {
    const double percentile = kind == "near" ? 0 : 0.9;
    parallel_for(threads, set.masks.size(), [&](std::size_t q) {
      set.masks[q] = around(data, data.queries.row(q), percentile, count);
    });
    return set;
  }
  std::mt19937_64 random(7);
  const std::vector<std::size_t> cells =
      kind == "cells" ? cells_of(data, threads) : std::vector<std::size_t>();
  for (Mask& mask : set.masks) {
    mask = kind == "random"   ? random_rows(rows, selectivity, random)
           : kind == "window" ? window(rows, count, random)
                              : union_of(cells, count, random);
  }
  return set;
}

FilterSet filters_by_attribute(const DataSource& source, const DataSet& data,
                               const std::string& name) {
  if (!is_hdf5_file(source.dataset) || data.queries_from != "test") {
    throw InputError("--attribute needs an HDF5 file with test vectors");
  }
  const auto values = read_hdf5_column(source.dataset, name, data.train.rows);
  const auto asked = read_hdf5_column(source.dataset, "test_" + name, data.queries.rows);
  FilterSet set{"attribute " + name, 0, {}, {}};
  std::map<std::int64_t, std::size_t> masks;
  for (const std::int64_t value : asked) {
    const auto [place, is_new] = masks.emplace(value, set.masks.size());
    set.of_query.push_back(place->second);
    if (!is_new) continue;
    Mask mask(values.size());
    for (std::size_t r = 0; r < values.size(); ++r) mask[r] = values[r] == value ? 1 : 0;
    set.masks.push_back(std::move(mask));
  }
  std::size_t matches = 0;
  for (const std::size_t m : set.of_query) {
    matches += static_cast<std::size_t>(std::count(set.masks[m].begin(), set.masks[m].end(), 1));
  }
  set.selectivity = static_cast<double>(matches) / static_cast<double>(values.size()) /
                    static_cast<double>(std::max<std::size_t>(1, asked.size()));
  return set;
}

}  // namespace concord::bench
