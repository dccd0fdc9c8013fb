// Files made to deceive: every checksum is right, and where the content can be walked the digest
// too. Refused, or an index that is sound and grows; never more memory than the file accounts for.

#include <algorithm>
#include <limits>

#include "tests/hostile/data_limit.hpp"
#include "tests/hostile/small_file.hpp"

namespace concord::test {
namespace {

using namespace core::file;
using testing::HasSubstr;

// What loading may take beside four times the file's length: buffers and pages begun.
constexpr std::size_t kConstantMemory = std::size_t{2} << 20;
constexpr std::size_t kFactor = 4;

constexpr std::uint64_t kSizes[] = {0,
                                    1,
                                    (std::uint64_t{1} << 31) - 1,
                                    std::uint64_t{1} << 31,
                                    (std::uint64_t{1} << 32) - 1,
                                    std::uint64_t{1} << 32,
                                    (std::uint64_t{1} << 63) - 1,
                                    std::uint64_t{1} << 63,
                                    ~std::uint64_t{0} - 4095,
                                    ~std::uint64_t{0}};

class ForgedFile : public SmallFile {
 protected:
  // As refusal(), with the memory that loading may take limited by the file's length.
  std::string refusal_within_memory(const std::vector<char>& forged) {
    write_file(path_, forged);
    const DataLimit limit(kConstantMemory + kFactor * forged.size());
    return refusal();
  }
  /// With all checksums made right.
  void expect_refused_or_sound(std::vector<char> forged) {
    sign_digest(forged);
    sign(forged);
    if (!refusal_within_memory(forged).empty()) return;
    Index index = Index::load(path_, on_cpu());
    expect_sound(index.audit());
    EXPECT_EQ(index.exact_search(data_.slice(0, 1), 1000).counts[0], index.size());
    index.add(make_data(Shape::duplicate, 50, 3, 2).view(), new_labels_);
    index.flush();
    expect_sound(index.audit());
  }
  void expect_refused(std::vector<char> forged, const std::string& words) {
    sign_digest(forged);
    sign(forged);
    const std::string refused = refusal_within_memory(forged);
    EXPECT_NE(refused, "");
    EXPECT_THAT(refused, HasSubstr(words));
  }

  [[nodiscard]] std::size_t row(std::size_t node) const {
    return section(bytes_, kBaseLists).offset + node * kRowBytes;
  }
  [[nodiscard]] std::uint32_t degree(std::size_t node) const {
    return read_at<std::uint16_t>(bytes_, row(node));
  }
  const std::vector<std::uint64_t> new_labels_ = [] {
    std::vector<std::uint64_t> labels(50);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 5000 + i;
    return labels;
  }();
  static constexpr std::size_t kMaxDegree = 4;  // of layer 0
  static constexpr std::size_t kRowBytes = 16 + 4 * kMaxDegree;
};

TEST_F(ForgedFile, TheHelperSignsAsTheLibraryDoes) {
  std::vector<char> forged = bytes_;
  ASSERT_TRUE(sign_digest(forged));
  sign(forged);
  EXPECT_EQ(forged, bytes_);
}

TEST_F(ForgedFile, WithAnySizeInAnyFieldIsRefused) {
  const auto forge = [&](std::size_t offset, std::size_t width) {
    for (const std::uint64_t size : kSizes) {
      std::vector<char> forged = bytes_;
      std::memcpy(forged.data() + offset, &size, width);
      if (forged == bytes_) continue;
      sign(forged);
      EXPECT_NE(refusal_within_memory(forged), "") << "offset " << offset << " size " << size;
    }
  };
  for (std::size_t offset = 8; offset < offsetof(Header, checksum); offset += 4) forge(offset, 4);
  for (const std::size_t offset : {offsetof(Header, seed), offsetof(Header, footer_offset)})
    forge(offset, 8);
  for (std::size_t offset = kTableOffset; offset < kTableEnd; offset += sizeof(SectionRecord)) {
    forge(offset + offsetof(SectionRecord, kind), 4);
    forge(offset + offsetof(SectionRecord, zero), 4);
    forge(offset + offsetof(SectionRecord, offset), 8);
    forge(offset + offsetof(SectionRecord, length), 8);
  }
  forge(bytes_.size() - sizeof(Footer) + offsetof(Footer, file_length), 8);
}

// Only the digest says that these were altered; whoever alters them can make it right, and gets
// another index, which must be a sound one.
TEST_F(ForgedFile, WithAnotherSizeAndTheDigestMadeRightIsRefusedOrSound) {
  int loaded = 0;
  for (std::size_t offset = 16; offset < offsetof(Header, footer_offset); offset += 4) {
    for (const std::uint64_t size : kSizes) {
      std::vector<char> forged = bytes_;
      write_at(forged, offset, static_cast<std::uint32_t>(size));
      sign_digest(forged);
      sign(forged);
      if (refusal_within_memory(forged).empty()) {
        Index index = Index::load(path_, on_cpu());
        index.add(data_.slice(kRows, kRows));
        expect_sound(index.audit());
        ++loaded;
      }
    }
  }
  EXPECT_GT(loaded, 0) << "a metric or ef_construction of 1 is a sound index";
}

TEST_F(ForgedFile, WithSectionsInAnotherOrderOrOverOneAnotherIsRefused) {
  for (std::size_t a = 0; a < kSections; ++a) {
    for (std::size_t b = 0; b < kSections; ++b) {
      if (a == b) continue;
      std::vector<char> exchanged = bytes_;
      set_section(exchanged, a, section(bytes_, b));
      set_section(exchanged, b, section(bytes_, a));
      expect_refused(exchanged, "");
      SectionRecord shared = section(bytes_, a);
      shared.offset = section(bytes_, b).offset;
      std::vector<char> overlapping = bytes_;
      set_section(overlapping, a, shared);
      expect_refused(overlapping, "out of place");
    }
    // A whole unit later, as no writer does.
    std::vector<char> moved = bytes_;
    moved.insert(moved.begin() + static_cast<std::ptrdiff_t>(section(bytes_, a).offset), 4096, 0);
    for (std::size_t s = a; s < kSections; ++s) {
      SectionRecord record = section(bytes_, s);
      record.offset += 4096;
      set_section(moved, s, record);
    }
    auto header = read_at<Header>(moved, 0);
    header.footer_offset += 4096;
    write_at(moved, 0, header);
    write_at(moved, moved.size() - sizeof(Footer) + offsetof(Footer, file_length),
             std::uint64_t{moved.size()});
    expect_refused(moved, "out of place");
  }
}

TEST_F(ForgedFile, WithUnsoundLinksIsRefusedThoughItsDigestIsRight) {
  // A row with all links in place, the second to a later node: its own fault is found first.
  std::size_t node = 5;
  const auto neighbor = [&](std::size_t j) {
    return read_at<std::uint32_t>(bytes_, row(node) + 16 + 4 * j);
  };
  while (node < kRows && (degree(node) < 2 || degree(node) > kMaxDegree || neighbor(1) <= node))
    ++node;
  ASSERT_LT(node, kRows);
  const auto expect = [&](const char* message, auto&& forge) {
    std::vector<char> forged = bytes_;
    forge(forged);
    SCOPED_TRACE(message);
    expect_refused(forged, message);
  };
  expect("no other node", [&](auto& f) { write_at(f, row(node) + 20, std::uint32_t{kRows}); });
  expect("no other node", [&](auto& f) { write_at(f, row(node) + 20, 0x80000000u); });
  expect("no other node", [&](auto& f) { write_at(f, row(node) + 20, ~0u); });
  expect("no other node",
         [&](auto& f) { write_at(f, row(node) + 20, static_cast<std::uint32_t>(node)); });
  expect("twice", [&](auto& f) { write_at(f, row(node) + 20, neighbor(0)); });
  // The other side of an edge is taken away.
  expect("does not link back",
         [&](auto& f) { write_at(f, row(node), static_cast<std::uint16_t>(degree(node) - 1)); });
  expect("anchors", [&](auto& f) { write_at(f, row(node) + 2, std::uint16_t{0}); });
  expect("anchors", [&](auto& f) { write_at(f, row(node) + 2, std::uint16_t{0xFFFF}); });
  expect("inconsistent", [&](auto& f) { write_at(f, row(node), std::uint16_t{0xFFFF}); });
  for (const std::size_t field : {4u, 8u, 12u}) {  // overflow, sealed copy, epoch
    for (const std::uint32_t value : {0x7FFFFFFFu, 0x80000000u, ~0u}) {
      expect("inconsistent", [&](auto& f) { write_at(f, row(node) + field, value); });
    }
  }
  expect("levels", [&](auto& f) { f[section(f, kLevels).offset + node] = 31; });
  expect("levels", [&](auto& f) { f[section(f, kLevels).offset + node] = -1; });
}

// A row that says it has not changed since its newest neighbor was inserted would be read by
// proposals as a version of the graph that this neighbor is not in.
TEST_F(ForgedFile, WithAListOlderThanItsNeighborsIsRefused) {
  std::size_t tried = 0;
  for (std::size_t node = 0; node < kRows; ++node) {
    if (degree(node) > kMaxDegree) continue;  // long: refused anyway
    bool has_new_neighbor = false;
    for (std::size_t j = 0; j < degree(node); ++j)
      has_new_neighbor |= read_at<std::uint32_t>(bytes_, row(node) + 16 + 4 * j) >= kRows - 3;
    if (!has_new_neighbor) continue;
    std::vector<char> forged = bytes_;
    write_at(forged, row(node) + 12, 0u);
    expect_refused(forged, "newer than the last change");
    ++tried;
  }
  EXPECT_GT(tried, 0u);
}

TEST_F(ForgedFile, WithVectorsThatAddWouldRefuseIsRefused) {
  const std::size_t vectors = section(bytes_, kVectors).offset;
  const std::string last_vector = "vector " + std::to_string(kRows - 1) + " ";
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::signaling_NaN(),
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), 1e30f}) {
    for (const std::size_t element : {0u, 2u}) {
      std::vector<char> forged = bytes_;
      write_at(forged, vectors + (kRows - 1) * 32 + element * 4, bad);
      expect_refused(forged, last_vector);
    }
  }
  for (const float padding : {1.0f, -0.0f, std::numeric_limits<float>::denorm_min()}) {
    std::vector<char> forged = bytes_;
    write_at(forged, vectors + (kRows - 1) * 32 + 12, padding);
    expect_refused(forged, last_vector);
  }
}

// The field that says how vectors are kept, over vectors that are kept otherwise.
TEST_F(ForgedFile, WithVectorsKeptInAnotherWayIsRefused) {
  const auto with = [](std::vector<char> bytes, std::uint32_t element) {
    write_at(bytes, offsetof(Header, element), element);
    return bytes;
  };
  for (const std::uint32_t element : {0u, 1u}) expect_refused(with(bytes_, element), "'vectors'");
  for (const std::uint32_t element : {3u, 4u}) {
    expect_refused(with(bytes_, element), "in another way than it says");
  }
  for (const std::uint32_t element : {5u, 255u, 256u, ~0u}) {
    expect_refused(with(bytes_, element), "unknown way");
  }
  std::vector<char> older = bytes_;  // version 1 has no such field
  write_at(older, offsetof(Header, version), std::uint32_t{1});
  expect_refused(older, "unknown way");
  std::vector<char> whole = bytes_;
  const std::size_t vectors = section(bytes_, kVectors).offset;
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t e = 0; e < 3; ++e) write_at(whole, vectors + 32 * i + 4 * e, 7.0f);
  }
  expect_refused(whole, "narrower");

  Index small(make_params(3, 2, 12, 64), on_cpu());
  Matrix data = make_data(Shape::u8, kRows, 3);
  for (float& x : data.values) x = std::min(x, 127.0f);
  small.add(data.view());
  small.save(path_);
  const std::vector<char> as_bytes = read_file(path_);
  expect_refused(with(as_bytes, 1), "narrower");
  expect_refused(with(as_bytes, 2), "'vectors'");
  std::vector<char> padded = as_bytes;
  padded[section(padded, kVectors).offset + 3] = 1;
  expect_refused(padded, "vector 0 ");

  Index normalised(make_params(3, 2, 12, 64, Metric::cosine), on_cpu());
  normalised.add(data.view());
  normalised.save(path_);
  const std::vector<char> as_floats = read_file(path_);
  for (const std::uint32_t element : {0u, 1u}) {
    expect_refused(with(as_floats, element), "normalised");
  }
}

// Content is checked in parallel; what the refusal names is the first fault all the same.
TEST_F(ForgedFile, WithManyFaultsIsRefusedForTheFirstOnAnyNumberOfThreads) {
  constexpr std::size_t kMany = 1500;
  Index index(make_params(3, 2, 12, 256), on_cpu());
  index.add(make_data(Shape::random, kMany, 3).view());
  index.save(path_);
  bytes_ = read_file(path_);
  const auto expect_first = [&](const std::string& words, auto&& forge) {
    std::vector<char> forged = bytes_;
    forge(forged);
    sign_digest(forged);
    sign(forged);
    write_file(path_, forged);
    const std::string refused = refusal(1);
    EXPECT_THAT(refused, HasSubstr(words));
    for (int repeat = 0; repeat < 10; ++repeat) ASSERT_EQ(refusal(4), refused);
  };
  const auto every = [](std::size_t step, auto&& damage) {
    for (std::size_t node = 500; node < kMany; node += step) damage(node);
  };
  expect_first("vector 500 ", [&](auto& f) {
    every(37, [&](std::size_t node) {
      write_at(f, section(f, kVectors).offset + node * 32, std::numeric_limits<float>::infinity());
    });
  });
  expect_first("node 500, layer 0: counts 65535 anchors", [&](auto& f) {
    every(37, [&](std::size_t node) { write_at(f, row(node) + 2, std::uint16_t{0xFFFF}); });
  });
  expect_first("layer 0: link", [&](auto& f) {
    every(37, [&](std::size_t node) { write_at(f, row(node) + 16, ~0U); });
    every(61, [&](std::size_t node) { write_at(f, row(node) + 2, std::uint16_t{0xFFFF}); });
  });
  expect_first("newer than the last change", [&](auto& f) {
    for (std::size_t node = 0; node < kMany; ++node) {
      if (degree(node) <= kMaxDegree) write_at(f, row(node) + 12, 0U);
    }
  });
}

TEST_F(ForgedFile, WithALabelTwiceIsRefusedAndWithOthersIsAnotherIndex) {
  const std::size_t labels = section(bytes_, kLabels).offset;
  std::vector<char> forged = bytes_;
  write_at(forged, labels + 8 * (kRows - 1), std::uint64_t{1000});
  expect_refused(forged, "label 1000");
  const Index mapped = Index::map(path_, MapCheck::on_first_use, on_cpu());
  for (int call = 0; call < 2; ++call) {
    expect_error(ErrorCode::corrupt_file, {"label 1000"}, [&] { (void)mapped.contains(1000); });
  }
  write_at(forged, labels + 8 * (kRows - 1), ~std::uint64_t{0});
  sign(forged);
  EXPECT_THAT(refusal(forged), HasSubstr("footer"));
  ASSERT_TRUE(sign_digest(forged));
  ASSERT_EQ(refusal(forged), "");
  const Index loaded = Index::load(path_, on_cpu());
  EXPECT_TRUE(loaded.contains(~std::uint64_t{0}));
  EXPECT_NE(loaded.digest(), digest_);
}

TEST_F(ForgedFile, WithASealedCopyThatNamesANodeTwiceIsRefused) {
  const std::size_t copies = section(bytes_, kBaseCopies).offset;
  std::vector<char> forged = bytes_;
  ASSERT_GE(read_at<std::uint32_t>(forged, copies), 2u);
  write_at(forged, copies + 8, read_at<std::uint32_t>(forged, copies + 4));
  expect_refused(forged, "sealed copy");
}

// Nobody reads these words, so that they could carry anything, and two files could hold one index.
TEST_F(ForgedFile, WithWordsThatHoldNoLinkIsRefusedOnEveryWay) {
  std::size_t tried = 0;
  const auto expect_meant = [&](std::size_t at) {
    ASSERT_EQ(read_at<std::uint32_t>(bytes_, at), 0u);
    std::vector<char> forged = bytes_;
    write_at(forged, at, std::uint32_t{0x5EC2E7});
    expect_refused(forged, "hold no link");
    const Index mapped = Index::map(path_, MapCheck::on_first_use, on_cpu());
    expect_error(ErrorCode::corrupt_file, {"hold no link"}, [&] { (void)mapped.audit(); });
    expect_error(ErrorCode::corrupt_file, {"hold no link"},
                 [&] { Index::map(path_, MapCheck::on_open, on_cpu()); });
    ++tried;
  };
  const auto lists = [&](Section first, std::size_t max_degree) {
    const auto block_of = [&](Section blocks, std::uint32_t number, std::size_t words) {
      return section(bytes_, blocks).offset + (number - 1) * words * 4;
    };
    const std::size_t words = 4 + max_degree;
    const std::size_t rows = section(bytes_, first).offset;
    for (std::size_t list = 0; list < section(bytes_, first).length / (4 * words); ++list) {
      const std::size_t at = rows + list * words * 4;
      const std::size_t degree = read_at<std::uint16_t>(bytes_, at);
      for (std::size_t j = degree; j < max_degree; ++j) expect_meant(at + 16 + 4 * j);
      if (const auto overflow = read_at<std::uint32_t>(bytes_, at + 4); overflow != 0) {
        const std::size_t block = block_of(static_cast<Section>(first + 1), overflow, max_degree);
        for (std::size_t j = degree - max_degree; j < max_degree; ++j) expect_meant(block + 4 * j);
      }
      if (const auto copy = read_at<std::uint32_t>(bytes_, at + 8); copy != 0) {
        const std::size_t block = block_of(static_cast<Section>(first + 2), copy, max_degree + 1);
        for (std::size_t j = read_at<std::uint32_t>(bytes_, block); j < max_degree; ++j)
          expect_meant(block + 4 + 4 * j);
      }
    }
  };
  lists(kBaseLists, kMaxDegree);
  const std::size_t of_layer_0 = tried;
  lists(kUpperLists, kMaxDegree / 2);
  EXPECT_GT(of_layer_0, 20u);
  EXPECT_GT(tried, of_layer_0);
}

// One to four words anywhere, the digest made right wherever that can be done.
TEST_F(ForgedFile, AtRandomNeverMakesAnUnsoundIndex) {
  std::uint64_t refused = 0;
  const std::uint64_t rounds = scaled(2000, 400);
  std::vector<std::uint64_t> new_labels(kRows);
  for (std::size_t i = 0; i < kRows; ++i) new_labels[i] = (std::uint64_t{1} << 40) + i;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<char> forged = bytes_;
    for (std::uint64_t c = 0; c < 1 + hash(round, 0) % 4; ++c) {
      const SectionRecord record = section(forged, hash(round, 1, c) % kSections);
      const std::size_t at = record.offset + hash(round, 2, c) % record.length / 4 * 4;
      const std::uint64_t value = hash(round, 4, c);
      const bool small = hash(round, 3, c) % 2 == 0;
      write_at(forged, at, static_cast<std::uint32_t>(small ? value % 70 : value));
    }
    sign_digest(forged);
    sign(forged);
    if (!refusal_within_memory(forged).empty()) {
      ++refused;
      continue;
    }
    Index index = Index::load(path_, on_cpu());
    EXPECT_EQ(index.search(data_.slice(0, 5), {3, 10}).counts.size(), 5u);
    index.add(data_.slice(kRows, kRows), new_labels);
    const AuditReport report = index.audit();
    ASSERT_TRUE(report.ok) << "round " << round << ": " << report.messages[0];
  }
  EXPECT_GT(refused, rounds / 4);
  EXPECT_LT(refused, rounds) << "vectors and labels can be forged into another sound index";
}

// Held to the same bound, sound files of several shapes load; the limit itself is real.
TEST_F(ForgedFile, LoadingTakesNoMoreThanFourTimesTheFile) {
  for (const std::uint32_t dimension : {1u, 8u, 128u}) {
    for (const bool labelled : {false, true}) {
      const std::size_t n = scaled(6000, 1000);
      std::vector<std::uint64_t> labels(labelled ? n : 0);
      for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 3 * i + 1;
      Index index(make_params(dimension, 2, 4, 64), on_cpu());
      const Matrix data = make_data(Shape::random, n, dimension);
      labelled ? index.add(data.view(), labels) : index.add(data.view());
      index.save(path_);
      const std::size_t bound = kConstantMemory + kFactor * std::filesystem::file_size(path_);
      const DataLimit limit(bound);
      if (DataLimit::supported() && !DataLimit::refuses(2 * bound)) {
        GTEST_SKIP() << "this system does not enforce RLIMIT_DATA";
      }
      EXPECT_EQ(refusal(), "");
    }
  }
}

/// A file with copies, of which some are dead, and firsts that copies keep.
class ForgedCopies : public ForgedFile {
 protected:
  static constexpr std::size_t kSize = 80;
  ForgedCopies() {
    Index index(make_params(3, 2, 12, 4096), on_cpu());
    index.add(make_data(Shape::duplicate, kSize, 3).view());
    std::vector<std::uint64_t> labels;
    for (std::uint64_t label = 0; label < kSize; label += 9) labels.push_back(label);
    index.remove(labels);
    index.save(path_);
    bytes_ = read_file(path_);
    copies_.resize(section(bytes_, kCopies).length / sizeof(core::CopyPlace));
    std::memcpy(copies_.data(), bytes_.data() + section(bytes_, kCopies).offset,
                copies_.size() * sizeof(core::CopyPlace));
  }
  void expect_refused_with(const std::vector<core::CopyPlace>& copies, const std::string& words) {
    std::vector<char> forged = bytes_;
    std::memcpy(forged.data() + section(forged, kCopies).offset, copies.data(),
                copies.size() * sizeof(core::CopyPlace));
    expect_refused(forged, words);
  }

  std::vector<core::CopyPlace> copies_;
};

TEST_F(ForgedCopies, BehindWhatIsNoNodeOfAnEqualVectorAreRefused) {
  ASSERT_GT(copies_.size(), 8u);
  ASSERT_EQ(read_at<Header>(bytes_, 0).version, kVersion);
  std::vector<char> forged = bytes_;
  ASSERT_TRUE(sign_digest(forged));
  sign(forged);
  EXPECT_EQ(forged, bytes_) << "the helper signs as the library does";
  const auto with = [&](std::size_t place, core::CopyPlace other) {
    std::vector<core::CopyPlace> copies = copies_;
    copies[place] = other;
    return copies;
  };
  const std::string no_node = "behind what is no earlier node";
  for (std::size_t i = 0; i < copies_.size(); ++i) {
    const auto [copy, first] = copies_[i];
    expect_refused_with(with(i, {copy, copy}), no_node);
    expect_refused_with(with(i, {copy, copy + 1}), no_node);
    expect_refused_with(with(i, {copy, core::kNoNode}), no_node);
    expect_refused_with(with(i, {core::kNoNode, first}), no_node);
    expect_refused_with(with(i, {kSize, first}), no_node);
    expect_refused_with(with(i, {first, first}), no_node);
    if (i > 0) expect_refused_with(with(i, copies_[i - 1]), no_node);
    if (i > 0) expect_refused_with(with(i, {copy, copies_[i - 1].copy}), no_node);
    // Another node, of another vector.
    for (const auto& [other_copy, other] : copies_) {
      if (other == first || other >= copy) continue;
      expect_refused_with(with(i, {copy, other}), "is no copy");
      break;
    }
    // A node with links in the place of a copy.
    if (copy + 1 < kSize && (i + 1 == copies_.size() || copies_[i + 1].copy > copy + 1)) {
      expect_refused_with(with(i, {copy + 1, first}), "");
    }
  }
}

// Nothing reads the list of a copy, so nothing may stand in its header.
TEST_F(ForgedCopies, WithAListAreRefused) {
  for (const auto& [copy, first] : copies_) {
    for (const std::size_t at : {0u, 2u, 4u, 8u}) {
      std::vector<char> forged = bytes_;
      write_at(forged, row(copy) + at, std::uint16_t{1});
      expect_refused(forged, "");
    }
  }
}

TEST_F(ForgedCopies, InAnyNumberAreRefused) {
  for (const std::uint64_t count : {std::uint64_t{0}, copies_.size() - 1, copies_.size() + 1,
                                    std::uint64_t{kSize}, ~std::uint64_t{0} / 16}) {
    std::vector<char> forged = bytes_;
    SectionRecord record = section(forged, kCopies);
    record.length = count * sizeof(core::CopyPlace);
    set_section(forged, kCopies, record);
    expect_refused(forged, "");
  }
  std::vector<char> older = bytes_;  // without the section that it must have
  write_at(older, offsetof(Header, version), kVersionDead);
  expect_refused(older, "number of sections");
}

// Every bit of the section decides, and so does that of a tombstone.
TEST_F(ForgedCopies, WithAnyBitFlippedAreRefused) {
  for (const Section s : {kCopies, kTombstones}) {
    const SectionRecord record = section(bytes_, s);
    ASSERT_GT(record.length, 0u);
    for (std::size_t bit = 0; bit < record.length * 8; ++bit) {
      std::vector<char> damaged = bytes_;
      damaged[record.offset + bit / 8] ^= static_cast<char>(1 << bit % 8);
      EXPECT_NE(SmallFile::refusal(damaged), "") << "section " << s << " bit " << bit;
      expect_refused_or_sound(damaged);
    }
  }
}

}  // namespace
}  // namespace concord::test
