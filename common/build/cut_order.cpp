#include "common/build/cut_order.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <thread>

namespace concord::core {
namespace {

constexpr std::size_t kPlacesAClaim = 4;  // so that few claims share one
constexpr int kSpins = 200;               // before a waiting thread lets others run

}  // namespace

std::uint32_t& CutOrder::last_claim(NodeId node, std::uint32_t layer) noexcept {
  const std::uint32_t hash = (node * 32 + layer) * 0x9E3779B1U;  // Knuth's multiplicative
  return claims_[hash >> (32 - std::countr_zero(claims_.size()))];
}

void CutOrder::plan(const OverfullLists& lists) {
  const auto groups = static_cast<std::uint32_t>((lists.lists.size() + kGroup - 1) / kGroup);
  after_.resize(groups);
  ended_.assign(groups, 0);
  all_ended_before_ = 0;
  const std::size_t places = std::bit_ceil(kPlacesAClaim * (lists.ids.size() + groups));
  if (claims_.size() < places || number_ > std::numeric_limits<std::uint32_t>::max() - groups) {
    claims_.assign(std::max(claims_.size(), places), 0);
    number_ = 0;
  }
  for (std::uint32_t group = 0; group < groups; ++group) {
    const std::uint32_t own = number_ + group + 1;
    std::uint32_t last = number_;
    const auto claim = [&](NodeId node, std::uint32_t layer) {
      std::uint32_t& place = last_claim(node, layer);
      last = std::max(last, place == own ? 0 : place);
      place = own;
    };
    const std::size_t first = std::size_t{group} * kGroup;
    for (std::size_t i = first; i < std::min(first + kGroup, lists.lists.size()); ++i) {
      const OverfullList& list = lists.lists[i];
      claim(list.node, list.layer);
      for (std::uint32_t j = 0; j < list.count; ++j) claim(lists.ids[list.first + j], list.layer);
    }
    after_[group] = last - number_;
  }
  number_ += groups;
}

// The bound that is passed on may go back when two threads store theirs. What it says stays true.
void CutOrder::wait_for(std::uint32_t group) noexcept {
  const std::atomic_ref shared(all_ended_before_);
  std::uint32_t before = shared.load(std::memory_order_acquire);
  if (before >= after_[group]) return;
  for (int spins = 0; before < after_[group];) {
    if (std::atomic_ref(ended_[before]).load(std::memory_order_acquire) != 0) {
      ++before;
    } else if (++spins > kSpins) {
      std::this_thread::yield();
    }
  }
  shared.store(before, std::memory_order_release);
}

void CutOrder::end(std::uint32_t group) noexcept {
  std::atomic_ref(ended_[group]).store(1, std::memory_order_release);
}

}  // namespace concord::core
