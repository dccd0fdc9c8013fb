#include "common/journal/record_reader.hpp"

#include <algorithm>
#include <concord/replica.hpp>
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

constexpr const char* kWasClosed = "it was whole when the index was last closed";

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
  const std::optional<Head> head = read_head(offset_);
  if (!head || !read_payload(head->header)) {
    examine_tail();
    return nullptr;
  }
  const RecordHeader& header = head->header;
  record_ = decode(header, payload_, stride_);
  expect_to_continue();
  expect_as_closed(offset_ + header.length);
  offset_ += header.length;
  chain_ = chain_after(chain_, header.checksum);
  counts_ = record_.after;
  return &record_;
}

std::optional<RecordHeader> RecordReader::header_at(std::span<const std::byte> bytes) const {
  if (version_ != 1) return sound_header<RecordHeader>(bytes, seed_);
  const auto old = sound_header<RecordHeaderV1>(bytes, seed_);
  if (!old) return std::nullopt;
  return present_form(*old);
}

std::optional<RecordReader::Head> RecordReader::read_head(std::uint64_t offset) const {
  std::array<std::byte, sizeof(RecordHeader) + sizeof(Mark)> bytes{};
  const std::size_t read = file_.read(offset, bytes.data(), bytes.size());
  const auto header = header_at(std::span(bytes).first(read));
  if (!header || header->length < header_bytes_ || header->length > length_ - offset) {
    return std::nullopt;
  }
  Head head{*header, {}};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(header_bytes_), head.payload.size(),
              head.payload.begin());
  return head;
}

bool RecordReader::read_payload(const RecordHeader& header) {
  const std::uint64_t offset = offset_ + header_bytes_;
  payload_.resize(header.length - header_bytes_);
  return file_.read(offset, payload_.data(), payload_.size()) == payload_.size() &&
         XXH3_64bits_withSeed(payload_.data(), payload_.size(), seed_) == header.payload_checksum;
}

void RecordReader::expect_to_continue() const {
  if (record_.before != counts_) {
    refuse_other("a record holds other operations than those that come next");
  }
  if (record_.kind != RecordKind::mark) return;
  if (record_.mark.size != counts_.size() || record_.mark.chain != chain_) {
    refuse_other("a mark is not one of the records before it");
  }
}

// `end` is where the records so far end, or will with one more.
void RecordReader::expect_as_closed(std::uint64_t end) const {
  if (offset_ > closed_.length || end < closed_.length) return;
  if (offset_ == closed_.length ? chain_ == closed_.chain : end == closed_.length) return;
  refuse_other("it holds other records than when the index was last closed");
}

// A crash may leave any part of the bytes that were not synced, so records may follow a hole.
void RecordReader::examine_tail() {
  if (offset_ < closed_.length) refuse_hole(offset_, kWasClosed);
  tail_.bytes = left();
  for_headers_from(offset_, [&](const RecordHeader& header, std::span<const std::byte> payload,
                                std::uint64_t at) {
    if (const char* const reason = attests(header, payload, offset_)) refuse_hole(offset_, reason);
    if (at == offset_ || header.length > length_ - at) return;
    ++tail_.records;
    const bool vectors = header.kind == RecordKind::insert || header.kind == RecordKind::update;
    tail_.vectors += vectors ? header.count : 0;
  });
}

template <class Use>
void RecordReader::for_headers_from(std::uint64_t first, const Use& use) const {
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  constexpr std::size_t kBeyond = sizeof(RecordHeader) + sizeof(Mark);
  std::vector<std::byte> block(kBlock + kBeyond);
  for (; first < length_; first += kBlock) {
    const std::size_t bytes =
        file_.read(first, block.data(), std::min<std::uint64_t>(block.size(), length_ - first));
    for (std::size_t at = 0; at < kBlock && at < bytes; at += kRecordAlignment) {
      const auto here =
          std::span<const std::byte>(block).subspan(at, std::min(kBeyond, bytes - at));
      const std::optional<RecordHeader> header = header_at(here);
      if (!header) continue;
      if (header->durable > first + at) continue;  // a vector whose bytes look like a header
      use(*header, here.subspan(header_bytes_), first + at);
    }
  }
}

// `payload` begins with that of a mark, if it is one.
bool RecordReader::is_mark_of_this_start(const RecordHeader& header,
                                         std::span<const std::byte> payload) const {
  Mark mark;
  if (header.kind != RecordKind::mark || payload.size() < sizeof mark || boot_ == 0) return false;
  std::memcpy(&mark, payload.data(), sizeof mark);
  return mark.boot == boot_ &&
         XXH3_64bits_withSeed(&mark, sizeof mark, seed_) == header.payload_checksum;
}

const char* RecordReader::attests(const RecordHeader& header, std::span<const std::byte> payload,
                                  std::uint64_t offset) const {
  if (header.durable > offset) return "it had been written to disk whole";
  if (!is_mark_of_this_start(header, payload)) return nullptr;
  return "what follows was added, and the machine has not gone down since";
}

// ------------------------------------------------------------------------- of a journal that grows

const char* RecordReader::is_attested(std::uint64_t offset) const {
  if (offset < closed_.length) return kWasClosed;
  const char* reason = nullptr;
  for_headers_from(
      offset, [&](const RecordHeader& header, std::span<const std::byte> payload, std::uint64_t) {
        if (reason == nullptr) reason = attests(header, payload, offset);
      });
  return reason;
}

// What attests a record was written after it. So a record that was not whole when it was first
// looked at, and is attested, is whole when it is looked at again, or is damaged.
std::uint64_t RecordReader::find_lasting(const ClosedAt& closed) {
  closed_ = closed;
  length_ = file_.size();
  if (length_ < std::max(offset_, closed_.length)) {
    refuse_other("it was shortened to " + std::to_string(length_) + " bytes");
  }
  expect_as_closed(offset_);
  std::uint64_t lasting = std::max(offset_, closed_.length);
  for (std::uint64_t at = offset_; at < length_;) {
    std::optional<Head> head = read_head(at);
    if (!head) {
      const char* const reason = is_attested(at);
      if (reason == nullptr) break;
      head = read_head(at);
      if (!head) refuse_hole(at, reason);
    }
    if (head->header.durable <= at) lasting = std::max(lasting, head->header.durable);
    at += head->header.length;
    if (is_mark_of_this_start(head->header, head->payload)) lasting = std::max(lasting, at);
  }
  return lasting;
}

bool RecordReader::go_to(const RecordReader& other) {
  std::uint64_t at = offset_;
  std::uint64_t chain = chain_;
  while (at < other.offset_) {
    const std::optional<Head> head = read_head(at);
    if (!head) return false;
    chain = chain_after(chain, head->header.checksum);
    at += head->header.length;
  }
  if (at != other.offset_ || chain != other.chain_) return false;
  offset_ = at;
  chain_ = chain;
  counts_ = other.counts_;
  return true;
}

OperationCounts RecordReader::next_counts() const {
  const std::optional<Head> head = read_head(offset_);
  return head ? counts_after(head->header) : counts_;
}

OperationCounts RecordReader::counts_at(std::uint64_t end) const {
  OperationCounts counts = counts_;
  for (std::uint64_t at = offset_; at < end;) {
    const std::optional<Head> head = read_head(at);
    if (!head) break;
    counts = counts_after(head->header);
    at += head->header.length;
  }
  return counts;
}

void RecordReader::refuse_other(const std::string& reason) const {
  if (is_followed_) throw DivergedError(reason);
  refuse_journal(reason);
}

}  // namespace concord::core
