// The fixed-size parts of the journal (FORMAT.md, section "The journal").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/base/xxh3.hpp"
#include "common/file/file_layout.hpp"

namespace concord::core::file {

inline constexpr std::array<char, 8> kJournalMagic = {'C', 'O', 'N', 'C', 'J', 'R', 'N', '\n'};
inline constexpr std::uint32_t kJournalVersion = 2;
inline constexpr std::uint32_t kRecordMagic = 0x44524352;  ///< "RCRD"
inline constexpr std::uint64_t kRecordAlignment = 8;

/// A place in the sequence of operations of an index: how many of each kind came before it, ever.
struct OperationCounts {
  std::uint64_t inserts = 0;
  std::uint64_t removes = 0;
  std::uint64_t updates = 0;  ///< each brings a new id and takes an older one away
  std::uint64_t flushes = 0;

  /// Ids given out, and ids whose vectors were taken away.
  [[nodiscard]] constexpr std::uint64_t ids() const noexcept { return inserts + updates; }
  [[nodiscard]] constexpr std::uint64_t removals() const noexcept { return removes + updates; }
  /// Vectors in the index.
  [[nodiscard]] constexpr std::uint64_t size() const noexcept { return inserts - removes; }
  bool operator==(const OperationCounts&) const = default;
  /// True if operations were done that those of `base` lack.
  [[nodiscard]] constexpr bool is_beyond(const OperationCounts& base) const noexcept {
    return ids() > base.ids() || removals() > base.removals();
  }
  /// True if neither is beyond the other. An update may stand for an insertion and a removal.
  [[nodiscard]] constexpr bool is_level_with(const OperationCounts& other) const noexcept {
    return ids() == other.ids() && removals() == other.removals();
  }
};
static_assert(sizeof(OperationCounts) == 32);

struct JournalHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t dimension;
  std::uint32_t metric;
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t epoch_limit;
  std::uint64_t seed;
  OperationCounts base;                      ///< of the index file that it goes on from
  std::array<std::uint8_t, 16> base_digest;  ///< of that index; zeros where it never had a vector
  std::uint64_t checksum;                    ///< of the bytes before it; seed of its records'
};
static_assert(sizeof(JournalHeader) == 96);

/// Behind the header: what was on disk when the index was last closed. Written in place, and so
/// within a sector.
struct ClosedAt {
  std::uint64_t length;  ///< of the journal, up to the end of a record
  std::uint64_t chain;   ///< of the records up to there
  std::uint64_t zero;
  std::uint64_t checksum;  ///< of the bytes before it, with the journal's seed
};
static_assert(sizeof(ClosedAt) == 32);
inline constexpr std::uint64_t kRecordsBegin = sizeof(JournalHeader) + sizeof(ClosedAt);

enum class RecordKind : std::uint8_t {
  insert = 0,  ///< one batch as it is committed: labels, proposals, vectors
  remove = 1,  ///< labels
  update = 2,  ///< as insert; a vector replaces the one that has its label, if there is one
  flush = 3,   ///< nothing
  mark = 4,    ///< Mark
};

struct RecordHeader {
  std::uint32_t magic;
  RecordKind kind;
  std::uint8_t element;   ///< of the vectors, as in Element; 0 if there are none
  std::uint8_t labelled;  ///< 1: labels follow; 0: labels are ids
  std::uint8_t zero;
  std::uint32_t count;             ///< of operations
  std::uint32_t added;             ///< of an update's vectors, those that replace none; otherwise 0
  std::uint64_t length;            ///< of the whole record, a multiple of kRecordAlignment
  std::uint64_t durable;           ///< bytes of the journal known to be on disk when it was written
  OperationCounts before;          ///< operations before this record
  std::uint64_t payload_checksum;  ///< of the bytes after the header
  std::uint64_t checksum;          ///< of the header's bytes before it
};
static_assert(sizeof(RecordHeader) == 80);

/// What a mark says: all before it was acknowledged, or is on disk.
struct Mark {
  std::uint64_t size;   ///< vectors in the index
  std::uint64_t chain;  ///< of the records before the mark
  std::uint64_t boot;   ///< number of the machine's start in which it was written; 0 = not known
};
static_assert(sizeof(Mark) == 24);

/// The parts of version 1, which is read and not written.
struct JournalHeaderV1 {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t dimension;
  std::uint32_t metric;
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t epoch_limit;
  std::uint64_t seed;
  std::uint32_t base;
  std::uint32_t zero;
  std::array<std::uint8_t, 16> base_digest;
  std::uint64_t checksum;
};
static_assert(sizeof(JournalHeaderV1) == 72);

struct RecordHeaderV1 {
  std::uint32_t magic;
  std::uint8_t element;
  std::uint8_t labelled;
  std::uint16_t zero;
  std::uint32_t first;
  std::uint32_t count;
  std::uint64_t length;
  std::uint64_t durable;
  std::uint64_t payload_checksum;
  std::uint64_t checksum;
};
static_assert(sizeof(RecordHeaderV1) == 48);

/// The checksum of a header's bytes before its own field.
template <class AnyHeader>
std::uint64_t checksum_of(const AnyHeader& header, std::uint64_t seed = 0) {
  return XXH3_64bits_withSeed(&header, offsetof(AnyHeader, checksum), seed);
}

/// The chain of the records up to one with this checksum. That of no record is the journal's seed.
inline std::uint64_t chain_after(std::uint64_t chain, std::uint64_t checksum) {
  return XXH3_64bits_withSeed(&checksum, sizeof checksum, chain);
}

}  // namespace concord::core::file
