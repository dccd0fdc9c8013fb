#include "bench/tool/data_set.hpp"

#include <algorithm>
#include <cmath>
#include <concord/error.hpp>

#include "bench/tool/file_type.hpp"
#include "bench/tool/hdf5_file.hpp"
#include "bench/tool/synthetic.hpp"
#include "bench/tool/vec_files.hpp"
#include "bench/tool/vector_input.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kMaxDimension = 65536;
constexpr std::size_t kHeldOut = 1000;  // queries taken from an input without queries

std::size_t or_all(std::size_t limit) { return limit == 0 ? kAllRows : limit; }

/// The metric that a file's `distance` names: a name of the library's, or euclidean, whose order
/// of neighbors is that of l2sq. Nothing for another name.
std::optional<Metric> stated_metric(const std::string& distance) {
  if (distance.empty() || lower_case(distance) == "euclidean") return Metric::l2sq;
  try {
    return metric_from_string(distance);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The metric that was asked for, or else the file's.
Metric chosen_metric(const DataSource& source, const std::string& distance) {
  if (source.metric) return *source.metric;
  if (const std::optional<Metric> stated = stated_metric(distance)) return *stated;
  throw InputError(source.dataset.string() + ": distance \"" + distance +
                   "\" is not supported; give --metric, which overrules it");
}

/// Refuses what an index would refuse, for data that never meet one: queries, and vectors that
/// only the exact search sees.
void check_finite(const FloatMatrix& vectors, const std::string& where) {
  for (std::size_t i = 0; i < vectors.values.size(); ++i) {
    if (std::isfinite(vectors.values[i])) continue;
    throw InputError(where + " " + std::to_string(i / vectors.cols) + " has " +
                     (std::isnan(vectors.values[i]) ? "a NaN" : "an infinity") + " at element " +
                     std::to_string(i % vectors.cols) + "; every element must be finite");
  }
}

void check_columns(const FloatMatrix& vectors, const std::string& where) {
  if (vectors.empty() || (vectors.cols >= 1 && vectors.cols <= kMaxDimension)) return;
  throw InputError(where + " have dimension " + std::to_string(vectors.cols) +
                   "; allowed are 1 to " + std::to_string(kMaxDimension));
}

DataSet load_hdf5(const DataSource& source, Need need) {
  const Hdf5Wanted wanted{need != Need::queries, need != Need::train, need != Need::train};
  Hdf5Contents contents =
      read_hdf5(source.dataset, wanted, or_all(source.limit), or_all(source.limit_queries));
  DataSet data;
  data.metric = chosen_metric(source, contents.distance);
  if (wanted.train && contents.train_rows == 0) {
    throw InputError(source.dataset.string() + ": has no vectors (data set \"train\")");
  }
  const bool cut = source.limit != 0 && source.limit < contents.train_rows;
  const bool same_metric =
      contents.distance.empty() || stated_metric(contents.distance) == data.metric;
  if (!cut && same_metric) data.neighbors = std::move(contents.neighbors);
  data.train = std::move(contents.train);
  data.queries = std::move(contents.test);
  data.queries_from = "test";
  return data;
}

DataSet load_synthetic(const DataSource& source, Need need) {
  SyntheticSpec spec = parse_synthetic(source.synthetic);
  spec.intrinsic = source.intrinsic;
  spec.clusters = source.clusters;
  DataSet data;
  data.metric = source.metric.value_or(Metric::l2sq);
  if (need != Need::queries) {
    data.train =
        synthetic_vectors(spec, 0, std::min(spec.rows, or_all(source.limit)), source.threads);
  }
  if (need != Need::train) {
    const std::size_t count = source.limit_queries == 0 ? kHeldOut : source.limit_queries;
    data.queries = synthetic_vectors(spec, spec.rows, count, source.threads);
  }
  data.queries_from = "generated after the vectors";
  return data;
}

DataSet load_vector_file(const DataSource& source, Need need) {
  DataSet data;
  data.metric = source.metric.value_or(Metric::l2sq);
  const bool as_queries = need == Need::queries;
  const std::size_t limit = or_all(as_queries ? source.limit_queries : source.limit);
  FloatMatrix vectors = read_vector_input(source.dataset, limit, source.column);
  if (vectors.empty()) throw InputError(source.dataset.string() + ": has no vectors");
  if (as_queries) {
    data.queries = std::move(vectors);
    data.queries_from = "all rows";
  } else {
    data.train = std::move(vectors);
  }
  return data;
}

/// Moves every (rows / count)-th vector to the queries.
void hold_out(DataSet& data, std::size_t count) {
  count = std::min(count, data.train.rows / 10);
  if (count == 0) {
    throw InputError(data.name + ": too few vectors to hold any out as queries; give --queries");
  }
  const std::size_t step = data.train.rows / count;
  const std::size_t cols = data.train.cols;
  data.queries = FloatMatrix(count, cols);
  std::size_t kept = 0;
  for (std::size_t r = 0; r < data.train.rows; ++r) {
    const bool held = r % step == step - 1 && r / step < count;
    float* const to = held ? data.queries.row(r / step) : data.train.row(kept++);
    if (to != data.train.row(r)) std::copy_n(data.train.row(r), cols, to);
  }
  data.train.truncate(kept);
  data.neighbors = {};
  data.queries_from = "held out: one vector of " + std::to_string(step);
}

void add_stated_files(DataSet& data, const DataSource& source) {
  if (!source.queries.empty()) {
    data.queries = read_vector_input(source.queries, or_all(source.limit_queries), source.column);
    data.neighbors = {};
    data.queries_from = source.queries.filename().string();
  }
  if (!source.ground_truth.empty()) {
    data.neighbors = read_ids(source.ground_truth, or_all(source.limit_queries));
    if (!data.queries.empty() && data.neighbors.rows < data.queries.rows) {
      throw InputError(source.ground_truth.string() + ": has " +
                       std::to_string(data.neighbors.rows) + " rows for " +
                       std::to_string(data.queries.rows) + " queries");
    }
  }
}

}  // namespace

DataSet load_data_set(const DataSource& source, Need need) {
  if (source.dataset.empty() == source.synthetic.empty()) {
    throw InputError("give either --dataset FILE or --synthetic n,d");
  }
  DataSet data;
  if (!source.synthetic.empty()) {
    data = load_synthetic(source, need);
    data.name = "synthetic " + source.synthetic;
    const SyntheticSpec usual;
    if (source.intrinsic != usual.intrinsic || source.clusters != usual.clusters) {
      data.name += " (intrinsic " + std::to_string(source.intrinsic) + ", " +
                   std::to_string(source.clusters) + " clusters)";
    }
  } else if (is_hdf5_file(source.dataset)) {
    data = load_hdf5(source, need);
    data.name = source.dataset.filename().string();
  } else if (is_vector_input(source.dataset)) {
    data = load_vector_file(source, need);
    data.name = source.dataset.filename().string();
  } else {
    throw InputError(source.dataset.string() + ": unknown file type; allowed are .hdf5, " +
                     vector_input_types());
  }
  check_columns(data.train, data.name + ": vectors");
  check_finite(data.train, data.name + ": vector");
  if (need == Need::train) return data;

  add_stated_files(data, source);
  check_columns(data.queries, data.name + ": queries");
  check_finite(data.queries, data.name + ": query");
  if (data.queries.empty()) {
    if (need == Need::queries) throw InputError(data.name + ": has no queries; give --queries");
    hold_out(data, source.limit_queries == 0 ? kHeldOut : source.limit_queries);
  }
  if (!data.train.empty() && data.queries.cols != data.train.cols) {
    throw InputError(data.name + ": queries have dimension " + std::to_string(data.queries.cols) +
                     ", but the vectors have " + std::to_string(data.train.cols));
  }
  return data;
}

}  // namespace concord::bench
