#include "common/index/device_slot.hpp"

#include <new>
#include <utility>

namespace concord {
namespace {

void log_opened(const cuda::OpenedDevice& opened, DeferredLog& log) {
  if (opened.backend) return log.write(LogLevel::info, "using " + opened.reason);
  log.write(opened.was_there ? LogLevel::warning : LogLevel::info,
            "using the CPU: " + opened.reason);
}

}  // namespace

cuda::OpenedDevice DeviceSlot::try_device(const cuda::DeviceSpec& spec,
                                          const RuntimeOptions& options,
                                          core::ThreadPool& pool) const {
  return cuda::open_backend(spec, options, contents_, pool, build_);
}

void DeviceSlot::reset(const RuntimeOptions& options, core::ThreadPool& pool, DeferredLog& log) {
  const cuda::DeviceSpec spec = cuda::DeviceSpec::parse(options.device);
  RuntimeOptions kept_options = options;
  cuda::OpenedDevice opened;
  if (spec.required && is_for_the_cpu()) {
    throw Error(ErrorCode::unsupported, "device is '" + options.device +
                                            "', but only the CPU works on an index with codes or "
                                            "16-bit storage; allowed are auto and cpu");
  }
  if (spec.required) {
    opened = try_device(spec, options, pool);
    log_opened(opened, log);
  }
  const std::lock_guard lock(mutex_);
  spec_ = spec;
  options_ = std::move(kept_options);
  pool_ = &pool;
  take(std::move(opened));
  tried_ = spec.required;
}

void DeviceSlot::take(cuda::OpenedDevice opened) {
  reason_ = std::move(opened.reason);
  backend_ = std::move(opened.backend);
  was_parents_ = false;
  checked_ = 0;
  check_seconds_ = 0;
  if (backend_) backend_->keep_for_writer(kept_);
  in_use_ = backend_.get();
}

void DeviceSlot::after_fork() noexcept {
  new (&mutex_) std::mutex;
  kept_ = false;
  in_use_ = nullptr;
  was_parents_ = backend_.release() != nullptr || was_parents_;
}

void DeviceSlot::open(Wait wait, DeferredLog& log) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (wait == Wait::for_nothing && !lock.try_lock()) return;
  if (!lock.owns_lock()) lock.lock();
  if (tried_ || !spec_.wanted) return;
  cuda::OpenedDevice opened = try_device(spec_, options_, *pool_);
  log_opened(opened, log);
  take(std::move(opened));
  tried_ = true;  // at the end: a thread that finds it false waits for the mutex
}

cuda::Backend* DeviceSlot::get(bool worth_it, Wait wait, DeferredLog& log) {
  if (worth_it && !is_for_the_cpu() && !tried_ && spec_.wanted) open(wait, log);
  return in_use();
}

cuda::Device& DeviceSlot::require(DeferredLog& log) {
  open(Wait::for_opening, log);
  const std::lock_guard lock(mutex_);
  if (backend_) return backend_->device();
  throw Error(ErrorCode::unsupported,
              "data in device memory needs an index with a device: " + reason());
}

void DeviceSlot::keep(bool kept) noexcept {
  const std::lock_guard lock(mutex_);
  kept_ = kept;
  if (backend_) backend_->keep_for_writer(kept);
}

void DeviceSlot::give_up(const Error& error, DeferredLog& log) {
  const std::lock_guard lock(mutex_);
  if (in_use_.exchange(nullptr) == nullptr) return;
  backend_->give_up();
  reason_ += std::string("; given up: ") + error.what();
  log.write(
      LogLevel::warning,
      std::string("the device failed, the CPU goes on from the last commit: ") + error.what());
}

void DeviceSlot::note_checks(std::size_t count, double seconds) noexcept {
  const std::lock_guard lock(mutex_);
  checked_ += count;
  check_seconds_ += seconds;
}

std::string DeviceSlot::reason() const {
  if (!spec_.wanted) return "the CPU was asked for";
  if (was_parents_) {
    return "the device is that of the process that forked this one; start a process that uses a "
           "device with exec (Python: 'spawn')";
  }
  if (is_for_the_cpu()) return "only the CPU works on an index with codes or 16-bit storage";
  return tried_ ? reason_ : "not needed yet";
}

DeviceStats DeviceSlot::stats() const {
  const std::lock_guard lock(mutex_);
  DeviceStats stats;
  if (backend_) stats = backend_->stats();
  stats.checked = checked_;
  stats.check_seconds = check_seconds_;
  if (in_use() == nullptr) stats.name = "cpu";
  stats.reason = reason();
  return stats;
}

}  // namespace concord
