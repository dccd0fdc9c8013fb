#include "common/digest.hpp"

#include <concord/error.hpp>
#include <memory>
#include <new>
#include <vector>

#include "common/xxh3.hpp"

namespace concord::core {

class Digester::Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_128bits_reset(state_.get());
  }
  void add(const void* data, std::size_t bytes) { XXH3_128bits_update(state_.get(), data, bytes); }
  void add(std::uint64_t number) { add(&number, sizeof number); }
  Digest finish() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    Digest digest;
    std::copy(std::begin(canonical.digest), std::end(canonical.digest), digest.begin());
    return digest;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

Digester::Digester(const Graph& graph) : hasher_(std::make_unique<Hasher>()), n_(graph.size()) {
  const IndexParams& p = graph.params();
  const NodeId n = n_;
  Hasher& hasher = *hasher_;
  for (const std::uint64_t number :
       {std::uint64_t{p.dimension}, static_cast<std::uint64_t>(p.metric), std::uint64_t{p.M},
        std::uint64_t{p.ef_construction}, p.seed, std::uint64_t{p.epoch_limit}, std::uint64_t{n},
        std::uint64_t{graph.entry_point().node}}) {
    hasher.add(number);
  }
  hasher.add(graph.levels().data(), n);
  std::array<NodeId, kMaxScored + 1> row;  // degree, ids
  for (NodeId node = 0; node < n; ++node) {
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      row[0] = graph.read(node, layer, row.data() + 1);
      hasher.add(row.data(), (row[0] + 1) * sizeof(NodeId));
    }
  }
}

Digester::~Digester() = default;

Digest Digester::finish(const VectorStore& vectors, const LabelMap& labels) {
  std::vector<float> buffer(vectors.stride());
  for (NodeId node = 0; node < n_; ++node) {
    hasher_->add(vectors.read(node, buffer.data()), vectors.dimension() * sizeof(float));
  }
  hasher_->add(labels.data(), n_ * sizeof(std::uint64_t));
  return hasher_->finish();
}

std::string to_hex(const Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::uint8_t byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace concord::core
