// A query has the distances of floats in whatever form it is compared.

#include "cpu/scorer.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::Element;

constexpr std::size_t kRows = 7;

// Rows that are kept as `element`, at its extremes and between.
test::Matrix rows_of(Element element, std::size_t dimension) {
  test::Matrix rows(kRows, dimension);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t e = 0; e < dimension; ++e) {
      const std::uint64_t random = test::hash(r, e, 3);
      const int byte = r == 0 ? 0 : r == 1 ? 255 : static_cast<int>(random % 256);
      const float offset = element == Element::i8 ? -128.0F : 0.0F;
      const float part = element == Element::f32 ? 0.25F : 0.0F;
      rows.row(r)[e] = static_cast<float>(byte) + offset + part;
    }
  }
  return rows;
}

struct Form {
  std::string name;
  float at_first;       ///< element 0 of the query; the others are 0 to 127
  Element wide_enough;  ///< f32 where no byte holds it
};

TEST(Scorer, ComparesEveryFormOfAQueryAsFloatsWouldBe) {
  const Form forms[] = {{"whole", 127, Element::i8},         {"of u8", 255, Element::u8},
                        {"negative", -128, Element::i8},     {"below", -129, Element::f32},
                        {"above", 256, Element::f32},        {"between", 3.5F, Element::f32},
                        {"minus zero", -0.0F, Element::f32}, {"huge", 1e15F, Element::f32}};
  core::ThreadPool pool(1);
  for (const Element element : {Element::u8, Element::i8, Element::f32}) {
    for (const std::uint32_t dimension : {1u, 17u, 128u, 1023u, 1024u, 1025u, 2000u}) {
      IndexParams params = test::make_params(dimension, 16, 10, 16);
      for (const Metric metric : {Metric::l2sq, Metric::inner_product}) {
        params.metric = metric;
        core::VectorStore store(params);
        const test::Matrix rows = rows_of(element, dimension);
        store.resize(kRows);
        store.write(0, rows.view(), pool);
        ASSERT_EQ(store.element(), element);
        std::vector<float> as_floats(kRows * store.stride());
        store.copy(0, kRows, as_floats.data());
        for (const Form& form : forms) {
          std::vector<float> query(store.stride());
          for (std::uint32_t e = 0; e < dimension; ++e) {
            query[e] = static_cast<float>(test::hash(e, 5) % 128);
          }
          query[0] = form.at_first;
          std::vector<float> expected(kRows);
          for_metric(kScalarKernels, metric)
              .f32.range(query.data(), as_floats.data(), store.stride(), kRows, expected.data());
          for (const std::string& isa : test::supported_isas()) {
            const Scorer scorer(store, for_metric(kernels_named(isa), metric));
            std::vector<std::uint8_t> buffer(store.stride());
            const Query prepared = scorer.as_query(query.data(), buffer.data());
            const bool by_bytes = prepared.vector == buffer.data();
            const bool may_be =
                form.wide_enough == element || (form.name == "whole" && element == Element::u8);
            EXPECT_EQ(by_bytes, element != Element::f32 && may_be && store.stride() <= 1024)
                << form.name << ", dimension " << dimension;
            std::vector<float> got(kRows);
            scorer.score_block(prepared, 1, 0, kRows, got.data(), kRows);
            ASSERT_EQ(std::memcmp(got.data(), expected.data(), kRows * sizeof(float)), 0)
                << form.name << ' ' << isa << ' ' << to_string(metric) << ' ' << dimension;
          }
        }
      }
    }
  }
}

TEST(Scorer, ComparesStoredVectorsAsFloatsWouldBe) {
  core::ThreadPool pool(1);
  for (const Element element : {Element::u8, Element::i8, Element::f32}) {
    for (const std::uint32_t dimension : {3u, 1024u, 1032u}) {
      core::VectorStore store(test::make_params(dimension, 16, 10, 16));
      store.resize(kRows);
      store.write(0, rows_of(element, dimension).view(), pool);
      std::vector<float> as_floats(kRows * store.stride());
      store.copy(0, kRows, as_floats.data());
      for (const std::string& isa : test::supported_isas()) {
        const Scorer scorer(store, for_metric(kernels_named(isa), Metric::l2sq));
        for (core::NodeId id = 0; id < kRows; ++id) {
          std::vector<float> expected(kRows);
          kScalarKernels.l2sq.f32.range(&as_floats[id * store.stride()], as_floats.data(),
                                        store.stride(), kRows, expected.data());
          std::vector<float> buffer(store.stride());
          std::vector<float> got(kRows);
          scorer.score_block(scorer.as_query(id, buffer.data()), 1, 0, kRows, got.data(), kRows);
          ASSERT_EQ(got, expected) << isa << ' ' << dimension;
          EXPECT_EQ(got[id], 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace concord::cpu
