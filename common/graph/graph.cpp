#include "common/graph/graph.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <string>

namespace concord::core {

Graph::Graph(const IndexParams& params, const ReaderGate* gate)
    : params_(params), gate_(gate), base_(2 * params.M), upper_(params.M) {
  first_in_layer_.fill(kNoNode);
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

std::size_t Graph::lists_of_open_epoch(const LinkTable& table) const noexcept {
  if (&table == &base_) return size() - epoch_.begin;
  return upper_lists_before(size()) - upper_lists_before(epoch_.begin);
}

void Graph::reserve(std::size_t size) {
  if (size > kMaxNodes) {
    throw Error(ErrorCode::capacity, "an index holds at most " + std::to_string(kMaxNodes) +
                                         " vectors, " + std::to_string(size) + " were asked for");
  }
  std::size_t upper_lists = upper_.size();
  for (std::size_t i = announced_; i < size; ++i)
    upper_lists += level_of(params_.seed, insertion(static_cast<NodeId>(i)), params_.M);
  levels_.reserve(size);
  upper_offset_.reserve(size);
  base_.reserve(size);
  upper_.reserve(upper_lists);
  if (tombstones_.any()) tombstones_.reserve(size);
  if (copies_.any()) copies_.reserve(size);
  free_left();
}

void Graph::free_left() noexcept {
  if (!levels_.has_left() && !upper_offset_.has_left() && !base_.has_left() && !upper_.has_left() &&
      !tombstones_.has_left() && !copies_.has_left()) {
    return;
  }
  if (gate_ != nullptr && !gate_->is_empty()) return;
  levels_.free_left();
  upper_offset_.free_left();
  base_.free_left();
  upper_.free_left();
  tombstones_.free_left();
  copies_.free_left();
}

void Graph::announce(NodeId size) {
  reserve(size);
  levels_.resize(size);
  upper_offset_.resize(size);
  base_.resize(size);
  std::size_t upper_lists = upper_.size();
  for (NodeId node = announced_; node < size; ++node) {
    const unsigned level = level_of(params_.seed, insertion(node), params_.M);
    levels_[node] = static_cast<std::uint8_t>(level);
    upper_offset_[node] = static_cast<std::uint32_t>(upper_lists);
    upper_lists += level;
  }
  upper_.resize(upper_lists);
  announced_ = size;
}

void Graph::discard_announced() noexcept {
  for (NodeId node = size(); !replacements_.empty() && node < announced_; ++node) {
    if (replaced_by(node) != kNoNode) tombstones_.clear(replaced_by(node));
  }
  replacements_.clear();
  publish_met();
  if (announced_ == size()) return;
  forget_announced_copies();
  upper_.resize(upper_lists_before(size()));
  announced_ = size();
  levels_.resize(size());
  upper_offset_.resize(size());
  base_.resize(size());
}

// One store of the extent shows the new node and hides the one that it replaces.
void Graph::admit(NodeId node) noexcept {
  const bool is_copy = copies_.is_copy(node);
  const std::uint32_t level = levels_[node];
  for (std::uint32_t layer = 0; !is_copy && layer <= level; ++layer) {
    if (first_in_layer_[layer] == kNoNode) first_in_layer_[layer] = node;
    last_in_layer_[layer] = node;
  }
  const EntryPoint entry = entry_point();
  // live() waits for neither store, because a graph without an entry point gets that first, and
  // any other graph its size.
  if (entry.node == kNoNode) entry_.store({node, level}, std::memory_order_release);
  if (is_copy) copies_without_node_ = copies_without_node_ + 1;
  const NodeId old = replaced_by(node);
  const NodeId deaths = old == kNoNode ? 0 : 1;
  if (deaths > 0) note_death(old, node + 1);
  extent_.store({node + 1, extent().dead + deaths}, std::memory_order_release);
  if (deaths > 0) epoch_.end = std::max(node + 1, epoch_.end - 1);
  if (!is_copy && entry.node != kNoNode && level > entry.level) {
    entry_.store({node, level}, std::memory_order_release);
  }
}

// ---------------------------------------------------------------------------------------- copies

void Graph::forget_announced_copies() noexcept {
  for (NodeId id = announced_; copies_.any() && id-- > size();) {
    if (copies_.is_copy(id)) copies_.take_back(id);
  }
}

NodeId Graph::gone(NodeId node) const noexcept {
  NodeId last = tombstones_.gone(node);
  if (last == kNoNode || copies_.next(node) == kNoNode) return last;
  const Copies::Life life = copies_.life(node);
  if (life.has_ended) return life.gone;
  if (tombstones_.gone(life.earliest) == kNoNode) return kNoNode;
  for (NodeId copy = copies_.next(node); copy != kNoNode && last != kNoNode;
       copy = copies_.next(copy)) {
    last = std::max(last, tombstones_.gone(copy));
  }
  return last;
}

// The earliest that lived when it was noted, and then the latest first, since copies that die
// together mostly die in order. An announced copy may leave its chain meanwhile, or stand in
// another; then the chain is read in its order, which ends at the view.
bool Graph::has_living_copy(NodeId node, NodeId view_size) const noexcept {
  const auto lives = [&](NodeId id) {
    return id < view_size && !tombstones_.is_dead(id, view_size);
  };
  const Copies::Life life = copies_.life(node);
  if (life.has_ended) return life.gone >= view_size;
  if (lives(life.earliest)) return true;
  NodeId id = copies_.previous(node);
  for (; id != kNoNode && copies_.first(id) == node; id = copies_.previous(id)) {
    if (lives(id)) return true;
  }
  if (id == node) return false;
  for (id = copies_.next(node); id < view_size; id = copies_.next(id)) {
    if (lives(id)) return true;
  }
  return false;
}

// Goes on in the chain from where the last call has ended, so all calls take O(chain).
bool Graph::ends(NodeId node, NodeId id, NodeId view_size) noexcept {
  if (copies_.next(node) == kNoNode && node == id) return true;
  NodeId earliest = copies_.life(node).earliest;
  while (earliest < view_size && tombstones_.is_dead(earliest, view_size)) {
    earliest = copies_.next(earliest);
  }
  if (earliest < view_size) {
    copies_.note_life(node, earliest);
    return false;
  }
  NodeId gone = tombstones_.gone(node);  // the latest, which may not be that of the last to die
  for (NodeId copy = copies_.next(node); copy < view_size; copy = copies_.next(copy)) {
    gone = std::max(gone, tombstones_.gone(copy));
  }
  copies_.note_end(node, gone);
  return true;
}

void Graph::note_death(NodeId id, NodeId view_size) noexcept {
  const NodeId node = copies_.node_of(id);
  const bool is_copy = node != id;
  if (is_copy) {
    pending_.push_back(id);
    copies_without_node_ = copies_without_node_ - 1;
  }
  if (!ends(node, id, view_size)) {
    if (is_copy) return;
    kept_ = kept_ + 1;
    copies_without_node_ = copies_without_node_ - 1;
    return;
  }
  if (is_copy) {  // so the node was kept
    kept_ = kept_ - 1;
    copies_without_node_ = copies_without_node_ + 1;
  }
  pending_.push_back(node);
}

std::vector<NodeId> Graph::dead() const {
  std::vector<NodeId> dead = pending_;
  for (NodeId id = 0; kept() > 0 && id < size(); ++id) {
    if (!is_linked(id) || copies_.next(id) == kNoNode) continue;
    if (tombstones_.is_dead(id, size()) && !is_dead(id, size())) dead.push_back(id);
  }
  std::sort(dead.begin(), dead.end());
  return dead;
}

// ------------------------------------------------------------------------------------ tombstones

void Graph::reserve_deaths(std::size_t count) {
  if (count == 0) return;
  tombstones_.reserve(std::max<std::size_t>(announced_, 1));
  pending_.reserve(pending_.size() + 2 * count);  // the last copy takes its node with it
  free_left();
}

void Graph::remove(NodeId node) noexcept {
  patience_.wait();
  const Extent now = extent();
  tombstones_.set(node, 0);
  note_death(node, now.size);
  publish_met();
  extent_.store({now.size, now.dead + 1}, std::memory_order_release);
  epoch_.end = std::max(now.size, epoch_.end - 1);
}

void Graph::announce_replacements(std::span<const NodeId> old) {
  replacements_.assign(old.begin(), old.end());
  first_replacement_ = size();
  publish_met();  // before the first successor is shown
  for (std::size_t i = 0; i < old.size(); ++i) {
    if (old[i] != kNoNode) tombstones_.set(old[i], first_replacement_ + static_cast<NodeId>(i));
  }
}

NodeId Graph::end_of_batch(NodeId begin, Epoch& epoch) const noexcept {
  if (replacements_.empty()) return std::min(epoch.end, announced_);
  NodeId end = begin;
  while (end < announced_ && end < epoch.end) {
    const bool replaces = replaced_by(end) != kNoNode;
    ++end;
    if (replaces) epoch.end = std::max(end, epoch.end - 1);
  }
  return end;
}

bool Graph::will_unlink(NodeId end) const noexcept {
  if (!pending_.empty()) return true;
  for (NodeId node = size(); !replacements_.empty() && node < end; ++node) {
    if (replaced_by(node) != kNoNode) return true;
  }
  return false;
}

NodeId Graph::before_in_layer(NodeId node, std::uint32_t layer) const noexcept {
  do {
    --node;
  } while (level(node) < layer || !is_linked(node));
  return node;
}

// Searches that begin from here on walk to the new entry point's neighbors. It is linked as before.
void Graph::begin_unlinking() noexcept {
  const auto lives = [&](NodeId node, std::uint32_t layer) {
    return level(node) >= layer && !copies_.is_copy(node) && !is_dead(node, size());
  };
  EntryPoint entry;
  for (std::uint32_t layer = 0; layer <= kMaxLevel && last_in_layer_[layer] != kNoNode; ++layer) {
    NodeId first = first_in_layer_[layer];
    while (first <= last_in_layer_[layer] && !lives(first, layer)) ++first;
    if (first > last_in_layer_[layer]) {
      first_in_layer_[layer] = last_in_layer_[layer] = kNoNode;
      continue;
    }
    first_in_layer_[layer] = first;
    while (!lives(last_in_layer_[layer], layer)) --last_in_layer_[layer];
    entry = {first, layer};
  }
  entry_.store(entry, std::memory_order_release);
  unlinkings_ = unlinkings_ + 1;  // who reads it finds the new entry point
}

void Graph::end_unlinking() noexcept {
  for (const NodeId id : pending_) {
    if (copies_.is_copy(id)) copies_.remove(id);
    tombstones_.set_unlinked(id);
  }
  pending_.clear();
  publish_met();
}

// -------------------------------------------------------------------------------------- versions

void Graph::close_epoch() noexcept {
  sealed_entries_[epoch_.number & 1] = entry_point();
  epoch_ = next_epoch(epoch_);
  seals_ = (seals_ | 1) + 1;
}

Graph::State Graph::state() const {
  State state{{sealed_entries_[0], sealed_entries_[1]}, seal_is_due(), {}, dead(), {}};
  if (has_history()) state.epoch = epoch_;
  for (NodeId id = 0; copies_.any() && id < size(); ++id) {
    if (!copies_.is_copy(id) || tombstones_.is_unlinked(id)) continue;
    state.copies.push_back({id, copies_.first(id)});
  }
  return state;
}

NodeId Graph::first_from(std::uint64_t number) const noexcept {
  return std::min(size(), numbering_->first_from(number));
}

void Graph::restore_insertions(std::span<const std::uint64_t> numbers, std::uint64_t insertions) {
  const auto size = static_cast<NodeId>(numbers.size());
  std::size_t runs = 1;
  for (NodeId node = 1; node < size; ++node) {
    runs += numbers[node] >> 32 != numbers[node - 1] >> 32 ? 1 : 0;
  }
  const auto made = std::make_shared<Numbering>(0, insertions - size, size, runs);
  for (const std::uint64_t number : numbers) made->append(number);
  numbering_ = made;
  shown_numbering_ = made.get();
  reclaimed_ = insertions - size;
}

void Graph::restore(NodeId size, const State& state) {
  if (!state.copies.empty()) reserve_copies();
  for (const auto& [copy, first] : state.copies) announce_copy(copy, first);
  reserve_deaths(state.dead.size());
  for (NodeId node = this->size(); node < size; ++node) admit(node);
  for (const NodeId node : state.dead) remove(node);
  epoch_ = state.epoch ? *state.epoch
                       : Epoch::of(state.seal_is_due ? size - 1 : size, params_.epoch_limit);
  std::copy(std::begin(state.sealed_entries), std::end(state.sealed_entries), sealed_entries_);
}

}  // namespace concord::core
