// A ShardedIndex over its shards: its life and inspection.

#include <algorithm>
#include <concord/shard_folder.hpp>
#include <limits>
#include <thread>

#include "common/index/index_access.hpp"
#include "common/shards/sharded_impl.hpp"

namespace concord {
namespace {

constexpr std::uint32_t kMaxShards = 1024;
constexpr std::uint32_t kMaxBlock = 1 << 20;

void check_range(const char* name, std::uint32_t value, std::uint32_t high) {
  if (value >= 1 && value <= high) return;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is " + std::to_string(value) +
                                                "; allowed are 1 to " + std::to_string(high));
}

std::string name_of(std::size_t s) { return "shard " + std::to_string(s); }

void add_to(PhaseStats& sum, const PhaseStats& phase) {
  sum.seconds += phase.seconds;
  sum.count += phase.count;
}

void add_to(BuildStats& sum, const BuildStats& build) {
  for (const auto phase : {&BuildStats::ingest, &BuildStats::descent, &BuildStats::beam_search,
                           &BuildStats::tail, &BuildStats::selection, &BuildStats::commit,
                           &BuildStats::score, &BuildStats::seal, &BuildStats::repair}) {
    add_to(sum.*phase, build.*phase);
  }
  sum.propose_wall_seconds += build.propose_wall_seconds;
  sum.score_wall_seconds += build.score_wall_seconds;
  sum.distances += build.distances;
  sum.hops += build.hops;
  sum.refused_links += build.refused_links;
  sum.reanchored += build.reanchored;
}

void append_new(std::string& names, const std::string& name) {
  if (names.find(name) != std::string::npos) return;
  names += (names.empty() ? "" : ", ") + name;
}

void add_to(DeviceStats& sum, const DeviceStats& device) {
  append_new(sum.name, device.name);
  append_new(sum.reason, device.reason);
  sum.kernel_seconds += device.kernel_seconds;
  sum.copy_in_seconds += device.copy_in_seconds;
  sum.copy_out_seconds += device.copy_out_seconds;
  sum.overlap_seconds += device.overlap_seconds;
  sum.bytes_in += device.bytes_in;
  sum.bytes_out += device.bytes_out;
  sum.memory_bytes += device.memory_bytes;
  sum.checked += device.checked;
  sum.check_seconds += device.check_seconds;
}

void add_to(JournalStats& sum, const JournalStats& journal) {
  sum.bytes += journal.bytes;
  sum.recovered += journal.recovered;
  sum.cut_bytes += journal.cut_bytes;
  sum.dropped += journal.dropped;
  sum.recovery_seconds += journal.recovery_seconds;
  sum.write_seconds += journal.write_seconds;
  sum.sync_seconds += journal.sync_seconds;
  sum.wait_seconds += journal.wait_seconds;
}

void add_to(std::vector<std::uint64_t>& sum, const std::vector<std::uint64_t>& histogram) {
  sum.resize(std::max(sum.size(), histogram.size()));
  for (std::size_t i = 0; i < histogram.size(); ++i) sum[i] += histogram[i];
}

}  // namespace

void ShardParams::validate() const {
  check_range("shards", shards, kMaxShards);
  check_range("block", block, kMaxBlock);
}

ShardedIndex::Impl::Impl(const IndexParams& index_params, const ShardParams& shard_params,
                         ShardRuntime options, const MakeShard& make)
    : params(index_params),
      layout(shard_params),
      placement((shard_params.validate(), shard_params)),
      runtime(std::move(options)),
      log(runtime.each.log ? std::make_shared<core::SharedLog>(runtime.each.log) : nullptr) {
  check_runtime(runtime.each);
  pool = std::make_unique<core::ThreadPool>(runtime.each.threads);
  std::vector<std::optional<Index>> made(layout.shards);
  deliver_after([&] {
    pool->parallel_for(layout.shards, 1, [&](unsigned, std::size_t begin, std::size_t end) {
      for (std::size_t s = begin; s < end; ++s) {
        made[s].emplace(make(static_cast<std::uint32_t>(s), options_of(s, runtime, log)));
      }
    });
  });
  shards.reserve(layout.shards);
  for (std::optional<Index>& shard : made) shards.push_back(*std::move(shard));
  next = resume_position();
}

// Waits for calls that have entered. A call that has not entered yet cannot be seen.
ShardedIndex::Impl::~Impl() {
  writer_lock.wait_for_writer();
  readers.wait_for_readers();
}

// Runs in a forked child; the shards see to themselves.
void ShardedIndex::Impl::after_fork() noexcept {
  writer_lock.after_fork();
  readers.after_fork();
  pool->after_fork();
  if (log) log->after_fork();
}

// Of a child whose parent's addition was cut short anywhere, nothing can be freed.
void ShardedIndex::Impl::end(std::unique_ptr<Impl>& impl) noexcept {
  if (impl && impl->writer_lock.is_interrupted()) static_cast<void>(impl.release());
}

// An addition gives every shard a committing thread of its own, and the others shares of the rest.
RuntimeOptions ShardedIndex::Impl::options_of(std::size_t s, const ShardRuntime& from,
                                              const std::shared_ptr<core::SharedLog>& to) const {
  RuntimeOptions options = from.each;
  if (options.threads <= 1024) {  // more are refused by the shard
    const unsigned threads =
        options.threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : options.threads;
    options.threads = std::max(1U, threads / layout.shards);
  }
  if (!from.devices.empty()) options.device = from.devices[s % from.devices.size()];
  if (to) {
    options.log = [to, s](LogLevel level, std::string_view message) {
      to->write(level, name_of(s) + ": " + std::string(message));
    };
  }
  return options;
}

std::uint64_t ShardedIndex::Impl::resume_position() const noexcept {
  const bool by_size = has_died();
  std::uint64_t size = 0;
  std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t s = 0; s < shards.size(); ++s) {
    size += shards[s].size();
    first = std::min(first, placement.position(s, shards[s].size()));
  }
  return by_size ? size : first;
}

ShardedIndex::ShardedIndex(const IndexParams& params, const ShardParams& shards,
                           ShardRuntime runtime)
    : impl_(std::make_unique<Impl>(params, shards, std::move(runtime),
                                   [&](std::uint32_t, RuntimeOptions options) {
                                     return Index(params, std::move(options));
                                   })) {}
ShardedIndex::ShardedIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ShardedIndex::~ShardedIndex() { Impl::end(impl_); }
ShardedIndex::ShardedIndex(ShardedIndex&&) noexcept = default;
ShardedIndex& ShardedIndex::operator=(ShardedIndex&& other) noexcept {
  Impl::end(impl_);
  impl_ = std::move(other.impl_);
  return *this;
}

// --------------------------------------------------------------------------------------- content

std::uint64_t ShardedIndex::resume_at() const noexcept { return impl_->next; }

std::size_t ShardedIndex::size() const noexcept {
  std::size_t size = 0;
  for (const Index& shard : impl_->shards) size += shard.size();
  return size;
}

const IndexParams& ShardedIndex::params() const noexcept { return impl_->params; }
const ShardParams& ShardedIndex::shard_params() const noexcept { return impl_->layout; }
std::uint32_t ShardedIndex::shards() const noexcept { return impl_->layout.shards; }

const Index& ShardedIndex::shard(std::uint32_t number) const {
  if (number < impl_->shards.size()) return impl_->shards[number];
  throw Error(ErrorCode::invalid_parameter, "there is no shard " + std::to_string(number) +
                                                "; allowed are 0 to " +
                                                std::to_string(impl_->shards.size() - 1));
}

bool ShardedIndex::contains(std::uint64_t label) const {
  const auto reading = impl_->readers.enter();
  return std::any_of(impl_->shards.begin(), impl_->shards.end(),
                     [&](const Index& shard) { return shard.contains(label); });
}

std::vector<float> ShardedIndex::vector(std::uint64_t label) const {
  const auto reading = impl_->readers.enter();
  for (const Index& shard : impl_->shards) {
    if (shard.contains(label)) return shard.vector(label);
  }
  throw Error(ErrorCode::unknown_label, "no vector has label " + std::to_string(label));
}

// Those of each shard ascend by position.
std::vector<std::uint64_t> ShardedIndex::labels() const {
  const auto reading = impl_->readers.enter();
  const core::Placement& where = impl_->placement;
  std::vector<std::vector<std::uint64_t>> own(impl_->shards.size());
  std::vector<std::vector<std::uint64_t>> numbers(own.size());
  std::size_t size = 0;
  for (std::size_t s = 0; s < own.size(); ++s) {
    own[s] = IndexAccess::labels(impl_->shards[s], &numbers[s]);
    size += own[s].size();
  }
  std::vector<std::uint64_t> all;
  all.reserve(size);
  core::for_each_by_position(where, numbers,
                             [&](std::size_t s, std::size_t i) { all.push_back(own[s][i]); });
  return all;
}

// ------------------------------------------------------------------------------------ inspection

AuditReport ShardedIndex::audit() const {
  constexpr std::size_t kMostMessages = 20;
  const auto reading = impl_->readers.enter();
  AuditReport all;
  for (std::size_t s = 0; s < impl_->shards.size(); ++s) {
    const AuditReport report = impl_->shards[s].audit();
    all.ok = all.ok && report.ok;
    for (const auto count :
         {&AuditReport::nodes, &AuditReport::edges, &AuditReport::unreachable,
          &AuditReport::asymmetric_edges, &AuditReport::broken_anchors, &AuditReport::over_degree,
          &AuditReport::invalid_links, &AuditReport::entry_point_errors, &AuditReport::level_errors,
          &AuditReport::copy_errors}) {
      all.*count += report.*count;
    }
    for (const std::string& message : report.messages) {
      if (all.messages.size() < kMostMessages) all.messages.push_back(name_of(s) + ": " + message);
    }
  }
  return all;
}

std::string ShardedIndex::digest() const {
  const auto reading = impl_->readers.enter();
  std::vector<std::string> digests;
  for (const Index& shard : impl_->shards) digests.push_back(shard.digest());
  return digest_of_shards(impl_->layout, digests);
}

Stats ShardedIndex::stats() const {
  const auto reading = impl_->readers.enter();
  Stats all;
  for (const Index& shard : impl_->shards) {
    const Stats stats = shard.stats();
    all.size += stats.size;
    all.insertions += stats.insertions;
    all.removals += stats.removals;
    all.tombstones += stats.tombstones;
    all.max_level = std::max(all.max_level, stats.max_level);
    all.isa = stats.isa;
    add_to(all.build, stats.build);
    all.search.distances += stats.search.distances;
    all.search.hops += stats.search.hops;
    all.search.rescored += stats.search.rescored;
    add_to(all.device, stats.device);
    add_to(all.journal, stats.journal);
    add_to(all.level_histogram, stats.level_histogram);
    add_to(all.degree_histogram, stats.degree_histogram);
  }
  all.threads = impl_->pool->size();
  all.search.queries = impl_->queries;
  return all;
}

MemoryUse ShardedIndex::memory() const {
  const auto reading = impl_->readers.enter();
  MemoryUse all;
  for (const Index& shard : impl_->shards) {
    const MemoryUse use = shard.memory();
    for (const auto part :
         {&MemoryUse::vectors, &MemoryUse::links, &MemoryUse::upper, &MemoryUse::labels,
          &MemoryUse::nodes, &MemoryUse::epoch, &MemoryUse::scratch}) {
      all.*part += use.*part;
    }
  }
  return all;
}

void ShardedIndex::set_runtime(ShardRuntime runtime) {
  check_runtime(runtime.each);
  Impl& impl = *impl_;
  const auto log = runtime.each.log ? std::make_shared<core::SharedLog>(runtime.each.log) : nullptr;
  const core::WriterLock::Writing writing(impl.writer_lock);
  const auto old_log = impl.log;
  std::size_t changed = 0;
  try {
    for (; changed < impl.shards.size(); ++changed) {
      impl.shards[changed].set_runtime(impl.options_of(changed, runtime, log));
    }
    impl.pool = std::make_unique<core::ThreadPool>(runtime.each.threads);
  } catch (...) {
    for (std::size_t s = 0; s < changed; ++s) {
      impl.shards[s].set_runtime(impl.options_of(s, impl.runtime, old_log));
    }
    throw;
  }
  impl.runtime = std::move(runtime);
  impl.log = log;
  impl.deliver_after([] {});
}

}  // namespace concord
