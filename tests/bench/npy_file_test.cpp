// numpy's .npy: every type and order of elements comes in as the same matrix; what is cut, too
// large or of another kind is refused by name.
#include "bench/tool/npy_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/bench/temp_dir.hpp"

namespace concord::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kAll = ~std::size_t{0};

std::string header(const std::string& text, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  for (std::size_t shift = 0; shift < (version == 1 ? 2 : 4) * 8; shift += 8) {
    bytes += static_cast<char>(text.size() >> shift);
  }
  return bytes + text;
}

std::string dictionary(const std::string& type, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

template <class T>
std::string array_of(const std::string& type, const std::vector<T>& values,
                     const std::string& shape = "(2, 3)", bool fortran = false) {
  return header(dictionary(type, shape, fortran)) +
         std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

FloatMatrix read(std::string bytes, std::size_t limit = kAll) {
  std::FILE* const file = fmemopen(bytes.data(), bytes.size(), "rb");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> closed(file, std::fclose);
  return read_npy(file, bytes.size(), limit, "v.npy");
}

std::string refusal(const std::string& bytes) {
  return message_of<InputError>([&] { (void)read(bytes); });
}

template <class T>
void expect_read(const std::string& type) {
  const FloatMatrix matrix = read(array_of<T>(type, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(matrix.rows, 2U) << type;
  EXPECT_EQ(matrix.cols, 3U) << type;
  EXPECT_THAT(matrix.values, ElementsAre(1, 2, 3, 4, 5, 6)) << type;
}

TEST(Npy, ReadsEveryType) {
  expect_read<float>("<f4");
  expect_read<double>("<f8");
  expect_read<std::int8_t>("|i1");
  expect_read<std::uint8_t>("|u1");
  expect_read<std::int16_t>("<i2");
  expect_read<std::uint16_t>("<u2");
  expect_read<std::int32_t>("<i4");
  expect_read<std::uint32_t>("<u4");
  expect_read<std::int64_t>("<i8");
  expect_read<std::uint64_t>("<u8");
}

TEST(Npy, ReadsHalvesOfAllKinds) {
  const std::vector<std::uint16_t> halves{0x0000, 0x8000, 0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7C00};
  const FloatMatrix matrix = read(array_of("<f2", halves, "(1, 7)"));
  EXPECT_THAT(matrix.values, ElementsAre(0.0F, -0.0F, 1.0F, -2.0F, std::ldexp(1.0F, -24), 65504.0F,
                                         std::numeric_limits<float>::infinity()));
  EXPECT_TRUE(std::isnan(read(array_of<std::uint16_t>("<f2", {0x7E00}, "(1, 1)")).values[0]));
}

TEST(Npy, ReadsFortranOrderAndALimit) {
  const std::vector<float> columns{1, 4, 2, 5, 3, 6};
  EXPECT_THAT(read(array_of("<f4", columns, "(2, 3)", true)).values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(read(array_of("<f4", columns, "(2, 3)", true), 1).values, ElementsAre(1, 2, 3));
  EXPECT_THAT(read(array_of("<f4", columns, "(3, 2)"), 1).values, ElementsAre(1, 4));
  EXPECT_TRUE(read(array_of<float>("<f4", {}, "(0, 5)")).empty());
}

TEST(Npy, ReadsLaterVersions) {
  for (const char version : {'\2', '\3'}) {
    const std::string bytes = header(dictionary("|u1", "(1, 2)"), version) + "\x05\x06";
    EXPECT_THAT(read(bytes).values, ElementsAre(5, 6));
  }
  EXPECT_THAT(refusal(header(dictionary("|u1", "(1, 2)"), '\4')), HasSubstr("version"));
}

TEST(Npy, EveryTruncationIsAnError) {
  const std::string whole = array_of<float>("<f4", {1, 2, 3, 4, 5, 6});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_THAT(refusal(whole.substr(0, size)), HasSubstr("v.npy: ")) << size;
  }
}

TEST(Npy, IntegersThatNoFloatHoldsAreRefused) {
  EXPECT_THAT(read(array_of<std::int64_t>("<i8", {1LL << 60, -(1LL << 24)}, "(1, 2)")).values,
              ElementsAre(std::ldexp(1.0F, 60), -std::ldexp(1.0F, 24)));
  for (const std::int64_t value :
       {std::int64_t{(1 << 24) + 1}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_THAT(refusal(array_of<std::int64_t>("<i8", {0, value}, "(1, 2)")),
                HasSubstr("element 1 is an integer that no 32-bit float holds"));
  }
}

TEST(Npy, OtherArraysSayWhatIsAllowed) {
  const auto with = [](const std::string& type, const std::string& shape) {
    return refusal(header(dictionary(type, shape)) + std::string(100, '\0'));
  };
  EXPECT_THAT(with(">f4", "(2, 3)"), HasSubstr("type >f4; allowed are little-endian"));
  EXPECT_THAT(with("|O", "(2, 3)"), HasSubstr("type |O"));
  EXPECT_THAT(with("<f4", "(6,)"), HasSubstr("1 dimensions, not 2"));
  EXPECT_THAT(with("<f4", "(1, 2, 3)"), HasSubstr("3 dimensions"));
  EXPECT_THAT(with("<f4", "(a, b)"), HasSubstr("not of numbers"));
  EXPECT_THAT(with("<f4", "(9, 0)"), HasSubstr("no columns"));
  EXPECT_THAT(with("<f4", "(99999999999999, 99999999999999)"), HasSubstr("do not fit in memory"));
  EXPECT_THAT(with("<f4", "(999999999, 999999999)"), HasSubstr("truncated: its header states"));
  EXPECT_THAT(refusal(header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}")),
              HasSubstr("records"));
  EXPECT_THAT(refusal(header("{}")), HasSubstr("'descr'"));
  EXPECT_THAT(refusal("nothing of numpy"), HasSubstr("is not a .npy file"));
}

}  // namespace
}  // namespace concord::bench
