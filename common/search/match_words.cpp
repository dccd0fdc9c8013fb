#include "common/search/match_words.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace concord::core {
namespace {

// word(first) tells of positions first to first + 63.
template <class Word>
MatchWords words_of(std::size_t count, const Word& word) {
  MatchWords words((count + 63) / 64);
  for (std::size_t w = 0; w < words.size(); ++w) words[w] = word(64 * w);
  if (count % 64 != 0) words.back() &= (std::uint64_t{1} << (count % 64)) - 1;
  return words;
}

// Bit i tells whether byte i of eight is not 0.
std::uint64_t bits_of_bytes(const std::uint8_t* bytes) noexcept {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint64_t kLow = 0x7f7f7f7f7f7f7f7f;
  std::uint64_t all;
  std::memcpy(&all, bytes, sizeof(all));
  const std::uint64_t highest = (((all & kLow) + kLow) | all) & ~kLow;  // of each byte
  return ((highest >> 7) * 0x0102040810204080) >> 56;
}

}  // namespace

MatchWords words_of_mask(std::span<const std::uint8_t> mask) {
  return words_of(mask.size(), [&](std::size_t first) {
    std::uint8_t last[64] = {};
    const std::uint8_t* bytes = mask.data() + first;
    if (mask.size() - first < 64) {
      std::memcpy(last, bytes, mask.size() - first);
      bytes = last;
    }
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 64; i += 8) word |= bits_of_bytes(bytes + i) << i;
    return word;
  });
}

MatchWords words_of_bits(std::span<const std::uint8_t> bits, std::size_t count,
                         std::size_t offset) {
  return words_of(count, [&](std::size_t first) {
    const std::size_t byte = (offset + first) / 8;
    const std::size_t shift = (offset + first) % 8;
    std::uint64_t word = bits[byte] >> shift;
    for (std::size_t i = 1; 8 * i < 64 + shift && byte + i < bits.size(); ++i) {
      word |= std::uint64_t{bits[byte + i]} << (8 * i - shift);
    }
    return word;
  });
}

MatchWords words_of_range(std::size_t count, std::size_t first, std::size_t last) {
  return words_of(count, [&](std::size_t begin) {
    const std::size_t from = std::max(first, begin);
    const std::size_t to = std::min(last, begin + 64);
    return from < to ? ~std::uint64_t{0} >> (64 - (to - from)) << (from - begin) : 0;
  });
}

std::vector<NodeId> ids_of(const MatchWords& words) {
  std::size_t count = 0;
  for (const std::uint64_t word : words) count += static_cast<std::size_t>(std::popcount(word));
  std::vector<NodeId> ids(count);
  NodeId* next = ids.data();
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (std::uint64_t left = words[w]; left != 0; left &= left - 1) {
      *next++ = static_cast<NodeId>(64 * w) + static_cast<NodeId>(std::countr_zero(left));
    }
  }
  return ids;
}

}  // namespace concord::core
