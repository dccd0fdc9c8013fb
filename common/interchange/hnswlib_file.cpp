// The file of hnswlib's HierarchicalNSW::saveIndex (versions 0.4 to 0.8), little-endian:
//
//   header           as struct Header, 96 bytes
//   n elements       count u16, deleted mark u8, 0 u8; maxM0 ids u32; dimension floats; label u64
//   n upper lists    bytes u32, then for each layer from 1: count u16, 0 u16; maxM ids u32
//
// Places behind `count` hold nothing. The dimension is only known from offset_label - offset_data.
// Chroma's fork writes the norms f32[n] before the upper lists, and no mark of it.

#include <algorithm>
#include <array>
#include <cmath>
#include <concord/interchange.hpp>
#include <system_error>

#include "common/index/index_access.hpp"
#include "common/interchange/adopt_graph.hpp"
#include "common/interchange/exported_links.hpp"
#include "common/interchange/input_file.hpp"
#include "common/interchange/list_width.hpp"
#include "common/interchange/living_copy.hpp"
#include "common/interchange/output_file.hpp"

namespace concord::interchange {
namespace {

using core::NodeId;

struct Header {
  std::uint64_t offset_level_0 = 0;
  std::uint64_t max_elements = 0;
  std::uint64_t n = 0;
  std::uint64_t element_bytes = 0;
  std::uint64_t offset_label = 0;
  std::uint64_t offset_data = 0;
  std::int32_t max_level = -1;
  NodeId entry_point = core::kNoNode;
  std::uint64_t max_M = 0;
  std::uint64_t max_M0 = 0;
  std::uint64_t M = 0;
  double level_multiplier = 0;
  std::uint64_t ef_construction = 0;
};
static_assert(sizeof(Header) == 96);

struct RowHead {
  std::uint16_t count = 0;
  std::uint8_t deleted = 0;
  std::uint8_t zero = 0;
};
static_assert(sizeof(RowHead) == 4);

constexpr std::uint8_t kDeletedMark = 1;
constexpr std::uint64_t kMaxWidth = 0xFFFF;  // a list's count has 16 bits

// --------------------------------------------------------------------------------------- writing

class Writer {
 public:
  Writer(const Index& index, const std::filesystem::path& path)
      : file_(path),
        index_(index),
        still_(IndexAccess::stand_still(index)),
        base_width_(list_width(still_.contents.graph, 0)),
        upper_width_(list_width(still_.contents.graph, 1)) {}

  void run() {
    const core::Graph& graph = still_.contents.graph;
    file_.write(header());
    for (NodeId node = 0; node < graph.size(); ++node) {
      write_list(node, 0, base_width_);
      const std::uint64_t label = still_.contents.labels.label(node);
      file_.write(std::span<const float>(index_.vector(label)));
      file_.write(label);
    }
    for (NodeId node = 0; node < graph.size(); ++node) {
      file_.write(
          static_cast<std::uint32_t>(exported_level(graph, node) * row_bytes(upper_width_)));
      for (std::uint32_t layer = 1; layer <= exported_level(graph, node); ++layer)
        write_list(node, layer, upper_width_);
    }
    file_.commit();
  }

 private:
  static constexpr std::uint64_t row_bytes(std::uint64_t width) {
    return sizeof(RowHead) + width * sizeof(NodeId);
  }

  [[nodiscard]] Header header() const {
    const core::Graph& graph = still_.contents.graph;
    const IndexParams& params = graph.params();
    Header header;
    header.max_elements = graph.size();
    header.n = graph.size();
    header.offset_data = row_bytes(base_width_);
    header.offset_label = header.offset_data + std::uint64_t{params.dimension} * sizeof(float);
    header.element_bytes = header.offset_label + sizeof(std::uint64_t);
    header.entry_point = graph.entry_point().node;
    if (graph.size() > 0) header.max_level = static_cast<std::int32_t>(graph.entry_point().level);
    header.max_M = upper_width_;
    header.max_M0 = base_width_;
    header.M = params.M;
    header.level_multiplier = 1 / std::log(params.M);
    header.ef_construction = params.ef_construction;
    return header;
  }

  void write_list(NodeId node, std::uint32_t layer, std::uint32_t width) {
    LinkBuffer ids{};
    const std::uint32_t degree = exported_links(still_.contents.graph, node, layer, width, ids);
    std::fill(ids.begin() + degree, ids.end(), 0);
    file_.write(RowHead{static_cast<std::uint16_t>(degree)});
    file_.write(std::span<const NodeId>(ids.data(), width));
  }

  OutputFile file_;
  const Index& index_;
  IndexAccess::StandingStill still_;
  std::uint32_t base_width_;
  std::uint32_t upper_width_;
};

// --------------------------------------------------------------------------------------- reading

class Reader {
 public:
  Reader(const std::filesystem::path& path, const HnswlibSpace& space) : file_(path, "hnswlib") {
    foreign_.params.dimension = space.dimension;
    foreign_.params.metric = space.metric;
  }

  Index run(Adopt adopt, RuntimeOptions options) {
    refuse_header_of_chroma();
    header_ = file_.read<Header>();
    check_header(adopt);
    read_elements();
    read_upper_lists();
    file_.expect_end();
    check_levels();
    if (foreign_.params.metric == Metric::cosine) check_norms();
    return make_index(foreign_, adopt, std::move(options), file_);
  }

 private:
  static std::string text(std::uint64_t number) { return std::to_string(number); }

  /// Chroma persists an index in four files, of which header.bin is a version and the header.
  void refuse_header_of_chroma() {
    const std::uint64_t whole = file_.left();
    if (whole != sizeof(std::uint32_t) + sizeof(Header)) return;
    const auto version = file_.read<std::uint32_t>();
    const bool begins_there = file_.read<std::uint64_t>() == 0;  // offset_level_0
    file_.return_to(whole);
    if (version == 0 || !begins_there) return;
    file_.refuse_unsupported(
        "it is header.bin of an index that Chroma persisted in four files; write one file with "
        "save_index of its hnswlib");
  }

  void check_header(Adopt adopt) {
    const Header& h = header_;
    if (h.n > core::kMaxNodes) file_.refuse("it claims " + text(h.n) + " elements");
    if (h.n > h.max_elements) file_.refuse("it claims more elements than max_elements");
    if (std::max(h.max_M0, h.max_M) > kMaxWidth) file_.refuse("its lists are too long");
    if (h.offset_level_0 != 0 || h.offset_data != sizeof(RowHead) + h.max_M0 * sizeof(NodeId) ||
        h.offset_label < h.offset_data ||
        h.element_bytes - sizeof(std::uint64_t) != h.offset_label) {
      file_.refuse("its offsets are not those of its maxM0");
    }
    check_dimension(h.offset_label - h.offset_data);
    set_build_params(foreign_.params, h.M, h.ef_construction, adopt, file_);
    if (h.max_M < h.M || h.max_M0 < h.M) file_.refuse("its lists have room for fewer than M links");
    if (h.n > file_.left() / h.element_bytes) file_.refuse("it ends early");
  }

  void check_dimension(std::uint64_t data_bytes) const {
    if (data_bytes == std::uint64_t{foreign_.params.dimension} * sizeof(float)) return;
    throw Error(ErrorCode::dimension_mismatch,
                "'" + file_.path().string() + "' has " + text(data_bytes) +
                    " bytes a vector; dimension " + text(foreign_.params.dimension) + " needs " +
                    text(std::uint64_t{foreign_.params.dimension} * sizeof(float)));
  }

  void read_elements() {
    const auto n = static_cast<NodeId>(header_.n);
    const std::uint32_t dimension = foreign_.params.dimension;
    foreign_.vectors.resize(std::size_t{n} * dimension);
    foreign_.labels.resize(n);
    for (NodeId node = 0; node < n; ++node) {
      const RowHead head = read_row(foreign_.base, header_.max_M0, node);
      file_.read(&foreign_.vectors[std::size_t{node} * dimension], dimension * sizeof(float));
      foreign_.labels[node] = file_.read<std::uint64_t>();
      if ((head.deleted & kDeletedMark) != 0) foreign_.removed.push_back(foreign_.labels[node]);
    }
  }

  /// Whether upper lists of all elements, and nothing else, are what is left. Reads them.
  bool upper_lists_follow(std::uint64_t list_bytes) {
    for (NodeId node = 0; node < foreign_.size(); ++node) {
      if (file_.left() < sizeof(std::uint32_t)) return false;
      const auto bytes = file_.read<std::uint32_t>();
      if (bytes % list_bytes != 0 || bytes > file_.left()) return false;
      for (std::uint64_t list = 0; list < bytes / list_bytes; ++list) {
        row_.resize(list_bytes / sizeof(NodeId));
        file_.read(row_.data(), list_bytes);
      }
    }
    return file_.left() == 0;
  }

  /// Passes over the norms of a file of Chroma, which is one if upper lists follow behind them
  /// only.
  void pass_norms_of_chroma(std::uint64_t list_bytes) {
    const std::uint64_t here = file_.left();
    const std::uint64_t norms = std::uint64_t{foreign_.size()} * sizeof(float);
    if (upper_lists_follow(list_bytes) || here < norms) return file_.return_to(here);
    file_.return_to(here - norms);
    file_.return_to(upper_lists_follow(list_bytes) ? here - norms : here);
  }

  void read_upper_lists() {
    const std::uint64_t list_bytes = sizeof(RowHead) + header_.max_M * sizeof(NodeId);
    pass_norms_of_chroma(list_bytes);
    for (NodeId node = 0; node < foreign_.size(); ++node) {
      const auto bytes = file_.read<std::uint32_t>();
      if (bytes % list_bytes != 0 || bytes > file_.left())
        file_.refuse("the upper lists of element " + text(node) + " have an impossible length");
      const std::uint64_t level = bytes / list_bytes;
      for (std::uint64_t layer = 1; layer <= level; ++layer)
        read_row(foreign_.upper, header_.max_M, node);
      foreign_.first_upper.push_back(foreign_.first_upper.back() + level);
    }
  }

  RowHead read_row(IdLists& lists, std::uint64_t width, NodeId node) {
    const auto head = file_.read<RowHead>();
    row_.resize(width);
    file_.read(row_.data(), width * sizeof(NodeId));
    if (head.count > width) file_.refuse("element " + text(node) + " has more links than room");
    lists.push(std::span(row_).first(head.count));
    return head;
  }

  // Every link stays in its layer, and the entry point is of the highest level.
  void check_levels() const {
    std::size_t highest = 0;
    for (NodeId node = 0; node < foreign_.size(); ++node) {
      highest = std::max(highest, foreign_.level(node));
      for (std::size_t layer = 0; layer <= foreign_.level(node); ++layer) {
        for (const NodeId id : foreign_.links(node, layer)) check_link(node, id, layer);
      }
    }
    if (foreign_.size() == 0) return;
    const Header& h = header_;
    if (h.entry_point >= foreign_.size() || h.max_level < 0 ||
        foreign_.level(h.entry_point) != static_cast<std::size_t>(h.max_level) ||
        static_cast<std::size_t>(h.max_level) != highest) {
      file_.refuse("its entry point is not an element of the highest level");
    }
  }

  void check_link(NodeId node, NodeId id, std::size_t layer) const {
    if (id < foreign_.size() && foreign_.level(id) >= layer) return;
    file_.refuse("element " + text(node) + " links to " + text(id) + " in layer " + text(layer) +
                 ", which is no element of it");
  }

  void check_norms() const {
    constexpr double kTolerance = 1e-3;
    for (NodeId node = 0; node < foreign_.size(); ++node) {
      double squared_norm = 0;
      for (std::uint32_t e = 0; e < foreign_.params.dimension; ++e) {
        const double x = foreign_.vectors[std::size_t{node} * foreign_.params.dimension + e];
        squared_norm += x * x;
      }
      if (squared_norm == 0 || std::abs(squared_norm - 1) <= kTolerance) continue;
      file_.refuse("vector " + text(node) +
                   " is not normalised, as those of a cosine space are; is the metric another?");
    }
  }

  InputFile file_;
  Header header_;
  ForeignIndex foreign_;
  std::vector<NodeId> row_;
};

}  // namespace

void save_hnswlib(const Index& index, const std::filesystem::path& path) {
  const IndexParams& params = index.params();
  if (params.metric == Metric::cosine && core::widest(params.storage) != core::Element::f32) {
    throw Error(ErrorCode::unsupported,
                std::string("vectors of storage ") + to_string(params.storage) +
                    " are rounded, so that they are not normalised, as a cosine space of hnswlib "
                    "needs them; allowed are other metrics, and storage automatic and f32");
  }
  IndexAccess::expect_not_its_own(index, path);
  interchange::write_living<Writer>(index, path);
}

Index load_hnswlib(const std::filesystem::path& path, HnswlibSpace space, Adopt adopt,
                   RuntimeOptions options) {
  IndexParams params;
  params.dimension = space.dimension;
  params.metric = space.metric;
  params.validate();
  std::error_code unknown;  // whether there is one; Reader says why
  if (std::filesystem::exists(path / "link_lists.bin", unknown)) {
    throw Error(ErrorCode::unsupported,
                "'" + path.string() +
                    "' is a folder in which Chroma persisted an index; write one file with "
                    "save_index of its hnswlib");
  }
  return Reader(path, space).run(adopt, std::move(options));
}

}  // namespace concord::interchange
