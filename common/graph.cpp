#include "common/graph.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <string>

namespace concord::core {
namespace {

// Σ P(level ≥ l) for l ≥ 1 is 1/(M−1) rows a node; M = 2 needs one each, with room for chance.
constexpr std::size_t kMaxUpperRows = std::size_t{kMaxNodes} + (std::size_t{1} << 20);

}  // namespace

Graph::Graph(const IndexParams& params)
    : params_(params),
      levels_(kMaxNodes),
      upper_offset_(kMaxNodes),
      base_(2 * params.M, kMaxNodes),
      upper_(params.M, kMaxUpperRows) {
  last_in_layer_.fill(kNoNode);
}

SealedVersion Graph::version_for(const Epoch& epoch) const noexcept {
  SealedVersion version;
  version.end = epoch.sealed_end;
  version.epoch = epoch.number == 0 ? 0 : epoch.number - 1;
  version.behind_a_seal = epoch.number == epoch_.number;
  if (epoch.sealed_end > 0) version.entry = sealed_entries_[epoch.number & 1];
  return version;
}

std::size_t Graph::rows_of_open_epoch(std::uint32_t layer) const noexcept {
  std::size_t rows = 0;
  for (NodeId node = epoch_.begin; node < size_; ++node) rows += layer == 0 ? 1 : level(node);
  return rows;
}

void Graph::reserve(std::size_t size) {
  if (size > kMaxNodes) {
    throw Error(ErrorCode::capacity, "an index holds at most " + std::to_string(kMaxNodes) +
                                         " vectors, " + std::to_string(size) + " were asked for");
  }
  std::size_t upper_rows = upper_.size();
  for (std::size_t i = announced_; i < size; ++i)
    upper_rows += level_of(params_.seed, i, params_.M);
  levels_.reserve(size);
  upper_offset_.reserve(size);
  base_.reserve(size);
  upper_.reserve(upper_rows);
}

void Graph::announce(NodeId size) {
  reserve(size);
  levels_.resize(size);
  upper_offset_.resize(size);
  base_.resize(size);
  std::size_t upper_rows = upper_.size();
  for (NodeId node = announced_; node < size; ++node) {
    const unsigned level = level_of(params_.seed, node, params_.M);
    levels_[node] = static_cast<std::uint8_t>(level);
    upper_offset_[node] = static_cast<std::uint32_t>(upper_rows);
    upper_rows += level;
  }
  upper_.resize(upper_rows);
  announced_ = size;
}

void Graph::retract() noexcept {
  if (announced_ == size_) return;
  upper_.resize(upper_offset_[size_]);
  announced_ = size_;
  levels_.resize(size_);
  upper_offset_.resize(size_);
  base_.resize(size_);
}

void Graph::admit(NodeId node) noexcept {
  const std::uint32_t level = levels_[node];
  for (std::uint32_t layer = 0; layer <= level; ++layer) last_in_layer_[layer] = node;
  std::atomic_ref(size_).store(node + 1, std::memory_order_release);
  const EntryPoint entry = entry_point();
  if (entry.node == kNoNode || level > entry.level) {
    entry_.store({node, level}, std::memory_order_release);  // after the size: live()
  }
}

void Graph::close_epoch() noexcept {
  sealed_entries_[epoch_.number & 1] = entry_point();
  epoch_ = epoch_.next(params_.epoch_limit);
  seals_ = (seals_ | 1) + 1;
}

void Graph::restore(NodeId size, const State& state) noexcept {
  for (NodeId node = size_; node < size; ++node) admit(node);
  epoch_ = Epoch::of(state.seal_is_due ? size - 1 : size, params_.epoch_limit);
  std::copy(std::begin(state.sealed_entries), std::end(state.sealed_entries), sealed_entries_);
}

}  // namespace concord::core
