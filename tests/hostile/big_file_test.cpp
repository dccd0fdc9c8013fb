// Files beyond 4 GiB, most of them holes: an index whose vectors are all but one zero and whose
// graph is a chain, and a journal of such vectors. What is beyond the 32nd bit is read, and damage
// there is found. Holes themselves are read where CONCORD_TEST_SCALE is 400 or more, because some
// systems do that at 100 MB/s.

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "common/file/file_layout.hpp"
#include "common/graph/epoch.hpp"
#include "common/graph/level.hpp"
#include "common/journal/record_reader.hpp"
#include "tests/hostile/data_limit.hpp"
#include "tests/support/index_file.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

using namespace core::file;
using core::NodeId;

constexpr std::uint64_t kFourGiB = std::uint64_t{1} << 32;
constexpr std::uint32_t kDimension = 65536;

/// A file that is written here and there; where it is not, it reads as zero.
class SparseFile {
 public:
  explicit SparseFile(const std::filesystem::path& path)
      : descriptor_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    EXPECT_GE(descriptor_, 0);
  }
  ~SparseFile() { close(descriptor_); }
  SparseFile(const SparseFile&) = delete;
  SparseFile& operator=(const SparseFile&) = delete;

  /// False where the file system has no room for it, or fills holes with memory.
  [[nodiscard]] bool resize(std::uint64_t bytes) const {
    constexpr auto kTmpfs = 0x01021994;
    struct statfs system {};
    return fstatfs(descriptor_, &system) == 0 && system.f_type != kTmpfs &&
           ftruncate(descriptor_, static_cast<off_t>(bytes)) == 0;
  }
  void put(std::uint64_t offset, const void* data, std::size_t bytes) const {
    ASSERT_EQ(pwrite(descriptor_, data, bytes, static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes));
  }
  void flip(std::uint64_t offset) const {
    char byte = 0;
    ASSERT_EQ(pread(descriptor_, &byte, 1, static_cast<off_t>(offset)), 1);
    byte = static_cast<char>(byte ^ 1);
    put(offset, &byte, 1);
  }

 private:
  int descriptor_;
};

/// Adds zeros to a hash.
template <class Update>
void add_zeros(std::uint64_t bytes, const Update& update) {
  static constexpr std::array<char, 1 << 16> kZeros{};
  for (; bytes > 0; bytes -= std::min<std::uint64_t>(bytes, kZeros.size())) {
    update(kZeros.data(), std::min<std::uint64_t>(bytes, kZeros.size()));
  }
}

class BigFile : public testing::Test {
 protected:
  static bool reads_holes() { return scaled(100) >= 400; }
  void SetUp() override {
    if (!DataLimit::supported() || !full_scale()) GTEST_SKIP() << "takes a sanitizer minutes";
  }
  TempPath path_;
};

/// Writes an index file whose layers are chains in the order of insertion.
class ChainFile {
 public:
  explicit ChainFile(const std::filesystem::path& path) : file_(path) {
    params_.dimension = kDimension;
    params_.M = 64;
    core::Epoch epoch;
    while (std::uint64_t{epoch.end} * kDimension * sizeof(float) < kFourGiB) {
      epoch = epoch.next(params_.epoch_limit);
    }
    n_ = epoch.end;
    open_ = epoch.next(params_.epoch_limit);
    for (NodeId i = 0; i < n_; ++i) {
      levels_.push_back(static_cast<std::uint8_t>(core::level_of(params_.seed, i, params_.M)));
      epochs_.push_back(core::Epoch::of(i, params_.epoch_limit).number);
      labels_.push_back(1000 + 3 * std::uint64_t{i});
    }
  }

  /// False where there is no room.
  bool write() {
    make_lists();
    lay_out();
    if (!file_.resize(footer_ + sizeof(Footer))) return false;
    put(kLevels, levels_);
    put(kBaseLists, lists_[0]);
    put(kUpperLists, lists_[1]);
    put(kLabels, labels_);
    file_.put(sections_[kVectors].offset, &kFirst, sizeof kFirst);
    sections_[kVectors].checksum = checksum_of_vectors();
    const Footer footer{kMagic, footer_ + sizeof(Footer), {}};  // nobody asks for the digest
    file_.put(footer_, &footer, sizeof footer);
    write_header();
    return true;
  }

  [[nodiscard]] NodeId size() const { return n_; }
  [[nodiscard]] std::uint64_t offset(Section s) const { return sections_[s].offset; }
  [[nodiscard]] const SparseFile& file() const { return file_; }

 private:
  static constexpr float kFirst = 0.5F;  // of the first vector, so that no byte would hold it

  // Before and after a node in its layer.
  void make_lists() {
    const std::uint8_t top = *std::max_element(levels_.begin(), levels_.end());
    std::vector<std::optional<NodeId>> last(top + 1u);
    std::vector<std::vector<NodeId>> after(n_);
    for (NodeId i = n_; i-- > 0;) {
      for (std::uint32_t layer = 0; layer <= levels_[i]; ++layer) {
        after[i].push_back(last[layer] ? *last[layer] : i);
        last[layer] = i;
      }
    }
    std::vector<std::optional<NodeId>> before(top + 1u);
    for (NodeId i = 0; i < n_; ++i) {
      for (std::uint32_t layer = 0; layer <= levels_[i]; ++layer) {
        std::vector<NodeId> ids;
        if (before[layer]) ids.push_back(*before[layer]);
        const auto anchors = static_cast<std::uint32_t>(ids.size());
        if (after[i][layer] != i) ids.push_back(after[i][layer]);
        before[layer] = i;
        std::vector<std::uint32_t>& words = lists_[layer == 0 ? 0 : 1];
        const std::size_t first = words.size();
        words.resize(first + 4 + (layer == 0 ? 2 : 1) * params_.M);
        words[first] = static_cast<std::uint32_t>(ids.size()) | anchors << 16;
        words[first + 3] = ids.empty() ? 0 : epochs_[std::max(i, after[i][layer])];
        std::copy(ids.begin(), ids.end(), words.begin() + static_cast<std::ptrdiff_t>(first + 4));
      }
    }
  }

  void lay_out() {
    const std::uint64_t lengths[] = {n_, lists_[0].size() * 4, 0,
                                     0,  lists_[1].size() * 4, 0,
                                     0,  vector_bytes(),       labels_.size() * 8};
    std::uint64_t end = kTableEnd;
    for (std::uint32_t s = 0; s < kSections; ++s) {
      const std::uint64_t offset = core::file::align(end, kSectionAlignment);
      sections_[s] = {s + 1, 0, offset, lengths[s], XXH3_64bits(nullptr, 0)};
      end = offset + lengths[s];
    }
    footer_ = core::file::align(end, kFooterAlignment);
  }

  template <class T>
  void put(Section s, const std::vector<T>& values) {
    const std::size_t bytes = values.size() * sizeof(T);
    file_.put(sections_[s].offset, values.data(), bytes);
    sections_[s].checksum = XXH3_64bits(values.data(), bytes);
  }

  [[nodiscard]] std::uint64_t vector_bytes() const {
    return std::uint64_t{n_} * kDimension * sizeof(float);
  }
  [[nodiscard]] std::uint64_t checksum_of_vectors() const {
    XXH3_state_t hash{};
    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, &kFirst, sizeof kFirst);
    add_zeros(vector_bytes() - sizeof kFirst,
              [&](const void* data, std::size_t bytes) { XXH3_64bits_update(&hash, data, bytes); });
    return XXH3_64bits_digest(&hash);
  }

  [[nodiscard]] EntryRecord entry_before(NodeId end) const {
    const auto first = levels_.begin();
    const auto highest = std::max_element(first, first + end);
    return {static_cast<std::uint32_t>(highest - first), *highest};
  }

  void write_header() {
    Header header{};
    header.magic = kMagic;
    header.version = kVersionAlive;
    header.section_count = kSections;
    header.dimension = kDimension;
    header.metric = static_cast<std::uint32_t>(params_.metric);
    header.M = params_.M;
    header.ef_construction = params_.ef_construction;
    header.seed = params_.seed;
    header.epoch_limit = params_.epoch_limit;
    header.n = n_;
    header.entry = entry_before(n_);
    header.sealed_entries[open_.number & 1] = entry_before(open_.sealed_end);
    header.sealed_entries[(open_.number + 1) & 1] = entry_before(n_);
    header.footer_offset = footer_;
    header.element = 2;
    XXH3_state_t hash{};
    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, &header, offsetof(Header, checksum));
    XXH3_64bits_update(&hash, sections_, sizeof sections_);
    header.checksum = XXH3_64bits_digest(&hash);
    file_.put(0, &header, sizeof header);
    file_.put(sizeof header, sections_, sizeof sections_);
  }

  SparseFile file_;
  IndexParams params_;
  NodeId n_ = 0;
  core::Epoch open_;
  std::vector<std::uint8_t> levels_;
  std::vector<std::uint32_t> epochs_;
  std::vector<std::uint64_t> labels_;
  std::vector<std::uint32_t> lists_[2];
  SectionRecord sections_[kSections] = {};
  std::uint64_t footer_ = 0;
};

RuntimeOptions on_cpu() {
  RuntimeOptions options;
  options.threads = 2;
  options.device = "cpu";
  return options;
}

TEST_F(BigFile, IndexBeyondFourGiBIsMappedAndItsDamageFound) {
  ChainFile chain(path_);
  if (!chain.write()) GTEST_SKIP() << "the file system has no room for a file with holes";
  ASSERT_GT(chain.offset(kLabels), kFourGiB);
  const std::uint64_t last = 1000 + 3 * (std::uint64_t{chain.size()} - 1);
  {
    const Index index = Index::map(path_, MapCheck::on_first_use, on_cpu());
    EXPECT_EQ(index.size(), chain.size());
    EXPECT_TRUE(index.contains(last));
    EXPECT_EQ(index.labels().back(), last);
    if (reads_holes()) {
      EXPECT_EQ(index.vector(last), std::vector<float>(kDimension, 0.0F));
      EXPECT_EQ(index.vector(1000)[0], 0.5F);
      const std::vector<float> query(kDimension, 0.0F);
      EXPECT_EQ(index.search({query.data(), 1, kDimension}, {.k = 3, .ef = 3}).counts[0], 3u);
    }
  }
  chain.file().flip(chain.offset(kLabels) + 8);
  expect_error(ErrorCode::corrupt_file, {"'labels' is damaged"},
               [&] { (void)Index::map(path_, MapCheck::on_first_use, on_cpu()).contains(last); });
}

TEST_F(BigFile, JournalBeyondFourGiBIsReadAndItsDamageFound) {
  if (!reads_holes()) GTEST_SKIP() << "all of it is read where CONCORD_TEST_SCALE is 400 or more";
  constexpr std::uint32_t kCount = 1024;  // vectors of a record
  constexpr std::uint64_t kPayload = kCount + std::uint64_t{kCount} * kDimension;  // of zeros
  constexpr std::uint64_t kRecord = sizeof(RecordHeader) + kPayload;
  constexpr std::uint64_t kRecords = kFourGiB / kRecord + 2;
  constexpr std::uint64_t kMarkAt = kRecordsBegin + kRecords * kRecord;
  const SparseFile file(path_);
  if (!file.resize(kMarkAt)) GTEST_SKIP() << "the file system has no room for a file with holes";
  core::JournalBegin begin{};
  begin.header.version = kJournalVersion;
  begin.header.dimension = kDimension;
  begin.header.checksum = 0x1234567;
  begin.closed = {kRecordsBegin, begin.header.checksum, 0, 0};
  const std::uint64_t seed = begin.header.checksum;
  const std::vector<char> zeros(kPayload);
  const std::uint64_t payload_checksum = XXH3_64bits_withSeed(zeros.data(), zeros.size(), seed);
  std::uint64_t chain = seed;
  core::RecordPlace place{{}, 0, seed};
  for (std::uint64_t r = 0; r < kRecords; ++r) {
    RecordHeader header{};
    header.magic = kRecordMagic;
    header.count = kCount;
    header.length = kRecord;
    header.before = place.before;
    header.payload_checksum = payload_checksum;
    header.checksum = checksum_of(header, seed);
    file.put(kRecordsBegin + r * kRecord, &header, sizeof header);
    chain = chain_after(chain, header.checksum);
    place.before.inserts += kCount;
  }
  place.durable = kMarkAt;
  core::MarkBytes mark;
  core::encode_mark({place.before.inserts, chain, 0}, place, mark);
  file.put(kMarkAt, mark.data(), mark.size());

  const auto read = [&] {
    const core::File journal(path_, O_RDONLY);
    core::RecordReader reader(journal, begin, 0);
    while (reader.next() != nullptr) {
    }
    EXPECT_EQ(reader.tail().bytes, 0u);
    return std::pair(reader.offset(), reader.counts().size());
  };
  EXPECT_EQ(read(), std::pair(kMarkAt + mark.size(), kRecords * kCount));
  const std::uint64_t last = kMarkAt - kRecord;
  ASSERT_GT(last, kFourGiB);
  file.flip(kMarkAt - 3000);
  expect_error(ErrorCode::corrupt_file,
               {"the record at byte " + std::to_string(last), "written to disk whole"}, read);
}

}  // namespace
}  // namespace concord::test
