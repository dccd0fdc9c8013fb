// Where the answers of a search go: new numpy arrays, or the caller's; and vectors as new arrays.
//
// New labels are int64 if all labels of the index fit, else uint64; the caller's array may be
// either. "No label" is -1 in int64. Thread-safety: make and destroy with the GIL held; views may
// be written without it.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <concord/index.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "array.hpp"

namespace concord::python {

/// A new array of the values; `type` is a numpy type of T's size.
template <class T>
nanobind::object to_numpy(const std::vector<T>& values, const char* type) {
  const nanobind::object array =
      nanobind::module_::import_("numpy").attr("empty")(values.size(), type);
  const Array memory(array, "new array", true);
  std::copy(values.begin(), values.end(), reinterpret_cast<T*>(memory.data()));
  return array;
}

class Answers {
 public:
  /// `out` is None or a pair (labels, distances). `flat`: new arrays are [k], not [queries, k].
  /// Throws ArrayTypeError and Error(dimension_mismatch) where `out` does not fit.
  Answers(std::size_t queries, std::size_t k, bool flat, nanobind::handle out);

  [[nodiscard]] MatrixView<std::uint64_t> labels() const noexcept;
  [[nodiscard]] MatrixView<float> distances() const noexcept;
  /// Writes `result` to rows from `first` on.
  void put(const SearchResult& result, std::size_t first) const noexcept;
  /// Rows from `first` on have no neighbors.
  void leave_empty(std::size_t first) const noexcept;
  /// The caller's arrays, or new ones; `labels_fit` int64, if those of the answer do as well. A
  /// pair of the class Matches.
  [[nodiscard]] nanobind::object arrays(bool labels_fit) const;

 private:
  [[nodiscard]] bool fit_int64() const noexcept;
  void check(const Array& array, bool has_type, const char* types) const;

  std::size_t queries_;
  std::size_t k_;
  const bool are_new_;
  nanobind::object pair_;
  std::optional<Array> labels_;
  std::optional<Array> distances_;
};

}  // namespace concord::python
