// The streams of a device mirror: one copies in, the other runs the kernels that read the mirror.
//
// Invariant: work on compute() sees every copy that was published before the work was given.
// Thread-safety: one thread at a time.
#pragma once

#include "cuda/buffer.hpp"

namespace concord::cuda {

class MirrorStreams {
 public:
  explicit MirrorStreams(Device& device)
      : device_(device),
        copy_in_(device, Priority::normal),
        compute_(device, Priority::normal),
        published_(device) {}

  [[nodiscard]] Stream copy_in() const noexcept { return copy_in_; }
  [[nodiscard]] Stream compute() const noexcept { return compute_; }

  /// Work given to compute() from now on sees what was given to copy_in() before.
  void publish() {
    device_.record(published_, copy_in_);
    device_.wait(compute_, published_);
  }
  /// Work given to `stream` from now on sees what was published last.
  void publish_to(Stream stream) { device_.wait(stream, published_); }
  /// The calling thread waits for what was published last.
  void synchronize() { device_.synchronize(published_); }
  /// The calling thread waits until all work on both streams is done or has failed.
  void drain() noexcept {
    device_.drain(copy_in_);
    device_.drain(compute_);
  }

 private:
  Device& device_;
  OwnedStream copy_in_;
  OwnedStream compute_;
  OwnedEvent published_;
};

}  // namespace concord::cuda
