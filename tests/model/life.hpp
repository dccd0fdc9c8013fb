// The life of an index as a sequence of random operations, each checked against a naive oracle.
//
// The oracle (history.hpp) knows the vectors in their order and computes every distance anew. Half
// of the lives are durable, one in four has a device, which may be lost. A small index is audited
// after each operation. An operation means something in every state: any subsequence of a life is a
// life, which shrinking needs.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace concord::test {

struct Operation {
  enum Kind : std::uint8_t {
    add,
    add_one,
    add_refused,    ///< a NaN, a wrong dimension or a label that is there
    add_cancelled,  ///< by its progress callback
    remove,
    remove_refused,  ///< a label that is not there or twice in the call; the same as an update
    update,          ///< sometimes cancelled
    upsert,
    flush,
    search,
    search_many,  ///< a device answers them, if there is one
    exact_search,
    look_up,
    save,
    load,    ///< the last saved state takes the index's place
    map,     ///< the last saved state, mapped, answers
    reopen,  ///< the durable index is closed and opened
    crash,   ///< its files as they are on disk take its place, with a torn record at the end
    compact,
    runtime,  ///< another number of threads, and a device that works again
    lose_device,
    audit,
    rebuild,  ///< all operations again, by another split: the same digest
    kinds
  };
  Kind kind;
  std::uint64_t draw;  ///< decides all else about it
};
std::ostream& operator<<(std::ostream& out, const Operation& operation);

/// A life of `count` operations.
std::vector<Operation> make_life(std::uint64_t seed, std::size_t count);

/// Lives it; what differed from the oracle, and where, if anything did. `lies`: the oracle takes
/// some vectors for others, to show that the check sees it.
std::optional<std::string> live(std::uint64_t seed, const std::vector<Operation>& life,
                                bool lies = false);

}  // namespace concord::test
