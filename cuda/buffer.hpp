// Owners of device and pinned memory, streams and events. Move-only; destructors never throw.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "cuda/device.hpp"

namespace concord::cuda {

/// `size()` elements of memory that `Heap` gives and takes back, or none.
template <class T, class Heap>
class Buffer {
 public:
  explicit Buffer(Device& device) : device_(&device) {}
  Buffer(Device& device, std::size_t size)
      : device_(&device),
        data_(static_cast<T*>(Heap::allocate(device, size * sizeof(T)))),
        size_(size) {}
  ~Buffer() { Heap::release(*device_, data_, bytes()); }
  Buffer(Buffer&& other) noexcept
      : device_(other.device_),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return size_ * sizeof(T); }

 protected:
  [[nodiscard]] Device& device() const noexcept { return *device_; }

 private:
  Device* device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

struct DeviceHeap {
  static void* allocate(Device& device, std::size_t bytes) { return device.allocate(bytes); }
  static void release(Device& device, void* memory, std::size_t bytes) noexcept {
    device.release(memory, bytes);
  }
};
struct PinnedHeap {
  static void* allocate(Device& device, std::size_t bytes) { return device.allocate_pinned(bytes); }
  static void release(Device& device, void* memory, std::size_t) noexcept {
    device.release_pinned(memory);
  }
};

template <class T>
class DeviceBuffer : public Buffer<T, DeviceHeap> {
 public:
  using Buffer<T, DeviceHeap>::Buffer;

  /// Bytes that ensure(size) would add to what is held.
  [[nodiscard]] std::size_t missing(std::size_t size) const noexcept {
    return size <= this->size() ? 0 : (size - this->size()) * sizeof(T);
  }
  /// At least `size` elements. Growing loses the content and releases the old memory first, so that
  /// old and new are never held together. REQUIRES that no work on the old memory is pending.
  void ensure(std::size_t size) {
    if (size <= this->size()) return;
    *this = DeviceBuffer(this->device());
    *this = DeviceBuffer(this->device(), size);
  }
};

/// Page-locked host memory, the host's end of asynchronous copies.
template <class T>
class PinnedBuffer : public Buffer<T, PinnedHeap> {
 public:
  using Buffer<T, PinnedHeap>::Buffer;

  T& operator[](std::size_t i) const noexcept { return this->data()[i]; }

  /// At least `size` elements. Grows by half so that growth is rare, and loses the content then.
  /// REQUIRES that no copy from or to the old memory is pending.
  void ensure(std::size_t size) {
    if (size <= this->size()) return;
    *this = PinnedBuffer(this->device(), std::max(size, this->size() + this->size() / 2));
  }
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
