// Where the answers of a search go: new numpy arrays, or the caller's.
//
// Labels are uint64; the caller's array may be int64 too, which shows "no label" as -1.
// Thread-safety: make and destroy with the GIL held; views may be written without it.
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
  [[nodiscard]] nanobind::object arrays() const { return pair_; }

 private:
  void check(const Array& array, bool has_type, const char* types) const;

  std::size_t queries_;
  std::size_t k_;
  nanobind::object pair_;
  std::optional<Array> labels_;
  std::optional<Array> distances_;
};

}  // namespace concord::python
