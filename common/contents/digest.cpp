#include "common/contents/digest.hpp"

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <memory>
#include <new>
#include <vector>

#include "common/base/metric_word.hpp"
#include "common/base/xxh3.hpp"

namespace concord::core {
namespace {

Digest canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  Digest digest;
  std::copy(std::begin(bytes.digest), std::end(bytes.digest), digest.begin());
  return digest;
}

}  // namespace

Digest digest_of(std::span<const std::uint8_t> bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

class Digester::Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_128bits_reset(state_.get());
  }
  void add(const void* data, std::size_t bytes) { XXH3_128bits_update(state_.get(), data, bytes); }
  void add(std::uint64_t number) { add(&number, sizeof number); }
  void add_id(NodeId id) { add(&id, sizeof id); }
  Digest finish() const { return canonical(XXH3_128bits_digest(state_.get())); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

Digester::Digester(const Contents& contents)
    : contents_(contents), hasher_(std::make_unique<Hasher>()), ranks_(contents.graph) {
  const Graph& graph = contents.graph;
  const IndexParams& p = graph.params();
  const NodeId n = ranks_.size();
  Hasher& hasher = *hasher_;
  for (const std::uint64_t number :
       {std::uint64_t{p.dimension}, std::uint64_t{metric_word_of_digest(p)}, std::uint64_t{p.M},
        std::uint64_t{p.ef_construction}, p.seed, std::uint64_t{p.epoch_limit}, std::uint64_t{n},
        std::uint64_t{ranks_.rank(graph.entry_point().node)}}) {
    hasher.add(number);
  }
  add_each(graph.levels().data());
  std::array<NodeId, kMaxListCapacity + 1> list;  // degree, ids
  for (NodeId rank = 0; rank < n; ++rank) {
    const NodeId node = ranks_.node(rank);
    for (std::uint32_t layer = 0; layer <= graph.level(node); ++layer) {
      list[0] = graph.read(node, layer, list.data() + 1);
      ranks_.to_ranks(list.data() + 1, list[0]);
      hasher.add(list.data(), (list[0] + 1) * sizeof(NodeId));
    }
  }
  if (graph.has_history()) add_history(graph);
  if (const RotatedCoder* const coder = contents.vectors.codes().coder(); coder != nullptr) {
    hasher.add(coder->sums().data(), coder->sums().size_bytes());
  }
}

// What else decides how the graph goes on. Until the first removal and the first copy it follows
// from the size.
void Digester::add_history(const Graph& graph) {
  const Epoch& epoch = graph.epoch();
  for (const std::uint64_t number :
       {graph.insertions(), graph.removals(), std::uint64_t{epoch.number},
        std::uint64_t{epoch.sealed_end - graph.unlinked()},
        std::uint64_t{epoch.begin - graph.unlinked()},
        std::uint64_t{epoch.end - graph.unlinked()}}) {
    hasher_->add(number);
  }
  const Graph::State state = graph.state();
  for (const NodeId id : state.dead) hasher_->add_id(ranks_.rank(id));
  for (const auto& [copy, first] : state.copies) {
    hasher_->add_id(ranks_.rank(copy));
    hasher_->add_id(ranks_.rank(first));
  }
}

template <class T>
void Digester::add_each(const T* of_nodes) {
  if (ranks_.are_ids()) return hasher_->add(of_nodes, ranks_.size() * sizeof(T));
  for (NodeId rank = 0; rank < ranks_.size(); ++rank) {
    hasher_->add(&of_nodes[ranks_.node(rank)], sizeof(T));
  }
}

Digester::~Digester() = default;

Digest Digester::finish() {
  const VectorStore& vectors = contents_.vectors;
  std::vector<float> buffer(vectors.stride());
  for (NodeId rank = 0; rank < ranks_.size(); ++rank) {
    hasher_->add(vectors.read(ranks_.node(rank), buffer.data()),
                 vectors.dimension() * sizeof(float));
  }
  add_each(contents_.labels.data());
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
