// The rules of a whole for those who open its shards one by one: its manifest and its digest.
#include <charconv>
#include <concord/shard_folder.hpp>

#include "common/contents/digest.hpp"
#include "common/shards/manifest.hpp"

namespace concord {
namespace {

core::Digest digest_from(const std::string& text) {
  core::Digest digest{};
  const char* const begin = text.data();
  bool is_hex = text.size() == 2 * digest.size();
  for (std::size_t i = 0; is_hex && i < digest.size(); ++i) {
    const auto read = std::from_chars(begin + 2 * i, begin + 2 * i + 2, digest[i], 16);
    is_hex = read.ec == std::errc{} && read.ptr == begin + 2 * i + 2;
  }
  if (is_hex) return digest;
  throw Error(ErrorCode::invalid_parameter,
              "'" + text + "' is no digest; it has 32 hexadecimal digits");
}

/// One digest for each shard.
std::vector<core::Digest> digests_from(const ShardParams& shards,
                                       std::span<const std::string> texts) {
  if (texts.size() != shards.shards) {
    throw Error(ErrorCode::invalid_parameter, std::to_string(texts.size()) +
                                                  " digests were given for " +
                                                  std::to_string(shards.shards) + " shards");
  }
  std::vector<core::Digest> digests;
  for (const std::string& text : texts) digests.push_back(digest_from(text));
  return digests;
}

}  // namespace

std::optional<ShardManifest> read_shard_manifest(const std::filesystem::path& folder) {
  const std::optional<core::Manifest> manifest = core::read_manifest(folder);
  if (!manifest) return std::nullopt;
  core::expect_files(folder, *manifest);
  ShardManifest read{manifest->params, manifest->shards, manifest->generation, {}};
  for (const core::Manifest::File& file : manifest->files) read.bytes.push_back(file.bytes);
  return read;
}

void write_shard_manifest(const std::filesystem::path& folder, const IndexParams& params,
                          const ShardParams& shards, std::span<const std::string> next) {
  params.validate();
  shards.validate();
  const std::optional<core::Manifest> known = core::read_manifest(folder);
  if (known && (known->params != params || known->shards != shards)) {
    throw Error(ErrorCode::invalid_parameter,
                "the index in '" + folder.string() + "' has other parameters than asked for");
  }
  if (known) core::expect_files(folder, *known);
  core::Manifest manifest{params, shards, known ? known->generation : 0, {}};
  for (std::size_t s = 0; s < shards.shards; ++s) {
    manifest.files.push_back(core::shard_file(folder, s));
  }
  if (!next.empty()) {
    const std::vector<core::Digest> digests = digests_from(shards, next);
    for (std::size_t s = 0; s < digests.size(); ++s) manifest.files[s].next = digests[s];
    ++manifest.generation;
  }
  core::write_manifest(folder, manifest);
}

std::string digest_of_shards(const ShardParams& shards, std::span<const std::string> digests) {
  shards.validate();
  std::vector<std::uint8_t> bytes;
  for (const std::uint32_t number : {shards.shards, shards.block}) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(number >> shift));
    }
  }
  for (const core::Digest& digest : digests_from(shards, digests)) {
    bytes.insert(bytes.end(), digest.begin(), digest.end());
  }
  return core::to_hex(core::digest_of(bytes));
}

}  // namespace concord
