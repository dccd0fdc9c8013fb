#include "common/shards/manifest.hpp"

#include <fcntl.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "common/base/xxh3.hpp"
#include "common/file/file_format.hpp"
#include "common/file/file_layout.hpp"
#include "common/system/atomic_file.hpp"
#include "common/system/file.hpp"

namespace concord::core {
namespace {

constexpr std::array<char, 8> kMagic = {'C', 'O', 'N', 'C', 'S', 'H', 'D', '\n'};
constexpr std::uint32_t kVersion = 1;

struct Header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t shards;
  std::uint32_t block;
  std::uint32_t dimension;
  std::uint32_t metric;
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t epoch_limit;
  std::uint64_t seed;
  std::uint64_t generation;
};
static_assert(sizeof(Header) == 56);

struct FileRecord {
  std::uint64_t bytes;
  Digest digest;
  Digest next;
};
static_assert(sizeof(FileRecord) == 40);

using Checksum = std::uint64_t;

std::filesystem::path manifest_path(const std::filesystem::path& folder) {
  return folder / "manifest";
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorCode::corrupt_file, "'" + path.string() + "' " + reason);
}

std::size_t length_for(std::size_t shards) {
  return sizeof(Header) + shards * sizeof(FileRecord) + sizeof(Checksum);
}

/// Throws Error(corrupt_file) for a header that no manifest has.
void check(const Header& header, const std::filesystem::path& path) {
  if (header.magic != kMagic) refuse(path, "is not the manifest of a ShardedIndex");
  if (header.version != kVersion) {
    refuse(path, "has version " + std::to_string(header.version) + "; this build reads version " +
                     std::to_string(kVersion));
  }
  try {
    file::params_of(header).validate();
    ShardParams{header.shards, header.block}.validate();
  } catch (const Error& error) {
    refuse(path, std::string("is damaged: ") + error.what());
  }
}

bool is_absent(const Digest& digest) { return digest == Digest{}; }

}  // namespace

std::optional<Manifest> read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = manifest_path(folder);
  if (!identity_of(path).exists()) return std::nullopt;
  const File file(path, O_RDONLY);
  Header header{};
  if (file.read(0, &header, sizeof header) != sizeof header) refuse(path, "is cut off");
  check(header, path);
  std::vector<std::uint8_t> bytes(length_for(header.shards));
  if (file.size() != bytes.size() || file.read(0, bytes.data(), bytes.size()) != bytes.size()) {
    refuse(path,
           "is damaged: its length does not fit " + std::to_string(header.shards) + " shards");
  }
  const std::size_t signed_bytes = bytes.size() - sizeof(Checksum);
  Checksum checksum;
  std::memcpy(&checksum, bytes.data() + signed_bytes, sizeof checksum);
  if (checksum != XXH3_64bits(bytes.data(), signed_bytes)) {
    refuse(path, "is damaged: its checksum does not hold");
  }
  std::memcpy(&header, bytes.data(), sizeof header);  // of what was signed, if someone writes to it
  check(header, path);
  Manifest manifest{file::params_of(header), {header.shards, header.block}, header.generation, {}};
  for (std::size_t s = 0; s < header.shards; ++s) {
    FileRecord record;
    std::memcpy(&record, bytes.data() + sizeof header + s * sizeof record, sizeof record);
    manifest.files.push_back({record.bytes, record.digest, record.next});
  }
  return manifest;
}

void write_manifest(const std::filesystem::path& folder, const Manifest& manifest) {
  const IndexParams& p = manifest.params;
  const Header header{kMagic,
                      kVersion,
                      manifest.shards.shards,
                      manifest.shards.block,
                      p.dimension,
                      metric_word(p),
                      p.M,
                      p.ef_construction,
                      p.epoch_limit,
                      p.seed,
                      manifest.generation};
  std::vector<std::uint8_t> bytes(length_for(manifest.files.size()));
  std::memcpy(bytes.data(), &header, sizeof header);
  for (std::size_t s = 0; s < manifest.files.size(); ++s) {
    const Manifest::File& file = manifest.files[s];
    const FileRecord record{file.bytes, file.digest, file.next};
    std::memcpy(bytes.data() + sizeof header + s * sizeof record, &record, sizeof record);
  }
  const std::size_t signed_bytes = bytes.size() - sizeof(Checksum);
  const Checksum checksum = XXH3_64bits(bytes.data(), signed_bytes);
  std::memcpy(bytes.data() + signed_bytes, &checksum, sizeof checksum);
  remove_leftovers_of({manifest_path(folder)});
  AtomicFile file(manifest_path(folder));
  file.write(bytes.data(), bytes.size());
  file.commit();
}

std::filesystem::path shard_path(const std::filesystem::path& folder, std::size_t shard) {
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "shard-%04zu.concord", shard);
  return folder / name.data();
}

Manifest::File shard_file(const std::filesystem::path& folder, std::size_t shard) {
  const std::filesystem::path path = shard_path(folder, shard);
  const FileIdentity found = identity_of(path);
  if (!found.exists()) return {};
  const Digest digest = stored_digest(path);
  return {static_cast<std::uint64_t>(found.bytes), digest, digest};
}

void expect_files(const std::filesystem::path& folder, const Manifest& manifest) {
  for (std::size_t s = 0; s < manifest.files.size(); ++s) {
    const Manifest::File& named = manifest.files[s];
    const Manifest::File found = shard_file(folder, s);
    if (found.digest == named.digest || found.digest == named.next) continue;
    const std::filesystem::path path = shard_path(folder, s);
    if (is_absent(found.digest)) refuse(path, "is missing, although the manifest names it");
    refuse(path, "is not the file that the manifest names: its digest is " + to_hex(found.digest) +
                     ", the manifest's " + to_hex(named.digest));
  }
}

}  // namespace concord::core
