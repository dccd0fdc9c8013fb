#include "tests/support/index_file.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "common/base/xxh3.hpp"

namespace concord::test {
namespace {

using namespace core::file;

bool within(const std::vector<char>& bytes, std::uint64_t offset, std::uint64_t length) {
  return offset <= bytes.size() && length <= bytes.size() - offset;
}

// The digest of FORMAT.md's content: parameters, levels, rows by node and layer, vectors, labels.
class ContentDigest {
 public:
  explicit ContentDigest(const std::vector<char>& bytes)
      : bytes_(bytes), header_(read_at<Header>(bytes, 0)) {
    XXH3_128bits_reset(&hash_);
  }

  std::optional<std::array<std::uint8_t, 16>> compute() {
    if (header_.dimension > 65536 || header_.M > 64) return {};  // no product below overflows
    const std::uint64_t n = header_.n;
    const bool floats = header_.version == 1 || header_.element == 2;
    const std::uint64_t stride = (std::uint64_t{header_.dimension} + 7) / 8 * (floats ? 32 : 8);
    if (!holds(kLevels, n) || !holds(kVectors, n * stride) || !holds(kLabels, n * 8)) return {};
    for (const std::uint64_t number :
         {std::uint64_t{header_.dimension}, std::uint64_t{header_.metric}, std::uint64_t{header_.M},
          std::uint64_t{header_.ef_construction}, header_.seed, std::uint64_t{header_.epoch_limit},
          n, std::uint64_t{header_.entry.node}}) {
      add(&number, sizeof number);
    }
    add(at(kLevels, 0), n);
    std::uint64_t upper_row = 0;
    for (std::uint64_t node = 0; node < n; ++node) {
      const auto level = static_cast<std::uint8_t>(*at(kLevels, node));
      if (!add_list(kBaseLists, node, 2 * std::uint64_t{header_.M})) return {};
      for (std::uint32_t layer = 1; layer <= level; ++layer) {
        if (!add_list(kUpperLists, upper_row++, header_.M)) return {};
      }
    }
    if (header_.version >= kVersionDead && !add_history()) return {};
    for (std::uint64_t node = 0; node < n; ++node) {
      const char* const row = at(kVectors, node * stride);
      if (floats) {
        add(row, std::size_t{header_.dimension} * sizeof(float));
        continue;
      }
      for (std::uint32_t e = 0; e < header_.dimension; ++e) {
        const float x = header_.element == 0 ? static_cast<float>(static_cast<std::uint8_t>(row[e]))
                                             : static_cast<float>(static_cast<std::int8_t>(row[e]));
        add(&x, sizeof x);
      }
    }
    add(at(kLabels, 0), n * 8);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&hash_));
    std::array<std::uint8_t, 16> digest;
    std::copy(std::begin(canonical.digest), std::end(canonical.digest), digest.begin());
    return digest;
  }

 private:
  void add(const void* data, std::size_t length) { XXH3_128bits_update(&hash_, data, length); }
  const char* at(Section s, std::uint64_t offset) const {
    return bytes_.data() + section(bytes_, s).offset + offset;
  }
  bool holds(Section s, std::uint64_t length) const {
    const SectionRecord record = section(bytes_, s);
    return within(bytes_, record.offset, record.length) && length <= record.length;
  }

  bool add_history() {
    for (const std::uint64_t number :
         {header_.insertions, header_.removals, std::uint64_t{header_.epoch},
          std::uint64_t{header_.sealed_end}, std::uint64_t{header_.epoch_begin},
          std::uint64_t{header_.epoch_end}}) {
      add(&number, sizeof number);
    }
    const std::uint64_t length = section(bytes_, kTombstones).length;
    if (!holds(kTombstones, length)) return false;
    add(at(kTombstones, 0), length);
    if (header_.version < kVersion) return true;
    const std::uint64_t copies = section(bytes_, kCopies).length;
    if (!holds(kCopies, copies)) return false;
    add(at(kCopies, 0), copies);
    return true;
  }

  // Degree, ids in place, ids in the overflow block.
  bool add_list(Section lists, std::uint64_t list, std::uint64_t max_degree) {
    const std::uint64_t offset = list * (16 + 4 * max_degree);
    if (!holds(lists, offset + 16 + 4 * max_degree)) return false;
    std::uint16_t degree = 0;
    std::uint32_t overflow = 0;
    std::memcpy(&degree, at(lists, offset), sizeof degree);
    std::memcpy(&overflow, at(lists, offset + 4), sizeof overflow);
    const std::uint32_t count = degree;
    add(&count, sizeof count);
    const std::uint64_t in_place = std::min<std::uint64_t>(degree, max_degree);
    add(at(lists, offset + 16), in_place * 4);
    if (in_place == degree) return true;
    const auto blocks = static_cast<Section>(lists + 1);
    const std::uint64_t block = 4 * max_degree;
    const std::uint64_t more = 4 * (degree - in_place);
    if (overflow == 0 || !holds(blocks, (overflow - 1) * block + more)) return false;
    add(at(blocks, (overflow - 1) * block), more);
    return true;
  }

  const std::vector<char>& bytes_;
  Header header_;
  XXH3_state_t hash_;
};

}  // namespace

void sign(std::vector<char>& bytes) {
  const auto header = read_at<Header>(bytes, 0);
  std::size_t sections = header.version <= kVersion ? sections_of(header.version) : kSections;
  if (header.section_count == sections + 1) ++sections;  // codes
  for (std::size_t s = 0; s < sections; ++s) {
    SectionRecord record = section(bytes, s);
    if (!within(bytes, record.offset, record.length)) continue;
    record.checksum = XXH3_64bits(bytes.data() + record.offset, record.length);
    set_section(bytes, s, record);
  }
  std::vector<char> signed_part(bytes.begin(), bytes.begin() + offsetof(Header, checksum));
  const char* const table = bytes.data() + kTableOffset;
  signed_part.insert(signed_part.end(), table, table + sections * sizeof(SectionRecord));
  write_at(bytes, offsetof(Header, checksum), XXH3_64bits(signed_part.data(), signed_part.size()));
}

bool sign_digest(std::vector<char>& bytes) {
  const std::uint64_t footer = read_at<Header>(bytes, 0).footer_offset;
  if (!within(bytes, footer, sizeof(Footer))) return false;
  const auto digest = ContentDigest(bytes).compute();
  if (!digest) return false;
  write_at(bytes, footer + offsetof(Footer, digest), *digest);
  return true;
}

}  // namespace concord::test
