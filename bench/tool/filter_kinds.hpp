// The sets of vectors that concord-bench filter lets match, of the kinds that searches with filters
// find easy and hard.
// Thread-safety: pure functions, but for Attribute's file.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/tool/data_set.hpp"
#include "bench/tool/matrix.hpp"

namespace concord::bench {

using Mask = std::vector<std::uint8_t>;  ///< a byte a row of train, not 0 where it matches

/// Some filters, and which of them each query has.
struct FilterSet {
  std::string kind;
  double selectivity = 1;  ///< asked for; of an attribute the mean of the filters
  std::vector<Mask> masks;
  std::vector<std::size_t> of_query;  ///< [queries]: number of a mask
};

/// random:  each row with the same probability
/// window:  rows that follow one another
/// cells:   the union of some of 256 Voronoi cells
/// near:    the rows nearest to the row that is nearest to the query
/// far:     the rows nearest to a row at the 90th percentile of distance from the query
/// Queries have ten filters in turn, so that no filter's vectors stay in the nearest caches; with
/// near and far, and cells, which are drawn anew, each of the ten or of the queries its own.
FilterSet make_filters(const DataSet& data, const std::string& kind, double selectivity,
                       unsigned threads);

/// Each query's filter is the rows with its own value: the data sets `name` and `test_name` of the
/// HDF5 file hold those of train and test.
FilterSet filters_by_attribute(const DataSource& source, const DataSet& data,
                               const std::string& name);

}  // namespace concord::bench
