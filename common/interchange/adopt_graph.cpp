#include "common/interchange/adopt_graph.hpp"

#include <algorithm>

#include "common/builder.hpp"
#include "common/index_access.hpp"
#include "common/interchange/linked_proposer.hpp"

namespace concord::interchange {
namespace {

Index adopt_vectors(const ForeignIndex& foreign, MatrixView<const float> vectors,
                    RuntimeOptions options) {
  Index index(foreign.params, std::move(options));
  index.add(vectors, foreign.labels);
  return index;
}

Index adopt_graph(const ForeignIndex& foreign, MatrixView<const float> vectors,
                  RuntimeOptions options) {
  const KnownLinks links(foreign);
  const auto fill = [&](const IndexAccess::Construction& parts) {
    parts.graph.reserve(vectors.rows);
    parts.vectors.resize(vectors.rows);
    parts.vectors.write(0, vectors, parts.pool);
    parts.labels.append(foreign.labels, vectors.rows);
    parts.graph.announce(foreign.size());
    LinkedProposer proposer(parts, links);
    core::insert_announced(parts.graph, parts.committer, proposer, {});
  };
  return IndexAccess::construct(foreign.params, std::move(options), fill);
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
