// Lists of dead vectors, or of copies, that the filters of an index share, so that a thousand of
// them hold one.
//
// Thread-safety: any number of threads; none waits for another. After a fork that has interrupted a
// thread here, nothing is shared any more.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/key.hpp"

namespace concord {

template <class T>
class SharedList {
 public:
  using List = std::shared_ptr<const std::vector<T>>;

  /// The list as of `count` events, such as deaths, after so many slides, each of which gives nodes
  /// other ids: a kept one, or what make() returns.
  template <class Make>
  List find(std::uint64_t slides, core::NodeId count, const Make& make) {
    const Moment now{slides, count};
    if (List kept = exchange(now, nullptr)) return kept;
    List made = std::make_shared<const std::vector<T>>(make());
    exchange(now, made);
    return made;
  }

 private:
  struct Moment {
    std::uint64_t slides = 0;
    core::NodeId count = 0;
    bool operator==(const Moment&) const = default;
  };

  // Keeps `made` unless it is null; returns what is kept, if it is of that moment.
  List exchange(const Moment& moment, const List& made) {
    if (busy_.test_and_set(std::memory_order_acquire)) return nullptr;
    if (made) {
      kept_ = made;
      moment_ = moment;
    }
    List kept = moment_ == moment ? kept_ : nullptr;
    busy_.clear(std::memory_order_release);
    return kept;
  }

  std::atomic_flag busy_;
  Moment moment_;
  List kept_;
};

}  // namespace concord
