#include "answers.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <limits>
#include <string>

#include "errors.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

// Kept for the life of the process: looked up once, not once a query.
nb::object empty_array(std::size_t queries, std::size_t k, bool flat, const char* type) {
  static const nb::handle empty = nb::object(nb::module_::import_("numpy").attr("empty")).release();
  return flat ? empty(k, type) : empty(nb::make_tuple(queries, k), type);
}

// A tuple of a class that adds methods, made as tuple itself makes it: for those who unpack it
// there is no call of Python in it.
nb::object matches_of(nb::object labels, nb::object distances) {
  static const nb::handle type =
      nb::object(nb::module_::import_("concord.matches").attr("Matches")).release();
  const nb::object pair =
      nb::steal(PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type.ptr()), 2));
  if (!pair.is_valid()) nb::raise_python_error();
  PyTuple_SetItem(pair.ptr(), 0, labels.release().ptr());
  PyTuple_SetItem(pair.ptr(), 1, distances.release().ptr());
  return pair;
}

}  // namespace

Answers::Answers(std::size_t queries, std::size_t k, bool flat, nb::handle out)
    : queries_(queries), k_(k), are_new_(out.is_none()) {
  if (are_new_) {
    pair_ =
        nb::make_tuple(empty_array(queries, k, flat, "i8"), empty_array(queries, k, flat, "f4"));
  } else {
    if (!nb::isinstance<nb::tuple>(out) || nb::len(out) != 2) {
      throw ArrayTypeError("out must be a tuple (labels, distances) of arrays");
    }
    pair_ = nb::borrow(out);
  }
  labels_.emplace(nb::object(pair_[0]), "labels of out", true);
  distances_.emplace(nb::object(pair_[1]), "distances of out", true);
  if (are_new_) return;
  check(*labels_, labels_->is_matrix_of(DType::uint64) || labels_->is_matrix_of(DType::int64),
        "uint64 or int64");
  check(*distances_, distances_->is_matrix_of(DType::float32), "float32");
}

void Answers::check(const Array& array, bool has_type, const char* types) const {
  if (!has_type) {
    throw ArrayTypeError(std::string(array.name()) + " must be " + types +
                         ", with the elements of a row side by side");
  }
  if (array.rows() != queries_ || array.cols() != k_) {
    throw Error(ErrorCode::dimension_mismatch,
                std::string(array.name()) + " are " + std::to_string(array.rows()) + " x " +
                    std::to_string(array.cols()) + ", " + std::to_string(queries_) + " x " +
                    std::to_string(k_) + " are needed");
  }
}

MatrixView<std::uint64_t> Answers::labels() const noexcept {
  return {reinterpret_cast<std::uint64_t*>(labels_->data()), queries_, k_,
          labels_->matrix_stride()};
}

MatrixView<float> Answers::distances() const noexcept {
  return {reinterpret_cast<float*>(distances_->data()), queries_, k_, distances_->matrix_stride()};
}

bool Answers::fit_int64() const noexcept {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  for (std::size_t q = 0; q < queries_; ++q) {
    const auto fits = [](std::uint64_t label) { return label <= kMost || label == kNoLabel; };
    if (!std::all_of(labels().row(q), labels().row(q) + k_, fits)) return false;
  }
  return true;
}

nb::object Answers::arrays(bool labels_fit) const {
  if (!are_new_ || (labels_fit && fit_int64())) return matches_of(pair_[0], pair_[1]);
  return matches_of(pair_[0].attr("view")("u8"), pair_[1]);
}

void Answers::leave_empty(std::size_t first) const noexcept {
  for (std::size_t q = first; q < queries_; ++q) {
    std::fill_n(labels().row(q), k_, kNoLabel);
    std::fill_n(distances().row(q), k_, std::numeric_limits<float>::infinity());
  }
}

void Answers::put(const SearchResult& result, std::size_t first) const noexcept {
  for (std::size_t q = 0; q < result.queries; ++q) {
    std::copy_n(result.labels.data() + q * k_, k_, labels().row(first + q));
    std::copy_n(result.distances.data() + q * k_, k_, distances().row(first + q));
  }
}

}  // namespace concord::python
