// Durability of the public Index: opening an index file with its journal, and compacting them.

#include "common/digest.hpp"
#include "common/file.hpp"
#include "common/file_format.hpp"
#include "common/float_environment.hpp"
#include "common/index_impl.hpp"
#include "cpu/proposer.hpp"

namespace concord {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& reason) {
  throw Error(ErrorCode::corrupt_file,
              "'" + path.string() + "' and its journal do not belong together: " + reason);
}

std::string to_text(const IndexParams& p) {
  return "dimension " + std::to_string(p.dimension) + ", metric " + to_string(p.metric) + ", M " +
         std::to_string(p.M) + ", ef_construction " + std::to_string(p.ef_construction) +
         ", seed " + std::to_string(p.seed) + ", epoch_limit " + std::to_string(p.epoch_limit);
}

// The journal may go on from an older index file than the one that is there (a crash came between
// the two), but not from a later or another one.
void expect_to_belong(const std::filesystem::path& path, const core::file::JournalHeader& header,
                      const Index& index, bool has_file) {
  if (core::params_of(header) != index.params()) {
    refuse(path, "the index has " + to_text(index.params()) + ", the journal " +
                     to_text(core::params_of(header)));
  }
  if (header.base > index.size()) {
    refuse(path, "the journal goes on from " + std::to_string(header.base) + " vectors, the file " +
                     (has_file ? "has " + std::to_string(index.size()) : "is missing"));
  }
  if (header.base > 0 && header.base == index.size() &&
      header.base_digest != core::stored_digest(path)) {
    refuse(path, "the journal goes on from an index with another digest");
  }
}

}  // namespace

// The journal stands beside the file itself, so that all names of the file lead to one journal; and
// it stays there when the working directory changes.
Index Index::Impl::open(const std::filesystem::path& name, const IndexParams* wanted,
                        Durability durability, RuntimeOptions runtime) {
  const std::filesystem::path path = core::resolved(name);
  if (wanted != nullptr) {
    wanted->validate();
  } else if (!core::identity_of(path).exists() && !core::Journal::exists(path)) {
    throw Error(ErrorCode::io, "there is no index at '" + path.string() +
                                   "'; with its parameters, an empty one would be made");
  }
  auto journal = std::make_unique<core::Journal>(path, durability);
  journal->note_index_file();
  const bool has_file = journal->has_index_file();
  const bool has_journal = journal->header().has_value();
  if (!has_file && !has_journal && wanted == nullptr) {
    throw Error(ErrorCode::io, "there is no index at '" + path.string() + "'");
  }
  Index index = has_file ? load(path, std::move(runtime))
                         : Index(has_journal ? core::params_of(*journal->header()) : *wanted,
                                 std::move(runtime));
  if (has_journal) expect_to_belong(path, *journal->header(), index, has_file);
  if (wanted != nullptr && *wanted != index.params()) {
    throw Error(ErrorCode::invalid_parameter, "the index at '" + path.string() + "' has " +
                                                  to_text(index.params()) + ", asked for were " +
                                                  to_text(*wanted));
  }
  Impl& impl = *index.impl_;
  core::NodeId recorded = 0;
  if (has_journal) recorded = impl.recover(*journal);
  if (!has_journal || recorded < impl.graph.size()) {
    journal->restart(index.params(), impl.graph.size(),
                     has_file ? core::stored_digest(path) : core::Digest{});
  }
  impl.journal = std::move(journal);
  return index;
}

core::NodeId Index::Impl::recover(core::Journal& from) {
  const core::FloatEnvironment environment;
  cpu::CpuProposer scorer(graph, vectors, metric_kernels(), *pool, build);
  const core::Replay replay = from.replay({graph, vectors, labels, committer, *pool, scorer});
  if (replay.recovered > 0) {
    log(LogLevel::info, std::to_string(replay.recovered) + " vectors recovered from the journal");
  }
  if (replay.cut > 0) {
    log(LogLevel::warning, "an incomplete record of " + std::to_string(replay.cut) +
                               " bytes was cut off the journal, as a crash leaves it");
  }
  return replay.end;
}

Index Index::open(const std::filesystem::path& path, const IndexParams& params,
                  Durability durability, RuntimeOptions options) {
  return Impl::open(path, &params, durability, std::move(options));
}

Index Index::open(const std::filesystem::path& path, Durability durability,
                  RuntimeOptions options) {
  return Impl::open(path, nullptr, durability, std::move(options));
}

void Index::compact() {
  core::Journal* const journal = impl_->journal.get();
  if (journal == nullptr) {
    throw Error(ErrorCode::invalid_parameter,
                "compact() is for an index made by Index::open; save() writes any index");
  }
  const core::WriterLock::Writing writing(impl_->writer_lock);
  journal->check_files();
  const std::filesystem::path& path = journal->index_path();
  journal->forget_index_file();  // where saving fails, it may be the new one all the same
  core::save_index(path, impl_->graph, impl_->vectors, impl_->labels);
  journal->note_index_file();
  journal->restart(params(), impl_->graph.size(), core::stored_digest(path));
}

}  // namespace concord
