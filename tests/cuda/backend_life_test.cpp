// An index that lives on the device: adds cut in every way, cancelled, saved, moved between
// devices, searched in between. The bytes are those of one add on the CPU.

#include <gtest/gtest.h>

#include <thread>

#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

// Half of all with less than the whole scale, and then as many epochs.
const std::size_t kRows = full_scale() ? 3000 : 1500;
const auto kEpochLimit = static_cast<std::uint32_t>(kRows / 10);
/// What `of_3000` is to 3,000, to kRows.
std::size_t part(std::size_t of_3000) { return of_3000 * kRows / 3000; }

IndexParams life_params(Metric metric = Metric::l2sq) {
  return make_params(6, 4, 24, kEpochLimit, metric);
}
const Matrix& life_data() {
  static const Matrix data = make_data(Shape::clustered, kRows, 6);
  return data;
}
/// Digest of the first `rows` rows, added on the CPU in one call.
std::string cpu_digest(std::size_t rows = kRows) {
  Index index(life_params(), on("cpu"));
  index.add(life_data().slice(0, rows));
  return index.digest();
}

void add(Index& index, std::size_t count) {
  ASSERT_LE(index.size() + count, kRows);
  ASSERT_EQ(index.add(life_data().slice(index.size(), count)), count);
}
void add_rest(Index& index) { add(index, kRows - index.size()); }

/// The devices of a test: late, immediate, and in random order; with less than the whole scale,
/// late alone, because an error in waiting for a device shows there.
std::vector<HostDevices::Make> kinds_of_device() {
  std::vector<HostDevices::Make> kinds{HostDevices::deferred(0)};
  if (full_scale()) {
    kinds.emplace_back([] { return std::make_unique<Watched<cuda::HostDevice>>(); });
    kinds.push_back(HostDevices::deferred(1));
    kinds.push_back(HostDevices::deferred(2));
  }
  return kinds;
}

/// Runs `life` on an index of each kind of device, and expects the CPU's bytes at its end.
template <class Life>
void expect_cpu_bytes(const Life& life) {
  const std::string digest = cpu_digest();
  unsigned kind = 0;
  for (const HostDevices::Make& make : kinds_of_device()) {
    SCOPED_TRACE("kind of device " + std::to_string(kind++));
    const HostDevices devices(make);
    LogLines log;
    RuntimeOptions options = on("cuda");
    options.log = log.callback();
    Index index(life_params(), options);
    life(index);
    ASSERT_EQ(index.size(), kRows);
    EXPECT_EQ(index.digest(), digest);
    EXPECT_TRUE(log.warnings.empty()) << log.warnings.front();
    expect_sound(index.audit());
  }
}

/// The ends of epochs below kRows.
std::vector<std::size_t> epoch_ends() {
  std::vector<std::size_t> ends;
  for (core::Epoch epoch; epoch.end < kRows; epoch = epoch.next(kEpochLimit)) {
    ends.push_back(epoch.end);
  }
  return ends;
}

void search_and_compare(const Index& index, std::size_t count = 70) {
  Index cpu(life_params(), on("cpu"));
  cpu.add(life_data().slice(0, index.size()));
  const auto queries = life_data().slice(kRows - count, count);
  expect_same(index.search(queries, {7, 30}), cpu.search(queries, {7, 30}));
}

TEST(BackendLife, EqualAddsOfEverySize) {
  for (const std::size_t size : {part(1000), kEpochLimit - std::size_t{1}, std::size_t{65},
                                 std::size_t{64}, std::size_t{63}}) {
    SCOPED_TRACE("adds of " + std::to_string(size));
    expect_cpu_bytes([&](Index& index) {
      while (index.size() < kRows) add(index, std::min(size, kRows - index.size()));
    });
  }
}

TEST(BackendLife, AddsThatEndAtAndAroundEpochBoundaries) {
  for (const int shift : {0, 1, -1}) {
    expect_cpu_bytes([&](Index& index) {
      for (const std::size_t end : epoch_ends()) {
        const auto target = static_cast<std::size_t>(static_cast<long>(end) + shift);
        if (target > index.size()) add(index, target - index.size());
      }
      add_rest(index);
    });
  }
}

// This test and the next are named after the bugs that they found.
TEST(BackendLife, ADeviceOpenedInMidEpochKnowsWhatTheSealBeforeChanged) {
  for (const std::size_t before : {part(400), part(777), part(1500)}) {
    const HostDevices devices;
    Index index(life_params(), on("cpu"));
    add(index, before);
    index.set_runtime(on("cuda"));
    add_rest(index);
    EXPECT_EQ(index.digest(), cpu_digest()) << before;
  }
}

TEST(BackendLife, SmallAddsBeyondTheMirrorsCapacity) {
  expect_cpu_bytes([&](Index& index) {
    add(index, part(800));
    for (int i = 0; i < 20; ++i) add(index, part(50));  // on the CPU, over several seals
    add_rest(index);
  });
}

TEST(BackendLife, MixedSizesOfAdds) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    expect_cpu_bytes([&](Index& index) {
      for (std::uint64_t i = 0; index.size() < kRows; ++i) {
        const std::size_t large = hash(seed, i) % 3 == 0 ? part(500) : 40;
        add(index, std::min<std::size_t>(1 + hash(seed, i, 1) % large, kRows - index.size()));
      }
    });
  }
}

TEST(BackendLife, SearchesBetweenAdds) {
  expect_cpu_bytes([&](Index& index) {
    for (std::uint64_t i = 0; index.size() < kRows; ++i) {
      add(index, std::min<std::size_t>(1 + hash(5, i) % part(500), kRows - index.size()));
      search_and_compare(index);
      if (i % 2 == 0) search_and_compare(index, 100);
    }
  });
}

TEST(BackendLife, InvalidQueriesInBetweenLeaveTheDeviceInUse) {
  expect_cpu_bytes([&](Index& index) {
    Matrix bad(100, 6);
    bad.row(80)[2] = std::numeric_limits<float>::quiet_NaN();
    for (std::uint64_t i = 0; index.size() < kRows; ++i) {
      add(index, std::min<std::size_t>(part(200) + hash(6, i) % part(300), kRows - index.size()));
      expect_error(ErrorCode::invalid_vector, {"query 80", "NaN"}, [&] {
        (void)index.search(bad.view(), {5, 20});
      });
    }
    search_and_compare(index);
    EXPECT_EQ(index.stats().device.name, "host team");
  });
}

TEST(BackendLife, CancelledAddsAreAnnouncedAgainWithOtherVectors) {
  const Matrix other = make_data(Shape::random, kRows, 6, 9);
  expect_cpu_bytes([&](Index& index) {
    for (const std::size_t first : {part(400), part(900), part(1600), part(2200)}) {
      add(index, first - index.size());
      // Two batches reach the device and the first is committed; the second has other vectors.
      Matrix mixed = life_data();
      std::copy(other.row(first + kEpochLimit), other.row(kRows - 1) + 6,
                mixed.row(first + kEpochLimit));
      index.add(mixed.slice(first, kRows - first), [](std::uint64_t done, std::uint64_t) {
        std::this_thread::sleep_for(
            std::chrono::milliseconds(21));  // so that every question counts
        return done == 0;
      });
      ASSERT_GT(index.size(), first);
      ASSERT_LE(index.size(), first + kEpochLimit);
      if (first != part(400)) add(index, 50);  // on the CPU: the mirror still has the other vectors
      if (first != part(900)) search_and_compare(index);
    }
    add_rest(index);
  });
}

struct Interrupt {};

TEST(BackendLife, ACallbackThatThrowsLeavesNoWorkBehind) {
  const Matrix other = make_data(Shape::random, kRows, 6, 9);
  expect_cpu_bytes([&](Index& index) {
    add(index, part(600));
    EXPECT_THROW(index.add(other.view(),
                           [&](std::uint64_t, std::uint64_t) -> bool {
                             std::this_thread::sleep_for(std::chrono::milliseconds(21));
                             throw Interrupt();
                           }),
                 Interrupt);
    // Whatever the failed call committed stays, and the expected bytes are without it.
    if (index.size() != part(600)) {
      index = Index(life_params(), on("cuda"));
      add(index, part(600));
    }
    add_rest(index);
  });
}

TEST(BackendLife, SavedAndLoadedIndexesGoOnOnTheDevice) {
  for (const std::size_t at : {part(300), part(500), part(844), part(1503), part(1504)}) {
    const HostDevices devices(HostDevices::deferred(at % 4));
    const TempPath path;
    {
      Index index(life_params(), on("cuda"));
      add(index, at);
      index.save(path);
    }
    Index index = Index::load(path, on("cuda"));
    search_and_compare(index);
    add(index, part(700));
    search_and_compare(index);
    add_rest(index);
    EXPECT_EQ(index.digest(), cpu_digest()) << at;
  }
}

TEST(BackendLife, MovingBetweenCpuAndDevice) {
  for (const std::size_t step : {part(170), part(444)}) {
    const HostDevices devices(HostDevices::deferred(step % 3));
    Index index(life_params(), on("cpu"));
    bool device = false;
    while (index.size() < kRows) {
      add(index, std::min(step, kRows - index.size()));
      device = !device;
      index.set_runtime(on(device ? "cuda" : "cpu"));
      if (device) search_and_compare(index);
    }
    EXPECT_EQ(index.digest(), cpu_digest());
  }
}

TEST(BackendLife, OneVectorAtATimeBetweenSearches) {
  const HostDevices devices;
  Index index(make_params(6, 2, 10, 40), on("cuda"));
  Index cpu(make_params(6, 2, 10, 40), on("cpu"));
  const auto queries = life_data().slice(1000, 64);
  while (index.size() < 300) {
    const std::size_t count = index.size() % 7 == 0 ? 70 : 1;
    const auto rows = life_data().slice(index.size(), count);
    index.add(rows);
    cpu.add(rows);
    expect_same(index.search(queries, {5, 20}), cpu.search(queries, {5, 20}));
  }
  EXPECT_EQ(index.digest(), cpu.digest());
}

}  // namespace
}  // namespace concord::test
