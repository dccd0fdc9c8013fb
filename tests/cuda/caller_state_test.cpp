// What belongs to the caller stays as it was: the thread's current device, a stream that is being
// captured, a process that was forked, a process whose device has failed for good.

#include <atomic>
#include <concord/cuda.hpp>
#include <functional>

#include "tests/cuda/host_devices.hpp"
#include "tests/support/child.hpp"
#include "tests/support/sanitizers.hpp"

namespace concord::test {
namespace {

constexpr int kCallers = 3;  // the current device of the calling thread; the index's is 0

IndexParams state_params() { return make_params(8, 4, 20, 128); }
const Matrix& state_data() {
  static const Matrix data = make_data(Shape::clustered, 1500, 8);
  return data;
}

std::string digest_of(MatrixView<const float> rows) {
  Index index(state_params(), on("cpu"));
  index.add(rows);
  return index.digest();
}

/// Device memory with the rows in it.
class There {
 public:
  There(cuda::Device& device, MatrixView<const float> rows)
      : device_(device), bytes_(rows.rows * rows.cols * sizeof(float)) {
    data_ = static_cast<float*>(device.allocate(bytes_));
    std::copy_n(rows.row(0), rows.rows * rows.cols, data_);
    view = {data_, rows.rows, rows.cols};
  }
  ~There() { device_.release(data_, bytes_); }
  There(const There&) = delete;
  There& operator=(const There&) = delete;
  cuda::DeviceMatrixView<const float> view;

 private:
  cuda::Device& device_;
  std::size_t bytes_;
  float* data_ = nullptr;
};

/// The same memory as bits: any will do.
const std::uint32_t* words_of(const There& there) {
  return static_cast<const std::uint32_t*>(static_cast<const void*>(there.view.data));
}

/// Counts what runs while another device is the thread's current one.
class Attentive : public cuda::HostDevice {
 public:
  inline static std::atomic<int> calls{0}, elsewhere{0};

 protected:
  void do_release(void* memory) noexcept override { look(), HostDevice::do_release(memory); }
  void do_release_pinned(void* memory) noexcept override {
    look(), HostDevice::do_release_pinned(memory);
  }
  void* do_allocate(std::size_t bytes) override { return look(), HostDevice::do_allocate(bytes); }
  void* do_allocate_pinned(std::size_t bytes) override {
    return look(), HostDevice::do_allocate_pinned(bytes);
  }
  cuda::Event do_create_event() override { return look(), HostDevice::do_create_event(); }
  void do_destroy_event(cuda::Event event) noexcept override {
    look(), HostDevice::do_destroy_event(event);
  }
  void do_drain(cuda::Stream) noexcept override { look(); }
  void do_copy_async(void* to, const void* from, std::size_t bytes, cuda::Stream on) override {
    look(), HostDevice::do_copy_async(to, from, bytes, on);
  }
  bool do_reaches(const void* memory, std::size_t bytes) noexcept override {
    return look(), HostDevice::do_reaches(memory, bytes);
  }

 private:
  static void look() noexcept {
    ++calls;
    if (current != 0) ++elsewhere;
  }
};

/// Every public call that may use a device, by its name.
void call_everything(
    const std::function<void(const char* name, const std::function<void()>&)>& call,
    const HostDevices& devices) {
  std::optional<Index> index;
  const auto rows = state_data().slice(0, 500);
  const auto queries = state_data().slice(0, 300);
  call("open", [&] { index.emplace(state_params(), on("cuda")); });
  call("add", [&] { index->add(rows); });
  call("search", [&] { (void)index->search(queries, {5, 20}); });
  call("exact_search", [&] { (void)index->exact_search(queries, 5); });
  {
    const There more(*devices.last, state_data().slice(500, 500));
    call("cuda::add", [&] { cuda::add(*index, more.view, {}, nullptr); });
    call("cuda::search", [&] { (void)cuda::search(*index, more.view, {5, 20}, nullptr); });
    call("cuda::filter_of_bits", [&] {
      const There bits(*devices.last, state_data().slice(0, 4));  // 4 · 8 words for 1,000 vectors
      (void)cuda::filter_of_bits(*index, words_of(bits), 1000, nullptr);
    });
    call("a refused query", [&] {
      expect_error(ErrorCode::invalid_parameter, {"not in memory of the index's device"}, [&] {
        (void)cuda::search(*index, {queries.row(0), 2, 8}, {}, nullptr);
      });
    });
  }
  call("set_runtime", [&] { index->set_runtime(on("cuda")); });
  call("the end", [&] { index.reset(); });
}

TEST(CallerState, TheCurrentDeviceIsAsItWasAfterEveryCall) {
  Attentive::calls = Attentive::elsewhere = 0;
  const HostDevices devices([] { return std::make_unique<Watched<Attentive>>(); });
  cuda::HostDevice::current = kCallers;
  call_everything(
      [](const char* name, const std::function<void()>& call) {
        const int before = Attentive::calls;
        call();
        EXPECT_EQ(cuda::HostDevice::current, kCallers) << name;
        EXPECT_GT(Attentive::calls, before) << name << " does not use the device: a poor test";
      },
      devices);
  cuda::HostDevice::current = 0;
  EXPECT_EQ(Attentive::elsewhere, 0);
}

TEST(CallerState, TheCurrentDeviceIsAsItWasAfterAFailure) {
  bool armed = false;
  const HostDevices devices([] { return std::make_unique<Watched<Attentive>>(); },
                            [&](const char* call, std::uint64_t) {
                              if (armed && std::string(call) == "synchronize") {
                                throw Error(ErrorCode::cuda, "injected");
                              }
                            });
  Index index(state_params(), on("cuda"));
  const There rows(*devices.last, state_data().slice(0, 500));
  cuda::HostDevice::current = kCallers;
  armed = true;
  expect_error(ErrorCode::cuda, {"injected"}, [&] { cuda::add(index, rows.view, {}, nullptr); });
  EXPECT_EQ(cuda::HostDevice::current, kCallers);
  index.add(state_data().view());
  EXPECT_EQ(cuda::HostDevice::current, kCallers);
  cuda::HostDevice::current = 0;
  EXPECT_EQ(index.stats().device.name, "cpu");
}

// Nothing is recorded on the stream: the device is asked, and does nothing.
TEST(CallerState, ACapturedStreamIsRefused) {
  std::atomic<std::uint64_t> calls{0};  // the submitter's thread calls the device, too
  const HostDevices devices([] { return std::make_unique<Watched<cuda::HostDevice>>(); },
                            [&](const char*, std::uint64_t) { ++calls; });
  Index index(state_params(), on("cuda"));
  index.add(state_data().slice(0, 500));
  const std::string digest = index.digest();
  const There rows(*devices.last, state_data().slice(500, 100));
  cuda::OwnedStream stream(*devices.last, cuda::Priority::normal);
  cuda::OwnedStream other(*devices.last, cuda::Priority::normal);
  auto* const out = static_cast<std::uint64_t*>(devices.last->allocate(100 * 5 * 8));
  auto* const near = static_cast<float*>(devices.last->allocate(100 * 5 * 4));
  auto* const counts = static_cast<std::uint32_t*>(devices.last->allocate(100 * 4));

  devices.last->captured = stream;
  const std::uint64_t before = calls;
  const auto refused = [](const std::function<void()>& call) {
    expect_error(ErrorCode::unsupported,
                 {"captured into a CUDA graph", "before the capture begins or after it ends"},
                 call);
  };
  refused([&] { cuda::add(index, rows.view, {}, stream); });
  refused([&] { (void)cuda::search(index, rows.view, {5, 20}, stream); });
  refused([&] {
    cuda::search(index, rows.view, {5, 20}, {out, 100, 5}, {near, 100, 5}, counts, stream);
  });
  refused([&] { (void)cuda::filter_of_bits(index, words_of(rows), 500, stream); });
  EXPECT_EQ(calls, before);
  EXPECT_EQ(index.digest(), digest);

  expect_same(cuda::search(index, rows.view, {5, 20}, other),
              index.search(state_data().slice(500, 100), {5, 20}));
  devices.last->captured = nullptr;
  EXPECT_EQ(cuda::add(index, rows.view, {}, stream), 100u);
  EXPECT_EQ(index.digest(), digest_of(state_data().slice(0, 600)));
  devices.last->release(out, 100 * 5 * 8);
  devices.last->release(near, 100 * 5 * 4);
  devices.last->release(counts, 100 * 4);
}

TEST(CallerState, AForkedChildGoesOnWithTheCpu) {
#if defined(CONCORD_UNDER_TSAN)
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
  const HostDevices devices;
  std::optional<Index> index(std::in_place, state_params(), on("cuda"));
  index->add(state_data().slice(0, 500));
  const auto rows = state_data().slice(500, 300);
  const SearchResult found = index->search(rows, {5, 20});
  in_a_child([&] {
    expect_same(index->search(rows, {5, 20}), found);
    const DeviceStats device = index->stats().device;
    EXPECT_EQ(device.name, "cpu");
    EXPECT_THAT(device.reason, testing::HasSubstr("forked this one"));
    index->add(state_data().slice(500, 1000));
    EXPECT_EQ(index->digest(), digest_of(state_data().view()));
    const auto refused = [](const std::function<void()>& call) {
      expect_error(ErrorCode::unsupported, {"forked", "spawn"}, call);
    };
    refused([&] { cuda::add(*index, {nullptr, 0, 8}, {}, nullptr); });
    refused([&] { index->set_runtime(on("cuda")); });
    refused([&] { Index other(state_params(), on("cuda")); });
    index->set_runtime(on("auto"));
    expect_same(index->exact_search(rows, 5), index->exact_search(rows, 5));
    Index fresh(state_params(), on("auto"));
    fresh.add(state_data().view());
    EXPECT_THAT(fresh.stats().device.reason, testing::HasSubstr("before it forked"));
    EXPECT_EQ(fresh.digest(), digest_of(state_data().view()));
    index.reset();
  });
  index->add(state_data().slice(500, 1000));
  EXPECT_EQ(index->digest(), digest_of(state_data().view()));
  EXPECT_EQ(index->stats().device.name, "host team");
}

// What the device was asked for before the fork is nobody's in the child, which does not wait for
// it.
TEST(CallerState, ACallbackThatForksWhileTheDeviceWorksEndsTheAdditionInTheChild) {
  if (!kChildrenOutliveThreads) GTEST_SKIP() << kWhyNotBesideThreads;
#if defined(CONCORD_UNDER_TSAN)
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts a thread";
#endif
  for (const std::uint64_t from : {0u, 200u, 900u}) {
    const HostDevices devices;
    RuntimeOptions options = on("cuda");
    options.checked_share = 1;
    Index index(state_params(), options);
    const pid_t parent = getpid();
    pid_t child = -1;
    ErrorCode code{};
    try {
      index.add(state_data().view(), [&](std::uint64_t done, std::uint64_t) {
        if (done > from && child == -1) {
          child = fork();
          if (child == 0) alarm(60);
        }
        return true;
      });
    } catch (const Error& error) {
      code = error.code();
    }
    if (getpid() != parent) {
      if (code != ErrorCode::unsupported) _exit(1);
      index.add(state_data().slice(index.size(), state_data().rows - index.size()));
      _exit(index.digest() == digest_of(state_data().view()) ? 0 : 2);
    }
    expect_good_end(child);
    EXPECT_EQ(index.digest(), digest_of(state_data().view()));
    EXPECT_EQ(index.stats().device.name, "host team");
  }
}

/// A process whose context a kernel has broken: everything fails, also what cannot say so.
class Broken : public cuda::HostDevice {
 public:
  inline static std::atomic<bool> broken{false};

 protected:
  cuda::ThreadState do_enter() override {
    if (broken) throw Error(ErrorCode::cuda, "unspecified launch failure");
    return HostDevice::do_enter();
  }
  void do_propose_async(const cuda::MirrorView& view, const cuda::ProposeTask& task,
                        cuda::Stream stream) override {
    HostDevice::do_propose_async(view, task, stream);
    if (++proposals_ == 3) broken = true;
  }

 private:
  int proposals_ = 0;
};

TEST(CallerState, AfterAStickyErrorTheCpuGoesOnAndTheNextIndexSaysWhy) {
  Broken::broken = false;
  const std::string digest = digest_of(state_data().view());
  const HostDevices devices([] { return std::make_unique<Watched<Broken>>(); });
  {
    Index index(state_params(), on("cuda"));
    index.add(state_data().view());
    EXPECT_TRUE(Broken::broken);
    EXPECT_EQ(index.digest(), digest);
    EXPECT_THAT(index.stats().device.reason, testing::HasSubstr("unspecified launch failure"));
  }
  expect_error(ErrorCode::unsupported, {"'cuda' cannot be used", "unspecified launch failure"},
               [] { Index next(state_params(), on("cuda")); });
  Index next(state_params(), on("auto"));
  next.add(state_data().view());
  EXPECT_EQ(next.digest(), digest);
  EXPECT_THAT(next.stats().device.reason, testing::HasSubstr("unspecified launch failure"));
  Broken::broken = false;
}

}  // namespace
}  // namespace concord::test
