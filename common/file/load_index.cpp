// Reading and validating the index file (FORMAT.md).

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/float_environment.hpp"
#include "common/base/xxh3.hpp"
#include "common/file/file_format.hpp"
#include "common/file/file_layout.hpp"
#include "common/graph/audit.hpp"
#include "common/store/element.hpp"
#include "common/system/file.hpp"

namespace concord::core {
namespace {

using namespace file;

constexpr std::uint64_t kMostInsertions = std::uint64_t{1} << 62;
constexpr std::size_t kNodesAtOnce = 128;  // checked by one thread

constexpr const char* kSectionNames[kMostSections] = {"levels",
                                                      "links of layer 0",
                                                      "overflow of layer 0",
                                                      "sealed copies of layer 0",
                                                      "links of the upper layers",
                                                      "overflow of the upper layers",
                                                      "sealed copies of the upper layers",
                                                      "vectors",
                                                      "labels",
                                                      "tombstones",
                                                      "numbers of insertion",
                                                      "copies of vectors",
                                                      "codes"};

class Reader : public std::enable_shared_from_this<Reader> {
 public:
  // Without O_NONBLOCK a pipe would be waited for before it could be refused.
  explicit Reader(const std::filesystem::path& path)
      : name_("'" + path.string() + "' is"), file_(path, O_RDONLY | O_NONBLOCK) {
    const struct stat status = file_.status();
    if (!S_ISREG(status.st_mode)) refuse("it is not a regular file");
    length_ = static_cast<std::uint64_t>(status.st_size);
  }
  explicit Reader(std::span<const std::byte> bytes)
      : name_("the content is"), memory_(bytes), length_(bytes.size()) {}

  LoadTarget open(const std::function<LoadTarget(const IndexParams&)>& make_target) {
    read_header();
    const IndexParams params = read_params();
    check_sections(params);
    return make_target(params);
  }
  void load(LoadTarget target) {
    announce(target.contents.graph);
    restore(target.contents.graph);  // before the labels: those of tombstones may be used again
    fill(target);
    check_graph(target.contents.graph, target.pool);
    check_digest(target);
  }
  void map(LoadTarget target) {
    announce(target.contents.graph);
    map_lists(target.contents.graph.base(), kBaseLists);
    map_lists(target.contents.graph.upper(), kUpperLists);
    const std::shared_ptr<const File> file(shared_from_this(), &file_);
    target.contents.vectors.map(file, sections_[kVectors].offset, element(), header_.n);
    fill_codes(target.contents.vectors, target.pool);
    target.contents.labels.map(mapped<std::uint64_t>(kLabels));
    restore(target.contents.graph);
  }
  void check_mapped(LoadTarget target, FilePart content) {
    switch (content) {
      case FilePart::graph:
        check_levels(target.contents.graph);
        check_mapped_sum(kBaseLists);
        check_mapped_sum(kUpperLists);
        return check_graph(target.contents.graph, target.pool);
      case FilePart::vectors:
        check_mapped_sum(kVectors);
        check_vectors(target.contents.vectors, target.pool);
        check_codes(target.contents.vectors, target.pool);
        return target.contents.vectors.leave_to_file();
      case FilePart::labels:
        check_mapped_sum(kLabels);
        return check_labels([&] { target.contents.labels.index_mapped(); });
      case FilePart::digest:
        check_digest(target);
        return target.contents.vectors.leave_to_file();
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    throw Error(ErrorCode::corrupt_file, name_ + " not a sound Concord index: " + reason);
  }

  void read(std::uint64_t offset, void* to, std::size_t bytes) const {
    if (file_.is_open()) {
      if (file_.read(offset, to, bytes) < bytes) refuse("it ends early");
    } else {
      if (offset > length_ || bytes > length_ - offset) refuse("it ends early");
      std::copy_n(memory_.data() + offset, bytes, static_cast<std::byte*>(to));
    }
  }

  void read_header() {
    const auto least = sizeof(Header) + sections_of(kOldestVersion) * sizeof(SectionRecord);
    if (length_ < least + sizeof(Footer)) refuse("it is too short");
    read(0, &header_, sizeof header_);
    if (header_.magic != kMagic) refuse("it does not begin with the magic bytes");
    if (header_.version < kOldestVersion || header_.version > kVersion) {
      refuse("its version is " + std::to_string(header_.version) +
             ", this library reads versions " + std::to_string(kOldestVersion) + " to " +
             std::to_string(kVersion));
    }
    // Files of earlier commits have codes as a parameter and no section for them.
    const Codes codes = codes_of(header_.metric);
    const std::uint32_t sections = sections_of(header_.version);
    const bool may_lack_codes = codes == Codes::none || codes == Codes::sq8;
    const bool is_without = header_.section_count == sections && may_lack_codes;
    if (!is_without && !(codes != Codes::none && has_codes())) {
      refuse("it has another number of sections");
    }
    read(sizeof header_, sections_, table_bytes());
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, &header_, offsetof(Header, checksum));
    XXH3_64bits_update(&hash, sections_, table_bytes());
    if (XXH3_64bits_digest(&hash) != header_.checksum) refuse("its header is damaged");
    const bool unused_is_zero =
        (has_history() || (header_.insertions | header_.removals | header_.epoch |
                           header_.sealed_end | header_.epoch_begin | header_.epoch_end) == 0) &&
        std::all_of(sections_, sections_ + header_.section_count,
                    [](const SectionRecord& record) { return record.zero == 0; });
    if (has_codes()) std::swap(sections_[sections], sections_[kCodes]);
    if (!unused_is_zero) refuse("its header has bytes that are not zero where there is no field");
    if (header_.version > 1 ? !is_element(header_.element) : header_.element != 0) {
      refuse("it keeps vectors in an unknown way");
    }
    if (header_.seal_is_due > (header_.version > 1 ? 1 : 0)) {
      refuse("its open epoch is in no known state");
    }
  }
  /// A vector of the index ever died, or is a copy.
  [[nodiscard]] bool has_history() const { return header_.version >= kVersionDead; }
  [[nodiscard]] bool has_copies() const { return header_.version == kVersion; }
  [[nodiscard]] bool has_codes() const {
    return header_.section_count == sections_of(header_.version) + 1;
  }
  [[nodiscard]] std::uint64_t table_bytes() const {
    return header_.section_count * sizeof(SectionRecord);
  }
  /// The section that the file has at a place of its table.
  [[nodiscard]] Section section_at(std::uint32_t place) const {
    return place < sections_of(header_.version) ? static_cast<Section>(place) : kCodes;
  }
  [[nodiscard]] Element element() const {
    return header_.version > 1 ? static_cast<Element>(header_.element) : Element::f32;
  }
  static bool is_zero(const std::uint8_t* bytes, std::size_t count) {
    return std::all_of(bytes, bytes + count, [](std::uint8_t byte) { return byte == 0; });
  }

  IndexParams read_params() {
    const IndexParams params = params_of(header_);
    try {
      params.validate();
    } catch (const Error& error) {
      refuse(error.what());
    }
    if (params.metric == Metric::cosine && are_bytes(element())) {
      refuse("it keeps normalised vectors as bytes");
    }
    if (!fits(element(), params.storage)) refuse("it keeps vectors in another way than it says");
    if (header_.n > kMaxNodes) refuse("it claims more vectors than an index can hold");
    if (has_history()) {
      check_history(params);
    } else if (header_.seal_is_due != 0 &&
               (header_.n == 0 || Epoch::of(header_.n - 1, params.epoch_limit).end != header_.n)) {
      refuse("it claims that a seal is due in the middle of an epoch");
    }
    return params;
  }

  // The open epoch is where a sequence of operations can have left it.
  void check_history(const IndexParams& params) const {
    const std::uint64_t tombstones = sections_[kTombstones].length / sizeof(NodeId);
    const std::uint64_t n = header_.n;
    const std::uint64_t reclaimed = header_.insertions - n;
    if (header_.insertions < n || header_.insertions >= kMostInsertions || tombstones > n ||
        (header_.removals == 0 && !has_copies()) || header_.removals != reclaimed + tombstones) {
      refuse("its numbers of insertions and removals do not fit its vectors");
    }
    constexpr std::uint32_t kMostEpochs = std::uint32_t{1} << 31;  // others may follow
    const bool in_order = header_.epoch < kMostEpochs &&
                          header_.sealed_end <= header_.epoch_begin && header_.epoch_begin <= n &&
                          n <= header_.epoch_end &&
                          header_.epoch_end - header_.epoch_begin <= params.epoch_limit;
    const bool is_due = n == header_.epoch_end;
    if (!in_order || is_due != (header_.seal_is_due != 0)) {
      refuse("its open epoch is in no possible state");
    }
  }

  // Lengths must be what n and the parameters give. The first section is n bytes long, so n is at
  // most the file's length before anything is computed from it.
  void check_sections(const IndexParams& params) {
    std::uint64_t end = sizeof(Header) + table_bytes();
    for (std::uint32_t place = 0; place < header_.section_count; ++place) {
      const Section s = section_at(place);
      const SectionRecord& record = sections_[s];
      if (record.kind != s + 1u || record.offset != align(end, kSectionAlignment) ||
          record.offset > length_ || record.length > length_ - record.offset) {
        refuse(std::string("section '") + kSectionNames[s] + "' is out of place or too long");
      }
      end = record.offset + record.length;
    }
    const std::uint64_t n = header_.n;
    expect_length(kLevels, n);
    if (has_history()) {
      expect_length(kInsertions, n * 8);
      expect_length(kTombstones, sections_[kTombstones].length / 4 * 4);
      read_history();
      read_copies();
      check_pending(params);
    }
    std::uint64_t upper_lists = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      upper_lists += level_of(params.seed, has_history() ? insertions_[i] : i, params.M);
    }
    const std::uint64_t header_words = LinkTable::kHeaderWords;
    const std::uint64_t M = params.M;
    expect_length(kBaseLists, n * (header_words + 2 * M) * 4);
    expect_length(kUpperLists, upper_lists * (header_words + M) * 4);
    expect_blocks(kBaseOverflow, 2 * M * 4, n);
    expect_blocks(kBaseCopies, (2 * M + 1) * 4, n);
    expect_blocks(kUpperOverflow, M * 4, upper_lists);
    expect_blocks(kUpperCopies, (M + 1) * 4, upper_lists);
    expect_length(kVectors, n * stride_of(params.dimension) * bytes_of(element()));
    expect_length(kLabels, n * 8);
    if (has_codes()) expect_length_of_codes(params);
    if (header_.footer_offset != align(end, kFooterAlignment) ||
        length_ != header_.footer_offset + sizeof(Footer)) {
      refuse("its length is not what its header says");
    }
    check_gaps();
  }
  void read_history() {
    insertions_.resize(header_.n);
    read_section(kInsertions, insertions_.data());
    tombstones_.resize(sections_[kTombstones].length / sizeof(NodeId));
    read_section(kTombstones, tombstones_.data());
    const auto ascends = [](const auto& numbers, std::uint64_t end) {
      const bool ordered = std::adjacent_find(numbers.begin(), numbers.end(),
                                              std::greater_equal<>()) == numbers.end();
      return ordered && (numbers.empty() || numbers.back() < end);
    };
    if (!ascends(insertions_, header_.insertions) || !ascends(tombstones_, header_.n)) {
      refuse("its tombstones or numbers of insertion are out of order");
    }
  }
  void read_copies() {
    if (!has_copies()) return;
    const std::uint64_t count = sections_[kCopies].length / sizeof(CopyPlace);
    expect_length(kCopies, count * sizeof(CopyPlace));
    if (count == 0 || count >= header_.n) refuse("it has an impossible number of copies");
    copies_.resize(count);
    read_section(kCopies, copies_.data());
    std::vector<bool> is_copy(header_.n);
    NodeId least = 0;
    for (const auto& [copy, first] : copies_) {
      if (copy < least || copy >= header_.n || first >= copy || is_copy[first]) {
        refuse("a copy stands behind what is no earlier node, or out of order");
      }
      is_copy[copy] = true;
      least = copy + 1;
    }
  }
  // Between two seals at most epoch_limit vectors die. A dead node of which the file has copies
  // may have died before: it is kept by them, or ended with the last of them.
  void check_pending(const IndexParams& params) const {
    const auto is_dead = [&](NodeId id) {
      return std::binary_search(tombstones_.begin(), tombstones_.end(), id);
    };
    std::vector<NodeId> earlier;
    for (const auto& [copy, first] : copies_) {
      if (is_dead(first)) earlier.push_back(first);
    }
    std::sort(earlier.begin(), earlier.end());
    const auto count = std::unique(earlier.begin(), earlier.end()) - earlier.begin();
    if (tombstones_.size() - static_cast<std::size_t>(count) <= params.epoch_limit) return;
    refuse("its open epoch is in no possible state");
  }
  // No checksum covers these bytes, and the file may hold no byte without a meaning.
  void check_gaps() {
    std::array<std::uint8_t, kSectionAlignment> gap;
    std::uint64_t end = sizeof(Header) + table_bytes();
    for (std::uint32_t place = 0; place <= header_.section_count; ++place) {
      const bool is_last = place == header_.section_count;
      const SectionRecord& record = sections_[section_at(place)];
      const std::uint64_t next = is_last ? header_.footer_offset : record.offset;
      read(end, gap.data(), next - end);
      if (!is_zero(gap.data(), next - end)) refuse("the bytes between its sections are not zero");
      if (!is_last) end = next + record.length;
    }
  }
  void expect_length(Section section, std::uint64_t bytes) const {
    if (sections_[section].length == bytes) return;
    refuse(std::string("section '") + kSectionNames[section] + "' has " +
           std::to_string(sections_[section].length) + " bytes instead of " +
           std::to_string(bytes));
  }
  // Codes are missing where there was no memory to make them, too.
  void expect_length_of_codes(const IndexParams& params) const {
    const std::uint64_t sums = bytes_of_sums(params);
    const bool may_lack_rows = params.codes == Codes::sq4;
    if (may_lack_rows && sections_[kCodes].length == sums) return;
    if (may_lack_rows && counted() < kCentreVectors) return expect_length(kCodes, sums);
    expect_length(kCodes, sums + std::uint64_t{header_.n} * code_bytes(params));
  }
  /// Insertions of which the section of codes has the sums.
  [[nodiscard]] std::uint32_t counted() const {
    const std::uint64_t insertions = has_history() ? header_.insertions : header_.n;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(insertions, kCentreVectors));
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
    refuse_damaged(section);
  }
  [[noreturn]] void refuse_damaged(Section section) const {
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
    fill_codes(vectors, pool);
    check_codes(vectors, pool);
  }
  void fill_codes(VectorStore& vectors, ThreadPool& pool) const {
    if (!has_codes()) return vectors.make_codes(pool);
    std::vector<double> sums(bytes_of_sums(params_of(header_)) / sizeof(double));
    const std::uint64_t of_sums = sums.size() * sizeof(double);
    const std::uint64_t of_rows = sections_[kCodes].length - of_sums;
    read(sections_[kCodes].offset, sums.data(), of_sums);
    read(sections_[kCodes].offset + of_sums, vectors.begin_import_of_codes(), of_rows);
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, sums.data(), of_sums);
    XXH3_64bits_update(&hash, vectors.begin_import_of_codes(), of_rows);
    if (XXH3_64bits_digest(&hash) != sections_[kCodes].checksum) refuse_damaged(kCodes);
    if (of_sums > 0) vectors.restore_sums(sums, counted());
    if (of_rows == 0) return vectors.make_codes(pool);
    vectors.end_import_of_codes();
  }
  /// Whether the vectors that the sums are of are those of the first ranks.
  [[nodiscard]] bool has_first_vectors() const {
    const std::uint32_t n = counted();
    return n <= header_.n && (n == 0 || !has_history() || insertions_[n - 1] == n - 1);
  }
  void check_codes(const VectorStore& vectors, ThreadPool& pool) const {
    if (!has_codes()) return;
    const FloatEnvironment environment;  // the caller may only want a vector
    if (vectors.codes().coder() != nullptr && !vectors.has_its_sums(has_first_vectors())) {
      refuse("the sum of its first vectors is another one");
    }
    if (!vectors.codes().are_ready()) return;
    for_each_node(pool, [&](NodeId i) {
      if (vectors.has_its_code(i)) return;
      refuse("the code of vector " + std::to_string(i) + " is another's");
    });
  }
  void check_vectors(const VectorStore& vectors, ThreadPool& pool) const {
    for_each_node(pool, [&](NodeId i) {
      if (vectors.has_stored_form(i)) return;
      refuse("vector " + std::to_string(i) + " is not one that the index would take");
    });
    if (header_.version > 1 && vectors.narrowest(header_.n) != element()) {
      refuse("its vectors would be kept in a narrower way");
    }
    pool.for_each(copies_.size(), kNodesAtOnce, [&](std::size_t i) {
      if (vectors.are_equal(copies_[i].copy, copies_[i].first)) return;
      refuse("vector " + std::to_string(copies_[i].copy) + " is no copy");
    });
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

  void fill(LoadTarget& target) {
    const NodeId n = header_.n;
    check_levels(target.contents.graph);
    fill_lists(target.contents.graph.base(), kBaseLists);
    fill_lists(target.contents.graph.upper(), kUpperLists);
    fill_vectors(target.contents.vectors, target.pool);
    std::vector<std::uint64_t> labels(n);
    read_section(kLabels, labels.data());
    check_labels([&] { target.contents.labels.append(labels, n, 0); });
  }

  void announce(Graph& graph) {
    if (has_history()) graph.restore_insertions(insertions_, header_.insertions);
    graph.announce(header_.n);
  }
  void restore(Graph& graph) const {
    const auto entry = [](const EntryRecord& record) {
      return EntryPoint{record.node, record.level};
    };
    Graph::State state{{entry(header_.sealed_entries[0]), entry(header_.sealed_entries[1])},
                       header_.seal_is_due != 0,
                       {},
                       tombstones_,
                       copies_};
    if (has_history()) {
      state.epoch = {header_.epoch, header_.sealed_end, header_.epoch_begin, header_.epoch_end};
    }
    graph.restore(header_.n, state);
  }

  void fill_lists(LinkTable& lists, Section section) {
    read_section(section, fill_blocks(lists, section).lists);
  }
  // Blocks are few, and numbered from 1: they are read, not mapped.
  void map_lists(LinkTable& lists, Section section) {
    lists.map(mapped<std::uint32_t>(section));
    fill_blocks(lists, section);
  }
  LinkTable::Import fill_blocks(LinkTable& lists, Section section) {
    const auto overflow = static_cast<Section>(section + 1);
    const auto copies = static_cast<Section>(section + 2);
    const LinkTable::Import import =
        lists.begin_import(sections_[overflow].length / (lists.overflow_words() * 4),
                           sections_[copies].length / (lists.copy_words() * 4));
    read_section(overflow, import.overflow);
    read_section(copies, import.copies);
    return import;
  }

  // Runs in parallel; throws for the first node that fails.
  template <class Check>
  void for_each_node(ThreadPool& pool, const Check& check) const {
    pool.for_each(header_.n, kNodesAtOnce,
                  [&](std::size_t node) { check(static_cast<NodeId>(node)); });
  }

  void check_graph(Graph& graph, ThreadPool& pool) const {
    for (LinkTable* table : graph.tables()) {
      if (!table->end_import(graph.epoch().number)) refuse("its links are inconsistent");
    }
    if (!is_sound(graph, pool)) refuse(audit(graph).messages.at(0));
    check_versions(graph, pool);
  }

  void check_digest(const LoadTarget& target) const {
    Footer footer;
    read(header_.footer_offset, &footer, sizeof footer);
    if (footer.magic != kMagic || footer.file_length != length_ ||
        footer.digest != Digester(target.contents).finish()) {
      refuse("its footer does not match its content");
    }
  }

  using Versions = std::array<SealedVersion, 2>;  // of the open epoch and, newer, of the next

  // The versions that proposals will read besides the live lists.
  void check_versions(const Graph& graph, ThreadPool& pool) const {
    const auto check_entry = [&](const EntryPoint& entry) {
      if (entry.node == kNoNode) return;
      if (entry.node >= graph.size() || !graph.is_linked(entry.node) ||
          graph.level(entry.node) != entry.level) {
        refuse("a sealed entry point is not a node of its level");
      }
    };
    const Versions versions = {graph.version_for(graph.epoch()),
                               graph.version_for(graph.next_epoch(graph.epoch()))};
    for (const SealedVersion& version : versions) {
      check_entry(version.entry);
      if ((version.end > 0) != (version.entry.node != kNoNode) ||
          (version.end > 0 && version.entry.node >= version.end)) {
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
        if (graph.table_of(layer).unused_is_zero(graph.list(node, layer))) continue;
        refuse("node " + std::to_string(node) + ", layer " + std::to_string(layer) +
               ": words that hold no link are not zero");
      }
    });
  }

  // A version takes a list that no later epoch touched as it is, so the list may link to no node
  // newer than the version. Links go both ways, so the few newer nodes lead to these lists.
  void check_touched(const Graph& graph, const Versions& versions) const {
    const auto is_stale = [&](const LinkTable& lists, ListIndex list, NodeId newer) {
      return std::any_of(versions.begin(), versions.end(), [&](const SealedVersion& version) {
        return newer >= version.end && lists.touched_epoch(list) < version.epoch;
      });
    };
    NodeId stale = kNoNode;  // the first
    std::array<NodeId, kMaxListCapacity> buffer;
    for (NodeId node = 0; node < graph.size(); ++node) {
      if (node < versions[0].end) continue;
      for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
        const LinkTable& lists = graph.table_of(layer);
        for (const NodeId id : lists.ids(graph.list(node, layer), buffer.data())) {
          if (is_stale(lists, graph.list(id, layer), node)) stale = std::min(stale, id);
        }
      }
    }
    if (stale == kNoNode) return;
    refuse("node " + std::to_string(stale) +
           " links to a node that is newer than the last change of its list");
  }

  void check_copy(const Graph& graph, NodeId node, std::uint32_t layer) const {
    const LinkTable& lists = graph.table_of(layer);
    const ListIndex list = graph.list(node, layer);
    if (!lists.has_sealed_copy(list)) return;
    const std::span<const NodeId> copy = lists.sealed_copy(list);
    bool sound = copy.size() <= lists.max_degree();
    for (std::size_t j = 0; sound && j < copy.size(); ++j) {
      sound = copy[j] < graph.epoch().sealed_end && graph.is_linked(copy[j]) &&
              graph.level(copy[j]) >= layer &&
              std::find(copy.begin(), copy.begin() + static_cast<std::ptrdiff_t>(j), copy[j]) ==
                  copy.begin() + static_cast<std::ptrdiff_t>(j);
    }
    if (!sound) refuse("a sealed copy of node " + std::to_string(node) + " is damaged");
  }

  std::string name_;  ///< what messages call it
  File file_;
  std::span<const std::byte> memory_;  ///< in place of the file
  std::uint64_t length_ = 0;
  Header header_{};
  SectionRecord sections_[kMostSections] = {};
  std::vector<std::uint64_t> insertions_;
  std::vector<NodeId> tombstones_;
  std::vector<CopyPlace> copies_;
};

}  // namespace

void load_index(const std::filesystem::path& path,
                const std::function<LoadTarget(const IndexParams&)>& make_target) {
  Reader reader(path);
  reader.load(reader.open(make_target));
}

void load_index(std::span<const std::byte> bytes,
                const std::function<LoadTarget(const IndexParams&)>& make_target) {
  Reader reader(bytes);
  reader.load(reader.open(make_target));
}

std::function<void(FilePart)> map_index(
    const std::filesystem::path& path,
    const std::function<LoadTarget(const IndexParams&)>& make_target) {
  const auto reader = std::make_shared<Reader>(path);
  const LoadTarget target = reader->open(make_target);
  reader->map(target);
  return [reader, target](FilePart content) { reader->check_mapped(target, content); };
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
