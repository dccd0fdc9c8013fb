// Writing the index file (FORMAT.md).

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "common/base/xxh3.hpp"
#include "common/file/file_format.hpp"
#include "common/file/file_layout.hpp"
#include "common/graph/ranks.hpp"
#include "common/store/vector_store.hpp"
#include "common/system/atomic_file.hpp"

namespace concord::core {
namespace {

using namespace file;

class Writer {
 public:
  Writer(Output& file, const Contents& contents)
      : file_(file),
        contents_(contents),
        graph_(contents.graph),
        vectors_(contents.vectors),
        ranks_(graph_),
        n_(ranks_.size()) {}

  void run(const std::function<void()>& graph_is_written) {
    prepare_header();
    file_.pad_to(sizeof(Header) + header_.section_count * sizeof(SectionRecord));
    write_each(kLevels, graph_.levels().data());
    write_lists(graph_.base(), kBaseLists);
    write_lists(graph_.upper(), kUpperLists);
    digester_.emplace(contents_);
    std::vector<std::uint64_t> insertions;
    if (header_.version >= kVersionDead) insertions = numbers_of_insertion();
    if (graph_is_written) graph_is_written();

    write_vectors();
    write_each(kLabels, contents_.labels.data());
    if (header_.version >= kVersionDead) {
      write_section(kTombstones, dead_.data(), dead_.size() * sizeof(NodeId));
      write_section(kInsertions, insertions.data(), insertions.size() * sizeof(std::uint64_t));
    }
    if (header_.version == kVersion) {
      write_section(kCopies, copies_.data(), copies_.size() * sizeof(CopyPlace));
    }
    if (has_codes()) write_codes();
    write_footer();
    write_header();
  }

 private:
  void begin_section(Section section) {
    file_.pad_to(align(file_.position(), kSectionAlignment));
    sections_[section] = {section + 1u, 0, file_.position(), 0, 0};
    XXH3_64bits_reset(&hash_);
  }
  void append(const void* data, std::size_t bytes) {
    XXH3_64bits_update(&hash_, data, bytes);
    file_.write(data, bytes);
  }
  void end_section(Section section) {
    sections_[section].length = file_.position() - sections_[section].offset;
    sections_[section].checksum = XXH3_64bits_digest(&hash_);
  }
  void write_section(Section section, const void* data, std::size_t bytes) {
    begin_section(section);
    append(data, bytes);
    end_section(section);
  }

  // An array's elements for the linked nodes.
  template <class T>
  void write_each(Section section, const T* of_nodes) {
    begin_section(section);
    for_each_run([&](NodeId first, NodeId count) { append(&of_nodes[first], count * sizeof(T)); });
    end_section(section);
  }

  // Calls use(first node, count) for linked nodes that follow one another, at most as many as are
  // written at once.
  template <class Use>
  void for_each_run(const Use& use) const {
    const auto most = static_cast<NodeId>(vectors_at_once(vectors_.stride()));
    for (NodeId rank = 0, count; rank < n_; rank += count) {
      const NodeId first = ranks_.node(rank);
      for (count = 1; count < most && rank + count < n_; ++count) {
        if (ranks_.node(rank + count) != first + count) break;
      }
      use(first, count);
    }
  }

  [[nodiscard]] std::vector<std::uint64_t> numbers_of_insertion() const {
    std::vector<std::uint64_t> numbers(n_);
    for (NodeId rank = 0; rank < n_; ++rank) numbers[rank] = graph_.insertion(ranks_.node(rank));
    return numbers;
  }

  // In the narrowest form that is exact, whatever form the store keeps.
  void write_vectors() {
    std::vector<std::uint8_t> buffer(vectors_at_once(vectors_.stride()) * vectors_.stride());
    const Element element = vectors_.narrowest_of([&](const auto& use) { for_each_run(use); });
    header_.element = static_cast<std::uint32_t>(element);
    begin_section(kVectors);
    for_each_run([&](NodeId first, NodeId count) {
      append(vectors_.read_as(element, first, count, buffer.data()),
             count * vectors_.row_bytes(element));
    });
    end_section(kVectors);
  }

  [[nodiscard]] bool has_codes() const { return vectors_.codes().is_used(); }
  void write_codes() {
    const CodeStore& codes = vectors_.codes();
    begin_section(kCodes);
    append(sums_.data(), sums_.size() * sizeof(double));
    if (!has_rows_of_codes_) return end_section(kCodes);
    for_each_run([&](NodeId first, NodeId count) {
      append(codes.rows() + first * codes.row_bytes(), count * codes.row_bytes());
    });
    end_section(kCodes);
  }

  // Calls write(list) for the lists of linked nodes, in the order of ranks.
  template <class Write>
  void for_each_list(const LinkTable& lists, const Write& write) const {
    for (NodeId rank = 0; rank < n_; ++rank) {
      const NodeId node = ranks_.node(rank);
      if (&lists == &graph_.base()) {
        write(node);
        continue;
      }
      for (std::uint32_t layer = 1; layer <= graph_.level(node); ++layer) {
        write(graph_.list(node, layer));
      }
    }
  }

  // Lists with their blocks renumbered in the order of the lists, then the blocks.
  void write_lists(const LinkTable& lists, Section section) {
    constexpr std::size_t kWordsAtOnce = std::size_t{1} << 17;
    std::vector<std::uint32_t> buffer;
    std::vector<std::uint32_t> overflow;
    std::vector<std::uint32_t> copies;
    std::uint32_t overflow_count = 0;
    std::uint32_t copy_count = 0;
    const auto flush = [&] {
      append(buffer.data(), buffer.size() * sizeof(std::uint32_t));
      buffer.clear();
    };
    begin_section(section);
    for_each_list(lists, [&](ListIndex list) {
      ListHeader header = lists.header(list);
      const std::uint32_t in_place = std::min<std::uint32_t>(header.degree, lists.max_degree());
      if (header.overflow != 0) {
        lists.export_overflow(list, overflow);
        ranks_.to_ranks(&overflow[overflow.size() - lists.overflow_words()],
                        header.degree - in_place);
        header.overflow = ++overflow_count;
      }
      if (header.sealed_copy != 0) {
        lists.export_sealed_copy(list, copies);
        std::uint32_t* const copy = &copies[copies.size() - lists.copy_words()];
        ranks_.to_ranks(copy + 1, copy[0]);
        header.sealed_copy = ++copy_count;
      }
      const std::size_t first = buffer.size();
      lists.export_list(list, header, buffer);
      ranks_.to_ranks(&buffer[first + LinkTable::kHeaderWords], in_place);
      if (buffer.size() >= kWordsAtOnce) flush();
    });
    flush();
    end_section(section);
    write_section(static_cast<Section>(section + 1), overflow.data(),
                  overflow.size() * sizeof(std::uint32_t));
    write_section(static_cast<Section>(section + 2), copies.data(),
                  copies.size() * sizeof(std::uint32_t));
  }

  void write_footer() {
    file_.pad_to(align(file_.position(), kFooterAlignment));
    footer_offset_ = file_.position();
    const Footer footer{kMagic, footer_offset_ + sizeof(Footer), digester_->finish()};
    file_.write(&footer, sizeof footer);
  }

  // All that only holds while the graph stands still.
  void prepare_header() {
    const IndexParams& p = graph_.params();
    Graph::State state = graph_.state();
    const auto record = [&](const EntryPoint& point) {
      return EntryRecord{ranks_.rank(point.node), point.level};
    };
    header_.magic = kMagic;
    header_.version = state.copies.empty() ? kVersionDead : kVersion;
    if (!state.epoch) header_.version = kVersionAlive;
    header_.section_count = sections_of(header_.version) + (has_codes() ? 1 : 0);
    header_.dimension = p.dimension;
    header_.metric = metric_word(p);
    header_.M = p.M;
    header_.ef_construction = p.ef_construction;
    header_.seed = p.seed;
    header_.epoch_limit = p.epoch_limit;
    header_.n = n_;
    header_.entry = record(graph_.entry_point());
    header_.sealed_entries[0] = record(state.sealed_entries[0]);
    header_.sealed_entries[1] = record(state.sealed_entries[1]);
    header_.seal_is_due = state.seal_is_due ? 1U : 0U;
    has_rows_of_codes_ = vectors_.codes().are_ready();
    if (const RotatedCoder* const coder = vectors_.codes().coder(); coder != nullptr) {
      sums_.assign(coder->sums().begin(), coder->sums().end());
    }
    if (!state.epoch) return;
    dead_ = std::move(state.dead);
    ranks_.to_ranks(dead_.data(), static_cast<std::uint32_t>(dead_.size()));
    for (const auto& [copy, first] : state.copies) {
      copies_.push_back({ranks_.rank(copy), ranks_.rank(first)});
    }
    header_.insertions = graph_.insertions();
    header_.removals = graph_.removals();
    header_.epoch = state.epoch->number;
    header_.sealed_end = state.epoch->sealed_end - graph_.unlinked();
    header_.epoch_begin = state.epoch->begin - graph_.unlinked();
    header_.epoch_end = state.epoch->end - graph_.unlinked();
  }

  void write_header() {
    const std::uint32_t last = header_.section_count - 1;
    if (has_codes()) sections_[last] = sections_[kCodes];
    const std::size_t sections = header_.section_count * sizeof(SectionRecord);
    header_.footer_offset = footer_offset_;
    XXH3_64bits_reset(&hash_);
    XXH3_64bits_update(&hash_, &header_, offsetof(Header, checksum));
    XXH3_64bits_update(&hash_, sections_, sections);
    header_.checksum = XXH3_64bits_digest(&hash_);
    file_.rewrite(0, &header_, sizeof header_);
    file_.rewrite(sizeof header_, sections_, sections);
  }

  Output& file_;
  const Contents& contents_;
  const Graph& graph_;
  const VectorStore& vectors_;
  Ranks ranks_;
  NodeId n_;
  std::optional<Digester> digester_;
  std::vector<NodeId> dead_;  ///< as ranks, like the next
  std::vector<CopyPlace> copies_;
  std::vector<double> sums_;
  bool has_rows_of_codes_ = false;
  Header header_{};
  SectionRecord sections_[kMostSections] = {};
  std::uint64_t footer_offset_ = 0;
  XXH3_state_t hash_{};
};

/// Keeps the head of a file, which is known last, and its length.
class Measured final : public Output {
 public:
  void write(const void*, std::size_t bytes) override { position_ += bytes; }
  void rewrite(std::uint64_t offset, const void* data, std::size_t bytes) override {
    head_.resize(std::max<std::size_t>(head_.size(), offset + bytes));
    std::memcpy(head_.data() + offset, data, bytes);
  }
  [[nodiscard]] const std::vector<std::byte>& head() const noexcept { return head_; }

 private:
  std::vector<std::byte> head_;
};

/// Hands a file that was measured before to the sink, from its first byte to its last.
class Streamed final : public Output {
 public:
  Streamed(const ByteSink& sink, const Measured& measured)
      : sink_(sink), length_(measured.position()) {
    write(measured.head().data(), measured.head().size());
  }
  void write(const void* data, std::size_t bytes) override {
    position_ += bytes;
    sink_({static_cast<const std::byte*>(data), bytes}, length_ - position_);
  }
  void rewrite(std::uint64_t, const void*, std::size_t) override {}  // the head, written already

 private:
  const ByteSink& sink_;
  const std::uint64_t length_;
};

}  // namespace

void save_index(const std::filesystem::path& path, const Contents& contents,
                const std::function<void()>& graph_is_written) {
  AtomicFile file(path);
  Writer(file, contents).run(graph_is_written);
  file.commit();
}

void write_index(const ByteSink& sink, const Contents& contents,
                 const std::function<void()>& graph_is_written) {
  Measured measured;
  Writer(measured, contents).run({});
  Streamed streamed(sink, measured);
  Writer(streamed, contents).run(graph_is_written);
}

}  // namespace concord::core
