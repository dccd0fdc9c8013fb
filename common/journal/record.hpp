// A record of the journal as bytes: how it is written and, beside it, how it is read (FORMAT.md).
//
// decode() and decode_proposals() give back the content that was encoded. They read nothing beyond
// the bytes that they are given, even if these are damaged or forged. They refuse such bytes with
// Error(corrupt_file). Its message does not name the journal; replay.cpp adds the name.
// Each function that encodes returns the record's checksum, for the chain of records.
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/build/proposer.hpp"
#include "common/journal/layout.hpp"
#include "common/store/element.hpp"

namespace concord::core {

/// Where a record stands in its journal.
struct RecordPlace {
  file::OperationCounts before;  ///< operations before it
  std::uint64_t durable = 0;     ///< bytes of the journal known to be on disk
  std::uint64_t seed = 0;        ///< of the journal's checksums
};

/// The content of a record of a batch that will be written, and memory for its bytes.
struct NewRecord {
  file::RecordKind kind = file::RecordKind::insert;  ///< or update
  ProposalBatch batch;                               ///< its ids as the record has them
  std::uint32_t added = 0;                           ///< of an update's, those that replace none
  Element element = Element::u8;
  std::span<const std::byte> rows;        ///< of the batch, in the store
  std::span<const std::uint64_t> labels;  ///< of the batch, in the label map
  std::vector<std::byte> buffer;          ///< encode() writes to it

  /// Takes all memory that encode() needs.
  void reserve();
};

/// The content of a record that was read. Borrows its bytes.
struct Record {
  file::RecordKind kind = file::RecordKind::insert;
  file::OperationCounts before;  ///< operations before it
  file::OperationCounts after;   ///< and those up to its end
  Element element = Element::u8;
  std::span<const std::byte> payload;     ///< all bytes after its header
  std::span<const std::byte> rows;        ///< of its vectors, as elements in rows of the stride
  std::span<const std::uint64_t> labels;  ///< empty where labels are numbers of insertion
  std::span<const std::byte> proposals;   ///< for decode_proposals()
  file::Mark mark{};                      ///< of a mark

  /// Its vectors have the numbers of insertion [first(), end()).
  [[nodiscard]] std::uint64_t first() const noexcept { return before.ids(); }
  [[nodiscard]] std::uint64_t end() const noexcept { return after.ids(); }
  [[nodiscard]] NodeId vectors() const noexcept { return static_cast<NodeId>(end() - first()); }
};

/// Writes the record without its rows to its buffer; in the file the rows follow.
std::uint64_t encode(NewRecord& record, const RecordPlace& place);
/// Writes a record of a removal, or of a flush, to the buffer.
std::uint64_t encode_remove(std::span<const std::uint64_t> labels, const RecordPlace& place,
                            std::vector<std::byte>& buffer);
std::uint64_t encode_flush(const RecordPlace& place, std::vector<std::byte>& buffer);
/// Writes an insert that was read from a journal to the buffer, for another journal.
std::uint64_t encode_again(const Record& record, const RecordPlace& place,
                           std::vector<std::byte>& buffer);
/// A mark takes no memory.
using MarkBytes = std::array<std::byte, sizeof(file::RecordHeader) + sizeof(file::Mark)>;
std::uint64_t encode_mark(const file::Mark& mark, const RecordPlace& place, MarkBytes& bytes);

/// The record of a header and of the bytes after it. REQUIRES that the payload's address is a
/// multiple of kRecordAlignment.
Record decode(const file::RecordHeader& header, std::span<const std::byte> payload,
              std::uint32_t stride);

/// Operations up to the end of a record with this header. Refuses one that no writer makes.
file::OperationCounts counts_after(const file::RecordHeader& header);

/// Reads the lists of a batch that reset() made for the record's nodes. Refuses kNoNode in a list;
/// other ids are not checked.
void decode_proposals(std::span<const std::byte> proposals, ProposalBatch& batch);

/// Throws Error(corrupt_file) with this message.
[[noreturn]] void refuse_journal(const std::string& reason);

}  // namespace concord::core
