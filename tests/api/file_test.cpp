// Files: round trips, and every way in which a file can be missing, unwritable, cut short, damaged
// or forged.

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <numeric>
#include <span>
#include <stdexcept>

#include "common/graph/epoch.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/index_file.hpp"
#include "tests/support/support.hpp"

namespace concord::test {
namespace {

// A small index in the middle of an epoch, with overflow and sealed copies in both tables.
class File : public testing::Test {
 protected:
  File() : index_(make_params(3, 2, 12, 4096)), data_(make_data(Shape::random, 420, 3)) {
    index_.add(data_.slice(0, 250));
    digest_ = index_.digest();
    index_.save(path_);
    bytes_ = read_file(path_);
    for (std::size_t s = 0; s < kSections; ++s) {
      EXPECT_GT(section(bytes_, s).length, 0u) << "section " << s << " is empty: nothing to damage";
    }
  }

  // Loading `bytes` is refused, from a file and from memory, with all `words` in the message.
  void expect_corrupt(const std::vector<char>& bytes, const std::vector<std::string>& words = {}) {
    write_file(other_, bytes);
    std::vector<std::string> all = {other_.path().string()};
    all.insert(all.end(), words.begin(), words.end());
    expect_error(ErrorCode::corrupt_file, all, [&] { Index::load(other_, one_thread()); });
    expect_error(ErrorCode::corrupt_file, words,
                 [&] { Index::from_bytes(std::as_bytes(std::span(bytes)), one_thread()); });
  }
  // True if loading forged bytes is refused. Otherwise they must make a sound graph that takes more
  // vectors, of that digest unless it is empty.
  bool is_refused_or_sound(std::vector<char>& forged, const std::string& digest) {
    sign(forged);
    write_file(other_, forged);
    try {
      Index loaded = Index::load(other_, one_thread());
      if (!digest.empty()) {
        EXPECT_EQ(loaded.digest(), digest);
      }
      std::vector<std::uint64_t> labels(100);
      std::iota(labels.begin(), labels.end(), std::uint64_t{1} << 60);
      loaded.add(data_.slice(300, labels.size()), labels);
      loaded.flush();
      expect_sound(loaded.audit());
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
      return true;
    }
  }
  static RuntimeOptions one_thread() {
    RuntimeOptions options;
    options.threads = 1;
    options.device = "cpu";
    return options;
  }

  Index index_;
  Matrix data_;
  std::string digest_;
  TempPath path_;
  TempPath other_;
  std::vector<char> bytes_;
};

TEST_F(File, IsNamedInTheErrorWhereItIsMissingOrNoFile) {
  const auto directory = path_.path().parent_path();
  expect_error(ErrorCode::io, {"open", "missing", "No such file"},
               [&] { Index::load(directory / "missing"); });
  expect_error(ErrorCode::corrupt_file, {directory.string(), "regular file"},
               [&] { Index::load(directory); });
  expect_error(ErrorCode::corrupt_file, {"/dev/null", "regular file"},
               [] { Index::load("/dev/null"); });
  const auto pipe = directory / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_error(ErrorCode::corrupt_file, {"regular file"}, [&] { Index::load(pipe); });
  expect_error(ErrorCode::io, {"open"}, [] { Index::load(""); });
}

TEST_F(File, IsNotWrittenWhereItCannotBe) {
  const auto directory = path_.path().parent_path();
  expect_error(ErrorCode::io, {"nowhere", "No such file"},
               [&] { index_.save(directory / "nowhere" / "x"); });
  expect_error(ErrorCode::io, {"regular file"}, [&] { index_.save(directory); });
  expect_error(ErrorCode::io, {"/dev/full", "regular file"}, [&] { index_.save("/dev/full"); });
  expect_error(ErrorCode::io, {"Not a directory"}, [&] { index_.save(path_.path() / "x"); });
  expect_error(ErrorCode::io, {"''"}, [&] { index_.save(""); });
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_EQ(index_.digest(), digest_);
}

TEST_F(File, StaysWholeWhereTheSpaceRunsOut) {
  Index larger(index_.params());
  larger.add(data_.view());
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{100}, rlim_t{5000}, rlim_t{30000}}) {
    const rlimit small{limit, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto error = error_of([&] { larger.save(path_); });
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::io) << error->what();
    EXPECT_THAT(error->what(), testing::HasSubstr(path_.path().string()));
    EXPECT_EQ(read_file(path_), bytes_);
  }
  std::signal(SIGXFSZ, handler);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(path_.path().parent_path())) {
    ++files;
  }
  EXPECT_EQ(files, 1u) << "the temporary file is left behind";
  larger.save(path_);
  EXPECT_EQ(Index::load(path_).digest(), larger.digest());
}

TEST_F(File, HasTheSameBytesInMemory) {
  std::vector<char> written;
  index_.write([&](std::span<const std::byte> piece, std::uint64_t left) {
    const auto* const begin = reinterpret_cast<const char*>(piece.data());
    written.insert(written.end(), begin, begin + piece.size());
    EXPECT_EQ(written.size() + left, bytes_.size());
  });
  EXPECT_EQ(written, bytes_);
  Index loaded = Index::from_bytes(std::as_bytes(std::span(written)), one_thread());
  EXPECT_EQ(loaded.digest(), digest_);
  index_.add(data_.slice(250, 170));
  loaded.add(data_.slice(250, 170));
  EXPECT_EQ(loaded.digest(), index_.digest());
}

TEST_F(File, IsNotWrittenFurtherWhereTheSinkThrows) {
  std::size_t pieces = 0;
  const auto fail = [&](std::span<const std::byte>, std::uint64_t) {
    if (++pieces == 3) throw std::runtime_error("full");
  };
  EXPECT_THROW(index_.write(fail), std::runtime_error);
  EXPECT_EQ(pieces, 3U);
  index_.add(data_.slice(250, 170));  // nothing is locked any more
  EXPECT_TRUE(index_.audit().ok);
}

TEST_F(File, CutShortIsRefused) {
  std::vector<std::size_t> lengths = {0,
                                      1,
                                      7,
                                      8,
                                      127,
                                      128,
                                      kTableOffset + kSections * 32 - 1,
                                      kTableOffset + kSections * 32,
                                      bytes_.size() - 32,
                                      bytes_.size() - 1};
  for (std::size_t s = 0; s < kSections; ++s) {
    const SectionRecord record = section(bytes_, s);
    for (const std::size_t at : {record.offset, record.offset + record.length}) {
      for (const std::size_t length : {at - 1, at, at + 1}) lengths.push_back(length);
    }
  }
  for (std::size_t length = 0; length < bytes_.size(); length += 509) lengths.push_back(length);
  for (const std::size_t length : lengths) {
    SCOPED_TRACE(testing::Message() << length << " bytes");
    expect_corrupt({bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(length)});
  }
  std::vector<char> longer = bytes_;
  longer.push_back(0);
  expect_corrupt(longer, {"length"});
  EXPECT_EQ(index_.digest(), digest_);
}

TEST_F(File, WithAnySingleBitOfItsHeaderOrTableFlippedIsRefused) {
  for (std::size_t byte = 0; byte < kTableOffset + kSections * sizeof(SectionRecord); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged = bytes_;
      damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit));
      SCOPED_TRACE(testing::Message() << "byte " << byte << " bit " << bit);
      expect_corrupt(damaged);
    }
  }
}

TEST_F(File, WithABitOfASectionFlippedNamesTheSection) {
  const char* const names[kSections] = {"levels",
                                        "links of layer 0",
                                        "overflow of layer 0",
                                        "sealed copies of layer 0",
                                        "links of the upper layers",
                                        "overflow of the upper layers",
                                        "sealed copies of the upper layers",
                                        "vectors",
                                        "labels"};
  for (std::size_t s = 0; s < kSections; ++s) {
    const SectionRecord record = section(bytes_, s);
    for (std::uint64_t i = 0; i < 12; ++i) {
      std::vector<char> damaged = bytes_;
      char& byte = damaged[record.offset + hash(s, i) % record.length];
      byte = static_cast<char>(byte ^ (1 << (hash(s, i, 1) % 8)));
      expect_corrupt(damaged, {"section '" + std::string(names[s]) + "' is damaged"});
    }
  }
  for (std::size_t byte = bytes_.size() - 32; byte < bytes_.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<char> damaged = bytes_;
      damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit));
      expect_corrupt(damaged, {"footer"});
    }
  }
}

TEST_F(File, OfAnotherKindOrVersionSaysSo) {
  std::vector<char> other = bytes_;
  other[0] = 'X';
  expect_corrupt(other, {"magic"});
  for (const std::uint32_t version : {0u, 5u}) {
    other = bytes_;
    write_at(other, offsetof(Header, version), version);
    expect_corrupt(other, {"version is " + std::to_string(version), "reads versions 1 to 4"});
  }
  expect_corrupt(std::vector<char>(10000, 'a'), {"magic"});
}

// Files whose checksums are right and whose content lies.
TEST_F(File, ForgedHeadersAreRefusedBeforeMemoryIsTaken) {
  struct Forgery {
    std::size_t offset;
    std::uint32_t value;
    const char* message;
  };
  for (const Forgery& f :
       {Forgery{offsetof(Header, dimension), 0, "dimension"},
        Forgery{offsetof(Header, dimension), 65536, "vectors"},
        Forgery{offsetof(Header, dimension), 65537, "dimension"},
        Forgery{offsetof(Header, metric), 3, "metric"},
        Forgery{offsetof(Header, M), 64, "links of layer 0"},
        Forgery{offsetof(Header, M), 0, "M is 0"},
        Forgery{offsetof(Header, ef_construction), 100000, "ef_construction"},
        Forgery{offsetof(Header, epoch_limit), 0, "epoch_limit"},
        Forgery{offsetof(Header, section_count), 8, "sections"},
        Forgery{offsetof(Header, n), 0, "levels"},
        Forgery{offsetof(Header, n), 249, "levels"},
        Forgery{offsetof(Header, n), 0x7FFFFFFE, "levels"},
        Forgery{offsetof(Header, n), 0xFFFFFFFF, "more vectors"},
        Forgery{offsetof(Header, footer_offset), 64, "length"},
        Forgery{offsetof(Header, entry), 0, "entry point"},
        Forgery{offsetof(Header, seal_is_due), 1, "in the middle of an epoch"},
        Forgery{offsetof(Header, seal_is_due), 2, "no known state"},
        Forgery{offsetof(Header, sealed_entries), 0xFFFFFFFF, "sealed entry point"},
        Forgery{offsetof(Header, sealed_entries), 100000, "sealed entry point"},
        Forgery{offsetof(Header, sealed_entries), 249, "sealed entry point"}}) {
    std::vector<char> forged = bytes_;
    write_at(forged, f.offset, f.value);
    sign(forged);
    SCOPED_TRACE(testing::Message() << "offset " << f.offset << " value " << f.value);
    expect_corrupt(forged, {f.message});
  }
}

TEST_F(File, ForgedTablesAreRefused) {
  for (std::size_t s = 0; s < kSections; ++s) {
    for (const std::uint64_t value :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4096}, std::uint64_t{1} << 40,
          ~std::uint64_t{0}, ~std::uint64_t{4095}}) {
      for (const std::size_t field :
           {offsetof(SectionRecord, offset), offsetof(SectionRecord, length)}) {
        std::vector<char> forged = bytes_;
        const std::size_t at = kTableOffset + s * sizeof(SectionRecord) + field;
        if (read_at<std::uint64_t>(forged, at) == value) continue;
        write_at(forged, at, value);
        sign(forged);
        SCOPED_TRACE(testing::Message()
                     << "section " << s << " field " << field << " value " << value);
        expect_corrupt(forged);
      }
    }
    std::vector<char> forged = bytes_;
    write_at(forged, kTableOffset + s * sizeof(SectionRecord), std::uint32_t{77});
    sign(forged);
    expect_corrupt(forged, {"out of place"});
  }
}

TEST_F(File, ForgedContentIsRefusedByWhatItBreaks) {
  const std::size_t rows = section(bytes_, core::file::kBaseLists).offset;
  const std::size_t row_bytes = 16 + 4 * 4;
  const std::size_t node = 0;
  const std::size_t row = rows + node * row_bytes;
  const auto expect = [&](const char* message, auto&& forge) {
    std::vector<char> forged = bytes_;
    forge(forged);
    sign(forged);
    SCOPED_TRACE(message);
    expect_corrupt(forged, {message});
  };
  expect("levels", [&](auto& f) { ++f[section(f, core::file::kLevels).offset + 9]; });
  expect("node 0, layer 0: link to 250", [&](auto& f) { write_at(f, row + 16, 250u); });
  expect("node 0, layer 0: link to 0", [&](auto& f) { write_at(f, row + 16, 0u); });
  expect("anchors", [&](auto& f) { write_at(f, row + 2, std::uint16_t{77}); });
  expect("layer 0", [&](auto& f) { write_at(f, row, std::uint16_t{0}); });
  expect("inconsistent", [&](auto& f) { write_at(f, row, std::uint16_t{60000}); });
  expect("inconsistent", [&](auto& f) { write_at(f, row + 4, 900000u); });
  expect("inconsistent", [&](auto& f) { write_at(f, row + 8, 900000u); });
  expect("inconsistent", [&](auto& f) { write_at(f, row + 12, 900000u); });
  expect("vector 5 ", [&](auto& f) {
    write_at(f, section(f, core::file::kVectors).offset + 5 * 32,
             std::numeric_limits<float>::quiet_NaN());
  });
  expect("vector 5 ",
         [&](auto& f) { write_at(f, section(f, core::file::kVectors).offset + 5 * 32, 3e38f); });
  expect("vector 5 ", [&](auto& f) {
    write_at(f, section(f, core::file::kVectors).offset + 5 * 32 + 28, 1.0f);  // the padding
  });
  expect("label 3", [&](auto& f) {
    write_at(f, section(f, core::file::kLabels).offset + 8 * 100, std::uint64_t{3});
  });
  expect("footer", [&](auto& f) {
    write_at(f, section(f, core::file::kLabels).offset + 8 * 100, std::uint64_t{1} << 50);
  });
  expect("sealed copy",
         [&](auto& f) { write_at(f, section(f, core::file::kBaseCopies).offset, 5u); });
  expect("sealed copy",
         [&](auto& f) { write_at(f, section(f, core::file::kBaseCopies).offset + 4, 249u); });
  expect("sealed copy",
         [&](auto& f) { write_at(f, section(f, core::file::kBaseCopies).offset + 4, ~0u); });
  expect("sealed copy",
         [&](auto& f) { write_at(f, section(f, core::file::kUpperCopies).offset, ~0u); });
}

// Whatever is changed anywhere, with all checksums made right: refused, or an index that is sound
// and can grow. (Bookkeeping of the open epoch is in no digest.)
TEST_F(File, RandomForgeriesNeverMakeAnUnsoundIndex) {
  int refused = 0;
  for (std::uint64_t round = 0; round < scaled(3000, 300); ++round) {
    std::vector<char> forged = bytes_;
    const std::uint64_t changes = 1 + hash(round, 0) % 3;
    for (std::uint64_t c = 0; c < changes; ++c) {
      const SectionRecord record = section(forged, hash(round, 1, c) % kSections);
      const std::size_t at = record.offset + hash(round, 2, c) % record.length / 4 * 4;
      const bool small = hash(round, 3, c) % 2 == 0;
      write_at(forged, at,
               static_cast<std::uint32_t>(small ? hash(round, 4, c) % 300 : hash(round, 4, c)));
    }
    SCOPED_TRACE(round);
    refused += is_refused_or_sound(forged, digest_) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, 200);
}

// All sections and the header of an index with copies in which vectors died, tombstones among them.
TEST_F(File, RandomForgeriesOfAHistoryNeverMakeAnUnsoundIndex) {
  const Matrix data = make_data(Shape::duplicate, 420, 3);
  Index index(make_params(3, 2, 12, 64), one_thread());
  index.add(data.slice(0, 250));
  std::vector<std::uint64_t> labels(90);
  std::iota(labels.begin(), labels.end(), 40);
  index.remove(labels);
  const std::vector<std::uint64_t> again = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  index.update(data.slice(250, 10), again);
  ASSERT_GT(index.stats().tombstones, 0u);
  index.save(path_);
  const std::vector<char> bytes = read_file(path_);
  const std::string digest = index.digest();
  std::vector<char> last_epoch = bytes;  // whose number the next would not follow
  write_at(last_epoch, offsetof(Header, epoch), 0xFFFFFFFEU);
  ASSERT_TRUE(sign_digest(last_epoch));
  sign(last_epoch);
  expect_corrupt(last_epoch, {"open epoch"});
  int refused = 0;
  for (std::uint64_t round = 0; round < scaled(3000, 300); ++round) {
    std::vector<char> forged = bytes;
    const std::uint64_t kind = hash(round, 0) % (core::file::kCodes + 3);
    const std::uint64_t value = hash(round, 3) % 2 == 0 ? hash(round, 4) % 300 : hash(round, 4);
    if (kind >= core::file::kCodes) {  // from the entry points to the epoch
      write_at(forged, 48 + hash(round, 1) % 18 * 4, static_cast<std::uint32_t>(value));
    } else {
      const SectionRecord record = section(forged, kind);
      if (record.length == 0) continue;
      const std::size_t at = record.offset + hash(round, 2) % record.length / 4 * 4;
      write_at(forged, at, static_cast<std::uint32_t>(value));
    }
    const bool says_so = hash(round, 5) % 2 == 0 && sign_digest(forged);
    SCOPED_TRACE(round);
    refused += is_refused_or_sound(forged, says_so ? "" : digest) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, 200);
}

// At an epoch's boundary the header may say that the seal is due although it was done.
TEST_F(File, AForgedDueSealNeverMakesAnUnsoundIndex) {
  int loads = 0;
  for (const std::uint32_t epoch_limit : {1u, 16u, 4096u}) {
    for (core::NodeId size = 1; size < 120; ++size) {
      if (core::Epoch::of(size, epoch_limit).begin != size) continue;
      Index index(make_params(3, 2, 12, epoch_limit), one_thread());
      index.add(data_.slice(0, size));
      index.save(path_);
      std::vector<char> forged = read_file(path_);
      write_at(forged, offsetof(Header, seal_is_due), 1u);
      sign(forged);
      write_file(other_, forged);
      SCOPED_TRACE(testing::Message() << size << " vectors, epoch_limit " << epoch_limit);
      try {
        Index loaded = Index::load(other_, one_thread());
        ASSERT_EQ(loaded.digest(), index.digest());
        loaded.add(data_.slice(size, 100));
        expect_sound(loaded.audit());
        ++loads;
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
      }
    }
  }
  EXPECT_GT(loads, 0);
}

TEST_F(File, ReplacesAnOlderOneAndRoundTripsLabels) {
  std::vector<std::uint64_t> labels(170);
  for (std::size_t i = 0; i < 170; ++i) labels[i] = kNoLabel - 1 - 3 * i;
  index_.add(data_.slice(250, 170), labels);
  index_.save(path_);
  const Index loaded = Index::load(path_);
  EXPECT_EQ(loaded.digest(), index_.digest());
  EXPECT_EQ(loaded.labels(), index_.labels());
  EXPECT_TRUE(loaded.contains(labels[169]));
  EXPECT_EQ(loaded.vector(labels[169]), index_.vector(labels[169]));
  EXPECT_EQ(loaded.search(data_.view()).labels, index_.search(data_.view()).labels);
}

TEST_F(File, OfAnEmptyIndexLoads) {
  const Index empty(make_params(7, 5, 12, 16, Metric::cosine));
  empty.save(path_);
  Index loaded = Index::load(path_);
  EXPECT_EQ(loaded.size(), 0u);
  EXPECT_EQ(loaded.params(), empty.params());
  EXPECT_EQ(loaded.digest(), empty.digest());
  loaded.add(make_data(Shape::random, 20, 7).view());
  expect_sound(loaded.audit());
}

TEST_F(File, MayHaveALongUtf8Name) {
  const auto path = path_.path().parent_path() / ("índice-индекс-索引-" + std::string(180, 'x'));
  index_.save(path);
  EXPECT_EQ(Index::load(path).digest(), digest_);
}

}  // namespace
}  // namespace concord::test
