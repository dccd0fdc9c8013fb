#include "bench/data_set.hpp"

#include <algorithm>

#include "bench/hdf5_file.hpp"
#include "bench/synthetic.hpp"
#include "bench/vec_files.hpp"

namespace concord::bench {
namespace {

constexpr std::size_t kHeldOut = 1000;  // queries where the input has none of its own

std::size_t or_all(std::size_t limit) { return limit == 0 ? kAllRows : limit; }

/// The metric that the names of ann-benchmarks stand for.
Metric stated_metric(const std::string& distance, const std::string& path) {
  if (distance.empty()) return Metric::l2sq;
  if (distance == "euclidean") return Metric::l2sq;
  if (distance == "angular") return Metric::cosine;
  if (distance == "dot" || distance == "ip") return Metric::inner_product;
  throw InputError(path + ": its distance is \"" + distance +
                   "\"; Concord has euclidean, angular and dot (--metric overrules)");
}

DataSet load_hdf5(const DataSource& source, Need need) {
  const Hdf5Wanted wanted{need != Need::queries, need != Need::train, need != Need::train};
  Hdf5Contents contents =
      read_hdf5(source.dataset, wanted, or_all(source.limit), or_all(source.limit_queries));
  DataSet data;
  data.metric =
      source.metric ? *source.metric : stated_metric(contents.distance, source.dataset.string());
  if (wanted.train && contents.train_rows == 0) {
    throw InputError(source.dataset.string() + ": has no vectors (data set \"train\")");
  }
  const bool cut = source.limit != 0 && source.limit < contents.train_rows;
  const bool same_metric =
      contents.distance.empty() || stated_metric(contents.distance, "") == data.metric;
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
  FloatMatrix vectors = read_vectors(source.dataset, limit);
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
    data.queries = read_vectors(source.queries, or_all(source.limit_queries));
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
    throw InputError("give the data by --dataset FILE or by --synthetic n,d (one of them)");
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
  } else if (source.dataset.extension() == ".hdf5" || source.dataset.extension() == ".h5") {
    data = load_hdf5(source, need);
    data.name = source.dataset.filename().string();
  } else if (is_vector_file(source.dataset)) {
    data = load_vector_file(source, need);
    data.name = source.dataset.filename().string();
  } else {
    throw InputError(source.dataset.string() + ": unknown file type; allowed are .hdf5, " +
                     vector_file_extensions());
  }
  if (need == Need::train) return data;

  add_stated_files(data, source);
  if (data.queries.empty()) {
    if (need == Need::queries) throw InputError(data.name + ": has no queries; give --queries");
    hold_out(data, source.limit_queries == 0 ? kHeldOut : source.limit_queries);
  }
  if (!data.train.empty() && data.queries.cols != data.train.cols) {
    throw InputError(data.name + ": queries have dimension " + std::to_string(data.queries.cols) +
                     ", the vectors " + std::to_string(data.train.cols));
  }
  return data;
}

}  // namespace concord::bench
