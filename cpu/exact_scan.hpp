// The exact nearest rows of a store without a graph.
//
// Thread-safety: any number of threads at once, while nobody writes to the store.
#pragma once

#include <concord/matrix_view.hpp>
#include <cstddef>
#include <functional>

#include "common/search/results.hpp"
#include "common/store/vector_store.hpp"
#include "common/threads/thread_pool.hpp"
#include "cpu/distance.hpp"

namespace concord::cpu {

/// For each query the k nearest of the rows [0, rows), as sorted keys. Throws Error(invalid_vector)
/// for the first bad query. The calling thread asks go_on(queries answered) between blocks of
/// queries; after false the others keep the keys and counts that they had, and the call returns
/// false.
bool exact_scan(const core::VectorStore& vectors, std::size_t rows, const MetricKernels& kernels,
                MatrixView<const float> queries, const core::KNearest& results,
                core::ThreadPool& pool, const std::function<bool(std::size_t)>& go_on);

}  // namespace concord::cpu
