// Arithmetic beyond 2^31 and 2^32: rows far out in arrays of which only the pages touched exist.

#include <concord/error.hpp>

#include "common/graph/link_table.hpp"
#include "common/store/vector_store.hpp"
#include "tests/support/support.hpp"

namespace concord::core {
namespace {

/// Skips the test where the machine does not give so much address space or memory.
template <class Action>
bool has_room(const Action& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::out_of_memory || error.code() == ErrorCode::capacity);
    return false;
  }
}

TEST(LargeOffsets, VectorsBeyondFourBillionBytesAndTwoBillionElements) {
  IndexParams params;
  params.dimension = 65536;
  params.metric = Metric::cosine;  // kept as floats from the start: nothing is copied over
  VectorStore store(params);
  constexpr std::size_t kRows = 33000;
  if (!has_room([&] { store.resize(kRows); })) GTEST_SKIP() << "no room for 8.7 GB of addresses";
  static_assert(std::uint64_t{kRows} * 65536 > std::uint64_t{1} << 31);
  ThreadPool pool(1);
  std::vector<float> vector(params.dimension, 0.0f);
  std::vector<float> expected(store.stride());
  std::vector<float> buffer(store.stride());
  const auto row_of = [&](std::size_t row) {
    vector.assign(vector.size(), 0.0f);
    vector[row % 65536] = 3.0f;
    vector[65535] = 4.0f;
    return MatrixView<const float>(vector.data(), 1, params.dimension);
  };
  const std::size_t rows[] = {0, 1, 8191, 8192, 16383, 16384, 32767, 32768, kRows - 1};
  for (const std::size_t row : rows) store.write(row, row_of(row), pool);
  for (const std::size_t row : rows) {
    store.prepare(row_of(row).data, expected.data(), "query", row);
    const float* const found = store.read(row, buffer.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), found)) << row;
  }
}

TEST(LargeOffsets, RowsBeyondFourBillionBytes) {
  constexpr std::uint32_t kDegree = 128;
  constexpr std::size_t kRows = 8'200'000;
  LinkTable rows(kDegree);
  static_assert(std::uint64_t{kRows} * (kDegree + 4) * 4 > std::uint64_t{1} << 32);
  if (!has_room([&] { rows.resize(kRows); })) GTEST_SKIP() << "no room for 4.3 GB of addresses";
  const ListIndex some[] = {0, 1, 4'067'203, 4'067'204, 8'134'407, 8'134'408, kRows - 1};
  for (const ListIndex row : some) {
    rows.reserve_epoch(200, 1);
    for (NodeId id = 0; id < 200; ++id) rows.append(row, row + id, 1);
  }
  NodeId ids[2 * kDegree];
  for (const ListIndex row : some) {
    ASSERT_EQ(rows.read(row, ids), 200u);
    for (NodeId id = 0; id < 200; ++id) ASSERT_EQ(ids[id], row + id) << row;
  }
}

}  // namespace
}  // namespace concord::core
