// Turns a foreign index into an Index with all invariants.
//
// The writer inserts the vectors in the order of the file, with the file's links in place of
// proposals (LinkedProposer). So edges become two-sided and anchored as they are written, and seals
// cut long lists by the selection heuristic. Nothing in the file is trusted: a file whose links are
// useless gives a valid index that finds little.
#pragma once

#include "common/interchange/foreign_index.hpp"
#include "common/interchange/input_file.hpp"

namespace concord::interchange {

/// `file` refuses what the index would not take: vectors, labels.
Index make_index(const ForeignIndex& foreign, Adopt adopt, RuntimeOptions options,
                 const InputFile& file);

}  // namespace concord::interchange
