// Writes changed rows into the mirror: thread j of all copies one id.
#pragma once

#include "cuda/views.hpp"

namespace concord::cuda {

/// Copies id `position` of the count × width ids of the task.
CONCORD_HD inline void scatter_id(const ScatterTask& task, std::size_t position) {
  const std::size_t row = position / task.width;
  task.rows[static_cast<std::size_t>(task.row_index[row]) * task.width + position % task.width] =
      task.ids[position];
}

}  // namespace concord::cuda
