// The device of an Index: not opened yet, in use, or given up for the CPU.
//
// It is opened when it first pays, and given up at its first failure. A device that was given up
// stays in memory until the index goes or set_runtime() replaces it, since other threads may be
// searching on it.
// Thread-safety: reset() needs the slot for itself; all else may be called from any thread. No
// member calls the caller's log: messages go to the DeferredLog that the caller delivers.
#pragma once

#include <atomic>
#include <concord/index.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "common/contents/contents.hpp"
#include "common/index/deferred_log.hpp"
#include "common/threads/thread_pool.hpp"
#include "cuda/backend.hpp"

namespace concord {

class DeviceSlot {
 public:
  /// Borrows both for its life.
  DeviceSlot(const core::Contents& contents, BuildStats& build)
      : contents_(contents), build_(build) {}

  /// Drops the device and takes what `options` ask for from now on: at once where they require a
  /// device, else when it first pays. Borrows `pool` until the next call. Throws
  /// Error(invalid_parameter) for a device that cannot be named and Error(unsupported) for one that
  /// is required and cannot be used; then nothing has changed.
  void reset(const RuntimeOptions& options, core::ThreadPool& pool, DeferredLog& log);

  enum class Wait { for_opening, for_nothing };
  /// The device, opened if it is not yet and `worth_it`. Null where the CPU does the work; also,
  /// with Wait::for_nothing, while another thread opens it. Never throws for lack of a device.
  cuda::Backend* get(bool worth_it, Wait wait, DeferredLog& log);
  /// The device, if it is open and in use; else null.
  [[nodiscard]] cuda::Backend* in_use() const noexcept {
    cuda::Backend* const backend = is_for_the_cpu() ? nullptr : in_use_.load();
    return backend == nullptr || backend->has_failed() ? nullptr : backend;
  }
  /// The device, opened if need be, in use or given up. Throws Error(unsupported) where there is
  /// none.
  cuda::Device& require(DeferredLog& log);

  /// In a forked child: the CPU does the work from now on if the parent opened the device, because
  /// neither its context nor the threads that feed it are in the child. The device is not freed.
  void after_fork() noexcept;

  /// Searches that have chosen the device fail from now on, and others do not choose it.
  void give_up(const Error& error, DeferredLog& log);

  /// The CPU has computed so much of the device's work again, in so many seconds, and found it
  /// right.
  void note_checks(std::size_t count, double seconds) noexcept;

  /// While it lives the writer alone uses the device, even if it is opened only meanwhile.
  class KeptForWriter {
   public:
    explicit KeptForWriter(DeviceSlot& slot) noexcept : slot_(slot) { slot_.keep(true); }
    ~KeptForWriter() { slot_.keep(false); }
    KeptForWriter(const KeptForWriter&) = delete;
    KeptForWriter& operator=(const KeptForWriter&) = delete;

   private:
    DeviceSlot& slot_;
  };

  [[nodiscard]] DeviceStats stats() const;

 private:
  [[nodiscard]] cuda::OpenedDevice try_device(const cuda::DeviceSpec& spec,
                                              const RuntimeOptions& options,
                                              core::ThreadPool& pool) const;
  void open(Wait wait, DeferredLog& log);
  /// What came of opening a device; under the mutex.
  void take(cuda::OpenedDevice opened);
  void keep(bool kept) noexcept;
  [[nodiscard]] std::string reason() const;
  [[nodiscard]] bool is_for_the_cpu() const noexcept {
    const IndexParams& params = contents_.graph.params();
    return params.codes != Codes::none || core::widest(params.storage) != core::Element::f32;
  }

  const core::Contents& contents_;
  BuildStats& build_;
  cuda::DeviceSpec spec_;
  RuntimeOptions options_;
  core::ThreadPool* pool_ = nullptr;
  mutable std::mutex mutex_;  ///< guards the members below
  bool kept_ = false;
  std::uint64_t checked_ = 0;  ///< since the device was opened
  double check_seconds_ = 0;   ///< likewise
  std::string reason_;         ///< of the last attempt to open a device
  std::unique_ptr<cuda::Backend> backend_;
  bool was_parents_ = false;                     ///< the parent opened a device before it forked
  std::atomic<bool> tried_{false};               ///< written under the mutex, read without
  std::atomic<cuda::Backend*> in_use_{nullptr};  ///< backend_, unless it was given up; likewise
};

}  // namespace concord
