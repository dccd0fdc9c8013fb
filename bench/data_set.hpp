// What a benchmark runs on: vectors to index, queries, and neighbors where the input states them.
#pragma once

#include <concord/params.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "bench/matrix.hpp"

namespace concord::bench {

/// Where the data come from, as given on the command line.
struct DataSource {
  std::filesystem::path dataset;  ///< a file; or
  std::string synthetic;          ///< "n,d[,seed]", with
  std::size_t intrinsic = 16;     ///< so many latent dimensions and
  std::size_t clusters = 256;     ///< clusters
  std::filesystem::path queries;
  std::filesystem::path ground_truth;
  std::optional<Metric> metric;  ///< overrules the file's
  std::size_t limit = 0;         ///< first vectors of train; 0 = all
  std::size_t limit_queries = 0;
  unsigned threads = 0;  ///< to generate synthetic data with
};

struct DataSet {
  std::string name;
  Metric metric = Metric::l2sq;
  FloatMatrix train;
  FloatMatrix queries;
  IdMatrix neighbors;  ///< stated by the input; empty where none are, or where they cannot hold
  std::string queries_from;  ///< for reports
};

enum class Need {
  train,              ///< vectors only
  train_and_queries,  ///< without a file of queries some vectors are held out
  queries,            ///< queries only: of .hdf5 its test set, of a vector file all rows
};

/// Throws InputError for anything wrong with the source.
DataSet load_data_set(const DataSource& source, Need need);

}  // namespace concord::bench
