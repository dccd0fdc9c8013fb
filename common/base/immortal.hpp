// Objects that the process has from their first use to its end, and that nothing destroys: handlers
// of exit may use an index, also those that were registered before the library made the object.
// Thread-safety: as the object within.
#pragma once

#include <cstddef>
#include <memory>

namespace concord::core {

/// For static storage alone: memory that the object owns is not given back.
template <class T>
class Immortal {
 public:
  Immortal() : object_(std::construct_at(reinterpret_cast<T*>(storage_))) {}
  Immortal(const Immortal&) = delete;
  Immortal& operator=(const Immortal&) = delete;
  ~Immortal() = default;

  [[nodiscard]] T& operator*() const noexcept { return *object_; }
  [[nodiscard]] T* operator->() const noexcept { return object_; }

 private:
  alignas(T) std::byte storage_[sizeof(T)];
  T* object_;
};

}  // namespace concord::core
