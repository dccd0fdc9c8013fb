// The life of an index as a sequence of random operations, each checked against a naive oracle.
//
// The oracle knows the vectors in their order and computes every distance anew. Vectors are small
// whole numbers, so that its sums are exact and answers must be equal, not alike. An operation
// means something in every state: any subsequence of a life is a life, which shrinking needs.
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
    search,
    exact_search,
    look_up,
    save,
    load,    ///< the last saved state takes the index's place
    map,     ///< the last saved state, mapped, answers
    reopen,  ///< the durable index is closed and opened
    crash,   ///< its files as they are on disk take its place, with a torn record at the end
    compact,
    runtime,  ///< another number of threads
    audit,
    rebuild,  ///< all vectors at once, by another split: the same digest
    kinds
  };
  Kind kind;
  std::uint64_t draw;  ///< decides all else about it
};
std::ostream& operator<<(std::ostream& out, const Operation& operation);

/// A life of `count` operations.
std::vector<Operation> make_life(std::uint64_t seed, std::size_t count);

/// Lives it; what differed from the oracle, and where, if anything did. `lie_at_size`: the oracle
/// takes a wrong vector for the one of that number, to show that the check sees it.
std::optional<std::string> live(std::uint64_t seed, const std::vector<Operation>& life,
                                std::size_t lie_at_size = ~std::size_t{0});

}  // namespace concord::test
