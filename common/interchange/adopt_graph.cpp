#include "common/interchange/adopt_graph.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "common/build/builder.hpp"
#include "common/index/index_access.hpp"
#include "common/interchange/linked_proposer.hpp"
#include "common/interchange/living_copy.hpp"

namespace concord::interchange {
namespace {

Index adopt_all(const ForeignIndex& foreign, MatrixView<const float> vectors,
                RuntimeOptions options) {
  const auto fill = [&](const IndexAccess::Construction& parts) {
    parts.contents.graph.reserve(vectors.rows);
    parts.contents.vectors.resize(vectors.rows);
    parts.contents.vectors.write(0, vectors, parts.pool);
    parts.contents.labels.append(foreign.labels, vectors.rows, 0);
    parts.contents.announce(foreign.size(), {}, parts.pool);
    const KnownLinks links(foreign, parts.contents.graph.copies());
    LinkedProposer proposer(parts, links);
    core::insert_announced(parts.contents.graph, parts.committer, proposer, {});
  };
  return IndexAccess::construct(foreign.params, std::move(options), fill);
}

/// Vectors that the file marks as deleted are removed after all are there, so that their neighbors
/// are linked with one another as in any removal.
Index adopt_graph(const ForeignIndex& foreign, MatrixView<const float> vectors,
                  RuntimeOptions options) {
  if (foreign.removed.empty()) return adopt_all(foreign, vectors, std::move(options));
  Index index = adopt_all(foreign, vectors, {options.threads, "cpu", 0, {}});
  index.remove(foreign.removed);
  index.flush();
  return renumbered(index, std::move(options));
}

Index adopt_vectors(const ForeignIndex& foreign, MatrixView<const float> vectors,
                    RuntimeOptions options) {
  const std::unordered_set<std::uint64_t> removed(foreign.removed.begin(), foreign.removed.end());
  std::vector<std::size_t> rows;  // that live
  std::vector<std::uint64_t> labels;
  for (std::size_t row = 0; row < vectors.rows; ++row) {
    if (removed.contains(foreign.labels[row])) continue;
    rows.push_back(row);
    labels.push_back(foreign.labels[row]);
  }
  const RowSource runs = [&](std::size_t first) {
    std::size_t end = first + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    return vectors.rows_from(rows[first], end - first);
  };
  Index index(foreign.params, std::move(options));
  index.add_from(runs, rows.size(), labels);
  return index;
}

}  // namespace

Index make_index(const ForeignIndex& foreign, Adopt adopt, RuntimeOptions options,
                 const InputFile& file) {
  if (std::find(foreign.labels.begin(), foreign.labels.end(), kNoLabel) != foreign.labels.end()) {
    file.refuse_unsupported("its label " + std::to_string(kNoLabel) +
                            " stands for no label in results");
  }
  const MatrixView<const float> vectors(foreign.vectors.data(), foreign.size(),
                                        foreign.params.dimension);
  try {
    return adopt == Adopt::graph ? adopt_graph(foreign, vectors, std::move(options))
                                 : adopt_vectors(foreign, vectors, std::move(options));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_vector && error.code() != ErrorCode::duplicate_label)
      throw;
    file.refuse(error.what());
  }
}

}  // namespace concord::interchange
