// Files forged by one who knows the format, one to three forgeries at once, over files of every
// kind: refused, or another sound index, which is searched and grows. Loaded by several threads at
// once, each with threads of its own.

#include "tests/hostile/forger.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

RuntimeOptions on_cpu(unsigned threads) {
  RuntimeOptions options;
  options.threads = threads;
  options.device = "cpu";
  return options;
}

struct Base {
  std::size_t n;
  std::uint32_t dimension;
  Metric metric;
  std::uint32_t M;
  std::uint32_t epoch_limit;
  Shape shape;
  bool labelled;
};
constexpr Base kBases[] = {
    {60, 3, Metric::l2sq, 2, 4096, Shape::random, true},  // in the middle of an epoch
    {150, 5, Metric::inner_product, 3, 16, Shape::random, false},
    {64, 8, Metric::l2sq, 2, 8, Shape::clustered, true},  // at the end of one
    {90, 4, Metric::cosine, 4, 32, Shape::clustered, false},
    {70, 13, Metric::l2sq, 4, 32, Shape::u8, true},
    {300, 3, Metric::inner_product, 8, 1024, Shape::i8, false},
    {2, 1, Metric::l2sq, 2, 1, Shape::random, false},
};

constexpr std::size_t kGrown = 40;

std::vector<char> make_file(const Base& base) {
  const TempPath path;
  Index index(make_params(base.dimension, base.M, 12, base.epoch_limit, base.metric), on_cpu(1));
  const Matrix data = make_data(base.shape, base.n, base.dimension);
  std::vector<std::uint64_t> labels(base.labelled ? base.n : 0);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 1000 + 7 * i;
  base.labelled ? index.add(data.view(), labels) : index.add(data.view());
  index.save(path);
  return read_file(path);
}

/// Throws for an index that is unsound, or becomes so as it grows.
void use(Index& index) {
  const auto expect_ok = [](const AuditReport& report) {
    if (!report.ok) throw std::runtime_error("unsound: " + report.messages.at(0));
  };
  expect_ok(index.audit());
  const std::uint32_t dimension = index.params().dimension;
  const Matrix more = make_data(Shape::random, kGrown, dimension, 99);
  const auto k = static_cast<std::uint32_t>(std::min<std::size_t>(index.size(), 10));
  if (k > 0) {
    const SearchResult found = index.search(more.slice(0, 3), {.k = k, .ef = 20});
    if (found.counts.at(2) != k) throw std::runtime_error("a search found too little");
    if (index.exact_search(more.slice(0, 1), k).counts[0] != k) throw std::runtime_error("too few");
  }
  std::vector<std::uint64_t> labels(kGrown);
  for (std::size_t i = 0; i < kGrown; ++i) labels[i] = (std::uint64_t{1} << 61) + i;
  index.add(more.view(), labels);
  expect_ok(index.audit());
}

/// What became of a forged file: "" if it is another sound index, or the refusal.
std::string load(const std::filesystem::path& path, const std::vector<char>& bytes,
                 unsigned threads) {
  write_file(path, bytes);
  try {
    Index index = Index::load(path, on_cpu(threads));
    use(index);
    return {};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt_file) throw;
    return error.what();
  }
}

TEST(Forger, PutsAFileTogetherAsItWas) {
  for (const Base& base : kBases) {
    const std::vector<char> bytes = make_file(base);
    EXPECT_EQ(Pieces(bytes).assemble(), bytes);
  }
}

// Each by itself, where it must be seen.
TEST(Forger, EachForgeryThatBreaksAnIndexIsRefused) {
  const TempPath path;
  std::map<std::string, std::size_t> applied;
  for (const Base& base : kBases) {
    const std::vector<char> bytes = make_file(base);
    for (const Forgery& forgery : forgeries()) {
      if (!forgery.must_be_refused) continue;
      for (std::uint64_t seed = 0; seed < scaled(12, 2); ++seed) {
        SCOPED_TRACE(testing::Message() << forgery.name << ", " << base.n << " vectors, " << seed);
        Pieces pieces(bytes);
        Draws draws(seed);
        if (!forgery.apply(pieces, draws)) continue;
        const std::vector<char> forged = pieces.assemble();
        if (forged == bytes) continue;
        ++applied[forgery.name];
        ASSERT_NE(load(path, forged, 1 + static_cast<unsigned>(seed % 3)), "");
      }
    }
  }
  for (const Forgery& forgery : forgeries()) {
    EXPECT_TRUE(!forgery.must_be_refused || applied[forgery.name] > 0) << forgery.name;
  }
}

// One to three at once, on four threads that load beside one another.
TEST(Forger, NoForgedFileIsAnUnsoundIndex) {
  std::vector<std::vector<char>> files;
  for (const Base& base : kBases) files.push_back(make_file(base));
  const std::size_t rounds = scaled(3000, 200);
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> refused{0};
  std::atomic<std::size_t> loaded{0};
  std::mutex mutex;
  std::vector<std::string> failures;
  const auto work = [&] {
    const TempPath path;
    for (std::size_t round = next++; round < rounds; round = next++) {
      Draws draws(round);
      const std::vector<char>& bytes = files[draw(draws, files.size())];
      Pieces pieces(bytes);
      std::string names;
      for (std::size_t left = 1 + draw(draws, 3); left > 0; --left) {
        const Forgery& forgery = forgeries()[draw(draws, forgeries().size())];
        if (pieces.header.n != read_at<core::file::Header>(bytes, 0).n)
          break;  // its lists cannot be found
        if (pieces.header.M != read_at<core::file::Header>(bytes, 0).M) break;
        if (forgery.apply(pieces, draws)) names += forgery.name + ", ";
      }
      try {
        ++(load(path, pieces.assemble(), 1 + static_cast<unsigned>(round % 2)).empty() ? loaded
                                                                                       : refused);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        failures.push_back("round " + std::to_string(round) + ", " + names + error.what());
      }
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(failures, testing::IsEmpty());
  EXPECT_EQ(refused + loaded, rounds);
  EXPECT_GT(loaded, rounds / 50);
  EXPECT_GT(refused, rounds / 2);
}

}  // namespace
}  // namespace concord::test
