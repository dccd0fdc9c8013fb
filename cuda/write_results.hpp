// Results of a search in the caller's device memory: what each thread does.
//
// Thread-safety: a call writes its own places alone. Compiles without CUDA headers.
#pragma once

#include <concord/index.hpp>
#include <limits>

#include "cuda/views.hpp"

namespace concord::cuda {

/// Place `place` < k of a query.
CONCORD_HD inline void write_result(const ResultTask& task, std::uint32_t query,
                                    std::uint32_t place) {
  const std::uint32_t found = task.found[query];
  const Key key = task.keys[std::size_t{query} * task.k + place];
  const bool is_there = place < found;
  task.labels[query * task.labels_stride + place] =
      is_there ? task.label_of[core::key_id(key)] : kNoLabel;
  task.distances[query * task.distances_stride + place] =
      is_there ? core::key_distance(key) : std::numeric_limits<float>::infinity();
  if (place == 0) task.counts[query] = found;
}

}  // namespace concord::cuda
