// Words of bits beside the bits one by one, at every end and offset.

#include "common/search/match_words.hpp"

#include <gtest/gtest.h>

#include "common/base/mix64.hpp"

namespace concord::core {
namespace {

// Of all sizes around a word and around two.
constexpr std::size_t kSizes[] = {0, 1, 7, 8, 63, 64, 65, 127, 128, 200};

template <class IsSet>
void expect_words(const MatchWords& words, std::size_t count, const IsSet& is_set) {
  ASSERT_EQ(words.size(), (count + 63) / 64);
  std::vector<NodeId> ids;
  for (std::size_t i = 0; i < 64 * words.size(); ++i) {
    const bool wanted = i < count && is_set(i);
    ASSERT_EQ(words[i / 64] >> (i % 64) & 1, wanted ? 1u : 0u) << i << " of " << count;
    if (wanted) ids.push_back(static_cast<NodeId>(i));
  }
  EXPECT_EQ(ids_of(words), ids);
}

TEST(MatchWords, OfAMaskAreItsBytesThatAreNotZero) {
  for (const std::size_t count : kSizes) {
    std::vector<std::uint8_t> mask(count);
    for (std::size_t i = 0; i < count; ++i) {
      constexpr std::uint8_t kBytes[] = {0, 1, 0, 0x80, 0x7f, 0xff, 0, 2};
      mask[i] = kBytes[mix64(i + count) % 8];
    }
    expect_words(words_of_mask(mask), count, [&](std::size_t i) { return mask[i] != 0; });
  }
}

TEST(MatchWords, OfBitsBeginAtAnyOffsetAndReadNoByteBeyond) {
  for (const std::size_t count : kSizes) {
    for (std::size_t offset = 0; offset < 20; ++offset) {
      // No byte more than needed, so that a sanitizer sees a read beyond.
      std::vector<std::uint8_t> bits((offset + count + 7) / 8);
      for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint8_t>(mix64(i));
      expect_words(words_of_bits(bits, count, offset), count, [&](std::size_t i) {
        return (bits[(offset + i) / 8] >> ((offset + i) % 8) & 1) != 0;
      });
    }
  }
}

TEST(MatchWords, OfARangeAreThoseWithinIt) {
  for (const std::size_t count : kSizes) {
    for (std::size_t first = 0; first <= count; first += 9) {
      for (std::size_t last = first; last <= count; ++last) {
        expect_words(words_of_range(count, first, last), count,
                     [&](std::size_t i) { return first <= i && i < last; });
      }
    }
  }
}

}  // namespace
}  // namespace concord::core
