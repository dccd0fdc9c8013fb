// Durability of the public Index: opening an index file with its journal, and compacting them.

#include "common/base/float_environment.hpp"
#include "common/contents/digest.hpp"
#include "common/file/file_format.hpp"
#include "common/index/file_and_journal.hpp"
#include "common/index/index_impl.hpp"
#include "common/system/file.hpp"
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
         ", seed " + std::to_string(p.seed) + ", epoch_limit " + std::to_string(p.epoch_limit) +
         ", codes " + to_string(p.codes) + ", storage " + to_string(p.storage);
}

std::string to_text(const core::JournalTail& cut, const core::Journal& journal) {
  std::string text = std::to_string(cut.bytes) + " bytes were cut off the journal: an incomplete ";
  if (cut.records == 0) return text + "record, as a crash leaves it";
  return text + "record, and " + std::to_string(cut.vectors) +
         " vectors behind it, as a power cut leaves them. They are kept in '" +
         journal.dropped_path().string() + "'";
}

// True if the journal goes on from an index with the file's counts and with another digest.
bool is_of_other_content(const core::file::JournalHeader& header, const core::Graph& graph,
                         const std::function<core::Digest()>& digest) {
  return header.base.ids() > 0 && header.base.is_level_with(counts_of(graph)) &&
         header.base_digest != digest();
}

}  // namespace

void expect_to_belong(const FileAndJournal& files) {
  const auto& [path, index, has_file, header, digest, begins_with_flush] = files;
  const core::Graph& graph = IndexAccess::contents(index).graph;
  const core::file::OperationCounts& base = header.base;
  if (core::file::params_of(header) != index.params()) {
    refuse(path, "the index has " + to_text(index.params()) + ", the journal " +
                     to_text(core::file::params_of(header)));
  }
  if (base.is_beyond(counts_of(graph))) {
    const auto counts = [](std::uint64_t insertions, std::uint64_t removals) {
      return std::to_string(insertions) + " vectors" +
             (removals > 0 ? ", of which " + std::to_string(removals) + " were removed" : "");
    };
    refuse(path,
           "the journal goes on from " + counts(base.ids(), base.removals()) + ", the file " +
               (has_file ? "has " + counts(graph.insertions(), graph.removals()) : "is missing"));
  }
  if (is_of_other_content(header, graph, digest) &&
      !(graph.removals() > 0 && graph.pending().empty() && begins_with_flush())) {
    refuse(path, "the journal goes on from an index with another digest");
  }
}

// The journal is beside the file itself, so that all names of the file lead to one journal, even
// after the working directory changes.
Index Index::Impl::open(const std::filesystem::path& name, const IndexParams* wanted,
                        Durability durability, RuntimeOptions runtime, const Accept& accept) {
  const std::filesystem::path path = core::resolved(name);
  if (wanted != nullptr) {
    wanted->validate();
  } else if (!core::identity_of(path).exists() && !core::Journal::exists(path)) {
    throw Error(ErrorCode::io,
                "there is no index at '" + path.string() +
                    "'; with its parameters, an empty one would be made",
                ENOENT);
  }
  auto journal = std::make_unique<core::Journal>(path, durability);
  journal->note_index_file();
  const bool has_file = journal->has_index_file();
  const bool has_journal = journal->header() != nullptr;
  if (!has_file && !has_journal && wanted == nullptr) {
    throw Error(ErrorCode::io, "there is no index at '" + path.string() + "'", ENOENT);
  }
  Index index = has_file ? load(path, std::move(runtime))
                         : Index(has_journal ? core::file::params_of(*journal->header()) : *wanted,
                                 std::move(runtime));
  if (has_journal) {
    expect_to_belong({path, index, has_file, *journal->header(),
                      [&] { return core::stored_digest(path); },
                      [&] { return journal->begins_with_flush(); }});
  }
  if (wanted != nullptr && *wanted != index.params()) {
    throw Error(ErrorCode::invalid_parameter, "the index at '" + path.string() + "' has " +
                                                  to_text(index.params()) + ", asked for were " +
                                                  to_text(*wanted));
  }
  if (!has_file) index.impl_->read_presets(path);  // load() has read them otherwise
  index.impl_->take_journal(std::move(journal), [&] {
    if (accept) accept(index);
  });
  return index;
}

void Index::Impl::take_journal(std::unique_ptr<core::Journal> from,
                               const std::function<void()>& accept) {
  const core::Graph& graph = contents.graph;
  const bool has_journal = from->header() != nullptr;
  const auto digest = [&] { return core::stored_digest(from->index_path()); };
  core::file::OperationCounts recorded;
  if (has_journal) {
    recorded = recover(*from, accept);
  } else {
    accept();
  }
  if (!has_journal || !recorded.is_level_with(counts_of(graph)) ||
      is_of_other_content(*from->header(), graph, digest)) {
    from->restart(graph.params(), counts_of(graph),
                  from->has_index_file() ? digest() : core::Digest{});
  }
  journal = std::move(from);
}

core::file::OperationCounts Index::Impl::recover(core::Journal& from,
                                                 const std::function<void()>& accept) {
  const core::FloatEnvironment environment;
  cpu::CpuProposer scorer(contents, metric_kernels(), *pool, build);
  const core::Replay replay = from.replay({contents, committer, *pool, scorer}, accept);
  DeferredLog log(options.log);
  if (replay.recovered > 0) {
    log.write(LogLevel::info,
              std::to_string(replay.recovered) + " vectors recovered from the journal");
  }
  if (replay.tail.bytes > 0) log.write(LogLevel::warning, to_text(replay.tail, from));
  log.deliver();
  return replay.counts;
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
  {
    const DeviceSlot::KeptForWriter kept(impl_->device);  // ids may change
    impl_->give_memory_back(core::EmptySlots::on_request);
  }
  const std::filesystem::path& path = journal->index_path();
  journal->forget_index_file();  // even if saving fails, the new file may be in place
  core::save_index(path, impl_->contents);
  journal->note_index_file();
  journal->restart(params(), counts_of(impl_->contents.graph), core::stored_digest(path));
}

}  // namespace concord
