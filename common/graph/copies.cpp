#include "common/graph/copies.hpp"

namespace concord::core {

void Copies::append(NodeId id, NodeId first) noexcept {
  const NodeId last = load(places_[first].previous);
  const NodeId before = last == kNoNode ? first : last;
  reset(id);
  store(places_[id].first, first);
  store(places_[id].previous, before);
  store(places_[first].previous, id);
  store(places_[before].next, id);  // last: who finds it there finds its place
}

void Copies::remove(NodeId id) noexcept {
  const NodeId first = load(places_[id].first);
  const NodeId before = load(places_[id].previous);
  store(places_[before].next, load(places_[id].next));
  // The first of a chain without copies has no last.
  const NodeId last = before == first && load(places_[id].next) == kNoNode ? kNoNode : before;
  set_previous_of_next(id, first, last);
}

void Copies::move(NodeId from, NodeId to) noexcept {
  const Place place = places_[from];
  store(places_[to].first, load(place.first));
  store(places_[to].next, load(place.next));
  store(places_[to].previous, load(place.previous));
  store(places_[to].life, load(place.life));
  if (place.first != 0) {
    Place& first = places_[load(place.first)];
    if (load(first.life) == from) store(first.life, to);
    store(places_[load(place.previous)].next, to);
    set_previous_of_next(to, load(place.first), to);
    return;
  }
  if (load(place.life) == from) store(places_[to].life, to);
  for (NodeId copy = load(place.next); copy != kNoNode; copy = load(places_[copy].next)) {
    if (load(places_[copy].previous) == from) store(places_[copy].previous, to);
    store(places_[copy].first, to);
  }
}

}  // namespace concord::core
