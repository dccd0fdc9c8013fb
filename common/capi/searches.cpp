// Searches of the C interface.

#include <concord/c/search.h>

#include <algorithm>
#include <concord/exact.hpp>

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/options.hpp"
#include "common/capi/rows.hpp"
#include "common/capi/structs.hpp"

using namespace concord;
using namespace concord::capi;

namespace {

/// Copies results to the caller's arrays. Throws Error(dimension_mismatch) unless they fit.
void copy_to(const Hits& hits, const SearchResult& result) {
  if (hits.labels.cols != result.k) {
    throw Error(ErrorCode::dimension_mismatch,
                "hits.k is " + std::to_string(hits.labels.cols) + ", and rows of results have " +
                    std::to_string(result.k) + " places; both must be equal");
  }
  std::copy(result.labels.begin(), result.labels.end(), hits.labels.data);
  std::copy(result.distances.begin(), result.distances.end(), hits.distances.data);
  std::copy(result.counts.begin(), result.counts.end(), hits.counts.data());
}

struct OwnedRange : concord_range_result {
  explicit OwnedRange(RangeResult result) : concord_range_result{}, data(std::move(result)) {
    struct_size = sizeof(concord_range_result);
    queries = data.lims.size() - 1;
    lims = data.lims.data();
    labels = data.labels.data();
    distances = data.distances.data();
  }
  RangeResult data;
};

}  // namespace

concord_status concord_index_search(const concord_index* index, const concord_matrix* queries,
                                    const concord_search_params* params, const concord_hits* hits) {
  return guarded([&] {
    Rows rows(queries, "queries");
    const SearchRequest request(params, rows.count());
    Hits out(hits, rows.count());
    read(index, [&](const auto& of) {
      of.search(rows.floats(), request.params, request.options, out.labels, out.distances,
                out.counts);
    });
  });
}

concord_status concord_index_exact_search(const concord_index* index, const concord_matrix* queries,
                                          const concord_search_params* params,
                                          const concord_hits* hits) {
  return guarded([&] {
    Rows rows(queries, "queries");
    const SearchRequest request(params, rows.count());
    const Hits out(hits, rows.count());
    copy_to(out, read(index, [&](const auto& of) {
              return of.exact_search(rows.floats(), request.params.k, request.options);
            }));
  });
}

concord_status concord_exact_knn(const concord_matrix* vectors, const concord_matrix* queries,
                                 const concord_exact_params* params, const concord_hits* hits) {
  return guarded([&] {
    Rows of(vectors, "vectors");
    Rows rows(queries, "queries");
    const auto given = read_options(params, default_exact_params(), "concord_exact_params");
    const Hits out(hits, rows.count());
    copy_to(out, exact_knn(of.floats(), rows.floats(), given.k, exact_params_of(given)));
  });
}

concord_status concord_index_range_search(const concord_index* index, const concord_matrix* queries,
                                          float radius, const concord_range_params* params,
                                          concord_range_result** result) {
  return guarded([&] {
    expect(result, "result");
    Rows rows(queries, "queries");
    const RangeRequest request(params, rows.count());
    *result = new OwnedRange(read(index, [&](const auto& of) {
      return of.range_search(rows.floats(), radius, request.params, request.options);
    }));
  });
}

void concord_range_result_free(concord_range_result* result) {
  delete static_cast<OwnedRange*>(result);
}

concord_status concord_cursor_create(const concord_index* index, const concord_matrix* query,
                                     const concord_search_params* params, concord_cursor** cursor) {
  return guarded([&] {
    expect(cursor, "cursor");
    Rows row(query, "query");
    if (row.count() != 1) {
      throw Error(ErrorCode::dimension_mismatch,
                  "a cursor takes one query, not " + std::to_string(row.count()) + " rows");
    }
    const SearchRequest request(params, 1);
    const MatrixView<const float> floats = row.floats();
    give(cursor, read(index, [&](const auto& of) {
           return of.cursor(floats[0], request.params, request.options);
         }));
  });
}

concord_status concord_cursor_next(concord_cursor* cursor, uint32_t k, uint64_t* labels,
                                   float* distances, size_t* count) {
  return guarded([&] {
    concord_cursor& of = expect(cursor, "cursor");
    expect(count, "count");
    const auto out_labels = array_of(labels, k, "labels");
    const auto out_distances = array_of(distances, k, "distances");
    const SearchResult page = of.cursor.next(k);
    std::copy(page.labels.begin(), page.labels.end(), out_labels.begin());
    std::copy(page.distances.begin(), page.distances.end(), out_distances.begin());
    *count = page.counts.at(0);
  });
}

size_t concord_cursor_given(const concord_cursor* cursor) {
  return cursor == nullptr ? 0 : cursor->cursor.given();
}

void concord_cursor_free(concord_cursor* cursor) { delete cursor; }
