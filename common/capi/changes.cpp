// Changing an index through the C interface.

#include <concord/c/index.h>

#include <algorithm>

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/options.hpp"
#include "common/capi/rows.hpp"

using namespace concord;
using namespace concord::capi;

namespace {

void tell(std::size_t* count, std::size_t number) noexcept {
  if (count != nullptr) *count = number;
}

/// Adds rows of any element: floats where they are, others in pieces.
template <class AnyIndex>
std::size_t add_rows(AnyIndex& index, Rows& rows, const std::uint64_t* labels,
                     const ProgressCallback& progress) {
  const auto given =
      labels == nullptr ? std::span<const std::uint64_t>{} : std::span(labels, rows.count());
  if (rows.are_floats() || rows.count() == 0) {
    return given.empty() ? index.add(rows.floats(), progress)
                         : index.add(rows.floats(), given, progress);
  }
  return index.add_from(
      [&](std::size_t first) {
        return rows.floats(first, std::min(rows.count() - first, rows.rows_of_a_piece()));
      },
      rows.count(), given, progress);
}

using LabelSpan = std::span<const std::uint64_t>;

/// Calls change(rows, labels), which replaces the vectors of these labels and returns how many.
template <class Change>
concord_status replace(const concord_matrix* vectors, const std::uint64_t* labels,
                       std::size_t* count, const Change& change) {
  return guarded([&] {
    Rows rows(vectors, "vectors");
    const LabelSpan given = array_of(labels, rows.count(), "labels");
    tell(count, change(rows.floats(), given));
  });
}

}  // namespace

concord_status concord_index_add(concord_index* index, const concord_matrix* vectors,
                                 const uint64_t* labels, concord_progress progress, void* context,
                                 size_t* count) {
  return guarded([&] {
    Rows rows(vectors, "vectors");
    tell(count, change(index, [&](auto& of) {
           return add_rows(of, rows, labels, progress_of(progress, context));
         }));
  });
}

concord_status concord_index_add_from(concord_index* index, concord_row_source source,
                                      void* source_context, size_t rows, const uint64_t* labels,
                                      concord_progress progress, void* context, size_t* count) {
  return guarded([&] {
    expect(source, "source");
    std::optional<Rows> piece;  // of the last call, for as long as the addition needs it
    const RowSource next = [&](std::size_t first) {
      concord_matrix matrix = {};
      if (source(source_context, first, &matrix) != 0) throw Cancelled("source of rows");
      return piece.emplace(&matrix, "rows").floats();
    };
    const auto given =
        labels == nullptr ? std::span<const std::uint64_t>{} : std::span(labels, rows);
    tell(count, change(index, [&](auto& of) {
           return of.add_from(next, rows, given, progress_of(progress, context));
         }));
  });
}

concord_status concord_index_update(concord_index* index, const concord_matrix* vectors,
                                    const uint64_t* labels, concord_progress progress,
                                    void* context, size_t* count) {
  return replace(vectors, labels, count, [&](MatrixView<const float> rows, LabelSpan given) {
    return change(index,
                  [&](auto& of) { return of.update(rows, given, progress_of(progress, context)); });
  });
}

concord_status concord_index_upsert(concord_index* index, const concord_matrix* vectors,
                                    const uint64_t* labels, concord_progress progress,
                                    void* context, size_t* count) {
  return replace(vectors, labels, count, [&](MatrixView<const float> rows, LabelSpan given) {
    return change(index,
                  [&](auto& of) { return of.upsert(rows, given, progress_of(progress, context)); });
  });
}

concord_status concord_index_remove(concord_index* index, const uint64_t* labels,
                                    size_t label_count, size_t* count) {
  return guarded([&] {
    const auto given = array_of(labels, label_count, "labels");
    tell(count, change(index, [&](auto& of) { return of.remove(given); }));
  });
}

concord_status concord_index_flush(concord_index* index) {
  return guarded([&] { change(index, [](auto& of) { of.flush(); }); });
}

concord_status concord_index_set_runtime(concord_index* index,
                                         const concord_runtime_options* options) {
  return guarded([&] {
    change(index, [&](auto& of) {
      if constexpr (std::is_same_v<decltype(of), ShardedIndex&>) {
        of.set_runtime(shard_runtime_of(options));
      } else {
        of.set_runtime(runtime_of(options));
      }
    });
  });
}
