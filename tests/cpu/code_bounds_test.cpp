// Bounds from codes: never above the canonical distance, whatever the vectors; near it where it
// matters; the same from every instruction set. Proposals are the same with codes and without.

#include "cpu/code_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/isa.hpp"
#include "cpu/tail_codes.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::cpu {
namespace {

using core::NodeId;
using test::Matrix;

std::vector<BoundBlock> all_bounds() {
  std::vector<BoundBlock> bounds{scalar_bounds};
  for (const DistanceKernels* const kernels : compiled_kernels()) {
    const BoundBlock own = is_supported(*kernels) ? bounds_beside(*kernels) : nullptr;
    if (own != nullptr) bounds.push_back(own);
  }
  return bounds;
}

IndexParams params_of(std::size_t dimension, Metric metric) {
  return test::make_params(static_cast<std::uint32_t>(dimension), 4, 20, 64, metric);
}

// Vectors as floats, with the codes of all of them.
struct World {
  World(const Matrix& data, Metric metric, BoundBlock bounds)
      : vectors(params_of(data.cols, metric)), codes(metric, bounds), count(data.rows) {
    // Floats from the first vector on: a half is no byte.
    vectors.resize(data.rows + 1);
    Matrix half(1, data.cols);
    half.values[0] = 0.5F;
    vectors.write(0, half.view(), pool);
    vectors.write(0, data.view(), pool);
    EXPECT_TRUE(codes.hold(vectors, 0, static_cast<NodeId>(count), pool));
  }

  // Bounds of `id` to all vectors, with its error times `share`.
  std::vector<float> bounds_of(NodeId id, float share = 1) {
    std::vector<std::int8_t> buffer(codes.query_bytes());
    CodeQuery query = codes.query(id, buffer.data());
    query.error *= share;
    std::vector<float> out((count + kCodeGroup - 1) / kCodeGroup * kCodeGroup);
    codes.bound(&query, 1, 0, count, out.data(), out.size());
    return out;
  }
  std::vector<float> distances_of(NodeId id, Metric metric) const {
    std::vector<float> out(count);
    const Scorer scorer(vectors, for_metric(choose_kernels(), metric));
    scorer.score_block(scorer.as_query(id, nullptr), 1, 0, count, out.data(), count);
    return out;
  }

  core::ThreadPool pool{1};
  core::VectorStore vectors;
  TailCodes codes;
  std::size_t count;
};

// Compares the bounds of all pairs with their distances; returns the largest bound / distance.
double expect_below(const Matrix& data, Metric metric, const std::string& what) {
  double nearest = 0;
  for (const BoundBlock bounds : all_bounds()) {
    World world(data, metric, bounds);
    for (NodeId id = 0; id < data.rows; ++id) {
      const std::vector<float> least = world.bounds_of(id);
      const std::vector<float> distances = world.distances_of(id, metric);
      for (std::size_t j = 0; j < data.rows; ++j) {
        EXPECT_LE(least[j], distances[j]) << what << ' ' << to_string(metric) << " d " << data.cols
                                          << " pair " << id << ", " << j;
        if (least[j] > distances[j]) return nearest;
        if (distances[j] > 0) nearest = std::max(nearest, double{least[j]} / distances[j]);
      }
    }
  }
  return nearest;
}

const std::size_t kDimensions[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 33, 64, 100, 129, 384, 960};

TEST(CodeBounds, AreBelowTheDistancesOfEveryShapeOfData) {
  for (const std::size_t dimension : kDimensions) {
    for (const test::Shape shape : test::kAllShapes) {
      const Matrix data = test::make_data(shape, 40, dimension);
      for (const Metric metric : test::kAllMetrics) {
        expect_below(data, metric, test::to_string(shape));
        if (HasFailure()) return;
      }
    }
  }
}

// Rows that are one vector but for some last bits: distances of a few units in the last place.
TEST(CodeBounds, AreBelowTheDistancesOfNearlyEqualVectors) {
  for (const std::size_t dimension : kDimensions) {
    for (const float size : {1e-14F, 1e-3F, 1.0F, 300.0F, 1e17F}) {
      Matrix data(48, dimension);
      for (std::size_t r = 0; r < data.rows; ++r) {
        for (std::size_t e = 0; e < dimension; ++e) {
          float x = size * (1 + test::hashed_float(5, e, 0) / 16);
          for (std::uint64_t n = test::hash(6, r, e) % 4; n > 0; --n) x = std::nextafter(x, 1e30F);
          data.row(r)[e] = x;
        }
      }
      for (const Metric metric : test::kAllMetrics) {
        expect_below(data, metric, "nearly equal");
        if (HasFailure()) return;
      }
    }
  }
}

TEST(CodeBounds, AreBelowTheDistancesOfDenormalsAndMixedMagnitudes) {
  for (const std::size_t dimension : kDimensions) {
    for (const float size : {1e-45F, 1e-40F, 1e-30F, 1e-20F, 1e10F}) {
      Matrix data(40, dimension);
      for (std::size_t r = 0; r < data.rows; ++r) {
        // Every third vector is small, so that all share a centre that suits few.
        const float factor = r % 3 == 0 ? 1 : size;
        for (std::size_t e = 0; e < dimension; ++e) {
          data.row(r)[e] = test::hashed_float(7, r, e) * factor;
        }
      }
      for (const Metric metric : {Metric::inner_product, Metric::cosine}) {
        expect_below(data, metric, "mixed");
        if (HasFailure()) return;
      }
    }
  }
}

// The worst that can happen: both errors point along the difference, towards one another, so that
// the triangle inequality is an equation and only the margin for rounding is left. Rows 2i and
// 2i + 1 are such a pair: codes on a grid, some of which differ by the same number of steps, moved
// by almost half a step.
Matrix tight_pairs(std::size_t dimension, std::uint64_t seed, float step) {
  Matrix data(64, dimension);
  for (std::size_t r = 0; r < data.rows; r += 2) {
    const auto apart = static_cast<int>(1 + test::hash(seed, r, 1) % 60);
    const std::uint64_t differ = 1 + test::hash(seed, r, 2) % 8;  // one element in so many
    for (std::size_t e = 0; e < dimension; ++e) {
      const std::uint64_t random = test::hash(seed, r, e + 3);
      int code = static_cast<int>(random % 121) - 60;
      if (e == 0) code = 127;  // these two decide the scale and the centre
      if (e == 1) code = -127;
      const float x = static_cast<float>(code) * step;
      data.row(r)[e] = data.row(r + 1)[e] = x;
      if (e < 2 || (random >> 32) % differ != 0) continue;
      data.row(r)[e] = x + 0.4999F * step;
      data.row(r + 1)[e] = x + (static_cast<float>(apart) + 0.5001F) * step;
    }
  }
  return data;
}

TEST(CodeBounds, WithstandErrorsThatPointTowardsOneAnother) {
  double nearest = 0;
  for (const std::size_t dimension : {3u, 4u, 9u, 32u, 100u, 384u, 800u}) {
    for (std::uint64_t seed = 1; seed <= test::scaled(12, 2); ++seed) {
      for (const float step : {0x1p-7F, 1.0F, 0x1p40F}) {
        const Matrix data = tight_pairs(dimension, seed, step);
        for (const Metric metric : test::kAllMetrics) {
          const double found = expect_below(data, metric, "tight");
          if (metric == Metric::l2sq) nearest = std::max(nearest, found);
          if (HasFailure()) return;
        }
      }
    }
  }
  EXPECT_GT(nearest, 0.999) << "the attack must come near";
}

// The attack above finds a bound that is wrong by as little as one hundredth of one error.
TEST(CodeBounds, AreAttackedWellEnoughToFindAWrongOne) {
  std::size_t above = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Matrix data = tight_pairs(16, seed, 1.0F);
    World world(data, Metric::l2sq, scalar_bounds);
    for (NodeId id = 0; id < data.rows; ++id) {
      const std::vector<float> wrong = world.bounds_of(id, 0.99F);
      const std::vector<float> distances = world.distances_of(id, Metric::l2sq);
      for (std::size_t j = 0; j < data.rows; ++j) above += wrong[j] > distances[j] ? 1 : 0;
    }
  }
  EXPECT_GT(above, 0u);
}

// Far vectors of ordinary data are rejected: a bound of nothing would pass all tests above.
TEST(CodeBounds, AreNearTheDistancesOfOrdinaryData) {
  for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
    const Matrix data = test::make_data(test::Shape::random, 60, 200);
    World world(data, metric, scalar_bounds);
    for (NodeId id = 0; id < data.rows; ++id) {
      const std::vector<float> least = world.bounds_of(id);
      const std::vector<float> distances = world.distances_of(id, metric);
      for (std::size_t j = 0; j < data.rows; ++j) {
        if (j != id) {
          EXPECT_GT(least[j], 0.97F * distances[j]);
        }
      }
    }
  }
}

TEST(CodeBounds, HaveTheSameBitsFromEveryInstructionSet) {
  if (all_bounds().size() < 2) GTEST_SKIP() << "no instruction multiplies and adds bytes";
  for (const std::size_t dimension : kDimensions) {
    const Matrix data = test::make_data(test::Shape::clustered, 150, dimension);
    World world(data, Metric::cosine, all_bounds().back());
    TailCodes oracle(Metric::cosine, scalar_bounds);
    ASSERT_TRUE(oracle.hold(world.vectors, 0, 150, world.pool));
    for (const std::size_t count : {1u, 2u, 3u, 4u, 7u}) {
      std::vector<std::int8_t> buffer(count * world.codes.query_bytes());
      std::vector<CodeQuery> queries;
      for (std::size_t i = 0; i < count; ++i) {
        queries.push_back(
            world.codes.query(static_cast<NodeId>(i * 20), &buffer[i * world.codes.query_bytes()]));
      }
      for (const std::size_t n : {0u, 1u, 15u, 16u, 17u, 64u, 65u, 134u}) {
        std::vector<float> got(count * 160, -7.0F);
        std::vector<float> expected = got;
        world.codes.bound(queries.data(), count, 16, n, got.data(), 160);
        oracle.bound(queries.data(), count, 16, n, expected.data(), 160);
        ASSERT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
            << "d " << dimension << ' ' << count << " × " << n;
      }
    }
  }
}

// However the window moves, the codes in it are those that their vectors have.
TEST(TailCodes, AreThoseOfTheirVectorsHoweverTheWindowMoves) {
  const Matrix data = test::make_data(test::Shape::clustered, 400, 37);
  World all(data, Metric::l2sq, scalar_bounds);
  TailCodes codes(Metric::l2sq, scalar_bounds);
  core::ThreadPool pool(3);
  const auto expect_same = [&](NodeId begin, NodeId end) {
    ASSERT_LE(codes.first(), begin);
    ASSERT_LT(begin - codes.first(), kCodeGroup);
    std::vector<std::int8_t> buffer(codes.query_bytes());
    std::vector<float> out(400);
    const CodeQuery query = codes.query(end - 1, buffer.data());
    codes.bound(&query, 1, 0, end - codes.first(), out.data(), out.size());
    std::vector<float> expected = all.bounds_of(end - 1);
    for (NodeId id = begin; id < end; ++id) {
      ASSERT_EQ(out[id - codes.first()], expected[id]) << begin << ' ' << end << ' ' << id;
    }
  };
  NodeId begin = 0;
  NodeId end = 64;  // as many as decide the centre
  ASSERT_TRUE(codes.hold(all.vectors, begin, end, pool));
  for (std::uint64_t move = 0; end < 400; ++move) {
    const std::uint64_t random = test::hash(move, 3);
    if (random % 7 == 0) codes.truncate(std::max(begin + 1, end - 5));
    end = std::min<NodeId>(400, end + static_cast<NodeId>(random / 7 % 40));
    begin = std::min<NodeId>(end - 1, begin + static_cast<NodeId>(random / 280 % 30));
    ASSERT_TRUE(codes.hold(all.vectors, begin, end, pool));
    expect_same(begin, end);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(codes.bytes(), 0u);
  codes.truncate(begin);
  codes.clear();
  EXPECT_EQ(codes.bytes(), 0u);
  ASSERT_TRUE(codes.hold(all.vectors, 390, 395, pool));
  EXPECT_EQ(codes.first(), 390u);
}

TEST(CpuProposer, ProposesTheSameWithCodesAndWithout) {
  for (const Metric metric : test::kAllMetrics) {
    for (const test::Shape shape :
         {test::Shape::random, test::Shape::clustered, test::Shape::duplicate}) {
      const Matrix data = test::make_data(shape, 700, 130);
      test::GraphBuilder builder(test::make_params(130, 5, 15, 128, metric), data, 2);
      BuildStats stats;
      TailCodes codes(metric, scalar_bounds);
      CpuProposer with_codes(builder.contents, for_metric(choose_kernels(), metric), builder.pool,
                             stats, &codes);
      while (builder.graph.size() < 700) {
        const core::Epoch& epoch = builder.graph.epoch();
        const NodeId begin = builder.graph.size();
        const NodeId end = std::min<NodeId>(epoch.end, 700);
        const core::ProposalBatch expected = builder.propose(epoch, begin, end);
        with_codes.start(epoch, begin, end, {});
        ASSERT_EQ(with_codes.finish({})->ids, expected.ids)
            << to_string(metric) << ' ' << test::to_string(shape) << ' ' << begin;
        builder.commit(expected);
        builder.seal_if_due();
      }
      EXPECT_LT(stats.tail.count, builder.stats.tail.count) << "codes reject some";
    }
  }
}

}  // namespace
}  // namespace concord::cpu
