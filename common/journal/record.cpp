#include "common/journal/record.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <cstring>

#include "common/store/label_map.hpp"

namespace concord::core {

using namespace file;

// ---------------------------------------------------------------------------------------- writing

namespace {

template <class T>
void put(std::vector<std::byte>& buffer, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  buffer.insert(buffer.end(), bytes.begin(), bytes.end());
}

// The length of each list, then the ids of all.
void put_proposals(std::vector<std::byte>& buffer, const ProposalBatch& batch) {
  const std::size_t counts = buffer.size();
  buffer.resize(counts + batch.lists());
  for (std::size_t list = 0; list < batch.lists(); ++list) {
    const auto neighbors = batch.neighbors(list);
    buffer[counts + list] = static_cast<std::byte>(neighbors.size());
    put(buffer, neighbors);
  }
}

std::uint64_t payload_checksum(std::span<const std::byte> begin, std::span<const std::byte> rows,
                               std::uint64_t seed) {
  XXH3_state_t hash{};
  XXH3_64bits_reset_withSeed(&hash, seed);
  XXH3_64bits_update(&hash, begin.data(), begin.size());
  XXH3_64bits_update(&hash, rows.data(), rows.size());
  return XXH3_64bits_digest(&hash);
}

// Completes the header of a record whose other bytes are known: those in front of its rows, and the
// rows.
std::uint64_t finish(RecordHeader& header, std::span<const std::byte> front,
                     std::span<const std::byte> rows, const RecordPlace& place) {
  header.magic = kRecordMagic;
  header.length = sizeof header + front.size() + rows.size();
  header.durable = place.durable;
  header.before = place.before;
  header.payload_checksum = payload_checksum(front, rows, place.seed);
  header.checksum = checksum_of(header, place.seed);
  return header.checksum;
}

// As finish(), for a buffer in which the header's place is free.
std::uint64_t finish(RecordHeader header, std::vector<std::byte>& buffer,
                     std::span<const std::byte> rows, const RecordPlace& place) {
  finish(header, std::span(buffer).subspan(sizeof header), rows, place);
  std::memcpy(buffer.data(), &header, sizeof header);
  return header.checksum;
}

}  // namespace

void NewRecord::reserve() {
  buffer.reserve(sizeof(RecordHeader) + labels.size_bytes() + batch.lists() +
                 batch.ids.size() * sizeof(NodeId) + kRecordAlignment);
}

std::uint64_t encode(NewRecord& record, const RecordPlace& place) {
  const ProposalBatch& batch = record.batch;
  RecordHeader header{};
  header.kind = record.kind;
  header.element = static_cast<std::uint8_t>(record.element);
  header.labelled =
      record.kind == RecordKind::update || !are_ids(record.labels, place.before.ids());
  header.count = batch.end - batch.begin;
  header.added = record.kind == RecordKind::update ? record.added : 0;
  std::vector<std::byte>& buffer = record.buffer;
  buffer.resize(sizeof header);
  if (header.labelled == 1) put(buffer, record.labels);
  put_proposals(buffer, batch);
  buffer.resize(align(buffer.size(), kRecordAlignment));
  return finish(header, buffer, record.rows, place);
}

std::uint64_t encode_remove(std::span<const std::uint64_t> labels, const RecordPlace& place,
                            std::vector<std::byte>& buffer) {
  RecordHeader header{};
  header.kind = RecordKind::remove;
  header.labelled = 1;
  header.count = static_cast<std::uint32_t>(labels.size());
  buffer.resize(sizeof header);
  put(buffer, labels);
  return finish(header, buffer, {}, place);
}

std::uint64_t encode_flush(const RecordPlace& place, std::vector<std::byte>& buffer) {
  RecordHeader header{};
  header.kind = RecordKind::flush;
  header.count = 1;
  buffer.resize(sizeof header);
  return finish(header, buffer, {}, place);
}

std::uint64_t encode_again(const Record& record, const RecordPlace& place,
                           std::vector<std::byte>& buffer) {
  RecordHeader header{};
  header.kind = record.kind;
  header.element = static_cast<std::uint8_t>(record.element);
  header.labelled = !record.labels.empty();
  header.count = record.vectors();
  buffer.resize(sizeof header);
  put(buffer, record.payload);
  return finish(header, buffer, {}, place);
}

std::uint64_t encode_mark(const Mark& mark, const RecordPlace& place, MarkBytes& bytes) {
  RecordHeader header{};
  header.kind = RecordKind::mark;
  finish(header, std::as_bytes(std::span(&mark, 1)), {}, place);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &mark, sizeof mark);
  return header.checksum;
}

// ---------------------------------------------------------------------------------------- reading

void refuse_journal(const std::string& reason) { throw Error(ErrorCode::corrupt_file, reason); }

OperationCounts counts_after(const RecordHeader& header) {
  OperationCounts counts = header.before;
  switch (header.kind) {
    case RecordKind::insert:
      counts.inserts += header.count;
      break;
    case RecordKind::remove:
      counts.removes += header.count;
      break;
    case RecordKind::update:
      counts.inserts += header.added;
      counts.updates += header.count - header.added;
      break;
    case RecordKind::flush:
      counts.flushes += header.count;
      break;
    case RecordKind::mark:
      break;
    default:
      refuse_journal("a record is of no known kind");
  }
  const bool updates = header.kind == RecordKind::update;
  if (header.labelled > 1 || header.zero != 0 || !is_element(header.element) ||
      (updates ? header.added >= header.count : header.added != 0)) {
    refuse_journal("a record is of no known kind");
  }
  const std::uint64_t gone =
      header.kind == RecordKind::insert ? 0 : std::uint64_t{header.count} - header.added;
  if (header.kind != RecordKind::flush && header.kind != RecordKind::mark &&
      (header.count == 0 || counts.size() > kMaxNodes || gone > header.before.size())) {
    refuse_journal("a record holds vectors that no index can have");
  }
  return counts;
}

namespace {

// Checks lengths before anything is computed from them.
void decode_batch(const RecordHeader& header, std::uint32_t stride, Record& record) {
  const auto payload = record.payload;
  record.element = static_cast<Element>(header.element);
  const std::uint64_t rows = std::uint64_t{header.count} * stride * bytes_of(record.element);
  const std::uint64_t labels = header.labelled * sizeof(std::uint64_t) * header.count;
  if (payload.size() < rows || payload.size() - rows < labels ||
      payload.size() % kRecordAlignment != 0) {
    refuse_journal("a record is too short for its vectors");
  }
  const auto* const label = reinterpret_cast<const std::uint64_t*>(payload.data());
  record.rows = payload.last(rows);
  record.labels = {label, labels / sizeof(std::uint64_t)};
  record.proposals = payload.subspan(labels, payload.size() - rows - labels);
}

// The other kinds have bytes of one length, and no vectors.
void decode_other(const RecordHeader& header, Record& record) {
  const bool removes = header.kind == RecordKind::remove;
  const bool marks = header.kind == RecordKind::mark;
  std::uint64_t bytes = 0;
  if (removes) bytes = header.count * sizeof(std::uint64_t);
  if (marks) bytes = sizeof(Mark);
  const std::uint32_t count = marks ? 0 : 1;
  if (record.payload.size() != bytes || header.element != 0 || header.labelled != removes ||
      (!removes && header.count != count)) {
    refuse_journal("a record is not of its kind's length");
  }
  if (removes) {
    record.labels = {reinterpret_cast<const std::uint64_t*>(record.payload.data()), header.count};
  }
  if (marks) std::memcpy(&record.mark, record.payload.data(), sizeof record.mark);
}

}  // namespace

Record decode(const RecordHeader& header, std::span<const std::byte> payload,
              std::uint32_t stride) {
  Record record;
  record.kind = header.kind;
  record.before = header.before;
  record.after = counts_after(header);
  record.payload = payload;
  if (header.kind == RecordKind::update && header.labelled == 0) {
    refuse_journal("an update does not say which vectors it replaces");
  }
  if (header.kind == RecordKind::insert || header.kind == RecordKind::update) {
    decode_batch(header, stride, record);
  } else {
    decode_other(header, record);
  }
  return record;
}

void decode_proposals(std::span<const std::byte> proposals, ProposalBatch& batch) {
  if (proposals.size() < batch.lists()) refuse_journal("a record lacks proposals");
  const auto counts = proposals.first(batch.lists());
  auto ids = proposals.subspan(batch.lists());
  std::fill(batch.ids.begin(), batch.ids.end(), kNoNode);
  for (std::size_t list = 0; list < batch.lists(); ++list) {
    const auto count = std::to_integer<std::size_t>(counts[list]);
    const std::size_t bytes = count * sizeof(NodeId);
    if (count > batch.M || bytes > ids.size()) {
      refuse_journal("a record has more proposals than fit");
    }
    std::memcpy(batch.list(list), ids.data(), bytes);
    if (batch.neighbors(list).size() != count) refuse_journal("a record proposes what is no id");
    ids = ids.subspan(bytes);
  }
  if (ids.size() >= kRecordAlignment ||
      !std::all_of(ids.begin(), ids.end(), [](std::byte b) { return b == std::byte{0}; })) {
    refuse_journal("a record holds more than its header says");
  }
}

}  // namespace concord::core
