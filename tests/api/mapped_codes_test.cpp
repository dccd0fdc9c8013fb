// A mapped index with codes walks by codes in memory and reads the vectors that it rescores from
// the file: the answers of the loaded index, no vector's page kept, and failing reads are errors.

#include <atomic>
#include <cerrno>
#include <concord/cursor.hpp>
#include <concord/filter.hpp>
#include <concord/groups.hpp>
#include <concord/index.hpp>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/system/file_system.hpp"
#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/index_file.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 37;  // a row of a stride of 40
constexpr std::size_t kRows = 700;

struct Saved {
  explicit Saved(Metric metric = Metric::l2sq, Storage storage = Storage::automatic,
                 Shape shape = Shape::clustered)
      : data(make_data(shape, kRows, kDimension)) {
    IndexParams params = make_params(kDimension, 8, 40, 128, metric);
    params.codes = Codes::sq8;
    params.storage = storage;
    Index index(params);
    index.add(data.view());
    const std::vector<std::uint64_t> dead = {5, 6, 7, 300, 301, 699};
    index.remove(dead);
    index.save(file);
  }
  TempPath file;
  Matrix data;
};

bool same(const SearchResult& a, const SearchResult& b) {
  return a.labels == b.labels && a.distances == b.distances && a.counts == b.counts;
}

/// Counts what is read of files once it is told to, and fails where it is told to.
struct CountingFiles final : core::FileSystem {
  CountingFiles() : before(core::replace_file_system(this)) {}
  ~CountingFiles() override { core::replace_file_system(before); }
  ssize_t pread(int file, void* to, std::size_t bytes, off_t offset) override {
    if (mode == Mode::fails) {
      errno = EIO;
      return -1;
    }
    if (mode == Mode::ends) return 0;
    reads += 1;
    read_bytes += bytes;
    return FileSystem::pread(file, to, bytes, offset);
  }
  void read_ahead(int file, std::size_t bytes, off_t offset) override {
    ahead += 1;
    FileSystem::read_ahead(file, bytes, offset);
  }
  void* map(int file, std::size_t bytes, off_t offset) override {
    maps += 1;
    return FileSystem::map(file, bytes, offset);
  }
  void forget() { reads = read_bytes = ahead = maps = 0; }

  enum class Mode { works, fails, ends };
  std::atomic<Mode> mode{Mode::works};
  std::atomic<std::size_t> reads{0};
  std::atomic<std::size_t> read_bytes{0};
  std::atomic<std::size_t> ahead{0};
  std::atomic<std::size_t> maps{0};
  core::FileSystem* before;
};

TEST(MappedCodes, AnswerAsTheLoadedIndex) {
  for (const Metric metric : kAllMetrics) {
    for (const auto& [storage, shape] :
         {std::pair(Storage::automatic, Shape::clustered), std::pair(Storage::automatic, Shape::u8),
          std::pair(Storage::f16, Shape::clustered), std::pair(Storage::bf16, Shape::random)}) {
      SCOPED_TRACE(std::string(to_string(metric)) + " " + to_string(storage));
      const Saved saved(metric, storage, shape);
      const Index loaded = Index::load(saved.file);
      const Index mapped = Index::map(saved.file);
      const Matrix queries = make_data(shape, 30, kDimension, 9);
      for (const SearchParams& how :
           {SearchParams{.k = 5, .ef = 40}, SearchParams{.k = 1, .ef = 1},
            SearchParams{.k = 5, .ef = 300, .rescore = 300}, SearchParams{.k = 0, .ef = 10},
            SearchParams{.k = 900, .ef = 900},
            SearchParams{.k = 5, .ef = 40, .use_codes = false}}) {
        EXPECT_TRUE(same(mapped.search(queries.view(), how), loaded.search(queries.view(), how)));
      }
      const auto half = [](const Index& index) { return Filter::of_range(index, 0, kRows / 2); };
      const Filter of_loaded = half(loaded);
      const Filter of_mapped = half(mapped);
      const SearchParams how{.k = 5, .ef = 60};
      EXPECT_TRUE(same(mapped.search(queries.view(), how, {.filter = &of_mapped}),
                       loaded.search(queries.view(), how, {.filter = &of_loaded})));
      EXPECT_TRUE(
          same(mapped.exact_search(queries.view(), 7), loaded.exact_search(queries.view(), 7)));
      EXPECT_EQ(mapped.digest(), loaded.digest());
      const TempPath again;
      mapped.save(again);
      EXPECT_EQ(read_file(again), read_file(saved.file));
    }
  }
}

TEST(MappedCodes, AreReadAndNotMadeWhereTheFileIsOpened) {
  const Saved saved;
  CountingFiles files;
  const Index mapped = Index::map(saved.file);
  const std::size_t row_bytes = 40 * sizeof(float);
  EXPECT_LT(files.read_bytes, kRows * row_bytes);  // codes and tables, but not the vectors
}

TEST(MappedCodes, ASearchReadsTheRowsThatItRescoresAndNoOther) {
  const Saved saved;
  CountingFiles files;
  const Index mapped = Index::map(saved.file, MapCheck::on_open);
  const Matrix queries = make_data(Shape::clustered, 20, kDimension, 9);
  (void)mapped.search(queries.view(), {.k = 5, .ef = 40});
  files.forget();
  const std::uint64_t before = mapped.stats().search.rescored;
  (void)mapped.search(queries.view(), {.k = 5, .ef = 40});
  const std::uint64_t rescored = mapped.stats().search.rescored - before;
  EXPECT_EQ(rescored, 20 * 15u);  // k + 10 each
  EXPECT_EQ(files.reads, rescored);
  EXPECT_EQ(files.ahead, rescored);
  EXPECT_EQ(files.read_bytes, rescored * 40 * sizeof(float));
  EXPECT_EQ(files.maps, 0u);
}

/// KiB in memory of the mapping of `file` that begins at `offset`.
std::size_t resident_kib(const std::filesystem::path& file, std::uint64_t offset) {
  std::ifstream maps("/proc/self/smaps");
  bool is_it = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string range, access, at, device, inode, name;
    words >> range >> access >> at >> device >> inode >> name;
    if (name == file.string()) is_it = std::stoull(at, nullptr, 16) == offset;
    if (is_it && range == "Rss:") return std::stoul(access);
  }
  ADD_FAILURE() << "no mapping of " << file << " at " << offset;
  return 0;
}

TEST(MappedCodes, KeepNoPageOfTheVectorsInMemory) {
  const Saved saved;
  const std::uint64_t offset = section(read_file(saved.file), core::file::kVectors).offset;
  const Matrix queries = make_data(Shape::clustered, 200, kDimension, 9);
  const Index mapped = Index::map(saved.file, MapCheck::on_open);  // reads them all
  EXPECT_EQ(resident_kib(saved.file, offset), 0u);
  (void)mapped.search(queries.view(), {.k = 5, .ef = 40});
  EXPECT_EQ(resident_kib(saved.file, offset), 0u);
  (void)mapped.exact_search(queries.view(), 1);
  EXPECT_GT(resident_kib(saved.file, offset), 0u) << "the measure measures nothing";
}

TEST(MappedCodes, ARowThatCannotBeReadIsAnErrorAndTheNextSearchGoesOn) {
  const Saved saved;
  CountingFiles files;
  const Index mapped = Index::map(saved.file, MapCheck::on_open);
  const Matrix queries = make_data(Shape::clustered, 50, kDimension, 9);
  const SearchParams how{.k = 5, .ef = 40};
  const SearchResult answer = mapped.search(queries.view(), how);
  files.mode = CountingFiles::Mode::fails;
  expect_error(ErrorCode::io, {"read", saved.file.path().string()},
               [&] { (void)mapped.search(queries.view(), how); });
  files.mode = CountingFiles::Mode::ends;
  expect_error(ErrorCode::io, {"shorter"}, [&] { (void)mapped.search(queries.view(), how); });
  files.mode = CountingFiles::Mode::works;
  EXPECT_TRUE(same(mapped.search(queries.view(), how), answer));
}

}  // namespace
}  // namespace concord::test
