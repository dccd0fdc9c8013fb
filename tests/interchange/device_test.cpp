// An adopted index goes to a device, opened before or after, as any other does.

#include "tests/cuda/host_devices.hpp"
#include "tests/interchange/edges.hpp"

namespace concord::test {
namespace {

using interchange::Adopt;

struct Outcome {
  std::string digest;
  std::vector<std::uint64_t> before, after;  ///< labels found
  bool operator==(const Outcome&) const = default;
};

// Levels of another seed, so that the CPU proposes for some nodes; a size within an epoch.
Outcome adopt_and_grow(const std::string& device, const std::filesystem::path& path) {
  const HostDevices devices;
  Index index = interchange::load_hnswlib(path, {6, Metric::l2sq}, Adopt::graph, on(device));
  EXPECT_EQ(devices.opened, device == "cuda" ? 1 : 0);
  const Matrix more = make_data(Shape::clustered, 1500, 6, 2);
  const SearchResult before = index.search(more.view());
  index.add(more.slice(0, 30));  // on the CPU even where there is a device
  index.add(more.slice(30, 1470));
  expect_sound(index.audit());
  const SearchResult after = index.search(more.view());
  return {index.digest(), before.labels, after.labels};
}

TEST(AdoptedIndex, IsTheSameWithADeviceFromTheBeginningLaterOrNever) {
  IndexParams params = make_params(6, 4, 30, 1024);
  params.seed = 3;
  Index index(params, on_cpu());
  index.add(make_data(Shape::clustered, 2300, 6).view());
  const TempPath path;
  interchange::save_hnswlib(index, path);
  const Outcome expected = adopt_and_grow("cpu", path);
  EXPECT_TRUE(adopt_and_grow("cuda", path) == expected);
  EXPECT_TRUE(adopt_and_grow("auto", path) == expected);
}

}  // namespace
}  // namespace concord::test
