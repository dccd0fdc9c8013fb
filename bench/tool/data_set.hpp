// The input of a benchmark: vectors to index, queries, and their true neighbors if the input has
// them.
#pragma once

#include <concord/params.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

/// Where the data come from, as given on the command line.
struct DataSource {
  std::filesystem::path dataset;  ///< a file; or
  std::string synthetic;          ///< "n,d[,seed]", with
  std::size_t intrinsic = 16;     ///< so many latent dimensions and
  std::size_t clusters = 256;     ///< clusters
  std::string column;             ///< of files of vectors that have several
  std::filesystem::path queries;
  std::filesystem::path ground_truth;
  std::optional<Metric> metric;  ///< overrides the file's
  std::size_t limit = 0;         ///< first vectors of train; 0 = all
  std::size_t limit_queries = 0;
  unsigned threads = 0;  ///< that generate synthetic data
};

struct DataSet {
  std::string name;
  Metric metric = Metric::l2sq;
  FloatMatrix train;
  FloatMatrix queries;
  IdMatrix neighbors;        ///< of the input; empty if it has none or they cannot hold
  std::string queries_from;  ///< for result documents
};

enum class Need {
  train,              ///< vectors only
  train_and_queries,  ///< without a file of queries some vectors are held out
  queries,            ///< queries only: of .hdf5 its test set, of a vector file all rows
};

/// Throws InputError for anything wrong with the source.
DataSet load_data_set(const DataSource& source, Need need);

}  // namespace concord::bench
