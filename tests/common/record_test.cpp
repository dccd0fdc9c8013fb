// Records of the journal as bytes, of every kind: decode() gives back the content that was encoded.
// Bytes that are cut or damaged are refused or are another record, and are not read beyond their
// end.

#include "common/journal/record.hpp"

#include <cstddef>
#include <cstring>
#include <optional>
#include <random>

#include "common/store/label_map.hpp"
#include "tests/support/bytes_before_a_guard.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using file::Mark;
using file::OperationCounts;
using file::RecordHeader;
using file::RecordKind;

constexpr std::uint64_t kSeed = 0x1234567;  // of the checksums

RecordPlace place_behind(NodeId ids) {
  return {{.inserts = ids + 5, .removes = 7, .updates = 0, .flushes = 3}, 4711, kSeed};
}

/// A record of arbitrary vectors, labels and proposals; every third is an update.
struct Sample {
  explicit Sample(std::uint64_t number) : random(number) {
    IndexParams params;
    params.dimension = 1 + below(40);
    params.M = 2 + below(63);
    stride = stride_of(params.dimension);
    graph.emplace(params);
    record.kind = number % 3 == 2 ? RecordKind::update : RecordKind::insert;
    const NodeId first = 20 + below(300);
    const NodeId count = 1 + below(12);
    graph->announce(first + count);
    record.element = static_cast<Element>(below(3));
    rows.resize(count * stride * bytes_of(record.element));
    for (std::byte& byte : rows) byte = static_cast<std::byte>(random());
    const bool labels_are_ids = below(2) == 0;
    for (NodeId i = 0; i < count; ++i) {
      labels.push_back(labels_are_ids ? first + i : random());
    }
    record.rows = rows;
    record.labels = labels;
    record.batch.reset(first, first + count, *graph);
    for (std::size_t list = 0; list < record.batch.lists(); ++list) {
      const NodeId length = below(params.M + 1);
      for (NodeId i = 0; i < params.M; ++i) {
        record.batch.list(list)[i] = i < length ? below(kMaxNodes) : kNoNode;
      }
    }
    if (record.kind == RecordKind::update) record.added = below(count);
    record.reserve();
    const std::size_t capacity = record.buffer.capacity();
    const std::uint64_t checksum = encode(record, place_behind(first - 5));
    EXPECT_EQ(checksum, header().checksum);
    EXPECT_EQ(record.buffer.capacity(), capacity) << "the thread that encodes takes no memory";
  }

  [[nodiscard]] RecordHeader header() const {
    RecordHeader header;
    std::memcpy(&header, record.buffer.data(), sizeof header);
    return header;
  }
  [[nodiscard]] std::vector<std::byte> payload() const {
    std::vector<std::byte> bytes(record.buffer.begin() + sizeof(RecordHeader), record.buffer.end());
    bytes.insert(bytes.end(), rows.begin(), rows.end());
    return bytes;
  }
  NodeId below(NodeId end) { return static_cast<NodeId>(random() % end); }

  std::mt19937_64 random;
  std::uint32_t stride = 0;
  std::optional<Graph> graph;
  std::vector<std::byte> rows;
  std::vector<std::uint64_t> labels;
  NewRecord record;
};

/// All that a record of a batch says.
struct Content {
  RecordKind kind = RecordKind::insert;
  OperationCounts before;
  OperationCounts after;
  Element element = Element::u8;
  std::vector<std::byte> rows;
  std::vector<std::uint64_t> labels;
  std::vector<NodeId> ids;
  bool operator==(const Content&) const = default;
};

/// What the bytes say, or nothing if they are refused.
std::optional<Content> read(const RecordHeader& header, std::span<const std::byte> payload,
                            const Sample& sample) {
  try {
    const Record record = decode(header, payload, sample.stride);
    ProposalBatch batch;
    batch.reset(sample.record.batch.begin, sample.record.batch.end, *sample.graph);
    decode_proposals(record.proposals, batch);
    return Content{record.kind,
                   record.before,
                   record.after,
                   record.element,
                   {record.rows.begin(), record.rows.end()},
                   {record.labels.begin(), record.labels.end()},
                   batch.ids};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
    return std::nullopt;
  }
}

TEST(Record, IsReadAsItWasWritten) {
  std::size_t labelled = 0;
  for (std::uint64_t number = 0; number < 300; ++number) {
    SCOPED_TRACE(number);
    const Sample sample(number);
    const NewRecord& written = sample.record;
    const RecordHeader header = sample.header();
    const std::vector<std::byte> payload = sample.payload();
    EXPECT_EQ(header.magic, file::kRecordMagic);
    EXPECT_EQ(header.length, sizeof header + payload.size());
    EXPECT_EQ(header.length % file::kRecordAlignment, 0u);
    EXPECT_EQ(header.durable, 4711u);
    EXPECT_EQ(header.checksum, checksum_of(header, kSeed));
    EXPECT_EQ(header.payload_checksum, XXH3_64bits_withSeed(payload.data(), payload.size(), kSeed));

    const std::optional<Content> content = read(header, payload, sample);
    ASSERT_TRUE(content);
    EXPECT_EQ(content->kind, written.kind);
    EXPECT_EQ(content->before.ids(), written.batch.begin);
    EXPECT_EQ(content->after.ids(), written.batch.end);
    EXPECT_EQ(content->before.size(), written.batch.begin - 7);
    const bool updates = written.kind == RecordKind::update;
    EXPECT_EQ(content->after.size(),
              (updates ? written.batch.begin + written.added : written.batch.end) - 7);
    EXPECT_EQ(content->after.flushes, 3u);
    EXPECT_EQ(content->element, written.element);
    EXPECT_EQ(content->rows, sample.rows);
    EXPECT_EQ(content->ids, written.batch.ids);
    const bool are_labels_ids = !updates && are_ids(sample.labels, written.batch.begin);
    EXPECT_EQ(content->labels, are_labels_ids ? std::vector<std::uint64_t>{} : sample.labels);
    labelled += are_labels_ids ? 0 : 1;
  }
  EXPECT_GT(labelled, 150u);
  EXPECT_LT(labelled, 250u);
}

/// A record of no batch, as header and payload.
struct Other {
  explicit Other(std::span<const std::byte> bytes)
      : payload(bytes.begin() + sizeof(RecordHeader), bytes.end()) {
    std::memcpy(&header, bytes.data(), sizeof header);
  }
  RecordHeader header;
  std::vector<std::byte> payload;
};

TEST(Record, OfARemovalAFlushOrAMarkIsReadAsItWasWritten) {
  const RecordPlace place = place_behind(100);
  const std::vector<std::uint64_t> labels{9, 4, ~std::uint64_t{0}};
  std::vector<std::byte> bytes;
  encode_remove(labels, place, bytes);
  const Other removal(bytes);
  const Record remove = decode(removal.header, removal.payload, 8);
  EXPECT_EQ(remove.kind, RecordKind::remove);
  EXPECT_EQ(std::vector(remove.labels.begin(), remove.labels.end()), labels);
  EXPECT_EQ(remove.before, place.before);
  EXPECT_EQ(remove.after.removes, place.before.removes + 3);
  EXPECT_EQ(remove.after.size(), place.before.size() - 3);

  encode_flush(place, bytes);
  const Other flushing(bytes);
  const Record flush = decode(flushing.header, flushing.payload, 8);
  EXPECT_EQ(flush.kind, RecordKind::flush);
  EXPECT_EQ(flush.after.flushes, place.before.flushes + 1);
  EXPECT_EQ(flush.after.size(), place.before.size());

  MarkBytes mark_bytes;
  encode_mark({98, 0x123, 0x456}, place, mark_bytes);
  const Other marking(mark_bytes);
  const Record mark = decode(marking.header, marking.payload, 8);
  EXPECT_EQ(mark.kind, RecordKind::mark);
  EXPECT_EQ(mark.mark.size, 98u);
  EXPECT_EQ(mark.mark.chain, 0x123u);
  EXPECT_EQ(mark.mark.boot, 0x456u);
  EXPECT_EQ(mark.after, place.before);

  for (const Other& other : {removal, flushing, marking}) {
    EXPECT_EQ(other.header.length, sizeof other.header + other.payload.size());
    EXPECT_EQ(other.header.durable, 4711u);
    EXPECT_EQ(other.header.checksum, checksum_of(other.header, kSeed));
  }
}

TEST(Record, OfARemovalAFlushOrAMarkWithAnotherLengthOrCountIsRefused) {
  const RecordPlace place = place_behind(100);
  const std::uint64_t labels[] = {9, 4};
  std::vector<std::byte> remove, flush;
  MarkBytes mark;
  encode_remove(labels, place, remove);
  encode_flush(place, flush);
  encode_mark({98, 1, 2}, place, mark);
  const auto refused = [](const RecordHeader& header, std::span<const std::byte> payload) {
    try {
      decode(header, payload, 8);
    } catch (const Error& error) {
      return error.code() == ErrorCode::corrupt_file;
    }
    return false;
  };
  for (const Other& other : {Other(remove), Other(flush), Other(mark)}) {
    ASSERT_FALSE(refused(other.header, other.payload));
    std::vector<std::byte> longer = other.payload;
    longer.resize(longer.size() + 8);
    EXPECT_TRUE(refused(other.header, longer));
    const std::span shorter = std::span(other.payload).first(other.payload.empty() ? 0 : 8);
    EXPECT_TRUE(other.payload.empty() || refused(other.header, shorter));
    for (std::size_t bit = 8 * offsetof(RecordHeader, kind);
         bit < 8 * offsetof(RecordHeader, length); ++bit) {
      RecordHeader header = other.header;
      std::as_writable_bytes(std::span(&header, 1))[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_TRUE(refused(header, other.payload)) << bit;
    }
  }
  RecordHeader header = Other(remove).header;
  header.before.inserts = header.before.removes + 1;  // one vector, and two are removed
  EXPECT_TRUE(refused(header, Other(remove).payload));
}

TEST(Record, CutAnywhereIsRefusedOrAnotherWithinTheBytes) {
  for (std::uint64_t number = 0; number < 40; ++number) {
    const Sample sample(number);
    const RecordHeader header = sample.header();
    const std::vector<std::byte> payload = sample.payload();
    const std::optional<Content> whole = read(header, payload, sample);
    for (std::size_t length = 0; length < payload.size(); ++length) {
      const test::BytesBeforeAGuard cut(length);
      std::memcpy(cut.data(), payload.data(), length);
      ASSERT_NE(read(header, {cut.data(), length}, sample), whole) << number << " " << length;
    }
  }
}

TEST(Record, WithAnyBitFlippedIsRefusedOrAnotherWithinTheBytes) {
  for (std::uint64_t number = 0; number < 40; ++number) {
    const Sample sample(number);
    const std::vector<std::byte> payload = sample.payload();
    const std::optional<Content> whole = read(sample.header(), payload, sample);
    const test::BytesBeforeAGuard copy(payload.size());
    std::memcpy(copy.data(), payload.data(), payload.size());
    const std::span bytes(copy.data(), payload.size());
    const auto flip = [](std::byte& byte, std::size_t bit) { byte ^= std::byte{1} << bit; };
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      flip(bytes[bit / 8], bit % 8);
      ASSERT_NE(read(sample.header(), bytes, sample), whole) << number << " " << bit;
      flip(bytes[bit / 8], bit % 8);
    }
    // The fields of the header that decode() reads.
    for (std::size_t bit = 8 * offsetof(RecordHeader, kind);
         bit < 8 * offsetof(RecordHeader, length); ++bit) {
      RecordHeader header = sample.header();
      flip(std::as_writable_bytes(std::span(&header, 1))[bit / 8], bit % 8);
      ASSERT_NE(read(header, bytes, sample), whole) << number << " " << bit;
    }
    ASSERT_EQ(read(sample.header(), bytes, sample), whole);
  }
}

}  // namespace
}  // namespace concord::core
