// Vectors as they are stored: padded, normalised for cosine, refused where distances could fail.

#include "common/store/vector_store.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

using test::make_params;

// The rows that a store gives back, padding included.
std::vector<float> all_rows(const VectorStore& store, std::size_t rows) {
  std::vector<float> all(rows * store.stride());
  store.copy(0, rows, all.data());
  std::vector<float> buffer(store.stride());
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = store.read(r, buffer.data());
    EXPECT_EQ(std::memcmp(row, &all[r * store.stride()], store.stride() * sizeof(float)), 0);
  }
  return all;
}

void expect_holds(const VectorStore& store, const test::Matrix& data, std::size_t rows) {
  const std::vector<float> all = all_rows(store, rows);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::uint32_t e = 0; e < store.stride(); ++e) {
      const float expected = e < data.cols ? data.row(r)[e] : 0;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(all[r * store.stride() + e]),
                std::bit_cast<std::uint32_t>(expected))
          << "row " << r << " element " << e;
    }
  }
}

// Whole numbers from `least` on, 256 of them.
test::Matrix whole_numbers(std::size_t rows, std::size_t dimension, int least) {
  test::Matrix data(rows, dimension);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t e = 0; e < dimension; ++e) {
      data.row(r)[e] = static_cast<float>(least + static_cast<int>(test::hash(r, e) % 256));
    }
  }
  data.row(0)[0] = static_cast<float>(least);
  data.row(rows - 1)[dimension - 1] = static_cast<float>(least + 255);
  return data;
}

TEST(VectorStore, PadsWithZerosOverWhateverWasThere) {
  for (const std::uint32_t dimension : {1u, 7u, 8u, 9u, 33u}) {
    VectorStore store(make_params(dimension, 16, 10, 16));
    ThreadPool pool(2);
    EXPECT_EQ(store.stride() % 8, 0u);
    EXPECT_GE(store.stride(), dimension);
    EXPECT_LT(store.stride(), dimension + 8);
    store.resize(3);
    const std::vector<float> noise(3 * store.stride(), 99.5f);
    store.restore(0, 3, noise.data(), pool);
    const test::Matrix data = test::make_data(test::Shape::random, 3, dimension);
    store.write(0, data.view(), pool);
    expect_holds(store, data, 3);
  }
}

TEST(VectorStore, KeepsBytesAsBytes) {
  for (const std::uint32_t dimension : {1u, 8u, 31u, 128u}) {
    for (const auto& [least, element] : {std::pair{0, Element::u8}, std::pair{-128, Element::i8}}) {
      VectorStore store(make_params(dimension, 16, 10, 16));
      ThreadPool pool(2);
      const test::Matrix data = whole_numbers(1000, dimension, least);
      store.resize(1000);
      store.write(0, data.view(), pool);
      EXPECT_EQ(store.element(), element);
      EXPECT_EQ(store.row_bytes(), store.stride());
      EXPECT_EQ(store.bytes(), 1000u * store.stride());
      expect_holds(store, data, 1000);

      VectorStore restored(make_params(dimension, 16, 10, 16));
      restored.resize(1000);
      restored.restore(0, 1000, all_rows(store, 1000).data(), pool);
      EXPECT_EQ(restored.element(), element);
      expect_holds(restored, data, 1000);
    }
  }
}

// Each value, alone in the last row, for which bytes are not exact.
TEST(VectorStore, TurnsToFloatsForTheFirstVectorThatBytesCannotHold) {
  for (const int least : {0, -128}) {
    for (const float value :
         {0.5f, -0.0f, 256.0f, 255.00002f, -129.0f, 1e18f, -1e18f,
          std::numeric_limits<float>::denorm_min(), least == 0 ? 300.0f : 128.0f}) {
      VectorStore store(make_params(9, 16, 10, 16));
      ThreadPool pool(2);
      test::Matrix data = whole_numbers(600, 9, least);
      data.row(599)[8] = value;
      store.resize(500);
      store.write(0, {data.row(0), 500, 9}, pool);
      EXPECT_NE(store.element(), Element::f32);
      store.resize(600);
      store.write(500, {data.row(500), 100, 9}, pool);
      EXPECT_EQ(store.element(), Element::f32) << value;
      expect_holds(store, data, 600);
      store.resize(700);  // and goes on with them
      const test::Matrix more = whole_numbers(100, 9, 0);
      store.write(600, more.view(), pool);
      EXPECT_EQ(store.element(), Element::f32);
      std::vector<float> row(store.stride());
      store.copy(699, 1, row.data());
      EXPECT_EQ(row[8], more.row(99)[8]);
    }
  }
}

TEST(VectorStore, GivesBytesASignWhileThatChangesNone) {
  VectorStore store(make_params(3, 16, 10, 16));
  ThreadPool pool(1);
  test::Matrix data(3, 3);
  const float values[3][3] = {{0, 5, 127}, {-1, -128, 3}, {128, 0, 0}};
  for (std::size_t r = 0; r < 3; ++r) std::copy(values[r], values[r] + 3, data.row(r));
  const Element expected[3] = {Element::u8, Element::i8, Element::f32};
  for (std::size_t r = 0; r < 3; ++r) {
    store.resize(r + 1);
    store.write(r, {data.row(r), 1, 3}, pool);
    EXPECT_EQ(store.element(), expected[r]);
    expect_holds(store, data, r + 1);
  }
}

TEST(VectorStore, KeepsBytesWhenAVectorIsRefused) {
  VectorStore store(make_params(4, 16, 10, 16));
  ThreadPool pool(2);
  test::Matrix data = whole_numbers(20, 4, 0);
  store.resize(10);
  store.write(0, {data.row(0), 10, 4}, pool);
  data.row(15)[2] = std::numeric_limits<float>::quiet_NaN();
  store.resize(20);
  test::expect_error(ErrorCode::invalid_vector, {"vector 5", "NaN"}, [&] {
    store.write(10, {data.row(10), 10, 4}, pool);
  });
  store.resize(10);
  EXPECT_EQ(store.element(), Element::u8);
  expect_holds(store, data, 10);
}

// What a store says of its rows alone, and keeps when told to, whichever way it came to them.
TEST(VectorStore, SaysHowNarrowItsRowsCouldBe) {
  struct Way {
    int least;      ///< of the whole numbers that stay
    float passing;  ///< value of a row that comes and goes
    Element kept;   ///< then
    Element narrowest;
  };
  for (const Way& way :
       {Way{0, 7, Element::u8, Element::u8}, Way{0, 0.5f, Element::f32, Element::u8},
        Way{-128, 1, Element::i8, Element::i8}, Way{-128, 0.5f, Element::f32, Element::i8},
        Way{1000, 1, Element::f32, Element::f32}}) {
    VectorStore store(make_params(300, 16, 10, 16));
    ThreadPool pool(1);
    const test::Matrix data = whole_numbers(40, 300, way.least);
    store.resize(41);
    store.write(0, data.view(), pool);
    const std::vector<float> row(300, way.passing);
    store.write(40, {row.data(), 1, 300}, pool);
    EXPECT_EQ(store.element(), way.kept);
    store.resize(40);
    EXPECT_EQ(store.narrowest(40), way.narrowest);
    std::vector<std::uint8_t> buffer(store.stride());
    for (std::size_t r = 0; r < 40; ++r) {  // as the bytes that a narrow store has
      const void* const read = store.read_as(way.narrowest, r, 1, buffer.data());
      for (std::size_t e = 0; e < 300; ++e) {
        const float x = way.narrowest == Element::u8   ? static_cast<const std::uint8_t*>(read)[e]
                        : way.narrowest == Element::i8 ? static_cast<const std::int8_t*>(read)[e]
                                                       : static_cast<const float*>(read)[e];
        ASSERT_EQ(x, data.row(r)[e]);
      }
    }
    store.narrow();
    EXPECT_EQ(store.element(), way.narrowest);
    expect_holds(store, data, 40);
  }
  // A row of small numbers took a sign for one that is gone.
  VectorStore store(make_params(3, 16, 10, 16));
  ThreadPool pool(1);
  const float values[2][3] = {{0, 5, 127}, {-1, 2, 3}};
  store.resize(2);
  store.write(0, {values[0], 2, 3}, pool);
  store.resize(1);
  EXPECT_EQ(store.element(), Element::i8);
  EXPECT_EQ(store.narrowest(1), Element::u8);
  store.narrow();
  EXPECT_EQ(store.element(), Element::u8);
}

// Each 16-bit number, and as many floats, beside its neighbor, its negative and both zeros.
template <class Bits, class Number>
void expect_equal_as_numbers(Element element, Bits step) {
  const auto number = [](Bits bits) { return static_cast<float>(std::bit_cast<Number>(bits)); };
  constexpr Bits kSign = Bits{1} << (8 * sizeof(Bits) - 1);
  for (std::uint32_t i = 0; i < 1U << 16; ++i) {
    const auto a = static_cast<Bits>(i * step);
    for (const Bits b :
         {a, static_cast<Bits>(a + 1), static_cast<Bits>(a ^ kSign), Bits{0}, kSign}) {
      if (std::isnan(number(a)) || std::isnan(number(b))) continue;
      const Bits rows[2][3] = {{7, a, kSign}, {7, b, 0}};
      ASSERT_EQ(are_equal(element, rows[0], rows[1], 3), number(a) == number(b)) << a << " " << b;
      ASSERT_EQ(are_equal(element, rows[0], rows[1], 1), true);
    }
  }
}

TEST(Elements, AreEqualAsNumbers) {
  expect_equal_as_numbers<std::uint16_t, Half>(Element::f16, 1);
  expect_equal_as_numbers<std::uint16_t, BFloat16>(Element::bf16, 1);
  expect_equal_as_numbers<std::uint32_t, float>(Element::f32, 0xFFFB);
  const std::uint8_t bytes[2][3] = {{0, 128, 255}, {0, 128, 127}};
  for (const Element element : {Element::u8, Element::i8}) {
    EXPECT_TRUE(are_equal(element, bytes[0], bytes[1], 2));
    EXPECT_FALSE(are_equal(element, bytes[0], bytes[1], 3));
  }
}

TEST(VectorStore, NormalisesForCosineWhateverTheScale) {
  VectorStore store(make_params(3, 16, 10, 16, Metric::cosine));
  std::vector<float> out(store.stride());
  for (const float scale : {1e-44f, 1e-30f, 1.0f, 1e18f, 1e38f}) {
    const float vector[3] = {scale, -scale, scale};
    store.prepare(vector, out.data(), "vector", 0);
    double norm = 0;
    for (const float x : out) norm += double{x} * double{x};
    EXPECT_NEAR(norm, 1, 1e-6) << scale;
    EXPECT_EQ(out[0], -out[1]);
  }
  const float zero[3] = {0, 0, 0};
  store.prepare(zero, out.data(), "vector", 0);
  for (const float x : out) EXPECT_EQ(x, 0);
}

TEST(VectorStore, RefusesWhatWouldOverflowAndTakesWhatWouldNot) {
  for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
    VectorStore store(make_params(2, 16, 10, 16, metric));
    std::vector<float> out(store.stride());
    const auto limit = static_cast<float>(std::sqrt(kMaxSquaredNorm));
    const float below[2] = {std::nextafter(limit, 0.0f), 0};
    const float above[2] = {std::nextafter(limit, 1e38f) * 1.0001f, 0};
    store.prepare(below, out.data(), "vector", 0);
    test::expect_error(ErrorCode::invalid_vector, {"vector 7", "squared norm", "scale"},
                       [&] { store.prepare(above, out.data(), "vector", 7); });
  }
}

TEST(VectorStore, NamesTheFirstBadVectorWhicheverThreadFindsIt) {
  VectorStore store(make_params(4, 16, 10, 16));
  ThreadPool pool(4);
  test::Matrix data = test::make_data(test::Shape::random, 5000, 4);
  data.row(4999)[0] = std::numeric_limits<float>::infinity();
  data.row(1300)[2] = -std::numeric_limits<float>::infinity();
  data.row(700)[3] = std::numeric_limits<float>::quiet_NaN();
  data.row(701)[3] = std::numeric_limits<float>::quiet_NaN();
  store.resize(5000);
  for (int round = 0; round < 20; ++round) {
    test::expect_error(ErrorCode::invalid_vector, {"vector 700 ", "NaN", "element 3", "finite"},
                       [&] { store.write(0, data.view(), pool); });
  }
  data.row(700)[3] = data.row(701)[3] = 0;
  test::expect_error(ErrorCode::invalid_vector, {"vector 1300 ", "infinity", "element 2"},
                     [&] { store.write(0, data.view(), pool); });
}

TEST(VectorStore, RefusesOtherShapes) {
  const VectorStore store(make_params(4, 16, 10, 16));
  const float data[8] = {};
  test::expect_error(ErrorCode::dimension_mismatch, {"5 columns", "dimension 4"}, [&] {
    store.check_shape({data, 1, 5}, "vectors");
  });
  test::expect_error(ErrorCode::dimension_mismatch, {"2 columns", "transposed"}, [&] {
    store.check_shape({data, 4, 2}, "vectors");
  });
  test::expect_error(ErrorCode::dimension_mismatch, {"stride"}, [&] {
    store.check_shape({data, 2, 4, 3}, "vectors");
  });
  test::expect_error(ErrorCode::dimension_mismatch, {"data"}, [&] {
    store.check_shape({nullptr, 1, 4}, "vectors");
  });
  store.check_shape({nullptr, 0, 0}, "vectors");
}

}  // namespace
}  // namespace concord::core
