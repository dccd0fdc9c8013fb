// An index with a device in which vectors die: proposals and searches there walk through tombstones
// and give the CPU's bytes and answers, behind unlinking seals, slides and failures.

#include <atomic>
#include <chrono>
#include <concord/cuda.hpp>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "common/index/index_access.hpp"
#include "tests/cuda/churn_history.hpp"
#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kEpochLimit = 128;

std::vector<std::uint64_t> labels_from(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> labels(count);
  std::iota(labels.begin(), labels.end(), first);
  return labels;
}

/// One index on the CPU and one with a device, which get the same operations.
class Twins {
 public:
  Twins(const IndexParams& params, const Matrix& data, std::size_t budget = 0)
      : data_(data), cpu_(params, on("cpu")), there_(params, with_log(budget)) {}

  void add(std::size_t count) {
    const std::vector<std::uint64_t> labels = take(count);
    both([&](Index& index) { index.add(rows(count), labels); });
    living_.insert(living_.end(), labels.begin(), labels.end());
    next_ += count;
  }
  void remove(std::size_t count, std::mt19937_64& random) {
    const std::vector<std::uint64_t> labels = draw(count, random);
    both([&](Index& index) { index.remove(labels); });
    for (const std::uint64_t label : labels) std::erase(living_, label);
  }
  void update(std::size_t count, std::mt19937_64& random) {
    const std::vector<std::uint64_t> labels = draw(count, random);
    both([&](Index& index) { index.update(rows(labels.size()), labels); });
    next_ += labels.size();
  }
  /// An update that its callback ends, so that only the first vectors replace others.
  void update_in_part(std::size_t count, std::mt19937_64& random) {
    const std::vector<std::uint64_t> labels = draw(count, random);
    const std::uint64_t enough = random() % (labels.size() + 1);
    const std::size_t done =
        there_.update(rows(labels.size()), labels, [&](std::uint64_t added, std::uint64_t) {
          std::this_thread::sleep_for(std::chrono::milliseconds(21));  // so that each moment asks
          return added < enough;
        });
    cpu_.update(rows(done), std::span(labels).first(done));
    ended_early_ += done < labels.size() ? 1 : 0;
    next_ += labels.size();
  }
  /// Half of the labels are there.
  void upsert(std::size_t count, std::mt19937_64& random) {
    std::vector<std::uint64_t> labels = draw(count / 2, random);
    const std::vector<std::uint64_t> others = take(count - labels.size());
    labels.insert(labels.begin() + static_cast<std::ptrdiff_t>(labels.size() / 2), others.begin(),
                  others.end());
    both([&](Index& index) { index.upsert(rows(labels.size()), labels); });
    living_.insert(living_.end(), others.begin(), others.end());
    next_ += labels.size();
  }
  void flush() {
    both([](Index& index) { index.flush(); });
  }

  void expect_equal_answers() {
    const auto queries = data_.slice(0, 70);
    expect_same(there_.search(queries, {5, 20}), cpu_.search(queries, {5, 20}));
    expect_same(there_.search(queries, {4, 60, 0.1f}), cpu_.search(queries, {4, 60, 0.1f}));
    expect_same(there_.exact_search(queries, 7), cpu_.exact_search(queries, 7));
    ASSERT_EQ(there_.digest(), cpu_.digest());
  }
  /// With filters made now, and with those made before.
  void expect_equal_filtered() {
    const auto queries = data_.slice(0, 70);
    ASSERT_EQ(there_.digest(), cpu_.digest());
    expect_same(there_.search(queries, {5, 20}), cpu_.search(queries, {5, 20}));
    filters_.emplace_back();
    for (const Index* const index : {&cpu_, &there_}) {
      std::vector<std::uint64_t> some;
      for (const std::uint64_t label : index->labels()) {
        if (hash(filters_.size(), label) % 4 != 0) some.push_back(label);
      }
      filters_.back().push_back(Filter::of_labels(*index, some));
    }
    for (const auto& pair : filters_) {
      SCOPED_TRACE("filter " + std::to_string(&pair - filters_.data()) + " of " +
                   std::to_string(filters_.size()));
      for (const SearchParams& params : {SearchParams{5, 16}, SearchParams{4, 30, 0.1f}}) {
        expect_same(there_.search(queries, params, {.filter = &pair[1]}),
                    cpu_.search(queries, params, {.filter = &pair[0]}));
      }
    }
  }
  [[nodiscard]] Index& there() { return there_; }
  [[nodiscard]] std::size_t size() const { return living_.size(); }
  [[nodiscard]] std::string device() const { return there_.stats().device.name; }
  [[nodiscard]] std::size_t warnings() const { return log_.warnings.size(); }
  [[nodiscard]] std::size_t ended_early() const { return ended_early_; }

 private:
  RuntimeOptions with_log(std::size_t budget) {
    RuntimeOptions options = on("cuda");
    options.device_memory_budget = budget;
    options.log = log_.callback();
    return options;
  }
  template <class Change>
  void both(const Change& change) {
    change(cpu_);
    change(there_);
  }
  [[nodiscard]] MatrixView<const float> rows(std::size_t count) const {
    return data_.slice(next_, count);
  }
  std::vector<std::uint64_t> take(std::size_t count) {
    std::vector<std::uint64_t> labels = labels_from(next_label_, count);
    next_label_ += count;
    return labels;
  }
  /// Different living labels; clustered in age half of the time.
  std::vector<std::uint64_t> draw(std::size_t count, std::mt19937_64& random) {
    count = std::min(count, living_.size());
    std::vector<std::uint64_t> labels = living_;
    if (random() % 2 == 0) std::shuffle(labels.begin(), labels.end(), random);
    labels.resize(count);
    return labels;
  }

  const Matrix& data_;
  LogLines log_;
  Index cpu_, there_;
  std::vector<std::uint64_t> living_;
  std::vector<std::vector<Filter>> filters_;  ///< of either index
  std::size_t next_ = 0;
  std::uint64_t next_label_ = 0;
  std::size_t ended_early_ = 0;
};

IndexParams params_of(std::uint32_t M = 4) { return make_params(8, M, 20, kEpochLimit); }
const Matrix& churned_data() {
  static const Matrix data = make_data(Shape::clustered, 9000, 8);
  return data;
}

void live_at_random(Twins& twins, std::uint64_t seed, unsigned operations) {
  std::mt19937_64 random(seed);
  twins.add(400);
  for (unsigned i = 0; i < operations; ++i) {
    const std::uint64_t kind = random() % 10;
    const std::size_t count = random() % (random() % 3 == 0 ? 250 : 20);
    if (kind < 3) twins.add(count);
    if (kind == 3 || kind == 4) twins.remove(count, random);
    if (kind == 5) twins.update(count, random);
    if (kind == 6) twins.upsert(count, random);
    if (kind == 7) twins.flush();
    if (kind == 8) twins.update_in_part(count, random);
    if (kind >= 8) twins.expect_equal_answers();
    if (kind == 9) twins.expect_equal_filtered();
  }
  twins.expect_equal_answers();
  twins.expect_equal_filtered();
  expect_sound(twins.there().audit());
}

TEST(RemovalOnADevice, RandomHistoriesGiveTheCpusBytesAndAnswers) {
  std::size_t ended_early = 0;
  for (std::uint64_t seed = 1; seed <= scaled(12, 2); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const HostDevices devices;
    Twins twins(params_of(seed % 3 == 0 ? 16 : 4), churned_data());
    live_at_random(twins, seed, 30);
    EXPECT_EQ(twins.device(), "host team");
    EXPECT_EQ(twins.warnings(), 0u);
    ended_early += twins.ended_early();
  }
  EXPECT_GT(ended_early, 0u);
}

TEST(RemovalOnADevice, RandomHistoriesWhileWorkIsLate) {
  for (const std::uint64_t seed : {0u, 5u}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const HostDevices devices(HostDevices::deferred(seed));
    Twins twins(params_of(), churned_data());
    live_at_random(twins, seed + 100, 20);
    EXPECT_EQ(twins.warnings(), 0u);
  }
}

// Nearly all that there is dies, and the ids slide.
TEST(RemovalOnADevice, TheMirrorFollowsSlides) {
  const HostDevices devices;
  Twins twins(params_of(), churned_data());
  std::mt19937_64 random(7);
  twins.add(1500);
  for (int round = 0; round < 4; ++round) {
    twins.expect_equal_answers();
    twins.expect_equal_filtered();
    twins.remove(twins.size() / 2, random);
    twins.expect_equal_answers();
    twins.flush();
    twins.expect_equal_answers();
    twins.expect_equal_filtered();
    twins.add(600);
    twins.update(300, random);
  }
  twins.remove(twins.size(), random);
  twins.expect_equal_answers();
  twins.flush();
  twins.expect_equal_answers();
  twins.add(500);
  twins.expect_equal_answers();
  EXPECT_GT(IndexAccess::stand_still(twins.there()).contents.graph.slides(), 3u);
  EXPECT_EQ(twins.device(), "host team");
}

// Filters are made before and behind deaths and slides, and are long enough to be walked.
TEST(RemovalOnADevice, FilteredSearchesPassTheDeadOver) {
  Calls calls;
  const HostDevices devices(std::size_t{1} << 30, calls.hook());
  const Matrix data = make_data(Shape::clustered, 2600, 256);
  Twins twins(make_params(256, 8, 20, kEpochLimit), data);
  std::mt19937_64 random(5);
  twins.add(1400);
  twins.expect_equal_filtered();
  for (int round = 0; round < 3; ++round) {
    twins.remove(60, random);
    twins.expect_equal_filtered();
    twins.update(150, random);
    twins.expect_equal_filtered();
    twins.remove(130, random);
    twins.flush();
    twins.add(200);
    twins.expect_equal_filtered();
  }
  EXPECT_GT(IndexAccess::stand_still(twins.there()).contents.graph.slides(), 1u);
  EXPECT_GT(calls.of("walk_matches"), 20u);
  EXPECT_GT(calls.of("scan_matches"), 20u);
  EXPECT_EQ(twins.device(), "host team");
}

// A copy that was unlinked between others of its chain, which then die, is no node to ask about.
TEST(RemovalOnADevice, CopiesThatDieInAnyOrderAreNoNodes) {
  const HostDevices devices;
  for (const std::vector<std::uint64_t>& order :
       {std::vector<std::uint64_t>{1, 0, 2}, {0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 2, 0}}) {
    Matrix data = make_data(Shape::random, 500, 4);
    for (const std::size_t r : {1u, 2u}) std::copy_n(data.row(0), 4, data.row(r));
    Index cpu(make_params(4, 4, 20, 64), on("cpu"));
    Index there(make_params(4, 4, 20, 64), on("cuda"));
    Index later(make_params(4, 4, 20, 64), on("cpu"));  // a device comes when all have died
    const auto both = [&](const auto& use) {
      for (Index* const index : {&cpu, &there, &later}) use(*index);
      ASSERT_EQ(there.digest(), cpu.digest());
    };
    both([&](Index& index) { index.add(data.view()); });
    both([&](Index& index) {
      index.remove(std::vector<std::uint64_t>{order[0]});
      index.flush();
    });
    both([&](Index& index) { index.remove(std::vector<std::uint64_t>{order[1], order[2]}); });
    later.set_runtime(on("cuda"));
    expect_same(later.search(data.slice(0, 20), {5, 20}), cpu.search(data.slice(0, 20), {5, 20}));
    expect_same(there.search(data.slice(0, 20), {5, 20}), cpu.search(data.slice(0, 20), {5, 20}));
    both([&](Index& index) { index.flush(); });
    expect_same(there.search(data.slice(0, 20), {5, 20}), cpu.search(data.slice(0, 20), {5, 20}));
  }
}

// The kernels run there, and not the CPU in their place.
TEST(RemovalOnADevice, TheDeviceDoesTheWork) {
  Calls calls;
  const HostDevices devices(std::size_t{1} << 30, calls.hook());
  Twins twins(params_of(), churned_data());
  std::mt19937_64 random(3);
  twins.add(1200);
  const auto expect_used = [&](const std::string& call, const auto& use) {
    const std::size_t before = calls.of(call);
    use();
    EXPECT_GT(calls.of(call), before) << call;
  };
  twins.remove(40, random);
  expect_used("search", [&] { twins.expect_equal_answers(); });
  expect_used("exact", [&] { twins.expect_equal_answers(); });
  expect_used("propose", [&] { twins.add(400); });
  expect_used("propose", [&] { twins.update(400, random); });
  expect_used("scan_matches", [&] { twins.expect_equal_filtered(); });
  expect_used("score_lists", [&] {
    twins.add(80);
    twins.remove(30, random);
    twins.flush();
    twins.add(400);
  });
}

// Between two searches the lists that a removal has changed come, and not all lists.
TEST(RemovalOnADevice, ASealSendsTheListsThatItChangedAlone) {
  const HostDevices devices;
  const Matrix data = make_data(Shape::random, 6000, 4);
  Index index(make_params(4, 8, 20, 64), on("cuda"));
  index.add(data.view());
  (void)index.search(data.slice(0, 300), {5, 20});
  const std::uint64_t before = index.stats().device.bytes_in;
  index.remove(labels_from(1000, 30));
  index.flush();
  (void)index.search(data.slice(0, 300), {5, 20});
  const std::uint64_t moved = index.stats().device.bytes_in - before;
  EXPECT_GT(moved, 30u * 8 * 4);
  EXPECT_LT(moved, 6000u * 16 * 4 / 2);
}

// A list of tombstones that shared memory has no room for is walked by the CPU.
TEST(RemovalOnADevice, WithoutRoomForTheTombstonesTheCpuAnswers) {
  Calls calls;
  const HostDevices devices(
      [] { return std::make_unique<Watched<cuda::HostDevice>>(std::size_t{1} << 30, 24 * 1024); },
      calls.hook());
  const Matrix& data = churned_data();
  IndexParams params = params_of();
  params.epoch_limit = 4096;
  Twins twins(params, data);
  std::mt19937_64 random(4);
  twins.add(8000);
  twins.remove(1, random);
  twins.flush();
  twins.remove(900, random);
  ASSERT_GT(twins.there().stats().tombstones, 800u);
  const std::size_t searches = calls.of("search");
  twins.expect_equal_answers();
  EXPECT_EQ(calls.of("search"), searches);
  const std::size_t proposals = calls.of("propose");
  twins.add(200);
  EXPECT_EQ(calls.of("propose"), proposals);
  twins.flush();
  twins.expect_equal_answers();
  EXPECT_GT(calls.of("search"), searches);
  EXPECT_EQ(twins.device(), "host team");
  EXPECT_EQ(twins.warnings(), 0u);
}

// No room beside the mirror for anything more: the arrays are made anew as they must grow.
TEST(RemovalOnADevice, AMirrorThatFillsItsBudgetFollows) {
  for (const std::size_t kilobytes : {700u, 900u, 1200u, 2000u}) {
    SCOPED_TRACE(std::to_string(kilobytes) + " KiB");
    const HostDevices devices;
    Twins twins(params_of(), churned_data(), kilobytes << 10);
    live_at_random(twins, 11, 12);
    EXPECT_LE(twins.warnings(), 1u);
  }
}

/// A device that fails from some call on.
struct Fault {
  std::uint64_t at = 0;
  bool memory_only = false;
  bool happened = false;
  std::uint64_t count = 0;
  std::mutex mutex;

  [[nodiscard]] HostDevices::Hook hook() {
    return [this](const char* call, std::uint64_t) {
      const std::lock_guard lock(mutex);
      if (memory_only && !std::string(call).starts_with("allocate")) return;
      if (count++ < at) return;
      happened = true;
      throw Error(memory_only ? ErrorCode::out_of_memory : ErrorCode::cuda,
                  "injected at " + std::string(call));
    };
  }
};

void live_through(Fault& fault) {
  LogLines log;
  RuntimeOptions options = on("auto", 1);
  options.log = log.callback();
  const Matrix& data = churned_data();
  Index index(params_of(), options);
  Index on_cpu(params_of(), on("cpu", 1));
  (void)index.search(data.slice(0, 256), {1, 1});  // so many queries open the device
  for (Index* const one : {&index, &on_cpu}) {
    one->add(data.slice(0, 500));
    (void)one->search(data.slice(0, 70), {5, 20});
    one->remove(labels_from(20, 90));
    (void)one->search(data.slice(0, 70), {5, 20});
    one->update(data.slice(500, 150), labels_from(200, 150));
    one->remove(labels_from(110, 60));
    one->flush();
    one->add(data.slice(700, 100));
  }
  const auto queries = data.slice(0, 70);
  expect_same(index.search(queries, {5, 20}), on_cpu.search(queries, {5, 20}));
  expect_same(index.exact_search(queries, 6), on_cpu.exact_search(queries, 6));
  ASSERT_EQ(index.digest(), on_cpu.digest());
  ASSERT_TRUE(index.audit().ok);
  ASSERT_EQ(log.warnings.size(), fault.happened ? 1u : 0u);
}

/// A life for every n: the device fails from the n-th call on.
void fail_at_every_call(bool memory_only, std::uint64_t step) {
  std::uint64_t failures = 0;
  for (std::uint64_t n = 0;; n += step) {
    SCOPED_TRACE("call " + std::to_string(n));
    Fault fault;
    fault.at = n;
    fault.memory_only = memory_only;
    const HostDevices devices([] { return std::make_unique<Watched<cuda::HostDevice>>(); },
                              fault.hook());
    live_through(fault);
    if (testing::Test::HasFailure() || !fault.happened) break;
    ++failures;
  }
  EXPECT_GT(failures, (memory_only ? 20 : 200) / step);
}

TEST(RemovalOnADevice, ADeviceThatIsLostLeavesTheCpusBytes) {
  fail_at_every_call(false, full_scale() ? 3 : 67);
}
TEST(RemovalOnADevice, AnAllocationThatIsRefusedLeavesTheCpusBytes) {
  fail_at_every_call(true, full_scale() ? 1 : 9);
}

// What the conformance program compares on a device.
TEST(RemovalOnADevice, TheChurnThatIsPinnedHasItsDigest) {
  if (!full_scale()) GTEST_SKIP() << "a minute under a sanitizer";
  const HostDevices devices;
  const cuda::testing::Churned cpu = cuda::testing::live_through_churn("cpu");
  const cuda::testing::Churned there = cuda::testing::live_through_churn("cuda");
  EXPECT_EQ(cpu.digest, cuda::testing::kChurnDigest);
  EXPECT_EQ(there.digest, cuda::testing::kChurnDigest);
  expect_same(there.found, cpu.found);
  expect_same(there.exact, cpu.exact);
  expect_same(there.filtered, cpu.filtered);
  EXPECT_EQ(there.device, "host team");
}

// A search that waits for the device while vectors are removed sees the removal, or began before.
// An exact one, because no router gives it to the CPU.
TEST(RemovalOnADevice, NoSearchThatBeginsBehindARemovalFindsIt) {
  std::atomic<std::uint64_t> there{0};  // searches on the device
  const HostDevices devices(std::size_t{1} << 32, [&](const char* call, std::uint64_t) {
    there += std::string_view(call) == "exact" ? 1 : 0;
  });
  const Matrix data = make_data(Shape::random, 3000, 4);
  Index index(make_params(4, 8, 20, 64), on("cuda"));
  index.add(data.view());
  std::atomic<std::uint64_t> removed{0};  // labels before it are gone
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> searches{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done || searches < 4) {
        const std::uint64_t before = removed;
        const SearchResult found = index.exact_search(data.slice(before, 20), 3);
        for (const std::uint64_t label : found.labels) EXPECT_GE(label, before);
        ++searches;
      }
    });
  }
  for (std::uint64_t next = 0; next < 1200; next += 24) {
    index.remove(labels_from(next, 24));
    removed = next + 24;
    const std::uint64_t before = there;  // the device is the searches' until one has used it
    while (there == before) std::this_thread::yield();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(index.stats().device.name, "host team");
  EXPECT_GE(there, 50u);
}

// The ids slide while searches are in the gate, some of them on the device.
TEST(RemovalOnADevice, SearchesBesideSlidesFindVectorsByTheirLabels) {
  const HostDevices devices;
  const TempPath path;
  const Matrix data = make_data(Shape::random, 3000, 4);
  Index index = Index::open(path.path(), make_params(4, 8, 20, 64), Durability::system, on("cuda"));
  index.add(data.view());
  std::atomic<std::uint64_t> removed{0};  // labels before it are gone, of those that are even
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> searches{0};
  const auto look = [&] {
    const std::uint64_t before = removed;
    const SearchResult found = index.search(data.slice(0, 80), {3, 16});
    for (std::size_t j = 0; j < found.labels.size(); ++j) {
      const std::uint64_t label = found.labels[j];
      ASSERT_TRUE(label < data.rows && (label % 2 == 1 || label >= before)) << label;
      float distance = 0;
      for (std::size_t e = 0; e < 4; ++e) {
        const float difference = data.view().row(j / 3)[e] - data.view().row(label)[e];
        distance += difference * difference;
      }
      ASSERT_NEAR(found.distances[j], distance, 1e-4f * (1 + distance));
    }
    ++searches;
  };
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!done || searches < 4) look();
    });
  }
  for (std::uint64_t next = 0; next < 2400; next += 400) {
    std::vector<std::uint64_t> labels;
    for (std::uint64_t label = next; label < next + 400; label += 2) labels.push_back(label);
    index.remove(labels);
    removed = next + 400;
    index.compact();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(IndexAccess::stand_still(index).contents.graph.slides(), 1u);
  EXPECT_EQ(index.stats().device.name, "host team");
}

/// Two indexes in which an upsert of labels 0 … 1,499 ended early, on the device and on the CPU.
struct EndedEarly {
  explicit EndedEarly(std::uint32_t epoch_limit)
      : there(make_params(8, 4, 20, epoch_limit), on("cuda")),
        cpu(make_params(8, 4, 20, epoch_limit), on("cpu")) {
    there.add(data.slice(0, 2000));
    cpu.add(data.slice(0, 2000));
    (void)there.search(data.slice(0, 300), {5, 20});  // the mirror holds the live graph
    const std::vector<std::uint64_t> labels = labels_from(0, 1500);
    done = there.upsert(data.slice(2000, 1500), labels, [](std::uint64_t added, std::uint64_t) {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));  // so that each moment is asked
      return added <= 256;
    });
    cpu.upsert(data.slice(2000, done), std::span(labels).first(done));
  }
  void remove(const std::vector<std::uint64_t>& labels) {
    there.remove(labels);
    cpu.remove(labels);
  }
  void add(std::size_t first, std::size_t count) {
    there.add(data.slice(first, count));
    cpu.add(data.slice(first, count));
  }
  void expect_equal() {
    for (const std::size_t first : {std::size_t{0}, done}) {
      const auto queries = data.slice(first, 300);
      expect_same(there.search(queries, {5, 20}), cpu.search(queries, {5, 20}));
      expect_same(there.exact_search(queries, 5), cpu.exact_search(queries, 5));
    }
    EXPECT_EQ(there.digest(), cpu.digest());
    EXPECT_EQ(there.stats().device.name, "host team");
  }

  const HostDevices devices;
  const Matrix data = make_data(Shape::clustered, 6000, 8);
  Index there, cpu;
  std::size_t done = 0;  ///< labels from here on have their old vectors, and were marked
};

// An upsert that ends early has marked nodes that nothing replaces, and the mirror knows: whether
// they live on, are removed, before others or behind them, or are replaced after all.
TEST(RemovalOnADevice, AnUpsertThatEndsEarlyLeavesNoStaleMirrorInUse) {
  for (const int then : {0, 1, 2, 3}) {
    SCOPED_TRACE(then);
    EndedEarly both(then == 3 ? 4096 : 128);
    ASSERT_GT(both.done, 256u);
    ASSERT_LT(both.done, 1500u);
    if (then == 1) both.remove(labels_from(both.done, 60));
    if (then == 2) {
      both.remove({1900});
      both.remove({both.done + 1});
    }
    if (then == 3) {
      const std::vector<std::uint64_t> labels = labels_from(both.done, 20);
      both.there.upsert(both.data.slice(5000, 20), labels);
      both.cpu.upsert(both.data.slice(5000, 20), labels);
    }
    both.expect_equal();
    both.there.flush();
    both.cpu.flush();
    both.add(4000, 400);
    both.expect_equal();
  }
}

// A search that fails while it brings the mirror to the graph leaves a mirror that nobody may use,
// also not a writer that has waited for that search.
TEST(RemovalOnADevice, AWriterDoesNotUseWhatASearchThatFailedHasLeft) {
  const Matrix data = make_data(Shape::clustered, 3000, 8);
  std::vector<std::uint64_t> spread;
  for (std::uint64_t label = 1; label < 1300; label += 3) spread.push_back(label);
  int failures = 0;
  for (int number = 0; number < 70; number += full_scale() ? 3 : 11) {
    for (const bool is_error : {true, false}) {
      SCOPED_TRACE("call " + std::to_string(number) + (is_error ? ", Error" : ", bad_alloc"));
      std::atomic<bool> armed{false};
      std::atomic<bool> has_failed{false};
      std::atomic<int> calls{0};
      const HostDevices devices(std::size_t{1} << 30, [&](const char*, std::uint64_t) {
        if (!armed || calls++ != number) return;
        armed = false;
        has_failed = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the writer comes meanwhile
        if (is_error) throw Error(ErrorCode::cuda, "lost");
        throw std::bad_alloc();
      });
      Index index(make_params(8, 4, 20, 4096), on("cuda", 1));
      Index cpu(make_params(8, 4, 20, 4096), on("cpu", 1));
      index.add(data.slice(0, 1300));
      cpu.add(data.slice(0, 1300));
      (void)index.search(data.slice(0, 100), {5, 20});
      index.remove(spread);
      cpu.remove(spread);
      armed = true;
      std::atomic<bool> has_ended{false};
      std::thread searching([&] {
        EXPECT_EQ(index.search(data.slice(0, 100), {5, 20}).counts[99], 5u);  // of the CPU
        has_ended = true;
      });
      while (!has_failed && !has_ended) std::this_thread::yield();
      failures += has_failed ? 1 : 0;
      armed = false;
      index.add(data.slice(1300, 100));
      searching.join();
      cpu.add(data.slice(1300, 100));
      EXPECT_EQ(index.digest(), cpu.digest());
      EXPECT_EQ(index.stats().device.name, has_failed ? "cpu" : "host team");
    }
  }
  EXPECT_GE(failures, 6);
}

}  // namespace
}  // namespace concord::test
