// The scalar quantizer of an IndexHNSWSQ: forged fields are refused, and codes are the numbers that
// they stand for. python/tests/test_interchange.py compares with FAISS itself.

#include "tests/hostile/data_limit.hpp"
#include "tests/interchange/hostile_file.hpp"

namespace concord::test {
namespace {

TEST_F(HostileFile, ForgedFaissQuantizersAreRefusedByWhatTheyBreak) {
  const auto expect = [&](ErrorCode code, const char* message, std::size_t offset, auto value) {
    std::vector<char> forged = faiss_half_;
    write_at(forged, quantizer() + offset, value);
    SCOPED_TRACE(message);
    expect_refused(code, {message}, [&] { load_faiss(forged); });
  };
  using i32 = std::int32_t;
  using u64 = std::uint64_t;
  constexpr ErrorCode kCorrupt = ErrorCode::corrupt_file;
  for (const i32 kind : {-1, 1, 3, 6, 9, 1000}) {  // 1, 3 and 6 have fewer than 8 bits
    expect(ErrorCode::unsupported, "allowed are QT_8bit (0)", 0, kind);
  }
  expect(kCorrupt, "0 trained numbers instead of 6", 0, i32{0});
  expect(kCorrupt, "0 trained numbers instead of 2", 0, i32{2});
  expect(kCorrupt, "size of its vectors", 0, i32{5});
  for (const u64 dimension : {u64{0}, u64{kDimension + 1}, ~u64{0}}) {
    expect(kCorrupt, "size of its vectors", 12, dimension);
  }
  expect(kCorrupt, "size of its vectors", 20, u64{kDimension});
  expect(kCorrupt, "ends early", 28, ~u64{0});
  expect(kCorrupt, "trained numbers instead of 0", 28, u64{1});
  expect(kCorrupt, "size of its vectors", 36, u64{kRows * kDimension * 2 - 1});
  expect(kCorrupt, "vector 0 has an infinity", kQuantizerHeader, std::uint16_t{0x7C00});
  expect(kCorrupt, "vector 0 has NaN", kQuantizerHeader, std::uint16_t{0x7C01});
  expect(ErrorCode::unsupported, "'IxF2', not an IndexScalarQuantizer", 0 - kIndexHeader,
         std::array<char, 4>{'I', 'x', 'F', '2'});
  expect(kCorrupt, "disagree", 4 - kIndexHeader, i32{4});
}

/// `file` of halves, with codes of 8 bits between 0 and 255 in their place.
std::vector<char> of_eight_bits(const std::vector<char>& file, std::size_t quantizer, std::size_t n,
                                std::uint32_t dimension) {
  std::vector<char> bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(quantizer));
  bytes.resize(quantizer + kQuantizerHeader + 8 + n * dimension);
  write_at(bytes, quantizer, std::int32_t{2});  // QT_8bit_uniform
  write_at(bytes, quantizer + 12, std::uint64_t{dimension});
  write_at(bytes, quantizer + 20, std::uint64_t{dimension});
  write_at(bytes, quantizer + 28, std::uint64_t{2});
  write_at(bytes, quantizer + 36, 0.0F);
  write_at(bytes, quantizer + 40, 255.0F);
  write_at(bytes, quantizer + 44, std::uint64_t{n * dimension});
  for (std::size_t i = 0; i < n * dimension; ++i)
    bytes[quantizer + 52 + i] = static_cast<char>(hash(i, 0));
  return bytes;
}

TEST_F(HostileFile, CodesOfEightBitsAreTheFloatsTheyStandFor) {
  const Index index = load_faiss(of_eight_bits(faiss_half_, quantizer(), kRows, kDimension));
  expect_sound(index.audit());
  EXPECT_EQ(index.params().storage, Storage::f32);
  for (std::size_t i = 0; i < kRows * kDimension; ++i) {
    const auto code = static_cast<std::uint8_t>(hash(i, 0));
    EXPECT_EQ(index.vector(i / kDimension)[i % kDimension],
              (static_cast<float>(code) + 0.5F) / 255.0F * 255.0F)
        << i;
  }
}

// As concord/interchange.hpp says; floats of 8-bit codes take most.
TEST(ForeignFile, OfCodesTakesMemoryByItsLength) {
  for (const std::uint32_t dimension : {1u, 128u, 8000u}) {
    SCOPED_TRACE(testing::Message() << "dimension " << dimension);
    constexpr std::size_t kVectors = 2000;  // the wide ones have 16 MB of codes
    IndexParams params = make_params(dimension, 2, 8, 64);
    params.storage = Storage::f16;
    Index index(params, on_cpu());
    index.add(make_data(Shape::random, kVectors, dimension).view());
    const TempPath path;
    interchange::save_faiss(index, path);
    const std::vector<char> halves = read_file(path);
    const std::size_t quantizer = halves.size() - kVectors * dimension * 2 - kQuantizerHeader;
    for (const bool coded : {false, true}) {
      if (coded) write_file(path, of_eight_bits(halves, quantizer, kVectors, dimension));
      const std::size_t bound = 8 * std::filesystem::file_size(path) + (4u << 20);
      const DataLimit limit(bound);
      if (DataLimit::supported() && !DataLimit::refuses(2 * bound))
        GTEST_SKIP() << "this system does not enforce RLIMIT_DATA";
      for (const Adopt adopt : {Adopt::graph, Adopt::vectors})
        EXPECT_EQ(interchange::load_faiss(path, adopt, on_cpu()).size(), kVectors);
    }
  }
}

}  // namespace
}  // namespace concord::test
