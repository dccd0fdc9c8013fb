// An index file as bytes to forge: its records, its checksums and its digest, computed from the
// bytes alone as common/FORMAT.md says, independently of the code that writes and reads files.
#pragma once

#include <cstring>
#include <vector>

#include "common/file/file_layout.hpp"

namespace concord::test {

using core::file::Header;
using core::file::SectionRecord;

inline constexpr std::size_t kTableOffset = sizeof(Header);
inline constexpr std::size_t kSections = core::file::sections_of(core::file::kVersionAlive);
inline constexpr std::size_t kTableEnd = kTableOffset + kSections * sizeof(SectionRecord);

template <class T>
T read_at(const std::vector<char>& bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <class T>
void write_at(std::vector<char>& bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

inline SectionRecord section(const std::vector<char>& bytes, std::size_t s) {
  return read_at<SectionRecord>(bytes, kTableOffset + s * sizeof(SectionRecord));
}

inline void set_section(std::vector<char>& bytes, std::size_t s, const SectionRecord& record) {
  write_at(bytes, kTableOffset + s * sizeof(SectionRecord), record);
}

/// Makes every checksum of the file right again, so that only its content can give it away. Takes
/// any bytes that are at least a header and a table long.
void sign(std::vector<char>& bytes);

/// Makes the digest in the footer that of the content. False, with nothing changed, where the
/// content cannot be walked: sections that do not fit one another or the file.
bool sign_digest(std::vector<char>& bytes);

}  // namespace concord::test
