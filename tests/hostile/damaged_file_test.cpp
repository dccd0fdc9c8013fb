// Files damaged by accident: cut at any byte, with any bit flipped, with anything in their gaps.
// Every byte of an index file is either meant or refused.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "tests/hostile/small_file.hpp"

namespace concord::test {
namespace {

class DamagedFile : public SmallFile {
 protected:
  DamagedFile() : descriptor_(open(path_.path().c_str(), O_WRONLY | O_CLOEXEC)) {}
  ~DamagedFile() override { close(descriptor_); }

  void put(std::size_t offset, char byte) {
    ASSERT_EQ(pwrite(descriptor_, &byte, 1, static_cast<off_t>(offset)), 1);
  }
  // True for bytes that no section, record or footer holds.
  [[nodiscard]] std::vector<bool> gaps() const {
    std::vector<bool> gap(bytes_.size(), true);
    const auto take = [&](std::size_t first, std::size_t length) {
      std::fill_n(gap.begin() + static_cast<std::ptrdiff_t>(first), length, false);
    };
    take(0, kTableEnd);
    for (std::size_t s = 0; s < kSections; ++s)
      take(section(bytes_, s).offset, section(bytes_, s).length);
    take(bytes_.size() - sizeof(core::file::Footer), sizeof(core::file::Footer));
    return gap;
  }

  int descriptor_;
};

TEST_F(DamagedFile, CutAtAnyByteIsRefused) {
  const std::size_t step = full_scale() ? 1 : 17;
  for (std::size_t length = bytes_.size(); length-- > 0;) {
    if (length % step != 0) continue;
    ASSERT_EQ(ftruncate(descriptor_, static_cast<off_t>(length)), 0);
    ASSERT_NE(refusal(), "") << "cut to " << length << " bytes of " << bytes_.size();
  }
}

// Two bits of each byte; all eight where CONCORD_TEST_SCALE is 400 or more. In gaps, which are
// compared with zero, every seventh byte.
TEST_F(DamagedFile, WithASingleBitFlippedIsRefused) {
  const std::vector<bool> gap = gaps();
  const std::size_t step = full_scale() ? 1 : 23;
  const std::size_t bits = std::min<std::size_t>(8, scaled(2, 2));
  for (std::size_t byte = 0; byte < bytes_.size(); byte += step) {
    if (gap[byte] && byte % 7 != 0) continue;
    for (std::size_t i = 0; i < bits; ++i) {
      const std::size_t bit = (byte + i * (8 / bits)) % 8;
      put(byte, static_cast<char>(bytes_[byte] ^ (1 << bit)));
      ASSERT_NE(refusal(), "") << "byte " << byte << " bit " << bit;
    }
    put(byte, bytes_[byte]);
  }
  ASSERT_EQ(read_file(path_), bytes_);
  EXPECT_EQ(refusal(), "");
}

TEST_F(DamagedFile, WithAnythingInAGapIsRefusedEvenWhereItIsSigned) {
  const std::vector<bool> gap = gaps();
  std::size_t tried = 0;
  for (std::size_t byte = 1; byte < bytes_.size(); ++byte) {
    const bool edge = gap[byte] && (!gap[byte - 1] || !gap[byte + 1]);  // a footer follows the last
    if (!edge) continue;
    std::vector<char> damaged = bytes_;
    damaged[byte] = 1;
    sign(damaged);
    EXPECT_THAT(refusal(damaged), testing::HasSubstr("between its sections")) << "byte " << byte;
    ++tried;
  }
  EXPECT_GE(tried, 2 * kSections);
}

}  // namespace
}  // namespace concord::test
