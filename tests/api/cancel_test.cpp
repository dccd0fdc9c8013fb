// Cancelling an add through its progress callback, at the level of the index.

#include <thread>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

TEST(Cancel, LeavesAValidIndexThatContinuesToTheSameDigest) {
  const std::size_t n = 900;
  const Matrix data = make_data(Shape::clustered, n, 6);
  std::vector<std::uint64_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = hash(4, i);
  const IndexParams params = make_params(6, 4, 20, 60);
  Index whole(params);
  whole.add(data.view(), labels);
  const std::string digest = whole.digest();

  for (const unsigned threads : {1u, 3u}) {
    RuntimeOptions options;
    options.threads = threads;
    for (const int stop_at : {1, 2, 4, 9, 20}) {
      Index index(params, options);
      int calls = 0;
      const std::size_t committed =
          index.add(data.view(), labels, [&](std::uint64_t, std::uint64_t) {
            std::this_thread::sleep_for(
                std::chrono::milliseconds(21));  // so that every question counts
            return ++calls < stop_at;
          });
      ASSERT_LT(committed, n);
      ASSERT_EQ(index.size(), committed);
      expect_sound(index.audit());
      // What was not committed is not there: neither its label nor its vector.
      ASSERT_EQ(index.labels().size(), committed);
      EXPECT_FALSE(index.contains(labels[committed]));
      if (committed > 0) {
        EXPECT_TRUE(index.contains(labels[committed - 1]));
        EXPECT_EQ(index.search(data.slice(0, 1)).counts[0], std::min<std::size_t>(10, committed));
      }
      Index prefix(params);
      prefix.add(data.slice(0, committed), std::span(labels).first(committed));
      EXPECT_EQ(index.digest(), prefix.digest());
      const TempPath path;
      index.save(path);
      Index loaded = Index::load(path);
      for (Index* again : {&index, &loaded}) {
        EXPECT_EQ(
            again->add(data.slice(committed, n - committed), std::span(labels).subspan(committed)),
            n - committed);
        EXPECT_EQ(again->digest(), digest);
      }
    }
  }
}

TEST(Cancel, AThrowingCallbackLeavesAValidIndex) {
  const Matrix data = make_data(Shape::random, 700, 4);
  Index whole(make_params(4, 4, 20, 60));
  whole.add(data.view());
  Index index(make_params(4, 4, 20, 60));
  int calls = 0;
  EXPECT_THROW(index.add(data.view(),
                         [&](std::uint64_t, std::uint64_t) -> bool {
                           std::this_thread::sleep_for(std::chrono::milliseconds(21));
                           if (++calls == 6) throw std::logic_error("callback");
                           return true;
                         }),
               std::logic_error);
  expect_sound(index.audit());
  const std::size_t size = index.size();
  EXPECT_LT(size, 700u);
  EXPECT_EQ(index.labels().size(), size);
  index.add(data.slice(size, 700 - size));
  EXPECT_EQ(index.digest(), whole.digest());
}

TEST(Cancel, ProgressCountsToTheTotalOfTheCall) {
  const Matrix data = make_data(Shape::random, 500, 4);
  Index index(make_params(4, 4, 20, 60));
  index.add(data.slice(0, 200));
  std::uint64_t last = 0;
  EXPECT_EQ(index.add(data.slice(200, 300),
                      [&](std::uint64_t done, std::uint64_t total) {
                        EXPECT_EQ(total, 300u);
                        EXPECT_GE(done, last);
                        last = done;
                        return true;
                      }),
            300u);
  EXPECT_EQ(last, 300u);
}

TEST(Callback, MayNotChangeTheIndexThatItIsAddedTo) {
  const Matrix data = make_data(Shape::random, 300, 4);
  RuntimeOptions options;
  options.threads = 3;
  Index index(make_params(4, 4, 20, 60), options);
  bool asked = false;
  index.add(data.view(), [&](std::uint64_t, std::uint64_t) {
    asked = true;
    const std::vector<std::string> words = {"callback"};
    expect_error(ErrorCode::invalid_parameter, words, [&] { index.add(data.slice(0, 1)); });
    expect_error(ErrorCode::invalid_parameter, words, [&] { index.set_runtime({}); });
    return true;
  });
  EXPECT_TRUE(asked);
  EXPECT_EQ(index.stats().threads, 3u);
  index.set_runtime({});
  EXPECT_EQ(index.size(), 300u);
}

}  // namespace
}  // namespace concord::test
