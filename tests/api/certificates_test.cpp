// Certificates change no index: the same digests with and without, whatever the calls. Where the
// processor has no instructions for them, both are without.

#include <algorithm>

#include "cpu/isa.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

RuntimeOptions options_with(bool certificates, unsigned threads = 1) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = "cpu";
  options.certificates = certificates;
  return options;
}

bool are_used() { return cpu::bounds_beside(cpu::choose_kernels()) != nullptr; }

class Certificates : public testing::TestWithParam<Metric> {
 protected:
  static constexpr std::size_t kRows = 1200;
  [[nodiscard]] static IndexParams params() { return make_params(130, 6, 20, 200, GetParam()); }
};

TEST_P(Certificates, ChangeNoIndex) {
  for (const Shape shape : kAllShapes) {
    const Matrix data = make_data(shape, scaled(kRows, 500), 130);
    Index without(params(), options_with(false));
    Index with(params(), options_with(true, 3));
    without.add(data.view());
    with.add(data.view());
    EXPECT_EQ(with.digest(), without.digest()) << to_string(shape);
    const bool rejects = shape == Shape::random && are_used();
    if (rejects) {
      EXPECT_LT(with.stats().build.distances, without.stats().build.distances);
    }
  }
}

TEST_P(Certificates, ChangeNoIndexThatIsAddedToInPiecesRemovedFromAndCancelled) {
  const Matrix data = make_data(Shape::clustered, kRows, 130);
  std::string digests[2];
  for (const bool certificates : {false, true}) {
    Index index(params(), options_with(certificates));
    std::vector<std::uint64_t> gone;
    for (std::size_t first = 0, step = 0; first < kRows; ++step) {
      const std::size_t n = std::min<std::size_t>(hash(step, 4) % 90 + 1, kRows - first);
      // The same vectors again after a call that was cancelled, with others in their place.
      if (step % 5 == 4) {
        const Matrix others = make_data(Shape::random, n, 130, step);
        std::vector<std::uint64_t> labels(n);
        for (std::size_t j = 0; j < n; ++j) labels[j] = 1'000'000 + step * 1000 + j;
        const auto before = index.size();
        const std::size_t committed =
            index.add(others.view(), labels, [](auto, auto) { return false; });
        EXPECT_EQ(index.size(), before + committed);
        labels.resize(committed);
        index.remove(labels);
      }
      std::vector<std::uint64_t> labels(n);
      for (std::size_t j = 0; j < n; ++j) labels[j] = first + j;
      index.add(data.slice(first, n), labels);
      if (step % 3 == 1) index.remove(std::vector<std::uint64_t>{first});
      if (step % 11 == 7) index.flush();
      first += n;
    }
    expect_sound(index.audit());
    digests[certificates ? 1 : 0] = index.digest();
  }
  EXPECT_EQ(digests[0], digests[1]);
}

// The first vectors are bytes; those that are not come when the tail is full of bytes.
TEST_P(Certificates, ChangeNoIndexWhoseBytesTurnToFloats) {
  Matrix data = make_data(Shape::u8, 900, 136);
  data.row(700)[3] = 0.5F;
  std::string digests[2];
  for (const bool certificates : {false, true}) {
    IndexParams bytes = params();
    bytes.dimension = 136;
    Index index(bytes, options_with(certificates));
    for (std::size_t first = 0; first < data.rows; first += 50) index.add(data.slice(first, 50));
    digests[certificates ? 1 : 0] = index.digest();
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST_P(Certificates, ChangeNoIndexOfSixteenBitsOrWithCodes) {
  const Matrix data = make_data(Shape::clustered, scaled(kRows, 500), 130);
  for (const Storage storage : {Storage::f32, Storage::f16, Storage::bf16}) {
    IndexParams kept = params();
    kept.storage = storage;
    kept.codes = storage == Storage::f16 ? Codes::none : Codes::sq8;
    Index without(kept, options_with(false));
    Index with(kept, options_with(true, 3));
    without.add(data.view());
    for (std::size_t first = 0; first < data.rows; first += 77) {
      with.add(data.slice(first, std::min<std::size_t>(77, data.rows - first)));
    }
    EXPECT_EQ(with.digest(), without.digest()) << to_string(storage);
    if (are_used()) {
      EXPECT_LT(with.stats().build.distances, without.stats().build.distances);
    }
  }
}

TEST_P(Certificates, ChangeNoIndexThatWasLoaded) {
  const Matrix data = make_data(Shape::clustered, 900, 130);
  Index all(params(), options_with(false));
  all.add(data.view());
  const TempPath file;
  {
    Index first(params(), options_with(true));
    first.add(data.slice(0, 531));
    first.save(file);
  }
  Index loaded = Index::load(file, options_with(true));
  for (std::size_t r = 531; r < data.rows; r += 41) {
    loaded.add(data.slice(r, std::min<std::size_t>(41, data.rows - r)));
  }
  EXPECT_EQ(loaded.digest(), all.digest());
}

TEST_P(Certificates, TakeMemoryThatIsCountedAndGivenBack) {
  if (!are_used()) GTEST_SKIP() << "no instruction multiplies and adds bytes";
  const Matrix data = make_data(Shape::random, 900, 130);
  Index without(params(), options_with(false));
  Index with(params(), options_with(true));
  without.add(data.view());
  with.add(data.view());
  const std::uint64_t codes = with.memory().epoch - without.memory().epoch;
  EXPECT_GE(codes, 200u * 132);
  EXPECT_LE(codes, 2 * 416u * (132 + 20)) << "two epochs and a group, and room to grow";
  with.set_runtime(options_with(false));
  EXPECT_EQ(with.memory().epoch, without.memory().epoch);
}

INSTANTIATE_TEST_SUITE_P(All, Certificates, testing::ValuesIn(kAllMetrics));

}  // namespace
}  // namespace concord::test
