// The wall between C++ and C from the inside: every exception becomes a status, and the C interface
// gives the bytes of C++.

#include "common/capi/guard.hpp"

#include <concord/concord.h>
#include <gtest/gtest.h>

#include <concord/index.hpp>
#include <new>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/support/data_sets.hpp"

namespace concord {
namespace {

TEST(Guard, EveryErrorCodeHasAStatusOfTheSameName) {
  std::set<concord_status> statuses;
  for (int number = 0; number <= static_cast<int>(ErrorCode::unknown_preset); ++number) {
    const auto code = static_cast<ErrorCode>(number);
    const concord_status status =
        capi::guarded([&] { throw Error(code, "what was wrong", number); });
    EXPECT_STREQ(concord_status_name(status), to_string(code));
    EXPECT_STREQ(concord_last_error(), "what was wrong");
    EXPECT_EQ(concord_last_system_error(), number);
    EXPECT_NE(status, CONCORD_ERROR_INTERNAL);
    statuses.insert(status);
  }
  EXPECT_EQ(statuses.size(), static_cast<std::size_t>(ErrorCode::unknown_preset) + 1);
  // A code that was added behind the last one would have a name, and no status.
  EXPECT_STREQ(to_string(static_cast<ErrorCode>(statuses.size())), "unknown");
}

TEST(Guard, NothingIsThrownIntoTheCaller) {
  EXPECT_EQ(capi::guarded([] { throw std::bad_alloc(); }), CONCORD_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(capi::guarded([] { std::vector<float>().reserve(~std::size_t{0}); }),
            CONCORD_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(capi::guarded([] { throw std::logic_error("odd"); }), CONCORD_ERROR_INTERNAL);
  EXPECT_STREQ(concord_last_error(), "odd");
  EXPECT_EQ(concord_last_system_error(), 0);
  EXPECT_EQ(capi::guarded([] { throw 7; }),
            CONCORD_ERROR_INTERNAL);  // NOLINT: what is no exception
  EXPECT_EQ(capi::guarded([] { throw capi::Cancelled("sink"); }), CONCORD_ERROR_CANCELLED);
  EXPECT_EQ(capi::guarded([] { throw capi::BufferTooSmall("x"); }), CONCORD_ERROR_BUFFER_TOO_SMALL);
  EXPECT_EQ(capi::guarded([] {}), CONCORD_OK);
}

// A callback written in C++ may not throw; if it does, the index is as it was.
TEST(Guard, ACallbackThatThrowsIsAnError) {
  concord_index_params params;
  concord_index_params_init(&params, sizeof params);
  params.dimension = 4;
  concord_index* index = nullptr;
  ASSERT_EQ(concord_index_create(&params, nullptr, &index), CONCORD_OK);
  const auto source = [](void*, std::size_t, concord_matrix*) -> int {
    throw std::runtime_error("thrown by a callback");
  };
  EXPECT_EQ(concord_index_add_from(index, source, nullptr, 5, nullptr, nullptr, nullptr, nullptr),
            CONCORD_ERROR_INTERNAL);
  EXPECT_STREQ(concord_last_error(), "thrown by a callback");
  EXPECT_EQ(concord_index_size(index), 0u);
  concord_index_free(index);
}

TEST(CInterface, GivesTheDigestOfCpp) {
  const auto data = test::make_data(test::Shape::random, 200, 6);
  Index expected({.dimension = 6, .metric = Metric::cosine});
  expected.add(data.view());

  concord_index_params params;
  concord_index_params_init(&params, sizeof params);
  params.dimension = 6;
  params.metric = CONCORD_METRIC_COSINE;
  concord_index* index = nullptr;
  ASSERT_EQ(concord_index_create(&params, nullptr, &index), CONCORD_OK);
  const concord_matrix rows = {data.view().data, 200, 6, 0, CONCORD_ELEMENT_F32, 0};
  EXPECT_EQ(concord_index_add(index, &rows, nullptr, nullptr, nullptr, nullptr), CONCORD_OK);
  char digest[CONCORD_DIGEST_SIZE];
  EXPECT_EQ(concord_index_digest(index, digest), CONCORD_OK);
  EXPECT_EQ(digest, expected.digest());
  concord_index_free(index);
}

// The numbers of C's enumerations are those of C++.
TEST(CInterface, NumbersOfEnumerations) {
  EXPECT_EQ(CONCORD_METRIC_L2SQ, static_cast<int>(Metric::l2sq));
  EXPECT_EQ(CONCORD_METRIC_INNER_PRODUCT, static_cast<int>(Metric::inner_product));
  EXPECT_EQ(CONCORD_METRIC_COSINE, static_cast<int>(Metric::cosine));
  EXPECT_EQ(CONCORD_STORAGE_AUTOMATIC, static_cast<int>(Storage::automatic));
  EXPECT_EQ(CONCORD_STORAGE_F32, static_cast<int>(Storage::f32));
  EXPECT_EQ(CONCORD_STORAGE_F16, static_cast<int>(Storage::f16));
  EXPECT_EQ(CONCORD_STORAGE_BF16, static_cast<int>(Storage::bf16));
  EXPECT_EQ(CONCORD_CODES_NONE, static_cast<int>(Codes::none));
  EXPECT_EQ(CONCORD_CODES_SQ8, static_cast<int>(Codes::sq8));
  EXPECT_EQ(CONCORD_CODES_SQ4, static_cast<int>(Codes::sq4));
  EXPECT_EQ(CONCORD_DURABILITY_SYNCED, static_cast<int>(Durability::synced));
  EXPECT_EQ(CONCORD_DURABILITY_SYSTEM, static_cast<int>(Durability::system));
  EXPECT_EQ(CONCORD_MAP_CHECK_ON_FIRST_USE, static_cast<int>(MapCheck::on_first_use));
  EXPECT_EQ(CONCORD_MAP_CHECK_ON_OPEN, static_cast<int>(MapCheck::on_open));
  EXPECT_EQ(CONCORD_REASON_RETURNED, static_cast<int>(Explanation::Reason::returned));
  EXPECT_EQ(CONCORD_REASON_FARTHER, static_cast<int>(Explanation::Reason::farther));
  EXPECT_EQ(CONCORD_REASON_DESCENT, static_cast<int>(Explanation::Reason::descent));
  EXPECT_EQ(CONCORD_REASON_LINKS, static_cast<int>(Explanation::Reason::links));
  EXPECT_EQ(CONCORD_REASON_FILTER, static_cast<int>(Explanation::Reason::filter));
  EXPECT_EQ(CONCORD_REASON_REMOVED, static_cast<int>(Explanation::Reason::removed));
  EXPECT_EQ(CONCORD_NO_LABEL, kNoLabel);
}

}  // namespace
}  // namespace concord
