// The fixed-size parts of the journal (FORMAT.md, section "The journal").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/file_layout.hpp"
#include "common/xxh3.hpp"

namespace concord::core::file {

inline constexpr std::array<char, 8> kJournalMagic = {'C', 'O', 'N', 'C', 'J', 'R', 'N', '\n'};
inline constexpr std::uint32_t kJournalVersion = 1;
inline constexpr std::uint32_t kRecordMagic = 0x44524352;  ///< "RCRD"
inline constexpr std::uint64_t kRecordAlignment = 8;

struct JournalHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t dimension;
  std::uint32_t metric;
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t epoch_limit;
  std::uint64_t seed;
  std::uint32_t base;  ///< vectors in the index file that it goes on from
  std::uint32_t zero;
  std::array<std::uint8_t, 16> base_digest;  ///< of that index; zeros where base is 0
  std::uint64_t checksum;                    ///< of the bytes before it; seed of its records'
};
static_assert(sizeof(JournalHeader) == 72);

/// Vectors [first, first + count) with their labels and proposals: one batch as it is committed.
struct RecordHeader {
  std::uint32_t magic;
  std::uint8_t element;   ///< as in Element
  std::uint8_t labelled;  ///< 1: labels follow; 0: labels are ids
  std::uint16_t zero;
  std::uint32_t first;
  std::uint32_t count;
  std::uint64_t length;            ///< of the whole record, a multiple of kRecordAlignment
  std::uint64_t durable;           ///< bytes of the journal known to be on disk when it was written
  std::uint64_t payload_checksum;  ///< of the bytes after the header
  std::uint64_t checksum;          ///< of the header's bytes before it
};
static_assert(sizeof(RecordHeader) == 48);

inline std::uint64_t checksum_of(const JournalHeader& header) {
  return XXH3_64bits(&header, offsetof(JournalHeader, checksum));
}
inline std::uint64_t checksum_of(const RecordHeader& header, std::uint64_t seed) {
  return XXH3_64bits_withSeed(&header, offsetof(RecordHeader, checksum), seed);
}

}  // namespace concord::core::file
