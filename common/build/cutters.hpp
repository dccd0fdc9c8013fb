// Who cuts the lists of a seal for the committing thread.
//
// Thread-safety: as each class says.
#pragma once

#include <cstddef>
#include <functional>

#include "common/build/cut_order.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::core {

class Cutters {
 public:
  Cutters() = default;
  Cutters(const Cutters&) = delete;
  Cutters& operator=(const Cutters&) = delete;
  virtual ~Cutters() = default;

  /// Whether a seal of so many lists is worth their help.
  [[nodiscard]] virtual bool take(std::size_t lists) const noexcept = 0;
  /// Calls cut(group) once for each group, as the order allows, and returns when all have ended.
  virtual void run(CutOrder& order,
                   const std::function<void(std::uint32_t group)>& cut) noexcept = 0;
};

/// The threads of a pool, the calling thread among them. If they are busy it works alone.
class PoolCutters final : public Cutters {
 public:
  /// Borrows the pool.
  explicit PoolCutters(ThreadPool& pool) noexcept : pool_(&pool) {}
  void use(ThreadPool& pool) noexcept { pool_ = &pool; }

  /// A seal of fewer lists ends before other threads have come to it (docs/decisions.md).
  static constexpr std::size_t kFewest = 64;
  [[nodiscard]] bool take(std::size_t lists) const noexcept override {
    return pool_->size() > 1 && lists >= kFewest;
  }
  void run(CutOrder& order, const std::function<void(std::uint32_t group)>& cut) noexcept override;

 private:
  ThreadPool* pool_;
};

}  // namespace concord::core
