#include "common/replay_journal.hpp"

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace concord::core {
namespace {

using namespace file;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorCode::corrupt_file, "'" + path.string() + "' is not a sound journal: " + reason);
}

/// The parts of a record, in its bytes.
struct Record {
  RecordHeader header{};
  const std::byte* labels = nullptr;  ///< [count] u64, or null: labels are ids
  const std::byte* proposals = nullptr;
  std::size_t proposal_bytes = 0;  ///< padding included
  const std::byte* rows = nullptr;
  [[nodiscard]] NodeId end() const { return header.first + header.count; }
};

/// Goes through the records of a journal, one after another.
class RecordReader {
 public:
  RecordReader(const File& file, const std::filesystem::path& path, const JournalHeader& journal)
      : file_(file), path_(path), seed_(journal.checksum), length_(file.size()) {}

  /// The next record, valid until the next call; false at the end of what is sound.
  bool next(Record& record) {
    if (offset_ == length_) return false;
    if (!read_header(record.header) || !read_payload(record.header)) {
      expect_torn();
      return false;
    }
    offset_ += record.header.length;
    return true;
  }
  [[nodiscard]] const std::byte* payload() const { return buffer_.data(); }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t left() const { return length_ - offset_; }

 private:
  [[nodiscard]] bool is_header(const RecordHeader& header) const {
    return header.magic == kRecordMagic && header.checksum == checksum_of(header, seed_);
  }
  bool read_header(RecordHeader& header) {
    if (left() < sizeof header) return false;
    return file_.read(offset_, &header, sizeof header) == sizeof header && is_header(header) &&
           header.length >= sizeof header && header.length <= left();
  }
  bool read_payload(const RecordHeader& header) {
    buffer_.resize(header.length - sizeof header);
    return file_.read(offset_ + sizeof header, buffer_.data(), buffer_.size()) == buffer_.size() &&
           XXH3_64bits_withSeed(buffer_.data(), buffer_.size(), seed_) == header.payload_checksum;
  }

  // A crash may leave any part of what was not synced, so records may follow a hole; but none that
  // was written when the hole's bytes were known to be on disk.
  void expect_torn() {
    constexpr std::size_t kBlock = std::size_t{1} << 20;
    std::vector<std::byte> block(kBlock + sizeof(RecordHeader));
    for (std::uint64_t first = offset_; first < length_; first += kBlock) {
      const std::size_t bytes = file_.read(first, block.data(), block.size());
      for (std::size_t at = 0; at < kBlock && at + sizeof(RecordHeader) <= bytes;
           at += kRecordAlignment) {
        RecordHeader header;
        std::memcpy(&header, block.data() + at, sizeof header);
        if (header.magic != kRecordMagic || header.durable <= offset_ || !is_header(header))
          continue;
        if (header.durable > first + at) continue;  // not one of ours: what a vector looks like
        refuse(path_, "the record at byte " + std::to_string(offset_) +
                          " is damaged, though it had been written to disk whole");
      }
    }
  }

  const File& file_;
  const std::filesystem::path& path_;
  std::uint64_t seed_;
  std::uint64_t length_;
  std::uint64_t offset_ = sizeof(JournalHeader);
  std::vector<std::byte> buffer_;
};

class Replayer {
 public:
  Replayer(const File& file, const std::filesystem::path& path, const JournalHeader& header,
           const ReplayParts& parts)
      : path_(path), reader_(file, path, header), parts_(parts), expected_(header.base) {}

  Replay run() {
    Replay replay;
    const NodeId known = parts_.graph.size();
    Record record;
    while (reader_.next(record)) {
      split(record);
      if (record.end() <= known) {
        compare(record);
      } else if (record.header.first == parts_.graph.size()) {
        add(record);
        replay.recovered += record.header.count;
      } else {
        refuse(path_, "the index file ends in the middle of a record");
      }
      expected_ = record.end();
    }
    replay.end = expected_;
    replay.length = reader_.offset();
    replay.cut = reader_.left();
    return replay;
  }

 private:
  // Only lengths are checked here; nothing was computed from the header before.
  void split(Record& record) const {
    const RecordHeader& header = record.header;
    if (header.first != expected_ || header.count == 0 || header.count > kMaxNodes ||
        header.first > kMaxNodes - header.count) {
      refuse(path_, "a record holds other vectors than those that come next");
    }
    if (header.element > static_cast<std::uint8_t>(Element::f32) || header.labelled > 1 ||
        header.zero != 0) {
      refuse(path_, "a record is of no known kind");
    }
    const std::uint64_t element_bytes = element_of(header) == Element::f32 ? sizeof(float) : 1;
    const std::uint64_t rows = element_bytes * header.count * parts_.vectors.stride();
    const std::uint64_t labels = header.labelled * sizeof(std::uint64_t) * header.count;
    const std::uint64_t payload = header.length - sizeof header;
    if (payload < rows || payload - rows < labels || header.length % kRecordAlignment != 0) {
      refuse(path_, "a record is too short for its vectors");
    }
    const std::byte* const bytes = reader_.payload();
    record.labels = header.labelled != 0 ? bytes : nullptr;
    record.proposals = bytes + labels;
    record.proposal_bytes = payload - rows - labels;
    record.rows = bytes + (payload - rows);
  }
  static Element element_of(const RecordHeader& header) {
    return static_cast<Element>(header.element);
  }

  // ------------------------------------------------------------------------------ vectors, labels

  /// Some of the record's rows as floats, until the next call.
  const float* widen(const Record& record, std::size_t first, std::size_t count) {
    const std::size_t stride = parts_.vectors.stride();
    floats_.resize(count * stride);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(record.rows) + first * stride;
    switch (element_of(record.header)) {
      case Element::f32:
        std::memcpy(floats_.data(), record.rows + first * stride * sizeof(float),
                    floats_.size() * sizeof(float));
        break;
      case Element::u8:
        std::copy_n(bytes, floats_.size(), floats_.begin());
        break;
      case Element::i8:
        std::copy_n(reinterpret_cast<const std::int8_t*>(bytes), floats_.size(), floats_.begin());
        break;
    }
    return floats_.data();
  }
  template <class Use>
  void for_rows(const Record& record, const Use& use) {
    const std::size_t at_once = vectors_at_once(parts_.vectors.stride());
    for (std::size_t i = 0; i < record.header.count; i += at_once) {
      const std::size_t count = std::min<std::size_t>(at_once, record.header.count - i);
      use(record.header.first + i, count, widen(record, i, count));
    }
  }
  std::span<const std::uint64_t> labels_of(const Record& record) {
    labels_.resize(record.header.count);
    for (std::size_t i = 0; i < labels_.size(); ++i) labels_[i] = record.header.first + i;
    if (record.labels != nullptr)
      std::memcpy(labels_.data(), record.labels, labels_.size() * sizeof(std::uint64_t));
    return labels_;
  }

  // The index file has been written since the journal was begun.
  void compare(const Record& record) {
    const auto labels = labels_of(record);
    bool equal = std::equal(labels.begin(), labels.end(),
                            parts_.labels.labels().begin() + record.header.first);
    std::vector<float> stored;
    for_rows(record, [&](std::size_t first, std::size_t count, const float* rows) {
      stored.resize(count * parts_.vectors.stride());
      parts_.vectors.copy(first, count, stored.data());
      equal = equal && std::memcmp(stored.data(), rows, stored.size() * sizeof(float)) == 0;
    });
    if (!equal) refuse(path_, "it holds other vectors or labels than the index file");
  }

  void add_vectors(const Record& record) {
    VectorStore& vectors = parts_.vectors;
    vectors.resize(record.end());
    for_rows(record, [&](std::size_t first, std::size_t count, const float* rows) {
      for (std::size_t i = 0; i < count; ++i) {
        if (vectors.is_stored_form(rows + i * vectors.stride())) continue;
        refuse(path_,
               "vector " + std::to_string(first + i) + " is not one that the index would take");
      }
      vectors.restore(first, count, rows, parts_.pool);
    });
  }
  void add_labels(const Record& record) {
    try {
      parts_.labels.append(labels_of(record), record.header.count);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::duplicate_label) throw;
      refuse(path_, error.what());
    }
  }

  // ------------------------------------------------------------------------------------ proposals

  void read_proposals(const Record& record) {
    const Graph& graph = parts_.graph;
    batch_.reset(record.header.first, record.end(), graph);
    std::fill(batch_.ids.begin(), batch_.ids.end(), kNoNode);
    const std::byte* const counts = record.proposals;
    if (record.proposal_bytes < batch_.lists()) refuse(path_, "a record lacks proposals");
    const std::byte* ids = counts + batch_.lists();
    const std::byte* const end = counts + record.proposal_bytes;
    std::size_t list = 0;
    for (NodeId node = batch_.begin; node < batch_.end; ++node) {
      for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer, ++list) {
        const auto count = std::to_integer<std::size_t>(counts[list]);
        const std::size_t bytes = count * sizeof(NodeId);
        if (count > batch_.M || bytes > static_cast<std::size_t>(end - ids))
          refuse(path_, "a record has more proposals than fit");
        std::memcpy(batch_.list(node, layer), ids, bytes);
        ids += bytes;
        check_list(node, layer, {batch_.list(node, layer), count});
      }
    }
    if (end - ids >= static_cast<std::ptrdiff_t>(kRecordAlignment) ||
        !std::all_of(ids, end, [](std::byte b) { return b == std::byte{0}; })) {
      refuse(path_, "a record holds more than its header says");
    }
  }
  void check_list(NodeId node, std::uint32_t layer, std::span<const NodeId> ids) const {
    for (auto id = ids.begin(); id != ids.end(); ++id) {
      if (*id < node && parts_.graph.level(*id) >= layer && std::find(ids.begin(), id, *id) == id)
        continue;
      refuse(path_, "a proposal for vector " + std::to_string(node) +
                        " names itself, a later one, one of a lower layer, or one twice");
    }
  }

  void add(const Record& record) {
    Graph& graph = parts_.graph;
    seal_if_due();
    if (record.end() > graph.epoch().end) refuse(path_, "a record goes beyond its epoch");
    graph.reserve(record.end());
    add_vectors(record);
    add_labels(record);
    graph.announce(record.end());
    read_proposals(record);
    parts_.committer.commit(batch_);
    seal_if_due();
  }
  void seal_if_due() {
    if (parts_.committer.seal_is_due()) parts_.committer.seal(parts_.scorer);
  }

  const std::filesystem::path& path_;
  RecordReader reader_;
  const ReplayParts& parts_;
  NodeId expected_;
  std::vector<float> floats_;
  std::vector<std::uint64_t> labels_;
  ProposalBatch batch_;
};

}  // namespace

IndexParams params_of(const JournalHeader& header) {
  IndexParams params;
  params.dimension = header.dimension;
  params.metric = static_cast<Metric>(header.metric);
  params.M = header.M;
  params.ef_construction = header.ef_construction;
  params.seed = header.seed;
  params.epoch_limit = header.epoch_limit;
  return params;
}

JournalHeader read_journal_header(const File& file, const std::filesystem::path& path) {
  JournalHeader header;
  if (file.read(0, &header, sizeof header) < sizeof header) refuse(path, "it is too short");
  if (header.magic != kJournalMagic) refuse(path, "it does not begin with the magic bytes");
  if (header.version != kJournalVersion) {
    refuse(path, "its version is " + std::to_string(header.version) +
                     ", this library reads version " + std::to_string(kJournalVersion));
  }
  if (header.checksum != checksum_of(header) || header.zero != 0 || header.base > kMaxNodes)
    refuse(path, "its header is damaged");
  try {
    params_of(header).validate();
  } catch (const Error& error) {
    refuse(path, error.what());
  }
  return header;
}

Replay replay_journal(const File& file, const std::filesystem::path& path,
                      const JournalHeader& header, const ReplayParts& parts) {
  return Replayer(file, path, header, parts).run();
}

}  // namespace concord::core
