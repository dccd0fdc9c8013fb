// save_faiss: writes the format of faiss_format.hpp.

#include <array>
#include <cmath>
#include <concord/interchange.hpp>

#include "common/index/index_access.hpp"
#include "common/interchange/exported_links.hpp"
#include "common/interchange/faiss_format.hpp"
#include "common/interchange/faiss_quantizer.hpp"
#include "common/interchange/list_width.hpp"
#include "common/interchange/living_copy.hpp"
#include "common/interchange/output_file.hpp"

namespace concord::interchange {
namespace {

using namespace faiss;
using core::NodeId;

constexpr std::int32_t kEfSearch = 64;

class Writer {
 public:
  Writer(const Index& index, const std::filesystem::path& path)
      : file_(path),
        index_(index),
        still_(IndexAccess::stand_still(index)),
        graph_(still_.contents.graph),
        labels_(still_.contents.labels) {
    const bool l2 = graph_.params().metric == Metric::l2sq;
    metric_ = l2 ? kL2 : kInnerProduct;
    widths_ = {list_width(graph_, 0), list_width(graph_, 1)};
    layers_ = std::max(default_layers(), graph_.entry_point().level + 1);
  }

  void run() {
    const bool with_labels = has_labels();
    if (with_labels) write_header(kIdMap);
    write_header(is_half() ? kHnswQuantized : kHnswFlat);
    write_levels();
    write_rows();
    write_search_state();
    if (is_half()) {
      write_half_vectors();
    } else {
      write_vectors();
    }
    if (with_labels) write_array(labels_.labels().first(graph_.size()));
    file_.commit();
  }

 private:
  [[nodiscard]] bool has_labels() const {
    bool differ = false;
    for (NodeId node = 0; node < graph_.size(); ++node) {
      const std::uint64_t label = labels_.label(node);
      differ |= label != node;
      if (label <= kMaxLabel) continue;
      throw Error(ErrorCode::unsupported, "label " + std::to_string(label) +
                                              " exceeds FAISS's largest, " +
                                              std::to_string(kMaxLabel));
    }
    return differ;
  }

  /// P(level = l) of FAISS and of Concord.
  [[nodiscard]] double probability(std::uint32_t level) const {
    const double M = graph_.params().M;
    return std::pow(M, -static_cast<double>(level)) * (1 - 1 / M);
  }
  /// FAISS gives room to levels that are not improbable.
  [[nodiscard]] std::uint32_t default_layers() const {
    std::uint32_t layers = 0;
    while (probability(layers) >= 1e-9) ++layers;
    return layers;
  }
  /// Places of the layers below `layer` in a node's stretch of ids.
  [[nodiscard]] std::uint64_t width_below(std::uint32_t layer) const {
    return layer == 0 ? 0 : widths_[0] + std::uint64_t{layer - 1} * widths_[1];
  }

  template <class T>
  void write_array(std::span<const T> values) {
    file_.write(std::uint64_t{values.size()});
    file_.write(values);
  }

  void write_header(const FourCc& kind) {
    file_.write(kind);
    file_.write(static_cast<std::int32_t>(graph_.params().dimension));
    file_.write(std::int64_t{graph_.size()});
    file_.fill(2, std::int64_t{1} << 20);
    file_.write(std::uint8_t{1});
    file_.write(metric_);
  }

  void write_levels() {
    std::vector<double> probabilities;
    std::vector<std::int32_t> widths = {0};
    for (std::uint32_t layer = 0; layer < layers_; ++layer) {
      probabilities.push_back(probability(layer));
      widths.push_back(static_cast<std::int32_t>(width_below(layer + 1)));
    }
    write_array(std::span<const double>(probabilities));
    write_array(std::span<const std::int32_t>(widths));
    file_.write(std::uint64_t{graph_.size()});
    for (NodeId node = 0; node < graph_.size(); ++node)
      file_.write(static_cast<std::int32_t>(exported_level(graph_, node) + 1));
  }

  void write_rows() {
    file_.write(std::uint64_t{graph_.size()} + 1);
    std::uint64_t offset = 0;
    file_.write(offset);
    for (NodeId node = 0; node < graph_.size(); ++node) {
      offset += width_below(exported_level(graph_, node) + 1);
      file_.write(offset);
    }
    file_.write(offset);  // the number of ids
    LinkBuffer ids{};
    for (NodeId node = 0; node < graph_.size(); ++node) {
      for (std::uint32_t layer = 0; layer <= exported_level(graph_, node); ++layer) {
        const std::uint32_t width = widths_[layer == 0 ? 0 : 1];
        const std::uint32_t degree = exported_links(graph_, node, layer, width, ids);
        file_.write(std::span<const NodeId>(ids.data(), degree));
        file_.fill(width - degree, kNoNeighbor);
      }
    }
  }

  void write_search_state() {
    const core::EntryPoint entry = graph_.entry_point();
    const bool empty = graph_.size() == 0;
    file_.write(static_cast<std::int32_t>(entry.node));  // kNoNode is -1
    file_.write(empty ? std::int32_t{-1} : static_cast<std::int32_t>(entry.level));
    file_.write(static_cast<std::int32_t>(graph_.params().ef_construction));
    file_.write(kEfSearch);
    file_.write(std::int32_t{1});
  }

  [[nodiscard]] bool is_half() const {
    const Storage storage = graph_.params().storage;
    return storage == Storage::f16 || storage == Storage::bf16;
  }

  void write_half_vectors() {
    const IndexParams& params = graph_.params();
    write_header(kQuantized);
    write_quantizer(file_, params.storage, graph_.size(), params.dimension);
    for (NodeId node = 0; node < graph_.size(); ++node)
      write_quantized_vector(file_, params.storage, index_.vector(labels_.label(node)));
  }

  void write_vectors() {
    write_header(metric_ == kL2 ? kFlatL2 : kFlatInnerProduct);
    file_.write(std::uint64_t{graph_.size()} * graph_.params().dimension);
    for (NodeId node = 0; node < graph_.size(); ++node)
      file_.write(std::span<const float>(index_.vector(labels_.label(node))));
  }

  OutputFile file_;
  const Index& index_;
  IndexAccess::StandingStill still_;
  const core::Graph& graph_;
  const core::LabelMap& labels_;
  std::int32_t metric_ = kL2;
  std::array<std::uint32_t, 2> widths_{};  ///< of layer 0, of the others
  std::uint32_t layers_ = 0;
};

}  // namespace

void save_faiss(const Index& index, const std::filesystem::path& path) {
  IndexAccess::expect_not_its_own(index, path);
  interchange::write_living<Writer>(index, path);
}

}  // namespace concord::interchange
