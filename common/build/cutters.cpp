#include "common/build/cutters.hpp"

namespace concord::core {

// The pool hands out groups in order, as CutOrder::wait_for() requires.
void PoolCutters::run(CutOrder& order,
                      const std::function<void(std::uint32_t group)>& cut) noexcept {
  const auto body = [&](unsigned, std::size_t first, std::size_t) {
    const auto group = static_cast<std::uint32_t>(first);
    order.wait_for(group);
    cut(group);
    order.end(group);
  };
  pool_->parallel_for(order.groups(), 1, std::ref(body));  // a reference takes no memory
}

}  // namespace concord::core
