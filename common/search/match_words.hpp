// What matches as words of bits: how a filter is read from what its caller gives, 64 vectors at a
// time.
//
// Invariant: bit i % 64 of word i / 64 is that of number i, a position of Index::labels() or an id.
// Bits beyond the last are 0. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/key.hpp"

namespace concord::core {

using MatchWords = std::vector<std::uint64_t>;

/// Set where a byte is not 0.
MatchWords words_of_mask(std::span<const std::uint8_t> mask);
/// `count` bits from number `offset` on, the lowest of each byte first. REQUIRES that they are
/// there.
MatchWords words_of_bits(std::span<const std::uint8_t> bits, std::size_t count, std::size_t offset);
/// Set for the numbers [first, last) of `count`.
MatchWords words_of_range(std::size_t count, std::size_t first, std::size_t last);
/// The numbers of the bits that are set, in order.
std::vector<NodeId> ids_of(const MatchWords& words);

}  // namespace concord::core
