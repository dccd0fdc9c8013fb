// load_faiss: reads the format of faiss_format.hpp.

#include <algorithm>
#include <cmath>
#include <concord/interchange.hpp>
#include <numeric>
#include <optional>

#include "common/interchange/adopt_graph.hpp"
#include "common/interchange/faiss_format.hpp"
#include "common/interchange/faiss_quantizer.hpp"
#include "common/interchange/input_file.hpp"

namespace concord::interchange {
namespace {

using namespace faiss;
using core::NodeId;

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path, "FAISS") {}

  Index run(Adopt adopt, RuntimeOptions options) {
    adopt_ = adopt;
    const bool with_labels = read_wrappers();
    const bool quantized = kind_ == kHnswQuantized;
    expect_kind(kind_, quantized || kind_ == kHnswFlat, "an IndexHNSWFlat or IndexHNSWSQ");
    read_next_header();
    read_graph();
    if (quantized) {
      read_quantized_vectors();
    } else {
      read_vectors();
    }
    read_labels(with_labels);
    file_.expect_end();
    return make_index(foreign_, adopt, std::move(options), file_);
  }

 private:
  struct Header {
    std::int32_t dimension;
    std::int64_t n;
    std::int32_t metric;
    bool operator==(const Header&) const = default;
  };

  static std::string text(std::uint64_t number) { return std::to_string(number); }

  void expect_kind(const FourCc& kind, bool expected, const char* what) {
    if (expected) return;
    const bool is_faiss = kind[0] == 'I' && std::all_of(kind.begin(), kind.end(),
                                                        [](char c) { return c > ' ' && c <= '~'; });
    if (!is_faiss) file_.refuse("it does not hold a FAISS index");
    file_.refuse_unsupported("it holds '" + std::string(kind.data(), kind.size()) + "', not " +
                             what);
  }

  /// Reads what is around the graph, each kind once at most, in either order; `kind_` is
  /// what comes then. True if an IndexIDMap is among it.
  bool read_wrappers() {
    bool with_labels = false;
    bool transformed = false;
    for (;;) {
      kind_ = file_.read<FourCc>();
      if (!with_labels && (kind_ == kIdMap || kind_ == kIdMap2)) {
        with_labels = true;
        read_next_header();
      } else if (!transformed && kind_ == kPreTransform) {
        transformed = true;
        read_next_header();
        read_transforms();
      } else {
        return with_labels;
      }
    }
  }

  void read_transforms() {
    for (auto left = file_.read<std::int32_t>(); left > 0; --left) {
      const auto kind = file_.read<FourCc>();
      const bool identity = is_identity(kind);
      const auto from = file_.read<std::int32_t>();
      const auto to = file_.read<std::int32_t>();
      file_.read<std::uint8_t>();  // trained
      if (identity && from == header_->dimension && to == from) continue;
      file_.refuse_unsupported("its transform '" + std::string(kind.data(), kind.size()) +
                               "' changes vectors, and Concord transforms none");
    }
  }

  /// Reads what a transform of this kind has of its own. Refuses kinds that always change vectors.
  bool is_identity(const FourCc& kind) {
    const auto dimension = static_cast<std::size_t>(header_->dimension);
    if (kind == kRemap) {
      const auto map = read_array<std::int32_t>();
      std::vector<std::int32_t> in_order(dimension);
      std::iota(in_order.begin(), in_order.end(), 0);
      return map == in_order;
    }
    if (kind == kCentering) return read_array<float>() == std::vector<float>(dimension);
    if (kind == kLinear || kind == kRotation) {
      const bool has_bias = file_.read<std::uint8_t>() != 0;
      const auto matrix = read_array<float>();
      const auto bias = read_array<float>();
      return is_identity(matrix, dimension) && (!has_bias || bias == std::vector<float>(dimension));
    }
    file_.refuse_unsupported("its transform '" + std::string(kind.data(), kind.size()) +
                             "' is none of those that may be the identity");
  }

  static bool is_identity(const std::vector<float>& matrix, std::size_t dimension) {
    if (matrix.size() != dimension * dimension) return false;
    for (std::size_t i = 0; i < matrix.size(); ++i) {
      if (matrix[i] != (i % (dimension + 1) == 0 ? 1.0F : 0.0F)) return false;
    }
    return true;
  }

  Header read_header() {
    Header header{};
    header.dimension = file_.read<std::int32_t>();
    header.n = file_.read<std::int64_t>();
    file_.read<std::int64_t>();
    file_.read<std::int64_t>();
    file_.read<std::uint8_t>();
    header.metric = file_.read<std::int32_t>();
    return header;
  }

  /// That of a part: the first one is looked at, the others must equal it.
  void read_next_header() {
    if (header_.has_value()) return expect_same_header();
    header_ = read_header();
    if (header_->n < 0 || header_->n > std::int64_t{core::kMaxNodes} || header_->dimension < 1 ||
        header_->dimension > 65536) {
      file_.refuse("it claims " + std::to_string(header_->n) + " vectors of dimension " +
                   std::to_string(header_->dimension));
    }
    if (header_->metric != kL2 && header_->metric != kInnerProduct) {
      file_.refuse_unsupported("its metric is number " + std::to_string(header_->metric) +
                               "; allowed are METRIC_INNER_PRODUCT (0) and METRIC_L2 (1)");
    }
    foreign_.params.dimension = static_cast<std::uint32_t>(header_->dimension);
    foreign_.params.metric = header_->metric == kL2 ? Metric::l2sq : Metric::inner_product;
    n_ = static_cast<NodeId>(header_->n);
  }
  void expect_same_header() {
    if (read_header() != *header_) file_.refuse("its parts disagree on dimension, size or metric");
  }

  template <class T>
  std::vector<T> read_array() {
    return file_.read_array<T>(file_.read<std::uint64_t>());
  }
  template <class T>
  std::vector<T> read_array(std::uint64_t expected, const char* name) {
    const auto count = file_.read<std::uint64_t>();
    if (count != expected) {
      file_.refuse("it has " + text(count) + " " + name + " instead of " + text(expected));
    }
    return file_.read_array<T>(count);
  }

  void read_graph() {
    const auto probabilities = read_array<double>();
    const auto widths = read_array<std::int32_t>();
    check_widths(widths);
    const auto levels = read_array<std::int32_t>(n_, "levels");
    const auto offsets = read_array<std::uint64_t>(std::uint64_t{n_} + 1, "offsets");
    check_offsets(widths, levels, offsets);
    const auto ids = read_array<std::int32_t>(offsets.back(), "neighbors");
    for (const std::int32_t level : levels)
      foreign_.first_upper.push_back(foreign_.first_upper.back() +
                                     static_cast<std::size_t>(level - 1));
    for (NodeId node = 0; node < n_; ++node)
      take_lists(node, widths, levels, std::span(ids).subspan(offsets[node]));
    read_search_state(probabilities, widths, levels);
  }

  void check_widths(const std::vector<std::int32_t>& widths) const {
    bool sound = widths.size() >= 2 && widths[0] == 0;
    for (std::size_t layer = 0; sound && layer + 1 < widths.size(); ++layer)
      sound = widths[layer] <= widths[layer + 1];
    if (!sound) file_.refuse("the widths of its layers do not grow");
  }

  void check_offsets(const std::vector<std::int32_t>& widths,
                     const std::vector<std::int32_t>& levels,
                     const std::vector<std::uint64_t>& offsets) const {
    if (offsets[0] != 0) file_.refuse("its first offset is not 0");
    for (NodeId node = 0; node < n_; ++node) {
      const std::int32_t layers = levels[node];
      if (layers < 1 || static_cast<std::size_t>(layers) >= widths.size()) {
        file_.refuse("node " + text(node) + " has " + std::to_string(layers) + " layers");
      }
      // No sum: offsets may be anything.
      const auto width = static_cast<std::uint64_t>(widths[static_cast<std::size_t>(layers)]);
      if (offsets[node + 1] < offsets[node] || offsets[node + 1] - offsets[node] != width) {
        file_.refuse("the offset of node " + text(node) + " does not fit its layers");
      }
    }
  }

  // A list ends at the first -1.
  void take_lists(NodeId node, const std::vector<std::int32_t>& widths,
                  const std::vector<std::int32_t>& levels, std::span<const std::int32_t> ids) {
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(levels[node]); ++layer) {
      row_.clear();
      for (auto place = widths[layer]; place < widths[layer + 1]; ++place) {
        const std::int32_t id = ids[static_cast<std::size_t>(place)];
        if (id == kNoNeighbor) break;
        if (id < 0 || static_cast<NodeId>(id) >= n_ ||
            static_cast<std::size_t>(levels[static_cast<std::size_t>(id)]) <= layer) {
          file_.refuse("node " + text(node) + " links to " + std::to_string(id) + " in layer " +
                       text(layer) + ", which is no node of it");
        }
        row_.push_back(static_cast<NodeId>(id));
      }
      (layer == 0 ? foreign_.base : foreign_.upper).push(row_);
    }
  }

  void read_search_state(const std::vector<double>& probabilities,
                         const std::vector<std::int32_t>& widths,
                         const std::vector<std::int32_t>& levels) {
    const auto entry = file_.read<std::int32_t>();
    const auto max_level = file_.read<std::int32_t>();
    const auto ef_construction = file_.read<std::int32_t>();
    file_.read<std::int32_t>();  // efSearch
    file_.read<std::int32_t>();  // upper_beam, not used any more
    if (n_ > 0) {
      const std::int32_t highest = *std::max_element(levels.begin(), levels.end()) - 1;
      if (entry < 0 || static_cast<NodeId>(entry) >= n_ || max_level != highest ||
          levels[static_cast<std::size_t>(entry)] - 1 != highest) {
        file_.refuse("its entry point is not a node of the highest level");
      }
    }
    const std::uint64_t M = M_of(probabilities);
    set_build_params(foreign_.params, M, static_cast<std::uint64_t>(std::max(ef_construction, 0)),
                     adopt_, file_);
    if (static_cast<std::uint64_t>(widths[1]) < M)
      file_.refuse("its lists have room for fewer than M links");
  }

  // The file has no M; P(level = 0) is 1 - 1/M.
  std::uint64_t M_of(const std::vector<double>& probabilities) const {
    if (probabilities.empty() || !(probabilities[0] > 0 && probabilities[0] < 1)) {
      file_.refuse("its probabilities of levels are none");
    }
    return static_cast<std::uint64_t>(std::min(std::round(1 / (1 - probabilities[0])), 1e9));
  }

  void read_vectors() {
    const auto kind = file_.read<FourCc>();
    expect_kind(kind, kind == kFlatL2 || kind == kFlatInnerProduct || kind == kFlat,
                "an IndexFlat as storage");
    const bool fits = kind == kFlat || (kind == kFlatL2) == (header_->metric == kL2);
    if (!fits) file_.refuse("its parts disagree on dimension, size or metric");
    expect_same_header();
    foreign_.vectors =
        read_array<float>(std::uint64_t{n_} * foreign_.params.dimension, "elements of vectors");
  }

  void read_quantized_vectors() {
    const auto kind = file_.read<FourCc>();
    expect_kind(kind, kind == kQuantized, "an IndexScalarQuantizer as storage");
    expect_same_header();
    QuantizedVectors there = read_quantized(file_, n_, foreign_.params.dimension);
    foreign_.vectors = std::move(there.elements);
    foreign_.params.storage = there.storage;
  }

  void read_labels(bool with_labels) {
    if (with_labels) {
      foreign_.labels = read_array<std::uint64_t>(n_, "labels");
      for (const std::uint64_t label : foreign_.labels) {
        if (label > kMaxLabel) {
          file_.refuse_unsupported("its label " + std::to_string(static_cast<std::int64_t>(label)) +
                                   " is negative");
        }
      }
      refuse_repeated_labels();
    } else {
      foreign_.labels.resize(n_);
      std::iota(foreign_.labels.begin(), foreign_.labels.end(), std::uint64_t{0});
    }
  }

  /// An IndexIDMap may give one id to several vectors.
  void refuse_repeated_labels() const {
    std::vector<std::uint64_t> sorted = foreign_.labels;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice == sorted.end()) return;
    file_.refuse_unsupported("several of its vectors have the id " + std::to_string(*twice) +
                             "; labels of Concord are unique");
  }

  InputFile file_;
  std::optional<Header> header_;
  FourCc kind_{};
  Adopt adopt_ = Adopt::graph;
  NodeId n_ = 0;
  ForeignIndex foreign_;
  std::vector<NodeId> row_;
};

}  // namespace

Index load_faiss(const std::filesystem::path& path, Adopt adopt, RuntimeOptions options) {
  return Reader(path).run(adopt, std::move(options));
}

}  // namespace concord::interchange
