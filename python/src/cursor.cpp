// Cursors.
#include "cursor.hpp"

#include <optional>
#include <string>

#include "answers.hpp"
#include "gil.hpp"
#include "number.hpp"
#include "pieces.hpp"

namespace nb = nanobind;

namespace concord::python {

template <class Core>
PythonCursor* PythonIndexOf<Core>::cursor(nb::handle query, nb::handle ef, nb::handle slack,
                                          nb::handle filter) const {
  const Array rows(query, "query");
  if (rows.on_device()) {
    throw Error(ErrorCode::unsupported, "a cursor reads its query from host memory only");
  }
  if (rows.rows() != 1) {
    throw Error(ErrorCode::dimension_mismatch,
                std::to_string(rows.rows()) + " queries are given; a cursor has one");
  }
  const SearchParams how{1, number32(ef, "ef"), real_number(slack, "slack")};
  const SearchOptions among{filter.is_none() ? nullptr : nb::cast<const Filter*>(filter), {}};
  const Reading reading(*lock_);
  use_first(used_links_, [&] { (void)index_->search({}, {}); });
  std::optional<Cursor> made;
  in_pieces(
      rows, nb::none(), [] { return std::size_t{1}; },
      [&](std::size_t /*first*/, MatrixView<const float> row) {
        made = index_->cursor(row[0], how, among);
      });
  return new PythonCursor([this](PythonCursor& of, nb::handle k) { return next_page(of, k); },
                          std::move(*made));
}

template <class Core>
nb::object PythonIndexOf<Core>::next_page(PythonCursor& cursor, nb::handle k) const {
  const std::uint32_t wanted = number32(k, "k");
  const std::unique_lock<IndexLock> turn(cursor.turns);
  const Reading reading(*lock_);
  SearchResult page;
  {
    const WithoutGil released;
    page = cursor.cursor.next(wanted);
    page.k = page.counts[0];  // one query: what is found stands first
  }
  const Answers answers(1, page.k, true, nb::none());
  answers.put(page, 0);
  return answers.arrays(labels_fit());
}

template PythonCursor* PythonIndexOf<Index>::cursor(nb::handle, nb::handle, nb::handle,
                                                    nb::handle) const;
template PythonCursor* PythonIndexOf<ShardedIndex>::cursor(nb::handle, nb::handle, nb::handle,
                                                           nb::handle) const;
template nb::object PythonIndexOf<Index>::next_page(PythonCursor&, nb::handle) const;
template nb::object PythonIndexOf<ShardedIndex>::next_page(PythonCursor&, nb::handle) const;

}  // namespace concord::python
