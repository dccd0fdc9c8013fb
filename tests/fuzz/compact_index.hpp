// Index files without the gaps between their sections, for the fuzzer: ten times shorter, and no
// mutation is wasted on bytes that must be zero.
//
// Compact form: header, section table, the sections one behind the other, footer. The first byte of
// the header's unused part says what expand() makes right: with kKeepTable, offsets and lengths
// stay as the input has them; with kKeepDigest, so does the digest. Checksums are always made
// right.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tests/support/index_file.hpp"

namespace concord::fuzz {

inline constexpr std::uint8_t kKeepTable = 1;
inline constexpr std::uint8_t kKeepDigest = 2;

inline std::vector<char> compact(const std::vector<char>& file) {
  std::vector<char> bytes(file.begin(), file.begin() + test::kTableEnd);
  for (std::size_t s = 0; s < test::kSections; ++s) {
    const auto record = test::section(file, s);
    const auto first = file.begin() + static_cast<std::ptrdiff_t>(record.offset);
    bytes.insert(bytes.end(), first, first + static_cast<std::ptrdiff_t>(record.length));
  }
  bytes.insert(bytes.end(), file.end() - sizeof(core::file::Footer), file.end());
  return bytes;
}

/// The file that compact bytes stand for; bytes too short for a header and a table stay as they
/// are.
inline std::vector<char> expand(std::span<const char> bytes) {
  if (bytes.size() < test::kTableEnd) return {bytes.begin(), bytes.end()};
  std::vector<char> file(bytes.begin(), bytes.begin() + test::kTableEnd);
  bytes = bytes.subspan(test::kTableEnd);
  auto header = test::read_at<core::file::Header>(file, 0);
  const auto flags = static_cast<std::uint8_t>(header.insertions);  // not a field of version 2
  header.insertions = 0;
  const auto take = [&](std::uint64_t wanted) {
    const std::size_t length = std::min<std::uint64_t>(wanted, bytes.size());
    file.insert(file.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    bytes = bytes.subspan(length);
    return length;
  };
  for (std::size_t s = 0; s < test::kSections; ++s) {
    auto record = test::section(file, s);
    file.resize(core::file::align(file.size(), core::file::kSectionAlignment));
    const std::size_t offset = file.size();
    const std::size_t length = take(record.length);
    if ((flags & kKeepTable) != 0) continue;
    record.offset = offset;
    record.length = length;
    test::set_section(file, s, record);
  }
  file.resize(core::file::align(file.size(), core::file::kFooterAlignment));
  if ((flags & kKeepTable) == 0) header.footer_offset = file.size();
  take(bytes.size());
  test::write_at(file, 0, header);
  if ((flags & kKeepDigest) == 0) test::sign_digest(file);
  test::sign(file);
  return file;
}

}  // namespace concord::fuzz
