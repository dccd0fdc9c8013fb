// Which ids a search may return.
//
// An Accept is a function object: accept(id) tells whether an id may be a result, the same as long
// as the search lasts. At most accept.others() ids of the graph are not accepted.
//
// Definition. A beam search of width ef keeps the ef nearest accepted ids that it has seen, and all
// others that it has seen. It expands the closest candidate of both that is not expanded, as long
// as that is nearer than the last of ef accepted ones. A reach (reach.hpp) is measured by accepted
// ids, and results are collected from them (results.hpp). So an id that is not accepted takes no
// result's place, and the search walks through it: behind a thousand of them it finds what is
// accepted. Greedy descent does not ask.
//
// The others cost a hop each where they are near. This is for the few that were removed; a filter
// that accepts few ids needs another walk.
// Thread-safety: const.
#pragma once

#include "common/base/key.hpp"

namespace concord::core {

struct AllIds {
  CONCORD_HD constexpr bool operator()(NodeId /*id*/) const noexcept { return true; }
  [[nodiscard]] CONCORD_HD static constexpr std::uint32_t others() noexcept { return 0; }
};

}  // namespace concord::core
