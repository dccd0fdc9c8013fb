// Writing the index file (FORMAT.md).

#include <concord/error.hpp>
#include <optional>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/file_format.hpp"
#include "common/file_layout.hpp"
#include "common/xxh3.hpp"

namespace concord::core {
namespace {

using namespace file;

class Writer {
 public:
  Writer(const std::filesystem::path& path, const Graph& graph, const VectorStore& vectors,
         const LabelMap& labels)
      : file_(path), graph_(graph), vectors_(vectors), labels_(labels), n_(graph.size()) {}

  void run(const std::function<void()>& graph_is_written) {
    file_.pad_to(sizeof(Header) + sizeof sections_);
    write_section(kLevels, graph_.levels().data(), n_);
    write_rows(graph_.table(0), n_, kBaseRows);
    write_rows(graph_.table(1), upper_rows(), kUpperRows);
    digester_.emplace(graph_);
    const EntryPoint entry = graph_.entry_point();
    const Graph::State state = graph_.state();
    if (graph_is_written) graph_is_written();

    write_vectors();
    write_section(kLabels, labels_.data(), n_ * sizeof(std::uint64_t));
    write_footer();
    write_header(entry, state);
    file_.commit();
  }

 private:
  // Rows of announced nodes that are not committed stand behind those that are.
  [[nodiscard]] std::size_t upper_rows() const {
    return graph_.announced() > n_ ? graph_.upper_offsets()[n_] : graph_.table(1).size();
  }

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

  // As narrow as they can be, however they are kept.
  void write_vectors() {
    const std::size_t at_once = vectors_at_once(vectors_.stride());
    std::vector<std::uint8_t> buffer(at_once * vectors_.stride());
    element_ = vectors_.narrowest(n_);
    begin_section(kVectors);
    for (std::size_t first = 0; first < n_; first += at_once) {
      const std::size_t count = std::min(at_once, n_ - first);
      append(vectors_.read_as(element_, first, count, buffer.data()),
             count * vectors_.row_bytes(element_));
    }
    end_section(kVectors);
  }

  // Rows with their blocks renumbered in the order of the rows, then the blocks.
  void write_rows(const RowTable& rows, std::size_t count, Section section) {
    constexpr std::size_t kRowsAtOnce = 4096;
    std::vector<std::uint32_t> buffer;
    std::vector<std::uint32_t> spills;
    std::vector<std::uint32_t> copies;
    std::uint32_t spill_count = 0;
    std::uint32_t copy_count = 0;
    begin_section(section);
    for (std::size_t first = 0; first < count; first += kRowsAtOnce) {
      const std::size_t last = std::min(count, first + kRowsAtOnce);
      buffer.clear();
      for (std::size_t r = first; r < last; ++r) {
        const auto row = static_cast<RowIndex>(r);
        RowHeader header = rows.header(row);
        if (header.spill != 0) {
          rows.export_spill(row, spills);
          header.spill = ++spill_count;
        }
        if (header.sealed_copy != 0) {
          rows.export_sealed_copy(row, copies);
          header.sealed_copy = ++copy_count;
        }
        rows.export_row(row, header, buffer);
      }
      append(buffer.data(), buffer.size() * sizeof(std::uint32_t));
    }
    end_section(section);
    write_section(static_cast<Section>(section + 1), spills.data(),
                  spills.size() * sizeof(std::uint32_t));
    write_section(static_cast<Section>(section + 2), copies.data(),
                  copies.size() * sizeof(std::uint32_t));
  }

  void write_footer() {
    file_.pad_to(align(file_.position(), kFooterAlignment));
    footer_offset_ = file_.position();
    const Footer footer{kMagic, footer_offset_ + sizeof(Footer),
                        digester_->finish(vectors_, labels_)};
    file_.write(&footer, sizeof footer);
  }

  void write_header(const EntryPoint& entry, const Graph::State& state) {
    const IndexParams& p = graph_.params();
    const auto record = [](const EntryPoint& point) {
      return EntryRecord{point.node, point.level};
    };
    Header header{kMagic,
                  kVersion,
                  kSectionCount,
                  p.dimension,
                  static_cast<std::uint32_t>(p.metric),
                  p.M,
                  p.ef_construction,
                  p.seed,
                  p.epoch_limit,
                  n_,
                  record(entry),
                  {record(state.sealed_entries[0]), record(state.sealed_entries[1])},
                  footer_offset_,
                  static_cast<std::uint32_t>(element_),
                  state.seal_is_due ? 1U : 0U,
                  {},
                  0};
    XXH3_64bits_reset(&hash_);
    XXH3_64bits_update(&hash_, &header, offsetof(Header, checksum));
    XXH3_64bits_update(&hash_, sections_, sizeof sections_);
    header.checksum = XXH3_64bits_digest(&hash_);
    file_.rewrite(0, &header, sizeof header);
    file_.rewrite(sizeof header, sections_, sizeof sections_);
  }

  AtomicFile file_;
  const Graph& graph_;
  const VectorStore& vectors_;
  const LabelMap& labels_;
  NodeId n_;
  std::optional<Digester> digester_;
  SectionRecord sections_[kSectionCount] = {};
  std::uint64_t footer_offset_ = 0;
  Element element_ = Element::f32;
  XXH3_state_t hash_{};
};

}  // namespace

void save_index(const std::filesystem::path& path, const Graph& graph, const VectorStore& vectors,
                const LabelMap& labels, const std::function<void()>& graph_is_written) {
  Writer(path, graph, vectors, labels).run(graph_is_written);
}

}  // namespace concord::core
