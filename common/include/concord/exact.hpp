// concord::exact_knn: the exact nearest neighbors among vectors that are in no index.
#pragma once

#include <concord/export.hpp>
#include <concord/index.hpp>
#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstdint>

namespace concord {

/// How exact_knn works.
struct ExactParams {
  Metric metric = Metric::l2sq;
  unsigned threads = 0;  ///< 0 … 1,024, the calling thread included; 0 = one per hardware thread
  /// Receives how many queries are answered, on the calling thread, at most every 20 ms and once at
  /// the end. Returning false ends the call early: rows that are not answered are padding.
  ProgressCallback progress;
};

/// The exact `k` nearest of the rows of `vectors` ([n × dimension]) for each row of `queries`
/// ([q × dimension]). Labels are numbers of rows. The result is the same to the last bit as that of
/// Index::exact_search of an index of these vectors, with any number of threads.
///
/// No graph is built. A copy of the vectors is made in their stored form, normalised for cosine,
/// and as bytes where that is exact. Throws Error(dimension_mismatch, invalid_vector,
/// invalid_parameter, capacity, out_of_memory). Runs on the CPU. Thread-safety: any thread.
/// O(q · n · dimension).
[[nodiscard]] CONCORD_API SearchResult exact_knn(MatrixView<const float> vectors,
                                                 MatrixView<const float> queries, std::uint32_t k,
                                                 const ExactParams& params = {});

}  // namespace concord
