// From a foreign index to an Index, with all invariants.
//
// How a graph is adopted: its vectors are inserted in the order of the file, by the one writer
// there is, with the file's links in place of proposals (LinkedProposer). So edges become two-sided
// and anchored as they are written, rows are cut at seals by the selection heuristic, and nothing
// of the file has to be believed: a file whose links are useless gives a valid index that finds
// little.
#pragma once

#include "common/interchange/foreign_index.hpp"
#include "common/interchange/input_file.hpp"

namespace concord::interchange {

/// `file` refuses what the index would not take: vectors, labels.
Index make_index(const ForeignIndex& foreign, Adopt adopt, RuntimeOptions options,
                 const InputFile& file);

}  // namespace concord::interchange
