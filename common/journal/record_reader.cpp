#include "common/journal/record_reader.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace concord::core {

using namespace file;

namespace {

// A header of version 1 says of ids what one of version 2 says of operations.
RecordHeader present_form(const RecordHeaderV1& old) {
  RecordHeader header{};
  header.magic = old.magic;
  header.element = old.element;
  header.labelled = old.labelled;
  header.zero = old.zero != 0;
  header.count = old.count;
  header.length = old.length;
  header.durable = old.durable;
  header.before.inserts = old.first;
  header.payload_checksum = old.payload_checksum;
  return header;
}

template <class AnyHeader>
std::optional<AnyHeader> sound_header(std::span<const std::byte> bytes, std::uint64_t seed) {
  AnyHeader header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kRecordMagic || header.checksum != checksum_of(header, seed)) {
    return std::nullopt;
  }
  return header;
}

[[noreturn]] void refuse_hole(std::uint64_t offset, const std::string& reason) {
  refuse_journal("the record at byte " + std::to_string(offset) + " is damaged, though " + reason +
                 "; the journal is left as it is");
}

}  // namespace

RecordReader::RecordReader(const File& file, const JournalBegin& begin, std::uint64_t boot)
    : file_(file),
      version_(begin.header.version),
      header_bytes_(version_ == 1 ? sizeof(RecordHeaderV1) : sizeof(RecordHeader)),
      closed_(begin.closed),
      boot_(boot),
      seed_(begin.header.checksum),
      stride_(stride_of(begin.header.dimension)),
      length_(file.size()),
      offset_(version_ == 1 ? sizeof(JournalHeaderV1) : kRecordsBegin),
      chain_(seed_),
      counts_(begin.header.base) {
  if (length_ >= closed_.length) return;
  refuse_journal("its end is missing: it had " + std::to_string(closed_.length) +
                 " bytes when the index was last closed, and has " + std::to_string(length_));
}

const Record* RecordReader::next() {
  expect_as_closed(offset_);
  if (left() == 0) return nullptr;
  const std::optional<RecordHeader> header = read_header();
  if (!header || !read_payload(*header)) {
    examine_tail();
    return nullptr;
  }
  record_ = decode(*header, payload_, stride_);
  expect_to_continue();
  expect_as_closed(offset_ + header->length);
  offset_ += header->length;
  chain_ = chain_after(chain_, header->checksum);
  counts_ = record_.after;
  return &record_;
}

std::optional<RecordHeader> RecordReader::header_at(std::span<const std::byte> bytes) const {
  if (version_ != 1) return sound_header<RecordHeader>(bytes, seed_);
  const auto old = sound_header<RecordHeaderV1>(bytes, seed_);
  if (!old) return std::nullopt;
  return present_form(*old);
}

std::optional<RecordHeader> RecordReader::read_header() const {
  std::byte bytes[sizeof(RecordHeader)];
  const std::size_t read = file_.read(offset_, bytes, sizeof bytes);
  const auto header = header_at(std::span(bytes).first(read));
  if (!header || header->length < header_bytes_ || header->length > left()) return std::nullopt;
  return header;
}

bool RecordReader::read_payload(const RecordHeader& header) {
  const std::uint64_t offset = offset_ + header_bytes_;
  payload_.resize(header.length - header_bytes_);
  return file_.read(offset, payload_.data(), payload_.size()) == payload_.size() &&
         XXH3_64bits_withSeed(payload_.data(), payload_.size(), seed_) == header.payload_checksum;
}

void RecordReader::expect_to_continue() const {
  if (record_.before != counts_) {
    refuse_journal("a record holds other operations than those that come next");
  }
  if (record_.kind != RecordKind::mark) return;
  if (record_.mark.size != counts_.size() || record_.mark.chain != chain_) {
    refuse_journal("a mark is not one of the records before it");
  }
}

// `end` is where the records so far end, or will with one more.
void RecordReader::expect_as_closed(std::uint64_t end) const {
  if (offset_ > closed_.length || end < closed_.length) return;
  if (offset_ == closed_.length ? chain_ == closed_.chain : end == closed_.length) return;
  refuse_journal("it holds other records than when the index was last closed");
}

// A crash may leave any part of the bytes that were not synced, so records may follow a hole.
void RecordReader::examine_tail() {
  if (offset_ < closed_.length) refuse_hole(offset_, "it was whole when the index was last closed");
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  constexpr std::size_t kBeyond = sizeof(RecordHeader) + sizeof(Mark);
  tail_.bytes = left();
  std::vector<std::byte> block(kBlock + kBeyond);
  for (std::uint64_t first = offset_; first < length_; first += kBlock) {
    const std::size_t bytes = file_.read(first, block.data(), block.size());
    for (std::size_t at = 0; at < kBlock && at < bytes; at += kRecordAlignment) {
      const auto here =
          std::span<const std::byte>(block).subspan(at, std::min(kBeyond, bytes - at));
      const std::optional<RecordHeader> header = header_at(here);
      if (!header) continue;
      if (header->durable > first + at) continue;  // a vector whose bytes look like a header
      expect_not_attested_by(*header, here.subspan(header_bytes_));
      if (first + at == offset_ || header->length > length_ - first - at) continue;
      ++tail_.records;
      const bool vectors = header->kind == RecordKind::insert || header->kind == RecordKind::update;
      tail_.vectors += vectors ? header->count : 0;
    }
  }
}

// `payload` begins with that of a mark, if it is one.
void RecordReader::expect_not_attested_by(const RecordHeader& header,
                                          std::span<const std::byte> payload) const {
  if (header.durable > offset_) refuse_hole(offset_, "it had been written to disk whole");
  Mark mark;
  if (header.kind != RecordKind::mark || payload.size() < sizeof mark || boot_ == 0) return;
  std::memcpy(&mark, payload.data(), sizeof mark);
  if (mark.boot == boot_ &&
      XXH3_64bits_withSeed(&mark, sizeof mark, seed_) == header.payload_checksum) {
    refuse_hole(offset_, "what follows was added, and the machine has not gone down since");
  }
}

}  // namespace concord::core
