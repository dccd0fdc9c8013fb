// The fixed-size records of the index file (FORMAT.md) and the sizes that follow from a header.
#pragma once

#include <algorithm>
#include <array>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>

#include "common/base/metric_word.hpp"

namespace concord::core::file {

inline constexpr std::array<char, 8> kMagic = {'C', 'O', 'N', 'C', 'O', 'R', 'D', '\n'};
inline constexpr std::uint32_t kVersion = 4;        ///< of an index that has copies
inline constexpr std::uint32_t kVersionDead = 3;    ///< of another in which a vector ever died
inline constexpr std::uint32_t kVersionAlive = 2;   ///< of any other
inline constexpr std::uint32_t kOldestVersion = 1;  ///< vectors are always floats
inline constexpr std::uint64_t kSectionAlignment = 4096;
inline constexpr std::uint64_t kFooterAlignment = 64;

/// Vectors that are written and read at once.
inline constexpr std::size_t vectors_at_once(std::size_t stride) {
  return std::max<std::size_t>(1, (std::size_t{1} << 18) / stride);
}

enum Section : std::uint32_t {
  kLevels,
  kBaseLists,
  kBaseOverflow,
  kBaseCopies,
  kUpperLists,
  kUpperOverflow,
  kUpperCopies,
  kVectors,
  kLabels,
  kTombstones,  ///< from version 3 on, as the next
  kInsertions,
  kCopies,  ///< from version 4 on
  kCodes,   ///< after the version's own, of an index with codes
  kMostSections,
};
/// The sections that every file of that version has.
constexpr std::uint32_t sections_of(std::uint32_t version) noexcept {
  if (version < kVersionDead) return kTombstones;
  return version < kVersion ? kCopies : kCodes;
}

struct EntryRecord {
  std::uint32_t node;
  std::uint32_t level;
};

struct Header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t section_count;
  std::uint32_t dimension;
  std::uint32_t metric;  ///< and codes and storage, as common/base/metric_word.hpp says
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
  // Zero before version 3:
  std::uint64_t insertions;  ///< ever
  std::uint64_t removals;    ///< ever
  std::uint32_t epoch;       ///< number of the open epoch; its places follow, as ranks
  std::uint32_t sealed_end;
  std::uint32_t epoch_begin;
  std::uint32_t epoch_end;
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

/// The parameters that the header of an index file, a journal or a manifest names. They may be any
/// numbers.
template <class AnyHeader>
IndexParams params_of(const AnyHeader& header) {
  IndexParams params;
  params.dimension = header.dimension;
  params.metric = metric_of(header.metric);
  params.M = header.M;
  params.ef_construction = header.ef_construction;
  params.seed = header.seed;
  params.epoch_limit = header.epoch_limit;
  params.codes = codes_of(header.metric);
  params.storage = storage_of(header.metric);
  return params;
}

/// Bytes of the sums that the section of codes begins with.
constexpr std::uint64_t bytes_of_sums(const IndexParams& params) noexcept {
  return params.codes == Codes::sq4 ? params.dimension * sizeof(double) : 0;
}

constexpr std::uint64_t align(std::uint64_t offset, std::uint64_t unit) {
  return (offset + unit - 1) / unit * unit;
}

}  // namespace concord::core::file
