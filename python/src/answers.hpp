// Where the answers of a search go: new numpy arrays, or the caller's.
//
// New labels are int64 if all labels of the index fit, else uint64; the caller's array may be
// either. "No label" is -1 in int64. Thread-safety: make and destroy with the GIL held; views may
// be written without it.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/index.hpp>
#include <cstdint>
#include <optional>

#include "array.hpp"

namespace concord::python {

class Answers {
 public:
  /// `out` is None or a pair (labels, distances). `flat`: new arrays are [k], not [queries, k].
  /// Throws ArrayTypeError and Error(dimension_mismatch) where `out` does not fit.
  Answers(std::size_t queries, std::size_t k, bool flat, nanobind::handle out);

  [[nodiscard]] MatrixView<std::uint64_t> labels() const noexcept;
  [[nodiscard]] MatrixView<float> distances() const noexcept;
  /// Writes `result` to rows from `first` on.
  void put(const SearchResult& result, std::size_t first) const noexcept;
  /// The caller's arrays, or new ones; `labels_fit` int64.
  [[nodiscard]] nanobind::object arrays(bool labels_fit) const;

 private:
  void check(const Array& array, bool has_type, const char* types) const;

  std::size_t queries_;
  std::size_t k_;
  const bool are_new_;
  nanobind::object pair_;
  std::optional<Array> labels_;
  std::optional<Array> distances_;
};

}  // namespace concord::python
