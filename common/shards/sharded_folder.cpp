// A ShardedIndex in a folder: a manifest, and an ordinary index file and journal of each shard.
//
// The manifest is there before the first vector is, and names both the old and the new files while
// they are replaced: whatever a crash leaves can be opened, and other files are refused.

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/index/index_access.hpp"
#include "common/index/requests.hpp"
#include "common/shards/manifest.hpp"
#include "common/shards/sharded_impl.hpp"
#include "common/system/file.hpp"
#include "common/system/file_system.hpp"

namespace concord {
namespace {

/// The absolute path of the folder, whatever slash it ends in.
std::filesystem::path folder_path(const std::filesystem::path& name) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(name, error).lexically_normal();
  if (error) {
    throw Error(ErrorCode::io, "cannot find '" + name.string() + "': " + error.message(),
                error.value());
  }
  return path.has_filename() ? path : path.parent_path();
}

void make_folder(const std::filesystem::path& folder) {
  if (core::file_system().mkdir(folder.c_str(), 0777) != 0) {
    if (errno == EEXIST) return;
    const int reason = errno;
    throw Error(ErrorCode::io,
                "cannot make the folder '" + folder.string() + "': " + std::strerror(reason),
                reason);
  }
  core::sync_directory_of(folder);
}

core::Manifest required_manifest(const std::filesystem::path& folder) {
  std::optional<core::Manifest> manifest = core::read_manifest(folder);
  if (manifest) return *std::move(manifest);
  throw Error(ErrorCode::io, "there is no manifest of a ShardedIndex in '" + folder.string() + "'",
              ENOENT);
}

/// Throws Error(corrupt_file) where a shard has other parameters than the manifest.
void expect_params(const std::filesystem::path& path, const Index& shard,
                   const core::Manifest& manifest) {
  if (shard.params() == manifest.params) return;
  throw Error(ErrorCode::corrupt_file,
              "'" + path.string() + "' has other parameters than the manifest");
}

/// Whoever replaced the files meanwhile has also replaced the manifest.
void expect_unchanged(const std::filesystem::path& folder, const core::Manifest& manifest) {
  if (core::read_manifest(folder) == manifest) return;
  throw Error(ErrorCode::io,
              "the index in '" + folder.string() + "' was replaced while it was being opened");
}

void expect_asked_for(const std::filesystem::path& folder, const core::Manifest& manifest,
                      const IndexParams& params, const ShardParams& shards) {
  if (manifest.shards != shards) {
    throw Error(ErrorCode::invalid_parameter,
                "the index in '" + folder.string() + "' has " +
                    std::to_string(manifest.shards.shards) + " shards with block " +
                    std::to_string(manifest.shards.block) + ", asked for were " +
                    std::to_string(shards.shards) + " with block " + std::to_string(shards.block));
  }
  if (manifest.params != params) {
    throw Error(ErrorCode::invalid_parameter,
                "the index in '" + folder.string() + "' has other parameters than asked for");
  }
}

/// Files without a manifest were built elsewhere: they may not be more than the shards.
void expect_no_further_shard(const std::filesystem::path& folder, const ShardParams& shards) {
  const std::filesystem::path path = core::shard_path(folder, shards.shards);
  if (!core::identity_of(path).exists()) return;
  throw Error(ErrorCode::invalid_parameter, "'" + path.string() + "' is there, but only " +
                                                std::to_string(shards.shards) +
                                                " shards were asked for");
}

}  // namespace

std::vector<std::uint64_t> ShardedIndex::Impl::doubled_labels() const {
  std::vector<std::uint64_t> all;
  for (const Index& shard : shards) {
    const std::vector<std::uint64_t> labels = shard.labels();
    all.insert(all.end(), labels.begin(), labels.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<std::uint64_t> doubled;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i] != all[i - 1]) continue;
    if (doubled.empty() || doubled.back() != all[i]) doubled.push_back(all[i]);
  }
  return doubled;
}

void ShardedIndex::Impl::expect_distinct_labels() const {
  const std::vector<std::uint64_t> doubled = doubled_labels();
  if (doubled.empty()) return;
  throw Error(ErrorCode::duplicate_label, "label " + std::to_string(doubled.front()) +
                                              " is in two shards of '" + folder.string() + "'");
}

std::vector<std::size_t> ShardedIndex::Impl::stale_shards(std::uint64_t label) const {
  std::vector<std::pair<std::uint64_t, std::size_t>> places;  // position, shard
  for (std::size_t s = 0; s < shards.size(); ++s) {
    const core::Contents& contents = IndexAccess::contents(shards[s]);
    const core::NodeId node = contents.labels.find(label, contents.graph.size());
    if (node == core::kNoNode) continue;
    places.emplace_back(placement.position(s, IndexAccess::number_of(shards[s], node)), s);
  }
  std::sort(places.begin(), places.end());
  std::vector<std::size_t> stale;
  for (std::size_t i = 0; i + 1 < places.size(); ++i) stale.push_back(places[i].second);
  return stale;
}

void ShardedIndex::Impl::remove_doubled_labels() {
  if (!has_died()) return;
  std::vector<std::vector<std::uint64_t>> stale(shards.size());
  std::size_t count = 0;
  for (const std::uint64_t label : doubled_labels()) {
    for (const std::size_t s : stale_shards(label)) stale[s].push_back(label);
    ++count;
  }
  if (count == 0) return;
  for (std::size_t s = 0; s < shards.size(); ++s) shards[s].remove(stale[s]);
  if (!log) return;
  log->write(
      LogLevel::warning,
      std::to_string(count) + " labels of '" + folder.string() +
          "' were in two shards, because the machine went down before a removal was on disk; "
          "one vector of each was kept");
}

core::Manifest ShardedIndex::Impl::manifest_of_files(const std::filesystem::path& at) const {
  core::Manifest manifest{params, layout, generation, {}};
  for (std::size_t s = 0; s < shards.size(); ++s) manifest.files.push_back(core::shard_file(at, s));
  return manifest;
}

std::unique_ptr<ShardedIndex::Impl> ShardedIndex::Impl::open(
    const std::filesystem::path& name, const std::optional<core::Manifest>& wanted,
    Durability durability, ShardRuntime runtime) {
  const std::filesystem::path folder = folder_path(name);
  if (wanted) {
    wanted->params.validate();
    wanted->shards.validate();
  }
  std::optional<core::Manifest> known = core::read_manifest(folder);
  if (known && wanted) expect_asked_for(folder, *known, wanted->params, wanted->shards);
  if (known) {
    core::expect_files(folder, *known);
  } else if (wanted) {
    make_folder(folder);
    expect_no_further_shard(folder, wanted->shards);
  }
  const core::Manifest manifest = known ? *known : wanted ? *wanted : required_manifest(folder);
  auto impl =
      std::make_unique<Impl>(manifest.params, manifest.shards, std::move(runtime),
                             [&](std::uint32_t s, RuntimeOptions options) {
                               return Index::open(core::shard_path(folder, s), manifest.params,
                                                  durability, std::move(options));
                             });
  impl->folder = folder;
  impl->generation = manifest.generation;
  if (known) {
    expect_unchanged(folder, *known);
    impl->deliver_after([&] { impl->remove_doubled_labels(); });
    impl->next = impl->resume_position();
  } else {
    impl->expect_distinct_labels();
  }
  const core::Manifest now = impl->manifest_of_files(folder);
  if (!known || now != *known) core::write_manifest(folder, now);
  return impl;
}

ShardedIndex ShardedIndex::open(const std::filesystem::path& folder, const IndexParams& params,
                                const ShardParams& shards, Durability durability,
                                ShardRuntime runtime) {
  return ShardedIndex(
      Impl::open(folder, core::Manifest{params, shards, 0, {}}, durability, std::move(runtime)));
}

ShardedIndex ShardedIndex::open(const std::filesystem::path& folder, Durability durability,
                                ShardRuntime runtime) {
  return ShardedIndex(Impl::open(folder, std::nullopt, durability, std::move(runtime)));
}

void ShardedIndex::compact() {
  Impl& impl = *impl_;
  if (impl.folder.empty()) {
    throw Error(ErrorCode::invalid_parameter,
                "compact() is for an index made by ShardedIndex::open; save() writes any index");
  }
  const core::WriterLock::Writing writing(impl.writer_lock);
  ++impl.generation;
  core::Manifest manifest = impl.manifest_of_files(impl.folder);
  for (std::size_t s = 0; s < impl.shards.size(); ++s) {
    manifest.files[s].next = IndexAccess::digest(impl.shards[s]);
  }
  core::write_manifest(impl.folder, manifest);
  impl.pool->parallel_for(impl.shards.size(), 1, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t s = begin; s < end; ++s) impl.shards[s].compact();
  });
  core::write_manifest(impl.folder, impl.manifest_of_files(impl.folder));
}

// ------------------------------------------------------------------------------ save, load, map

void ShardedIndex::save(const std::filesystem::path& folder) const {
  const Impl& impl = *impl_;
  const auto reading = impl.readers.enter();
  const std::filesystem::path path = folder_path(folder);
  if (core::read_manifest(path)) {
    throw Error(ErrorCode::invalid_parameter,
                "'" + path.string() + "' holds an index already; save to another folder");
  }
  make_folder(path);
  impl.pool->parallel_for(impl.shards.size(), 1, [&](unsigned, std::size_t begin, std::size_t end) {
    for (std::size_t s = begin; s < end; ++s) impl.shards[s].save(core::shard_path(path, s));
  });
  core::write_manifest(path, impl.manifest_of_files(path));
}

std::unique_ptr<ShardedIndex::Impl> ShardedIndex::Impl::read(const std::filesystem::path& name,
                                                             ShardRuntime runtime,
                                                             const ReadShard& read) {
  const std::filesystem::path folder = folder_path(name);
  const core::Manifest manifest = required_manifest(folder);
  core::expect_files(folder, manifest);
  auto impl = std::make_unique<Impl>(manifest.params, manifest.shards, std::move(runtime),
                                     [&](std::uint32_t s, RuntimeOptions options) {
                                       const auto path = core::shard_path(folder, s);
                                       Index shard = read(path, std::move(options));
                                       expect_params(path, shard, manifest);
                                       return shard;
                                     });
  impl->generation = manifest.generation;
  expect_unchanged(folder, manifest);
  return impl;
}

ShardedIndex ShardedIndex::load(const std::filesystem::path& folder, ShardRuntime runtime) {
  return ShardedIndex(Impl::read(folder, std::move(runtime), [](const auto& path, auto options) {
    return Index::load(path, std::move(options));
  }));
}

ShardedIndex ShardedIndex::map(const std::filesystem::path& folder, MapCheck check,
                               ShardRuntime runtime) {
  return ShardedIndex(
      Impl::read(folder, std::move(runtime), [check](const auto& path, auto options) {
        return Index::map(path, check, std::move(options));
      }));
}

}  // namespace concord
