// Reading and validating the index file (FORMAT.md).

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/audit.hpp"
#include "common/file.hpp"
#include "common/file_format.hpp"
#include "common/file_layout.hpp"
#include "common/xxh3.hpp"

namespace concord::core {
namespace {

using namespace file;

constexpr const char* kSectionNames[kSectionCount] = {"levels",
                                                      "rows of layer 0",
                                                      "spills of layer 0",
                                                      "sealed copies of layer 0",
                                                      "rows of the upper layers",
                                                      "spills of the upper layers",
                                                      "sealed copies of the upper layers",
                                                      "vectors",
                                                      "labels"};

class Reader {
 public:
  // Without O_NONBLOCK a pipe would be waited for before it could be refused.
  explicit Reader(const std::filesystem::path& path)
      : path_(path), file_(path, O_RDONLY | O_NONBLOCK) {
    const struct stat status = file_.status();
    if (!S_ISREG(status.st_mode)) refuse("it is not a regular file");
    length_ = static_cast<std::uint64_t>(status.st_size);
  }

  IndexParts open(const std::function<IndexParts(const IndexParams&)>& make_parts) {
    read_header();
    const IndexParams params = read_params();
    check_sections(params);
    return make_parts(params);
  }
  void load(IndexParts parts) {
    parts.graph.announce(header_.n);
    fill(parts);
    restore(parts.graph);
    check_graph(parts.graph, parts.pool);
    check_digest(parts);
  }
  void map(IndexParts parts) {
    parts.graph.announce(header_.n);
    map_rows(parts.graph.table(0), kBaseRows);
    map_rows(parts.graph.table(1), kUpperRows);
    if (element() == Element::f32) {
      parts.vectors.map(mapped<float>(kVectors));
    } else {
      parts.vectors.map(mapped<std::uint8_t>(kVectors), element());
    }
    parts.labels.map(mapped<std::uint64_t>(kLabels));
    restore(parts.graph);
  }
  void check_mapped(IndexParts parts, Content content) {
    switch (content) {
      case Content::graph:
        check_levels(parts.graph);
        check_mapped_sum(kBaseRows);
        check_mapped_sum(kUpperRows);
        return check_graph(parts.graph, parts.pool);
      case Content::vectors:
        check_mapped_sum(kVectors);
        return check_vectors(parts.vectors, parts.pool);
      case Content::labels:
        check_mapped_sum(kLabels);
        return check_labels([&] { parts.labels.index_mapped(); });
      case Content::digest:
        return check_digest(parts);
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    throw Error(ErrorCode::corrupt_file,
                "'" + path_.string() + "' is not a sound Concord index: " + reason);
  }

  void read(std::uint64_t offset, void* to, std::size_t bytes) const {
    if (file_.read(offset, to, bytes) < bytes) refuse("it ends early");
  }

  void read_header() {
    if (length_ < sizeof(Header) + sizeof sections_ + sizeof(Footer)) refuse("it is too short");
    read(0, &header_, sizeof header_);
    if (header_.magic != kMagic) refuse("it does not begin with the magic bytes");
    if (header_.version < kOldestVersion || header_.version > kVersion) {
      refuse("its version is " + std::to_string(header_.version) +
             ", this library reads versions " + std::to_string(kOldestVersion) + " to " +
             std::to_string(kVersion));
    }
    read(sizeof header_, sections_, sizeof sections_);
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, &header_, offsetof(Header, checksum));
    XXH3_64bits_update(&hash, sections_, sizeof sections_);
    if (XXH3_64bits_digest(&hash) != header_.checksum) refuse("its header is damaged");
    if (header_.section_count != kSectionCount) refuse("it has another number of sections");
    const bool unused_is_zero =
        is_zero(header_.zero.data(), header_.zero.size()) &&
        std::all_of(std::begin(sections_), std::end(sections_),
                    [](const SectionRecord& record) { return record.zero == 0; });
    if (!unused_is_zero) refuse("its header has bytes that are not zero where there is no field");
    constexpr auto kLastElement = static_cast<std::uint32_t>(Element::f32);
    if (header_.element > (header_.version > 1 ? kLastElement : 0)) {
      refuse("it keeps vectors in an unknown way");
    }
    if (header_.seal_is_due > (header_.version > 1 ? 1 : 0)) {
      refuse("its open epoch is in no known state");
    }
  }
  [[nodiscard]] Element element() const {
    return header_.version > 1 ? static_cast<Element>(header_.element) : Element::f32;
  }
  static bool is_zero(const std::uint8_t* bytes, std::size_t count) {
    return std::all_of(bytes, bytes + count, [](std::uint8_t byte) { return byte == 0; });
  }

  IndexParams read_params() {
    IndexParams params;
    params.dimension = header_.dimension;
    params.metric = static_cast<Metric>(header_.metric);
    params.M = header_.M;
    params.ef_construction = header_.ef_construction;
    params.seed = header_.seed;
    params.epoch_limit = header_.epoch_limit;
    try {
      params.validate();
    } catch (const Error& error) {
      refuse(error.what());
    }
    if (params.metric == Metric::cosine && element() != Element::f32) {
      refuse("it keeps normalised vectors as bytes");
    }
    if (header_.n > kMaxNodes) refuse("it claims more vectors than an index can hold");
    if (header_.seal_is_due != 0 &&
        (header_.n == 0 || Epoch::of(header_.n - 1, params.epoch_limit).end != header_.n)) {
      refuse("it claims that a seal is due in the middle of an epoch");
    }
    return params;
  }

  // Lengths must be what n and the parameters give. The first section is n bytes long, so n is at
  // most the file's length before anything is computed from it.
  void check_sections(const IndexParams& params) {
    std::uint64_t end = sizeof(Header) + sizeof sections_;
    for (std::uint32_t s = 0; s < kSectionCount; ++s) {
      const SectionRecord& record = sections_[s];
      if (record.kind != s + 1 || record.offset != align(end, kSectionAlignment) ||
          record.offset > length_ || record.length > length_ - record.offset) {
        refuse(std::string("section '") + kSectionNames[s] + "' is out of place or too long");
      }
      end = record.offset + record.length;
    }
    const std::uint64_t n = header_.n;
    expect_length(kLevels, n);
    std::uint64_t upper_rows = 0;
    for (std::uint64_t i = 0; i < n; ++i) upper_rows += level_of(params.seed, i, params.M);
    const std::uint64_t header_words = RowTable::kHeaderWords;
    const std::uint64_t M = params.M;
    expect_length(kBaseRows, n * (header_words + 2 * M) * 4);
    expect_length(kUpperRows, upper_rows * (header_words + M) * 4);
    expect_blocks(kBaseSpills, 2 * M * 4, n);
    expect_blocks(kBaseCopies, (2 * M + 1) * 4, n);
    expect_blocks(kUpperSpills, M * 4, upper_rows);
    expect_blocks(kUpperCopies, (M + 1) * 4, upper_rows);
    const std::uint64_t stride = (std::uint64_t{params.dimension} + 7) / 8 * 8;
    expect_length(kVectors, n * stride * (element() == Element::f32 ? sizeof(float) : 1));
    expect_length(kLabels, n * 8);
    if (header_.footer_offset != align(end, kFooterAlignment) ||
        length_ != header_.footer_offset + sizeof(Footer)) {
      refuse("its length is not what its header says");
    }
    check_gaps();
  }
  // No checksum covers them, and every byte of a file is either meant or refused.
  void check_gaps() {
    std::array<std::uint8_t, kSectionAlignment> gap;
    std::uint64_t end = sizeof(Header) + sizeof sections_;
    for (std::uint32_t s = 0; s <= kSectionCount; ++s) {
      const std::uint64_t next = s < kSectionCount ? sections_[s].offset : header_.footer_offset;
      read(end, gap.data(), next - end);
      if (!is_zero(gap.data(), next - end)) refuse("the bytes between its sections are not zero");
      if (s < kSectionCount) end = next + sections_[s].length;
    }
  }
  void expect_length(Section section, std::uint64_t bytes) const {
    if (sections_[section].length == bytes) return;
    refuse(std::string("section '") + kSectionNames[section] + "' has " +
           std::to_string(sections_[section].length) + " bytes instead of " +
           std::to_string(bytes));
  }
  void expect_blocks(Section section, std::uint64_t block_bytes, std::uint64_t at_most) const {
    const std::uint64_t length = sections_[section].length;
    if (length % block_bytes != 0 || length / block_bytes > at_most) {
      refuse(std::string("section '") + kSectionNames[section] + "' has an impossible length");
    }
  }

  void read_section(Section section, void* to) const {
    read(sections_[section].offset, to, sections_[section].length);
    check_sum(section, to);
  }
  void check_sum(Section section, const void* content) const {
    if (XXH3_64bits(content, sections_[section].length) == sections_[section].checksum) return;
    refuse(std::string("section '") + kSectionNames[section] + "' is damaged");
  }
  template <class T>
  VirtualArray<T> mapped(Section section) const {
    return {file_, sections_[section].offset, sections_[section].length / sizeof(T)};
  }

  void fill_vectors(VectorStore& vectors, ThreadPool& pool) {
    read_section(kVectors, vectors.begin_import(element(), header_.n));
    check_vectors(vectors, pool);
    if (header_.version == 1) vectors.narrow();
  }
  void check_vectors(const VectorStore& vectors, ThreadPool& pool) const {
    for_each_node(pool, [&](NodeId i) {
      if (vectors.has_stored_form(i)) return;
      refuse("vector " + std::to_string(i) + " is not one that the index would take");
    });
    if (header_.version > 1 && vectors.narrowest(header_.n) != element()) {
      refuse("its vectors would be kept in a narrower way");
    }
  }

  void check_levels(const Graph& graph) {
    std::vector<std::uint8_t> levels(header_.n);
    read_section(kLevels, levels.data());
    if (!std::equal(levels.begin(), levels.end(), graph.levels().begin())) {
      refuse("its levels are not those that its seed gives");
    }
  }
  template <class Take>
  void check_labels(const Take& take) const {
    try {
      take();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::duplicate_label) throw;
      refuse(error.what());
    }
  }

  void check_mapped_sum(Section section) const {
    const VirtualArray<std::uint8_t> bytes = mapped<std::uint8_t>(section);
    check_sum(section, bytes.data());
  }

  void fill(IndexParts& parts) {
    const NodeId n = header_.n;
    check_levels(parts.graph);
    fill_rows(parts.graph.table(0), kBaseRows);
    fill_rows(parts.graph.table(1), kUpperRows);
    fill_vectors(parts.vectors, parts.pool);
    std::vector<std::uint64_t> labels(n);
    read_section(kLabels, labels.data());
    check_labels([&] { parts.labels.append(labels, n); });
  }

  void restore(Graph& graph) const {
    const auto entry = [](const EntryRecord& record) {
      return EntryPoint{record.node, record.level};
    };
    graph.restore(header_.n, {{entry(header_.sealed_entries[0]), entry(header_.sealed_entries[1])},
                              header_.seal_is_due != 0});
  }

  void fill_rows(RowTable& rows, Section section) {
    read_section(section, fill_blocks(rows, section).rows);
  }
  // Blocks are few, and numbered from 1: they are read, not mapped.
  void map_rows(RowTable& rows, Section section) {
    rows.map(mapped<std::uint32_t>(section));
    fill_blocks(rows, section);
  }
  RowTable::Import fill_blocks(RowTable& rows, Section section) {
    const auto spills = static_cast<Section>(section + 1);
    const auto copies = static_cast<Section>(section + 2);
    const RowTable::Import import =
        rows.begin_import(sections_[spills].length / (rows.spill_words() * 4),
                          sections_[copies].length / (rows.copy_words() * 4));
    read_section(spills, import.spills);
    read_section(copies, import.copies);
    return import;
  }

  // In parallel; what is thrown is what the first node to fail throws.
  template <class Check>
  void for_each_node(ThreadPool& pool, const Check& check) const {
    constexpr std::size_t kNodesAtOnce = 128;
    pool.parallel_for(header_.n, kNodesAtOnce, [&](unsigned, std::size_t begin, std::size_t end) {
      for (std::size_t node = begin; node < end; ++node) check(static_cast<NodeId>(node));
    });
  }

  void check_graph(Graph& graph, ThreadPool& pool) const {
    for (std::uint32_t kind = 0; kind < 2; ++kind) {
      if (!graph.table(kind).end_import(graph.epoch().number)) refuse("its rows are inconsistent");
    }
    if (!is_sound(graph, pool)) refuse(audit(graph).messages.at(0));
    check_versions(graph, pool);
  }

  void check_digest(const IndexParts& parts) const {
    Footer footer;
    read(header_.footer_offset, &footer, sizeof footer);
    if (footer.magic != kMagic || footer.file_length != length_ ||
        footer.digest != Digester(parts.graph).finish(parts.vectors, parts.labels)) {
      refuse("its footer does not match its content");
    }
  }

  using Versions = std::array<SealedVersion, 2>;  // of the open epoch and, newer, of the next

  // What proposals will read besides the live rows.
  void check_versions(const Graph& graph, ThreadPool& pool) const {
    const auto check_entry = [&](const EntryPoint& entry) {
      if (entry.node == kNoNode) return;
      if (entry.node >= graph.size() || graph.level(entry.node) != entry.level) {
        refuse("a sealed entry point is not a node of its level");
      }
    };
    const Versions versions = {graph.version_for(graph.epoch()),
                               graph.version_for(graph.epoch().next(graph.params().epoch_limit))};
    for (const SealedVersion& version : versions) {
      check_entry(version.entry);
      if ((version.end > 0) != (version.entry.node != kNoNode) ||
          (version.end > 0 && graph.order(version.entry.node) >= version.end)) {
        refuse("a sealed entry point is not in its version");
      }
    }
    const EntryPoint entry = graph.entry_point();
    if (header_.entry.node != entry.node || header_.entry.level != entry.level) {
      refuse("its entry point is not the earliest node of highest level");
    }
    check_touched(graph, versions);
    for_each_node(pool, [&](NodeId node) {
      for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
        check_copy(graph, node, layer);
      }
    });
  }

  // A version takes rows that no later epoch touched as they are, so they may link to no node newer
  // than it. Links are known to go both ways: the newer nodes, which are few, lead to these rows.
  void check_touched(const Graph& graph, const Versions& versions) const {
    const auto is_stale = [&](const RowTable& rows, RowIndex row, NodeId newer) {
      return std::any_of(versions.begin(), versions.end(), [&](const SealedVersion& version) {
        return graph.order(newer) >= version.end && rows.touched_epoch(row) < version.epoch;
      });
    };
    NodeId stale = kNoNode;  // the first
    std::array<NodeId, kMaxScored> buffer;
    for (NodeId node = 0; node < graph.size(); ++node) {
      if (graph.order(node) < versions[0].end) continue;
      for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
        const RowTable& rows = graph.table(layer);
        for (const NodeId id : rows.ids(graph.row(node, layer), buffer.data())) {
          if (is_stale(rows, graph.row(id, layer), node)) stale = std::min(stale, id);
        }
      }
    }
    if (stale == kNoNode) return;
    refuse("node " + std::to_string(stale) +
           " links to a node that is newer than the last change of its row");
  }

  void check_copy(const Graph& graph, NodeId node, std::uint32_t layer) const {
    const RowTable& rows = graph.table(layer);
    const RowIndex row = graph.row(node, layer);
    if (!rows.has_sealed_copy(row)) return;
    const std::span<const NodeId> copy = rows.sealed_copy(row);
    bool sound = copy.size() <= rows.max_degree();
    for (std::size_t j = 0; sound && j < copy.size(); ++j) {
      sound = copy[j] < graph.epoch().sealed_end && graph.level(copy[j]) >= layer &&
              std::find(copy.begin(), copy.begin() + static_cast<std::ptrdiff_t>(j), copy[j]) ==
                  copy.begin() + static_cast<std::ptrdiff_t>(j);
    }
    if (!sound) refuse("a sealed copy of node " + std::to_string(node) + " is damaged");
  }

  std::filesystem::path path_;
  File file_;
  std::uint64_t length_ = 0;
  Header header_{};
  SectionRecord sections_[kSectionCount] = {};
};

}  // namespace

void load_index(const std::filesystem::path& path,
                const std::function<IndexParts(const IndexParams&)>& make_parts) {
  Reader reader(path);
  reader.load(reader.open(make_parts));
}

std::function<void(Content)> map_index(
    const std::filesystem::path& path,
    const std::function<IndexParts(const IndexParams&)>& make_parts) {
  const auto reader = std::make_shared<Reader>(path);
  const IndexParts parts = reader->open(make_parts);
  reader->map(parts);
  return [reader, parts](Content content) { reader->check_mapped(parts, content); };
}

Digest stored_digest(const std::filesystem::path& path) {
  const File file(path, O_RDONLY | O_NONBLOCK);
  Footer footer{};
  const std::uint64_t length = file.size();
  if (length < sizeof footer ||
      file.read(length - sizeof footer, &footer, sizeof footer) < sizeof footer ||
      footer.magic != kMagic) {
    throw Error(ErrorCode::corrupt_file, "'" + path.string() + "' does not end as an index does");
  }
  return footer.digest;
}

}  // namespace concord::core
