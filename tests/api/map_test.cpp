// A mapped index is the loaded one, read-only; damage is found before anything damaged is used.

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 11;

struct Saved {
  explicit Saved(std::size_t n, Metric metric = Metric::l2sq, bool bytes = false,
                 bool own_labels = true)
      : data(make_data(Shape::clustered, n + 1, kDimension)) {
    for (float& x : data.values) {
      if (bytes) x = static_cast<float>(static_cast<int>(x));
    }
    Index index(make_params(kDimension, 4, 30, 128, metric));
    std::vector<std::uint64_t> labels(n);
    for (std::size_t i = 0; i < n; ++i) labels[i] = own_labels ? 7 * i + 3 : i;
    index.add(data.slice(0, n), labels);
    index.save(file);
  }
  TempPath file;
  Matrix data;
};

void expect_equal(const SearchResult& a, const SearchResult& b) {
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.distances, b.distances);
  EXPECT_EQ(a.counts, b.counts);
}

TEST(Map, IsTheLoadedIndex) {
  for (const std::size_t n : {0u, 1u, 2u, 127u, 128u, 700u}) {
    for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
      for (const int kind : {0, 1, 2}) {
        const Saved saved(n, metric, kind == 1, kind != 2);
        const Index loaded = Index::load(saved.file);
        for (const MapCheck check : {MapCheck::on_first_use, MapCheck::on_open}) {
          SCOPED_TRACE(std::to_string(n) + " " + to_string(metric) + " " + std::to_string(kind));
          const Index mapped = Index::map(saved.file, check);
          ASSERT_EQ(mapped.size(), n);
          expect_equal(mapped.search(saved.data.view(), {.k = 5, .ef = 30}),
                       loaded.search(saved.data.view(), {.k = 5, .ef = 30}));
          expect_equal(mapped.exact_search(saved.data.slice(0, 1), 9),
                       loaded.exact_search(saved.data.slice(0, 1), 9));
          EXPECT_EQ(mapped.digest(), loaded.digest());
          EXPECT_EQ(mapped.labels(), loaded.labels());
          expect_sound(mapped.audit());
          for (const std::uint64_t label : loaded.labels()) {
            EXPECT_EQ(mapped.vector(label), loaded.vector(label));
          }
          EXPECT_FALSE(mapped.contains(~std::uint64_t{1}));
          EXPECT_EQ(mapped.stats().degree_histogram, loaded.stats().degree_histogram);
          const TempPath again;
          mapped.save(again);
          EXPECT_EQ(read_file(again), read_file(saved.file));
        }
      }
    }
  }
}

TEST(Map, TakesNoAdditions) {
  const Saved saved(300);
  Index mapped = Index::map(saved.file);
  const std::string digest = mapped.digest();
  expect_error(ErrorCode::unsupported, {"mapped", "load"},
               [&] { mapped.add(saved.data.slice(0, 1)); });
  const std::vector<std::uint64_t> label{1};
  expect_error(ErrorCode::unsupported, {"mapped"},
               [&] { mapped.add(saved.data.slice(0, 1), label); });
  EXPECT_EQ(mapped.digest(), digest);
}

TEST(Map, SavingOverTheMappedFileLeavesTheMappingWhole) {
  const Saved saved(300);
  const Index mapped = Index::map(saved.file);
  Index other = Index::load(saved.file);
  const std::string digest = other.digest();
  const std::vector<std::uint64_t> label{1};
  other.add(saved.data.slice(300, 1), label);
  other.save(saved.file);
  mapped.save(saved.file);  // and over itself
  EXPECT_EQ(mapped.digest(), digest);
  EXPECT_EQ(Index::load(saved.file).digest(), digest);
}

// Every use of a damaged file is refused, the second like the first; nothing is read before.
TEST(Map, DamageIsFoundBeforeAnythingIsUsed) {
  const Saved saved(200);
  const std::vector<char> bytes = read_file(saved.file);
  for (std::size_t section = 0; section < 9; ++section) {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::memcpy(&offset, bytes.data() + 128 + 32 * section + 8, sizeof offset);
    std::memcpy(&length, bytes.data() + 128 + 32 * section + 16, sizeof length);
    if (length == 0) continue;
    for (const std::uint64_t at : {std::uint64_t{0}, length / 2, length - 1}) {
      std::vector<char> damaged = bytes;
      damaged[offset + at] = static_cast<char>(damaged[offset + at] ^ 0x41);
      const TempPath file;
      write_file(file, damaged);
      SCOPED_TRACE("section " + std::to_string(section) + ", byte " + std::to_string(at));
      expect_error(ErrorCode::corrupt_file, {}, [&] { (void)Index::map(file, MapCheck::on_open); });
      std::optional<Index> mapped;
      try {
        mapped.emplace(Index::map(file));
      } catch (const Error& error) {  // blocks are read when the file is opened
        EXPECT_EQ(error.code(), ErrorCode::corrupt_file);
        continue;
      }
      for (int turn = 0; turn < 2; ++turn) {
        expect_error(ErrorCode::corrupt_file, {},
                     [&] { (void)mapped->search(saved.data.slice(0, 1)); });
        expect_error(ErrorCode::corrupt_file, {},
                     [&] { (void)mapped->exact_search(saved.data.slice(0, 1), 1); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { (void)mapped->contains(3); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { (void)mapped->vector(3); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { (void)mapped->labels(); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { (void)mapped->audit(); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { (void)mapped->digest(); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { (void)mapped->stats(); });
        expect_error(ErrorCode::corrupt_file, {}, [&] { mapped->save(file); });
      }
    }
  }
}

TEST(Map, HeadersLengthsAndMissingFilesAreRefusedAtOnce) {
  const Saved saved(60);
  const std::vector<char> bytes = read_file(saved.file);
  const TempPath file;
  for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 9) {
    write_file(file, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)});
    expect_error(ErrorCode::corrupt_file, {}, [&] { (void)Index::map(file); });
  }
  for (std::size_t at = 0; at < 128 + 9 * 32; at += 5) {
    std::vector<char> damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(file, damaged);
    expect_error(ErrorCode::corrupt_file, {}, [&] { (void)Index::map(file); });
  }
  expect_error(ErrorCode::io, {"open"}, [&] { (void)Index::map(TempPath().path()); });
  expect_error(ErrorCode::corrupt_file, {"regular"},
               [&] { (void)Index::map(file.path().parent_path()); });
}

TEST(Map, ManyThreadsMayBeTheFirst) {
  const Saved saved(500);
  const Index loaded = Index::load(saved.file);
  const SearchResult expected = loaded.search(saved.data.slice(0, 50));
  const Index mapped = Index::map(saved.file);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back(
        [&] { wrong += mapped.search(saved.data.slice(0, 50)).labels != expected.labels; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace concord::test
