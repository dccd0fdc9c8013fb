// For tests of the device path: every device that an Index opens is one on the host.
#pragma once

#include <gtest/gtest.h>

#include <concord/index.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/backend.hpp"
#include "tests/cuda/deferred_device.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/host_device.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

/// A device that tells at its end what it still held.
template <class Base>
class Watched final : public Base {
 public:
  template <class... Arguments>
  explicit Watched(Arguments... arguments) : Base(arguments...) {}
  ~Watched() override { EXPECT_TRUE(this->holds_nothing()) << "memory, streams or events leaked"; }
};

/// While it lives, every device that an Index opens is one on the host.
class HostDevices {
 public:
  using Hook = std::function<void(const char* call, std::uint64_t number)>;
  using Make = std::function<std::unique_ptr<cuda::HostDevice>()>;

  explicit HostDevices(std::size_t memory = std::size_t{1} << 32, Hook hook = {})
      : HostDevices([=] { return std::make_unique<Watched<cuda::HostDevice>>(memory); },
                    std::move(hook)) {}
  explicit HostDevices(Make make, Hook hook = {}) {
    cuda::set_device_source_for_tests([=, this](int) {
      auto device = make();
      if (hook) device->set_hook(hook);
      last = device.get();
      ++opened;
      return cuda::FoundDevice{std::move(device), "host team"};
    });
  }
  ~HostDevices() { cuda::set_device_source_for_tests({}); }
  HostDevices(const HostDevices&) = delete;
  HostDevices& operator=(const HostDevices&) = delete;

  /// Devices that do their work late (seed 0) or in random order.
  static Make deferred(std::uint64_t seed) {
    return [=] { return std::make_unique<Watched<DeferredDevice>>(seed); };
  }

  cuda::HostDevice* last = nullptr;  ///< gone with its Index
  int opened = 0;
};

/// How often a device was called, by the names of its calls.
class Calls {
 public:
  [[nodiscard]] HostDevices::Hook hook() {
    return [this](const char* call, std::uint64_t) {
      const std::lock_guard lock(mutex_);
      ++counts_[call];
    };
  }
  [[nodiscard]] std::size_t of(const std::string& call) {
    const std::lock_guard lock(mutex_);
    return counts_[call];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::size_t> counts_;
};

/// What an Index logged.
struct LogLines {
  std::vector<std::string> info, warnings;

  [[nodiscard]] LogCallback callback() {
    return [this](LogLevel level, std::string_view message) {
      const std::lock_guard lock(mutex);
      (level == LogLevel::info ? info : warnings).emplace_back(message);
    };
  }
  std::mutex mutex;
};

inline RuntimeOptions on(const std::string& device, unsigned threads = 2) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = device;
  return options;
}

inline std::string digest_on(const std::string& device, const IndexParams& params,
                             const Matrix& data) {
  Index index(params, on(device));
  index.add(data.view());
  expect_sound(index.audit());
  return index.digest();
}

/// Searches give the same labels, distances and counts, to the bit.
inline void expect_same(const SearchResult& a, const SearchResult& b) {
  EXPECT_EQ(a.counts, b.counts);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.distances, b.distances);
}

}  // namespace concord::test
