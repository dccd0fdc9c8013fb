// The fixed-size records of the index file (FORMAT.md) and the sizes that follow from a header.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace concord::core::file {

inline constexpr std::array<char, 8> kMagic = {'C', 'O', 'N', 'C', 'O', 'R', 'D', '\n'};
inline constexpr std::uint32_t kVersion = 2;
inline constexpr std::uint32_t kOldestVersion = 1;  ///< vectors are always floats
inline constexpr std::uint64_t kSectionAlignment = 4096;
inline constexpr std::uint64_t kFooterAlignment = 64;

/// Vectors that are written and read at once.
inline constexpr std::size_t vectors_at_once(std::size_t stride) {
  return std::max<std::size_t>(1, (std::size_t{1} << 18) / stride);
}

enum Section : std::uint32_t {
  kLevels,
  kBaseRows,
  kBaseSpills,
  kBaseCopies,
  kUpperRows,
  kUpperSpills,
  kUpperCopies,
  kVectors,
  kLabels,
  kSectionCount,
};

struct EntryRecord {
  std::uint32_t node;
  std::uint32_t level;
};

struct Header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t section_count;
  std::uint32_t dimension;
  std::uint32_t metric;
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint64_t seed;
  std::uint32_t epoch_limit;
  std::uint32_t n;
  EntryRecord entry;
  EntryRecord sealed_entries[2];
  std::uint64_t footer_offset;
  std::uint32_t element;      ///< how vectors are kept; zero in version 1
  std::uint32_t seal_is_due;  ///< 1: n ends an epoch that is not sealed yet; zero in version 1
  std::array<std::uint8_t, 32> zero;
  std::uint64_t checksum;
};
static_assert(sizeof(Header) == 128);

struct SectionRecord {
  std::uint32_t kind;  ///< Section + 1
  std::uint32_t zero;
  std::uint64_t offset;
  std::uint64_t length;
  std::uint64_t checksum;
};
static_assert(sizeof(SectionRecord) == 32);

struct Footer {
  std::array<char, 8> magic;
  std::uint64_t file_length;
  std::array<std::uint8_t, 16> digest;
};
static_assert(sizeof(Footer) == 32);

constexpr std::uint64_t align(std::uint64_t offset, std::uint64_t unit) {
  return (offset + unit - 1) / unit * unit;
}

}  // namespace concord::core::file
