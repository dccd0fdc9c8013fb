// What changes of an index have in common: labels as arguments, and turns.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include "index.hpp"

namespace concord::python {

inline bool fit_int64(std::span<const std::uint64_t> labels) noexcept {
  return std::none_of(labels.begin(), labels.end(),
                      [](std::uint64_t label) { return label >> 63 != 0; });
}

/// `array` is of uint64, with one dimension.
inline std::span<const std::uint64_t> labels_of(const Array& array) {
  return {reinterpret_cast<const std::uint64_t*>(array.data()), array.cols()};
}

inline void expect_one_each(std::span<const std::uint64_t> labels, const Array& rows) {
  if (labels.size() == rows.rows()) return;
  throw Error(ErrorCode::dimension_mismatch, std::to_string(labels.size()) + " labels for " +
                                                 std::to_string(rows.rows()) +
                                                 " vectors; there must be one each");
}

/// `work` in its turn; `labels` are those that it may bring.
template <class Core>
template <class Work>
std::size_t PythonIndexOf<Core>::change(std::span<const std::uint64_t> labels, const Work& work) {
  const Writing turn(changing_);
  const Reading beside_readers(*lock_);
  if (fit_int64(labels)) return work();
  *range_ = {true, false};  // before a search beside the change may find them
  try {
    return work();
  } catch (...) {
    range_->is_known = false;
    throw;
  }
}

}  // namespace concord::python
