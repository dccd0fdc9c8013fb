// cuda::filter_of_bits: bits in device memory give the filter that bits in host memory give.

#include <concord/cuda.hpp>
#include <cstring>

#include "cuda/caller_memory.hpp"
#include "tests/cuda/caller_on_device.hpp"
#include "tests/cuda/host_devices.hpp"

namespace concord::test {
namespace {

using Words = std::vector<std::uint32_t>;

constexpr std::uint32_t kWide = 400;  // so that walks begin at a few hundred matches

IndexParams bits_params(std::uint32_t dimension) { return make_params(dimension, 4, 24, 300); }

/// So many of a thousand bits are set, also behind the `count` that are meant.
Words words_of(std::size_t count, std::uint64_t per_mille) {
  Words words((count + 31) / 32);
  for (std::size_t i = 0; i < 32 * words.size(); ++i) {
    if (hash(per_mille, i) % 1000 < per_mille) words[i / 32] |= 1u << (i % 32);
  }
  return words;
}

Filter of_host(const Index& index, const Words& words, std::size_t count) {
  std::vector<std::uint8_t> bytes(4 * words.size());
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return Filter::of_bits(index, bytes, count);
}

// The bits are written by work of the stream that is pending when the call comes.
TEST(FilterOfDeviceBits, IsTheFilterOfTheSameBitsOnTheHost) {
  const Matrix data = make_data(Shape::clustered, 700, kWide);
  const auto queries = data.slice(0, 66);
  for (const std::uint64_t seed : {0u, 1u}) {
    const HostDevices devices(HostDevices::deferred(seed));
    Index index(bits_params(kWide), on("cuda"));
    index.add(data.view());
    Caller caller(*devices.last);
    for (const std::uint64_t share : {0u, 30u, 600u, 1000u}) {
      const Words words = words_of(700, share);
      const Filter expected = of_host(index, words, 700);
      const Filter filter = cuda::filter_of_bits(index, caller.upload(words), 700, caller.stream());
      EXPECT_EQ(filter.matches(), expected.matches());
      EXPECT_EQ(filter.size(), 700u);
      EXPECT_EQ((filter & ~expected).matches() + (expected & ~filter).matches(), 0u);
      for (const SearchParams& params : {SearchParams{10, 16}, SearchParams{4, 60, 0.1f}}) {
        expect_same(index.search(queries, params, {.filter = &filter}),
                    index.search(queries, params, {.filter = &expected}));
      }
    }
    EXPECT_EQ(index.stats().device.name, "host team");
  }
}

TEST(FilterOfDeviceBits, OfAnyNumberOfVectors) {
  const Matrix data = make_data(Shape::random, 100, 3);
  const HostDevices devices(HostDevices::deferred(0));
  Index index(bits_params(3), on("cuda"));
  Caller caller(*devices.last);
  EXPECT_EQ(cuda::filter_of_bits(index, nullptr, 0, caller.stream()).size(), 0u);
  for (const std::size_t count : {1u, 2u, 31u, 32u, 33u, 64u, 65u, 100u}) {
    index.add(data.slice(index.size(), count - index.size()));
    const Words words = words_of(count, 600);
    const Filter filter = cuda::filter_of_bits(index, caller.upload(words), count, caller.stream());
    const Filter expected = of_host(index, words, count);
    EXPECT_EQ(filter.size(), count);
    EXPECT_EQ(filter.matches(), expected.matches());
    EXPECT_EQ((filter & expected).matches(), expected.matches());
  }
  // Vectors have their place in Index::labels(), also behind one that was removed.
  index.remove(std::vector<std::uint64_t>{40});
  const Words last = {0, 0, 0, 4};  // number 98 of 99
  const Filter filter = cuda::filter_of_bits(index, caller.upload(last), 99, caller.stream());
  EXPECT_EQ(index.search(data.slice(0, 1), {5, 20}, {.filter = &filter}).labels[0], 99u);
}

TEST(FilterOfDeviceBits, RefusesWhatDoesNotFit) {
  const Matrix data = make_data(Shape::random, 100, 3);
  const HostDevices devices;
  Index index(bits_params(3), on("cuda"));
  index.add(data.view());
  Caller caller(*devices.last);
  const Words words(4, 5);
  const std::uint32_t* const bits = caller.upload(words);
  const auto refused = [&](const char* what, const std::uint32_t* memory, std::size_t count) {
    expect_error(ErrorCode::invalid_parameter, {what},
                 [&] { (void)cuda::filter_of_bits(index, memory, count, caller.stream()); });
  };
  for (const std::size_t count : {0u, 99u, 101u, 128u}) refused("the index has 100", bits, count);
  const char* const elsewhere = "not in memory of the index's device";
  refused(elsewhere, bits, 129);
  refused(elsewhere, bits, ~std::size_t{0});
  refused(elsewhere, nullptr, 100);
  refused(elsewhere, words.data(), 100);

  Index on_cpu(bits_params(3), on("cpu"));
  on_cpu.add(data.view());
  expect_error(ErrorCode::unsupported, {"needs an index with a device"},
               [&] { (void)cuda::filter_of_bits(on_cpu, words.data(), 100, nullptr); });
  EXPECT_EQ(cuda::filter_of_bits(index, bits, 100, caller.stream()).matches(), 8u);
}

TEST(FilterOfDeviceBits, AFailedCopyIsAnErrorAndTheNextOneIsNot) {
  const Matrix data = make_data(Shape::random, 100, 3);
  for (const char* call : {"create_event", "allocate_pinned", "copy", "record", "synchronize"}) {
    bool armed = false;
    const HostDevices devices(HostDevices::deferred(0), [&](const char* name, std::uint64_t) {
      if (armed && std::string(name) == call) {
        armed = false;
        throw Error(ErrorCode::cuda, "injected");
      }
    });
    Index index(bits_params(3), on("cuda"));
    index.add(data.view());
    const std::string digest = index.digest();
    Caller caller(*devices.last);
    const std::uint32_t* const bits = caller.upload(Words(4, 5));
    const auto make = [&] { return cuda::filter_of_bits(index, bits, 100, caller.stream()); };
    armed = true;
    expect_error(ErrorCode::cuda, {"injected"}, [&] { (void)make(); });
    EXPECT_FALSE(armed) << call;
    EXPECT_EQ(index.digest(), digest);
    EXPECT_EQ(make().matches(), 8u);
  }
}

TEST(FilterOfDeviceBits, BytesComeInChunks) {
  Words words((std::size_t{9} << 20) / 4 + 1);  // more than two chunks of 4 MiB
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = static_cast<std::uint32_t>(hash(1, i));
  cuda::HostDevice device;
  Caller caller(device);
  Words read(words.size());
  cuda::CallerMemory(device, caller.stream())
      .read_bytes(read.data(), caller.upload(words), words.size() * sizeof(std::uint32_t));
  EXPECT_EQ(read, words);
}

}  // namespace
}  // namespace concord::test
