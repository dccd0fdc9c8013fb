// Files of indexes with codes: the section of codes is meant to the last bit, belongs to the
// vectors, and may be missing, as in files of earlier commits.

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/hostile/small_file.hpp"

namespace concord::test {
namespace {

using namespace core::file;
using testing::HasSubstr;

constexpr std::size_t kPlace = kSections;  // of the section in the table of an index without deaths
constexpr std::size_t kCodeBytes = 16;     // three elements and three numbers

class CodedFile : public SmallFile {
 protected:
  CodedFile() : coded_(params(), on_cpu()) {
    coded_.add(data_.slice(0, kRows));
    coded_.save(path_);
    bytes_ = read_file(path_);
  }
  static IndexParams params() {
    IndexParams params = make_params(3, 2, 12, 4096);
    params.codes = Codes::sq8;
    return params;
  }
  /// The file as commits before the section wrote it.
  [[nodiscard]] std::vector<char> without_codes() const {
    std::vector<char> old = bytes_;
    Header header = read_at<Header>(old, 0);
    header.section_count = kSections;
    set_section(old, kPlace, {});
    const SectionRecord labels = section(old, kLabels);
    header.footer_offset = (labels.offset + labels.length + kFooterAlignment - 1) /
                           kFooterAlignment * kFooterAlignment;
    Footer footer = read_at<Footer>(bytes_, bytes_.size() - sizeof(Footer));
    old.resize(header.footer_offset + sizeof(Footer));
    footer.file_length = old.size();
    write_at(old, 0, header);
    write_at(old, header.footer_offset, footer);
    sign(old);
    return old;
  }

  Index coded_;
};

TEST_F(CodedFile, HasACodeForEachVector) {
  EXPECT_EQ(read_at<Header>(bytes_, 0).section_count, kSections + 1);
  EXPECT_EQ(section(bytes_, kPlace).kind, kCodes + 1);
  EXPECT_EQ(section(bytes_, kPlace).length, kRows * kCodeBytes);
  EXPECT_EQ(refusal(), "");
}

TEST_F(CodedFile, WithASingleBitFlippedIsRefused) {
  const SectionRecord codes = section(bytes_, kPlace);
  for (std::size_t byte = 0; byte < codes.length; ++byte) {
    std::vector<char> damaged = bytes_;
    damaged[codes.offset + byte] = static_cast<char>(damaged[codes.offset + byte] ^ 4);
    ASSERT_THAT(refusal(damaged), HasSubstr("'codes' is damaged")) << byte;
    expect_error(ErrorCode::corrupt_file, {"codes"},
                 [&] { (void)Index::map(path_, MapCheck::on_first_use, on_cpu()); });
    if (full_scale() || byte % 16 == 0) continue;
    byte += 15;
  }
}

TEST_F(CodedFile, WithACodeOfAnotherVectorIsRefused) {
  const SectionRecord codes = section(bytes_, kPlace);
  std::vector<char> forged = bytes_;
  const auto at = [&](std::size_t row) {
    return forged.begin() + static_cast<std::ptrdiff_t>(codes.offset + row * kCodeBytes);
  };
  std::swap_ranges(at(3), at(4), at(40));
  sign(forged);
  EXPECT_THAT(refusal(forged), HasSubstr("code of vector 3 "));
  // Before what is found by codes is given its distances.
  const Index mapped = Index::map(path_, MapCheck::on_first_use, on_cpu());
  EXPECT_TRUE(mapped.contains(3));
  for (int turn = 0; turn < 2; ++turn) {
    expect_error(ErrorCode::corrupt_file, {"code of vector 3 "},
                 [&] { (void)mapped.search(data_.slice(0, 1), {.k = 1, .ef = 8}); });
  }
}

TEST_F(CodedFile, OfAnEarlierCommitGetsItsCodesAnew) {
  const std::vector<char> old = without_codes();
  EXPECT_LT(old.size(), bytes_.size());
  ASSERT_EQ(refusal(old), "");
  const TempPath again;
  Index::load(path_, on_cpu()).save(again);
  EXPECT_EQ(read_file(again), bytes_);
  const Index mapped = Index::map(path_, MapCheck::on_open, on_cpu());
  EXPECT_EQ(mapped.digest(), coded_.digest());
  EXPECT_EQ(mapped.search(data_.view(), {.k = 3, .ef = 8}).labels,
            coded_.search(data_.view(), {.k = 3, .ef = 8}).labels);
}

TEST_F(CodedFile, TheSectionIsForIndexesWithCodes) {
  std::vector<char> forged = bytes_;
  Header header = read_at<Header>(forged, 0);
  header.metric = 0;
  write_at(forged, 0, header);
  sign(forged);
  EXPECT_THAT(refusal(forged), HasSubstr("number of sections"));
  forged = bytes_;
  SectionRecord codes = section(forged, kPlace);
  codes.length -= kCodeBytes;
  set_section(forged, kPlace, codes);
  sign(forged);
  EXPECT_THAT(refusal(forged), HasSubstr("'codes' has"));
}

/// With codes of four bits: the sums of the first vectors are before the codes.
class RotatedFile : public SmallFile {
 protected:
  static constexpr std::size_t kMany = 1100;
  static constexpr std::size_t kSums = 3 * sizeof(double);

  RotatedFile() { save(false); }
  /// With `removes` the first vectors of all are gone.
  void save(bool removes) {
    IndexParams params = make_params(3, 2, 12, 4096);
    params.codes = Codes::sq4;
    Index index(params, on_cpu());
    index.add(many_.view());
    if (removes) {
      index.remove(std::vector<std::uint64_t>{0, 1, 2});
      index.flush();
    }
    index.save(path_);
    bytes_ = read_file(path_);
    place_ = kSections + (removes ? 2 : 0);
  }
  [[nodiscard]] std::vector<char> with_sum(double sum) const {
    std::vector<char> forged = bytes_;
    write_at(forged, section(forged, place_).offset, sum);
    sign(forged);
    return forged;
  }

  Matrix many_ = make_data(Shape::random, kMany, 3, 5);
  std::size_t place_ = 0;
};

TEST_F(RotatedFile, HasSumsAndACodeForEachVector) {
  EXPECT_EQ(section(bytes_, place_).kind, kCodes + 1);
  EXPECT_EQ(section(bytes_, place_).length, kSums + kMany * kCodeBytes);
  EXPECT_EQ(refusal(), "");
}

TEST_F(RotatedFile, WithASingleBitFlippedIsRefused) {
  const SectionRecord codes = section(bytes_, place_);
  for (std::size_t byte = 0; byte < codes.length; byte += byte < 2 * kSums ? 1 : 997) {
    std::vector<char> damaged = bytes_;
    damaged[codes.offset + byte] = static_cast<char>(damaged[codes.offset + byte] ^ 4);
    ASSERT_THAT(refusal(damaged), HasSubstr("'codes' is damaged")) << byte;
  }
}

TEST_F(RotatedFile, WithOtherSumsIsRefused) {
  for (const double sum : {0.0, 1e300, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(refusal(with_sum(sum)), HasSubstr("sum of its first vectors"));
    const Index mapped = Index::map(path_, MapCheck::on_first_use, on_cpu());
    expect_error(ErrorCode::corrupt_file, {"sum of its first vectors"},
                 [&] { (void)mapped.search(many_.slice(0, 1), {.k = 1, .ef = 8}); });
  }
}

// Then only what no vectors add up to is known to be wrong; the codes of others betray the rest.
TEST_F(RotatedFile, WithOtherSumsOfVectorsThatAreGoneIsRefused) {
  save(true);
  ASSERT_EQ(refusal(), "");
  for (const double sum : {1e300, 1e20, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(refusal(with_sum(sum)), HasSubstr("sum of its first vectors"));
  }
  EXPECT_THAT(refusal(with_sum(1e6)), HasSubstr("code of vector 0 "));
}

TEST_F(RotatedFile, WithACodeOfAnotherVectorIsRefused) {
  std::vector<char> forged = bytes_;
  const auto at = [&](std::size_t row) {
    return forged.begin() +
           static_cast<std::ptrdiff_t>(section(forged, place_).offset + kSums + row * kCodeBytes);
  };
  std::swap_ranges(at(3), at(4), at(40));
  sign(forged);
  EXPECT_THAT(refusal(forged), HasSubstr("code of vector 3 "));
}

// As an index has it that had no memory to make codes.
TEST_F(RotatedFile, WithoutCodesBehindItsSumsGetsThem) {
  std::vector<char> bare = bytes_;
  SectionRecord codes = section(bare, place_);
  codes.length = kSums;
  set_section(bare, place_, codes);
  Header header = read_at<Header>(bare, 0);
  header.footer_offset =
      (codes.offset + kSums + kFooterAlignment - 1) / kFooterAlignment * kFooterAlignment;
  Footer footer = read_at<Footer>(bytes_, bytes_.size() - sizeof(Footer));
  std::fill(bare.begin() + static_cast<std::ptrdiff_t>(codes.offset + kSums), bare.end(), 0);
  bare.resize(header.footer_offset + sizeof(Footer));
  footer.file_length = bare.size();
  write_at(bare, 0, header);
  write_at(bare, header.footer_offset, footer);
  sign(bare);
  ASSERT_EQ(refusal(bare), "");
  const TempPath again;
  Index::load(path_, on_cpu()).save(again);
  EXPECT_EQ(read_file(again), bytes_);
}

TEST_F(RotatedFile, NeedsTheSectionAndItsLength) {
  std::vector<char> forged = bytes_;
  Header header = read_at<Header>(forged, 0);
  header.section_count = kSections;
  write_at(forged, 0, header);
  EXPECT_THAT(refusal(forged), HasSubstr("number of sections"));
  for (const std::size_t length : {std::size_t{0}, kSums - 8, kSums + 8, kSums + kCodeBytes}) {
    forged = bytes_;
    SectionRecord codes = section(forged, place_);
    codes.length = length;
    set_section(forged, place_, codes);
    sign(forged);
    EXPECT_THAT(refusal(forged), HasSubstr("'codes' has")) << length;
  }
}

}  // namespace
}  // namespace concord::test
