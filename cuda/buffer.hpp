// Owners of device and pinned memory, streams and events. Move-only; destructors never throw.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "cuda/device.hpp"

namespace concord::cuda {

/// `size()` elements of device memory, or none.
template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(Device& device) : device_(&device) {}
  ~DeviceBuffer() { device_->release(data_, bytes()); }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : device_(other.device_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return size_ * sizeof(T); }

  /// Bytes that ensure(size) would add to what is held.
  [[nodiscard]] std::size_t missing(std::size_t size) const noexcept {
    return size <= size_ ? 0 : (size - size_) * sizeof(T);
  }
  /// At least `size` elements; what was there is lost where it has to grow, and released first, so
  /// that old and new are never held together.
  /// REQUIRES that no work on the old memory is pending.
  void ensure(std::size_t size) {
    if (size <= size_) return;
    *this = DeviceBuffer(*device_);
    data_ = static_cast<T*>(device_->allocate(size * sizeof(T)));
    size_ = size;
  }

 private:
  Device* device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Page-locked host memory, the host's end of asynchronous copies.
template <class T>
class PinnedBuffer {
 public:
  explicit PinnedBuffer(Device& device) : device_(&device) {}
  ~PinnedBuffer() { device_->release_pinned(data_); }
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : device_(other.device_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) const noexcept { return data_[i]; }

  /// At least `size` elements, growing by half so that growth is rare; old content is lost.
  /// REQUIRES that no copy from or to the old memory is pending.
  void ensure(std::size_t size) {
    if (size <= size_) return;
    PinnedBuffer larger(*device_);
    const std::size_t capacity = std::max(size, size_ + size_ / 2);
    larger.data_ = static_cast<T*>(device_->allocate_pinned(capacity * sizeof(T)));
    larger.size_ = capacity;
    *this = std::move(larger);
  }

 private:
  Device* device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

class OwnedStream {
 public:
  OwnedStream(Device& device, Priority priority)
      : device_(device), stream_(device.create_stream(priority)) {}
  ~OwnedStream() { device_.destroy_stream(stream_); }
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  operator Stream() const noexcept { return stream_; }

 private:
  Device& device_;
  Stream stream_;
};

class OwnedEvent {
 public:
  explicit OwnedEvent(Device& device) : device_(device), event_(device.create_event()) {}
  ~OwnedEvent() { device_.destroy_event(event_); }
  OwnedEvent(const OwnedEvent&) = delete;
  OwnedEvent& operator=(const OwnedEvent&) = delete;
  operator Event() const noexcept { return event_; }

 private:
  Device& device_;
  Event event_;
};

}  // namespace concord::cuda
