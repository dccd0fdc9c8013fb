// One instruction set level of HnswlibPeer: CONCORD_BENCH_VARIANT names it (v1, v3, v4). Compiled
// with its own -march. hnswlib is in an unnamed namespace, and -fno-weak keeps the instances of
// standard templates local. So no code of this file can run on a machine that lacks its
// instructions.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <list>
#include <memory>
#include <mutex>
#include <queue>
#include <random>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>
// Headers that hnswlib includes must come before it, or they would end up in the namespace.
#include <assert.h>
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include <cassert>

namespace {
#include <hnswlib/hnswlib.h>
}  // namespace

#include "bench/tool/hnswlib_peer.hpp"
#include "bench/tool/parallel.hpp"

#define CONCORD_BENCH_JOIN2(a, b) a##b
#define CONCORD_BENCH_JOIN(a, b) CONCORD_BENCH_JOIN2(a, b)

namespace concord::bench {
namespace {

using Hnsw = hnswlib::HierarchicalNSW<float>;
using Links = std::span<const hnswlib::tableint>;

hnswlib::DISTFUNC<float> g_counted_function = nullptr;
std::uint64_t g_counted = 0;

float counting_distance(const void* a, const void* b, const void* parameter) {
  ++g_counted;
  return g_counted_function(a, b, parameter);
}

class Variant final : public HnswlibPeer {
 public:
  explicit Variant(const IndexParams& params) : params_(params) {
    if (params.metric == Metric::l2sq) {
      space_ = std::make_unique<hnswlib::L2Space>(params.dimension);
    } else {
      space_ = std::make_unique<hnswlib::InnerProductSpace>(params.dimension);
    }
  }

  void build(MatrixView<const float> vectors, unsigned threads) override {
    index_.reset();
    index_ = std::make_unique<Hnsw>(space_.get(), vectors.rows, params_.M, params_.ef_construction,
                                    static_cast<std::size_t>(params_.seed));
    if (vectors.rows == 0) return;
    add(vectors, 0);  // alone, as hnswlib's Python binding does: it becomes the entry point
    parallel_for(threads, vectors.rows - 1, [&](std::size_t i) { add(vectors, i + 1); });
  }

  void search(MatrixView<const float> queries, std::uint32_t k, std::uint32_t ef, unsigned threads,
              std::span<std::uint64_t> labels, std::span<std::uint32_t> counts) override {
    index_->setEf(ef);
    parallel_for(threads, queries.rows, [&](std::size_t q) {
      auto found = index_->searchKnn(prepared(queries.row(q)), k);
      std::uint64_t* const row = labels.data() + q * k;
      std::fill(row, row + k, ~std::uint64_t{0});
      counts[q] = static_cast<std::uint32_t>(found.size());
      for (std::size_t i = found.size(); i-- > 0; found.pop()) row[i] = found.top().second;
    });
  }

  std::uint64_t count_search_distances(MatrixView<const float> queries, std::uint32_t k,
                                       std::uint32_t ef) override {
    std::vector<std::uint64_t> labels(queries.rows * k);
    std::vector<std::uint32_t> counts(queries.rows);
    g_counted_function = index_->fstdistfunc_;
    g_counted = 0;
    index_->fstdistfunc_ = counting_distance;
    search(queries, k, ef, 1, labels, counts);
    index_->fstdistfunc_ = g_counted_function;
    return g_counted;
  }

  PeerAudit audit() override {
    PeerAudit found;
    if (index_->cur_element_count == 0) return found;
    std::vector<char> reached(index_->cur_element_count, 0);
    reached[index_->enterpoint_node_] = 1;
    for (int layer = index_->maxlevel_; layer >= 0; --layer) {
      const std::uint64_t unreachable = audit_layer(layer, reached, found);
      found.unreachable += unreachable;
      found.unreachable_layer0 = unreachable;
    }
    return found;
  }

  std::uint64_t memory_bytes() override {
    const std::size_t n = index_->max_elements_;
    std::size_t upper = 0;
    for (std::size_t i = 0; i < index_->cur_element_count; ++i) {
      upper +=
          static_cast<std::size_t>(index_->element_levels_[i]) * index_->size_links_per_element_;
    }
    constexpr std::size_t kHashNode = 24;  // next pointer, label, id
    return n * (index_->size_data_per_element_ + sizeof(char*) + sizeof(int) + sizeof(std::mutex)) +
           upper + Hnsw::max_update_element_locks * sizeof(std::mutex) +
           index_->label_lookup_.size() * kHashNode +
           index_->label_lookup_.bucket_count() * sizeof(void*);
  }

  std::string isa() override {
#if defined(USE_AVX512)
    return "avx512";
#elif defined(USE_AVX)
    return "avx";
#else
    return "sse";
#endif
  }

 private:
  /// `vector`, or for cosine its normalised copy, valid until the thread's next call.
  const float* prepared(const float* vector) const {
    if (params_.metric != Metric::cosine) return vector;
    thread_local std::vector<float> storage;
    float squared = 0;
    for (std::uint32_t i = 0; i < params_.dimension; ++i) squared += vector[i] * vector[i];
    const float scale = 1.0F / (std::sqrt(squared) + 1e-30F);
    storage.resize(params_.dimension);
    for (std::uint32_t i = 0; i < params_.dimension; ++i) storage[i] = vector[i] * scale;
    return storage.data();
  }

  void add(MatrixView<const float> vectors, std::size_t i) {
    index_->addPoint(prepared(vectors.row(i)), i);
  }

  Links links(hnswlib::tableint node, int layer) const {
    auto* const row = index_->get_linklist_at_level(node, layer);
    return {reinterpret_cast<const hnswlib::tableint*>(row + 1), index_->getListCount(row)};
  }

  /// Extends `reached` along the links of `layer`; returns how many of its nodes it misses.
  std::uint64_t audit_layer(int layer, std::vector<char>& reached, PeerAudit& found) const {
    std::vector<hnswlib::tableint> open;
    const auto nodes = static_cast<hnswlib::tableint>(index_->cur_element_count);
    for (hnswlib::tableint node = 0; node < nodes; ++node) {
      if (reached[node] != 0) open.push_back(node);
    }
    while (!open.empty()) {
      const hnswlib::tableint node = open.back();
      open.pop_back();
      for (const hnswlib::tableint next : links(node, layer)) {
        if (reached[next] == 0) open.push_back(next);
        reached[next] = 1;
      }
    }
    std::uint64_t missed = 0;
    for (hnswlib::tableint node = 0; node < nodes; ++node) {
      if (index_->element_levels_[node] < layer) continue;
      missed += reached[node] == 0 ? 1U : 0U;
      for (const hnswlib::tableint next : links(node, layer)) {
        const Links back = links(next, layer);
        ++found.directed_edges;
        if (std::find(back.begin(), back.end(), node) == back.end()) ++found.asymmetric_edges;
      }
    }
    return missed;
  }

  IndexParams params_;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<Hnsw> index_;
};

}  // namespace

std::unique_ptr<HnswlibPeer> CONCORD_BENCH_JOIN(make_hnswlib_peer_,
                                                CONCORD_BENCH_VARIANT)(const IndexParams& params) {
  return std::make_unique<Variant>(params);
}

}  // namespace concord::bench
