#include "bench/tool/commands/build_shards.hpp"

#include <cstdio>

#include "bench/tool/commands/steps.hpp"
#include "bench/tool/measure.hpp"
#include "bench/tool/progress_bar.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {
namespace {

std::filesystem::path file_of(const std::filesystem::path& folder, std::uint32_t shard) {
  char name[32];
  std::snprintf(name, sizeof name, "shard-%04u.concord", shard);
  return folder / name;
}

/// The rows of one shard, as sharded_index.hpp deals them out, labelled with their numbers.
class RowsOfShard {
 public:
  RowsOfShard(const FloatMatrix& vectors, const ShardParams& shards, std::uint32_t shard)
      : vectors_(vectors) {
    for (std::size_t row = 0; row < vectors.rows; ++row) {
      if (row / shards.block % shards.shards == shard) labels_.push_back(row);
    }
  }

  /// Consecutive rows of the shard that are evenly spaced among all.
  [[nodiscard]] MatrixView<const float> from(std::size_t first) const {
    const std::size_t begin = labels_[first];
    if (first + 1 == labels_.size()) return vectors_.view().rows_from(begin, 1);
    const std::size_t step = labels_[first + 1] - begin;
    std::size_t end = first + 2;
    while (end < labels_.size() && labels_[end] - labels_[end - 1] == step) ++end;
    const MatrixView<const float> all = vectors_.view();
    return {all.row(begin), end - first, all.cols, all.stride * step};
  }
  void add_to(Index& index, const ProgressCallback& progress) const {
    index.add_from([&](std::size_t first) { return from(first); }, labels_.size(), labels_,
                   progress);
  }

 private:
  const FloatMatrix& vectors_;
  std::vector<std::uint64_t> labels_;
};

Json document_of(const Options& options, const DataSet& data, const Stats& stats, double seconds,
                 const IndexParams& params, const std::string& digest, const AuditReport& audit) {
  Json document = new_document(options.command_line, stats);
  document["parameters"] = parameters_json(params);
  document["data"] = data_json(data, stats.size);
  document["build"] = build_json(seconds, stats.size, stats);
  document["index"] = {{"digest", digest}, {"size", stats.size}};
  document["audit"] = audit_json(audit);
  print_build(seconds, stats.size, stats);
  print_audit(audit);
  std::printf("digest: %s\n", digest.c_str());
  return document;
}

/// Writes the manifest once the files of all shards are there, whoever built them.
void join_shards(const Options& options, const IndexParams& params, const ShardParams& shards) {
  std::uint32_t there = 0;
  for (std::uint32_t s = 0; s < shards.shards; ++s) {
    there += std::filesystem::exists(file_of(options.out, s)) ? 1 : 0;
  }
  std::printf("%u of %u shards are there\n", there, shards.shards);
  if (there < shards.shards) return;
  const ShardedIndex index =
      ShardedIndex::open(options.out, params, shards, Durability::synced, {options.runtime, {}});
  std::printf("manifest: %s vectors, digest %s\n", grouped(index.size()).c_str(),
              index.digest().c_str());
}

int build_one(const DataSet& data, const Options& options, const ShardOptions& shards) {
  const IndexParams params = options.params_for(data);
  std::filesystem::create_directories(options.out);
  const RowsOfShard rows(data.train, shards.params, *shards.only);
  const auto start = Clock::now();
  Index index(params, options.runtime);
  ProgressBar bar("building", data.train.rows / shards.params.shards + 1);
  rows.add_to(index, [&bar](std::uint64_t done, std::uint64_t) {
    bar.update(done);
    return true;
  });
  const AuditReport audit = index.audit();
  const Json document = document_of(options, data, index.stats(), seconds_since(start), params,
                                    index.digest(), audit);
  index.save(file_of(options.out, *shards.only));
  std::printf("saved: %s\n", file_of(options.out, *shards.only).c_str());
  join_shards(options, params, shards.params);
  write_document(document, options.json);
  return audit.ok ? 0 : 1;
}

int build_all(const DataSet& data, const Options& options, const ShardOptions& shards,
              std::optional<Durability> durability) {
  const IndexParams params = options.params_for(data);
  const ShardRuntime runtime{options.runtime, {}};
  const auto start = Clock::now();
  ShardedIndex index =
      durability ? ShardedIndex::open(options.out, params, shards.params, *durability, runtime)
                 : ShardedIndex(params, shards.params, runtime);
  const std::size_t first = index.resume_at();
  if (first > data.train.rows) {
    throw InputError(options.out.string() + " has " + std::to_string(first) +
                     " vectors already, the data have " + std::to_string(data.train.rows));
  }
  ProgressBar bar("building", data.train.rows);
  index.add(data.train.view().rows_from(first, data.train.rows - first),
            [&bar, first](std::uint64_t done, std::uint64_t) {
              bar.update(first + done);
              return true;
            });
  const double seconds = seconds_since(start);
  const AuditReport audit = index.audit();
  Json document = document_of(options, data, index.stats(), seconds, params, index.digest(), audit);
  for (std::uint32_t s = 0; s < index.shards(); ++s) {
    document["shards"].push_back(
        {{"size", index.shard(s).size()}, {"digest", index.shard(s).digest()}});
  }
  if (durability) {
    index.compact();
  } else {
    index.save(options.out);
  }
  std::printf("saved: %s\n", options.out.c_str());
  write_document(document, options.json);
  return audit.ok ? 0 : 1;
}

}  // namespace

int build_shards(const DataSet& data, const Options& options, const ShardOptions& shards,
                 std::optional<Durability> durability) {
  shards.params.validate();
  if (options.out.empty()) throw InputError("--shards needs --out");
  if (!shards.only) return build_all(data, options, shards, durability);
  if (*shards.only >= shards.params.shards) {
    throw InputError("--only is " + std::to_string(*shards.only) + "; there are shards 0 to " +
                     std::to_string(shards.params.shards - 1));
  }
  return build_one(data, options, shards);
}

}  // namespace concord::bench
