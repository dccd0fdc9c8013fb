// A mapped index is the loaded one, read-only; damage is found before anything damaged is used.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "tests/support/data_sets.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/memory_file_system.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

constexpr std::uint32_t kDimension = 11;

struct Saved {
  explicit Saved(std::size_t n, Metric metric = Metric::l2sq, Shape shape = Shape::clustered,
                 bool own_labels = true)
      : data(make_data(shape, n + 1, kDimension)) {
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

/// Tells when it is used, and takes its time.
struct SlowFiles final : core::FileSystem {
  ssize_t pread(int file, void* to, std::size_t bytes, off_t offset) override {
    pause();
    return FileSystem::pread(file, to, bytes, offset);
  }
  void* map(int file, std::size_t bytes, off_t offset) override {
    pause();
    return FileSystem::map(file, bytes, offset);
  }
  void pause() {
    used = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::atomic<bool> used{false};
};

TEST(Map, IsTheLoadedIndex) {
  for (const std::size_t n : {0u, 1u, 2u, 127u, 128u, 700u}) {
    for (const Metric metric : {Metric::l2sq, Metric::cosine}) {
      for (const Shape shape : {Shape::clustered, Shape::u8, Shape::i8}) {
        const Saved saved(n, metric, shape, n != 128);
        const Index loaded = Index::load(saved.file);
        for (const MapCheck check : {MapCheck::on_first_use, MapCheck::on_open}) {
          SCOPED_TRACE(std::to_string(n) + " " + to_string(metric) + " " + to_string(shape));
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
          EXPECT_EQ(mapped.memory().vectors, loaded.memory().vectors);  // bytes as bytes
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

constexpr std::size_t kVectors = 7;
constexpr std::size_t kLabels = 8;

// A call checks the sections that it uses, and only those: the second like the first.
void expect_refused_where_used(const Index& mapped, const Saved& saved, std::size_t section) {
  const auto expect = [&](bool refused, const auto& use) {
    for (int turn = 0; turn < 2; ++turn) {
      if (refused) {
        expect_error(ErrorCode::corrupt_file, {}, use);
      } else {
        use();
      }
    }
  };
  const MatrixView<const float> query = saved.data.slice(0, 1);
  const bool graph = section < kVectors;
  const bool vectors = section == kVectors;
  const bool labels = section == kLabels;
  const TempPath file;
  expect(labels, [&] { (void)mapped.contains(3); });
  expect(labels, [&] { (void)mapped.labels(); });
  expect(labels || vectors, [&] { (void)mapped.vector(3); });
  expect(labels || vectors, [&] { (void)mapped.exact_search(query, 1); });
  expect(graph, [&] { (void)mapped.audit(); });
  expect(graph, [&] { (void)mapped.stats(); });
  expect(true, [&] { (void)mapped.search(query); });
  expect(true, [&] { (void)mapped.digest(); });
  expect(true, [&] { mapped.save(file); });
}

TEST(Map, DamageIsFoundBeforeWhatIsDamagedIsUsed) {
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
      expect_refused_where_used(*mapped, saved, section);
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

// The digest in the footer covers all sections at once: whatever needs all of them compares it.
TEST(Map, AWrongFooterIsFoundByWhatNeedsTheWholeFile) {
  const Saved saved(100);
  std::vector<char> damaged = read_file(saved.file);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_file(saved.file, damaged);
  expect_error(ErrorCode::corrupt_file, {"footer"},
               [&] { (void)Index::map(saved.file, MapCheck::on_open); });
  const Index mapped = Index::map(saved.file);
  expect_error(ErrorCode::corrupt_file, {"footer"}, [&] { (void)mapped.digest(); });
  const TempPath other;
  expect_error(ErrorCode::corrupt_file, {"footer"}, [&] { mapped.save(other); });
}

// What the kernel says of the pages of this process that belong to a file, in KiB.
struct Pages {
  std::size_t resident = 0;
  std::size_t proportional = 0;  ///< each page divided by the number of its users
};
Pages pages_of(const std::filesystem::path& file) {
  std::ifstream maps("/proc/self/smaps");
  EXPECT_TRUE(maps.good());
  Pages pages;
  bool in_file = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string name;
    std::size_t size = 0;
    words >> name >> size;
    if (name.find('-') != std::string::npos) {
      in_file = line.ends_with(std::filesystem::canonical(file).string());
    } else if (in_file) {
      if (name == "Rss:") pages.resident += size;
      if (name == "Pss:") pages.proportional += size;
    }
  }
  return pages;
}

// Two processes with the whole index in use have its pages once.
TEST(Map, ProcessesShareThePages) {
  const Saved saved(2000);
  RuntimeOptions alone_in_its_process;  // no thread, so that forking is safe
  alone_in_its_process.threads = 1;
  const Index mapped = Index::map(saved.file, MapCheck::on_open, alone_in_its_process);
  const std::string digest = mapped.digest();  // reads every page
  const Pages alone = pages_of(saved.file);
  EXPECT_GE(alone.resident * 1024, std::filesystem::file_size(saved.file) / 2);

  // The child opens the file by itself and has read all of it when it answers.
  int there[2];
  int back[2];
  ASSERT_EQ(pipe(there), 0);
  ASSERT_EQ(pipe(back), 0);
  const pid_t other = fork();
  ASSERT_GE(other, 0);
  if (other == 0) {
    char byte = 0;
    std::optional<Index> same;
    try {
      same.emplace(Index::map(saved.file, MapCheck::on_open, alone_in_its_process));
      byte = same->digest() == digest ? 1 : 0;
    } catch (const Error&) {
      byte = 2;
    }
    if (write(back[1], &byte, 1) == 1) (void)!read(there[0], &byte, 1);
    _exit(0);
  }
  char answer = 0;
  ASSERT_EQ(read(back[0], &answer, 1), 1);
  EXPECT_EQ(answer, 1);
  const Pages shared = pages_of(saved.file);
  ASSERT_EQ(write(there[1], &answer, 1), 1);
  ASSERT_EQ(waitpid(other, nullptr, 0), other);
  for (const int end : {there[0], there[1], back[0], back[1]}) close(end);
  EXPECT_EQ(shared.resident, alone.resident);
  EXPECT_LE(shared.proportional, alone.resident * 2 / 3);
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

TEST(Map, FiguresMayBeAskedForBesideTheFirstUse) {
  const Saved saved(2000);
  const Index mapped = Index::map(saved.file);
  std::thread first([&] { (void)mapped.search(saved.data.slice(0, 1)); });
  std::uint64_t rows = 0;
  for (int i = 0; i < 100; ++i) rows = mapped.memory().links;
  first.join();
  EXPECT_EQ(rows, Index::load(saved.file).memory().links);
}

// The first use takes seconds where the file is large; it is a call under way like any other.
TEST(Map, TheDestructorWaitsForTheFirstUse) {
  const Saved saved(300);
  const Index loaded = Index::load(saved.file);
  SlowFiles files;
  const ScopedFileSystem scope(files);
  const std::vector<std::function<void(const Index&)>> uses = {
      [&](const Index& index) {
        EXPECT_EQ(index.search(saved.data.slice(0, 20)).labels,
                  loaded.search(saved.data.slice(0, 20)).labels);
      },
      [&](const Index& index) {
        EXPECT_EQ(index.exact_search(saved.data.slice(0, 20), 3).labels,
                  loaded.exact_search(saved.data.slice(0, 20), 3).labels);
      },
      [&](const Index& index) { EXPECT_EQ(index.labels(), loaded.labels()); },
      [&](const Index& index) { EXPECT_TRUE(index.contains(3)); },
      [&](const Index& index) { EXPECT_EQ(index.vector(3), loaded.vector(3)); },
      [&](const Index& index) { EXPECT_EQ(index.digest(), loaded.digest()); },
      [&](const Index& index) { EXPECT_EQ(index.stats().size, loaded.size()); },
      [&](const Index& index) { expect_sound(index.audit()); },
  };
  for (const auto& use : uses) {
    auto mapped = std::make_unique<Index>(Index::map(saved.file));
    files.used = false;
    std::thread user([&, &live = *mapped] { use(live); });
    while (!files.used) std::this_thread::yield();
    mapped.reset();
    user.join();
  }
}

}  // namespace
}  // namespace concord::test
