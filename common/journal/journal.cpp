#include "common/journal/journal.hpp"

#include <fcntl.h>

#include <algorithm>
#include <concord/error.hpp>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "common/base/finally.hpp"
#include "common/base/stopwatch.hpp"
#include "common/system/boot.hpp"
#include "common/system/file_system.hpp"

namespace concord::core {
namespace {

using namespace file;

// A file beside the index file, whose access it has, so that nobody reads in it what the index
// file's owner keeps from others. The owner may write it even if the index file, which is only
// replaced, is read-only. A new file is its owner's alone until take_access_of().
struct Beside {
  explicit Beside(const std::filesystem::path& index_path)
      : has_index(file_system().stat(index_path.c_str(), &index) == 0) {}
  [[nodiscard]] mode_t mode() const { return has_index ? 0600 : 0666; }
  void take_access(const File& file) const {
    if (has_index && file.size() == 0) file.take_access_of(index, (index.st_mode & 0666) | 0600);
  }

  struct stat index {};
  bool has_index;
};

// A lock that was waited for may be that of a journal that has been replaced meanwhile.
File open_and_lock(const std::filesystem::path& path, const Beside& beside) {
  for (;;) {
    File file(path, O_RDWR | O_CREAT, beside.mode());
    const struct stat status = file.status();
    if (!S_ISREG(status.st_mode)) {
      throw Error(ErrorCode::io, "'" + path.string() + "' is there and not a regular file");
    }
    if (!file.lock()) {
      throw Error(ErrorCode::io, "'" + path.string() +
                                     "' is in use: an index is open for one at a time, in this or "
                                     "another process");
    }
    if (!identity_of(path).is_same_file(identity_of(status))) continue;
    beside.take_access(file);
    return file;
  }
}

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

Journal::Journal(const std::filesystem::path& index_path, Durability durability)
    : index_path_(index_path),
      path_(journal_path(index_path)),
      durability_(durability),
      file_(open_and_lock(path_, Beside(index_path_))),
      boot_(boot_number()),
      writer_([this](NewRecord& record) { write(record); }) {
  remove_leftovers_of({index_path_, path_});
  sync_directory_of(path_);  // a process that was killed may have renamed files without a sync
  if (file_.size() > 0) begin_ = read_journal_begin(file_, path_);
}

bool Journal::exists(const std::filesystem::path& index_path) {
  return identity_of(journal_path(index_path)).exists();
}

// A process forked meanwhile shares the lock and keeps it unless it is given back.
Journal::~Journal() {
  if (!file_.is_open() || is_parents_) return;
  if (!begin_) {
    file_system().unlink(path_.c_str());
  } else if (length_ > 0 && !failure_) {  // otherwise it was not opened, or failed
    try {
      close();
    } catch (const std::exception&) {  // the next opening then knows less, as after a crash
    }
  }
  file_.unlock();
}

// ------------------------------------------------------------------------------- opening, closing

Replay Journal::replay(const ReplayTarget& target, const std::function<void()>& accept) {
  const Stopwatch watch(stats_.recovery_seconds);
  const Replay replay = replay_journal(file_, path_, *begin_, boot_, target);
  accept();
  if (replay.tail.records > 0) keep(replay.length, replay.tail.bytes);
  if (replay.tail.bytes > 0) file_.truncate(replay.length);
  file_.sync();
  if (begin_->header.version == kJournalVersion) {
    go_on(replay.length, replay.chain, replay.counts);
  } else {
    upgrade(replay.counts);
  }
  marked_ = replay.marked;
  stats_.recovered = replay.recovered;
  stats_.cut_bytes = replay.tail.bytes;
  stats_.dropped = replay.tail.vectors;
  return replay;
}

void Journal::go_on(std::uint64_t length, std::uint64_t chain, const OperationCounts& counts) {
  length_ = durable_ = stats_.bytes = length;
  chain_ = chain;
  counts_ = counts;
}

// Behind what was kept before, so that nothing is ever lost by it.
void Journal::keep(std::uint64_t offset, std::uint64_t bytes) const {
  constexpr std::uint64_t kAtOnce = std::uint64_t{1} << 20;
  const std::filesystem::path path = dropped_path();
  const Beside beside(index_path_);
  const File kept(path, O_RDWR | O_CREAT, beside.mode());
  beside.take_access(kept);
  std::vector<char> block(std::min(kAtOnce, bytes));
  std::uint64_t end = kept.size();
  while (bytes > 0) {
    const std::size_t some = file_.read(offset, block.data(), std::min(kAtOnce, bytes));
    kept.write(end, block.data(), some);
    offset += some;
    end += some;
    bytes -= some;
  }
  kept.sync();
  sync_directory_of(path);
}

namespace {

JournalHeader make_header(const IndexParams& params, const OperationCounts& base,
                          const Digest& digest) {
  JournalHeader header{kJournalMagic,
                       kJournalVersion,
                       params.dimension,
                       metric_word(params),
                       params.M,
                       params.ef_construction,
                       params.epoch_limit,
                       params.seed,
                       base,
                       base == OperationCounts{} ? Digest{} : digest,
                       0};
  header.checksum = checksum_of(header);
  return header;
}

ClosedAt closed_at(std::uint64_t length, std::uint64_t chain, std::uint64_t seed) {
  ClosedAt closed{length, chain, 0, 0};
  closed.checksum = checksum_of(closed, seed);
  return closed;
}

}  // namespace

bool Journal::begins_with_flush() const {
  return core::begins_with_flush(file_, path_, *begin_, boot_);
}

// The records are the same, with headers of this version.
void Journal::upgrade(const OperationCounts& counts) {
  const JournalHeader& old = begin_->header;
  const JournalHeader header = make_header(params_of(old), old.base, old.base_digest);
  File fresh = File::temporary_for(path_);
  std::uint64_t length = kRecordsBegin;
  std::uint64_t chain = header.checksum;
  RecordReader reader(file_, *begin_, boot_);
  std::vector<std::byte> bytes;
  while (const Record* record = reader.next()) {
    chain = chain_after(chain, encode_again(*record, {record->before, 0, header.checksum}, bytes));
    fresh.write(length, bytes.data(), bytes.size());
    length += bytes.size();
  }
  put_in_place(std::move(fresh), header, closed_at(length, chain, header.checksum), counts);
}

void Journal::restart(const IndexParams& params, const OperationCounts& base,
                      const Digest& digest) {
  const JournalHeader header = make_header(params, base, digest);
  put_in_place(File::temporary_for(path_), header,
               closed_at(kRecordsBegin, header.checksum, header.checksum), base);
  marked_ = true;
}

// The new journal is on disk whole before it has the name.
void Journal::put_in_place(File fresh, const JournalHeader& header, const ClosedAt& closed,
                           const OperationCounts& counts) {
  if (!fresh.lock()) fresh.fail("lock");
  fresh.write(0, &header, sizeof header);
  fresh.write(sizeof header, &closed, sizeof closed);
  fresh.sync();
  fresh.rename_to_path();
  file_ = std::move(fresh);
  begin_ = JournalBegin{header, closed};
  go_on(closed.length, closed.chain, counts);
  failure_ = nullptr;
  attempt([&] { sync_directory_of(path_); });
}

// What is on disk then cannot be taken for what a crash left.
void Journal::close() {
  expect_own_content();
  if (!marked_) write_mark();
  if (durable_ != length_) file_.sync();
  if (begin_->closed.length == length_) return;
  const ClosedAt closed = closed_at(length_, chain_, begin_->header.checksum);
  file_.write(sizeof(JournalHeader), &closed, sizeof closed);
}

void Journal::after_fork() noexcept {
  is_parents_ = true;
  file_.discard();  // the lock is then the parent's alone, and ends with it however it ends
  new (&stats_mutex_) std::mutex;
  writer_.after_fork();
}

void Journal::expect_own_process() const {
  if (!is_parents_) return;
  throw Error(ErrorCode::unsupported,
              "'" + path_.string() +
                  "' is the journal of the process that forked this one, which alone may add and "
                  "compact; the child may search, or open the index once the parent has closed it");
}

void Journal::note_index_file() { index_file_ = identity_of(index_path_); }

void Journal::check_files() const {
  expect_own_process();
  if (index_file_ && identity_of(index_path_) != *index_file_) {
    throw Error(ErrorCode::io, "'" + index_path_.string() +
                                   "' has been replaced, removed or written to by someone else "
                                   "since it was opened");
  }
  const FileIdentity own = identity_of(file_.status());
  if (!identity_of(path_).is_same_file(own)) {
    throw Error(ErrorCode::io, "'" + path_.string() +
                                   "' has been replaced or removed by someone else since it was "
                                   "opened");
  }
}

bool Journal::is_own_file(const std::filesystem::path& path) const {
  return is_file_of(index_path_, path);
}

// ---------------------------------------------------------------------------------------- writing

auto Journal::time(double& sum) {
  return Finally([this, &sum, start = Clock::now()] {
    const std::lock_guard lock(stats_mutex_);
    sum += seconds_since(start);
  });
}

// After a failed write or sync the content of the file is not known. A second try may succeed
// without making the earlier bytes durable.
template <class Action>
void Journal::attempt(const Action& action) {
  try {
    action();
  } catch (...) {
    failure_ = std::current_exception();
    throw;
  }
}

JournalStats Journal::stats() const {
  const std::lock_guard lock(stats_mutex_);
  return stats_;
}

void Journal::check_usable(const Graph& graph) const {
  expect_own_process();
  if (!failure_ && counts_.ids() == graph.insertions() && counts_.removals() == graph.removals()) {
    return expect_own_content();
  }
  throw Error(ErrorCode::io,
              "nothing more can be added to '" + path_.string() + "' since " +
                  (failure_ ? text_of(failure_) : "a change failed after it was recorded") +
                  "; the index is as it was: compact() it or open it again");
}

void Journal::expect_own_content() const {
  const struct stat status = file_.status();
  if (status.st_nlink > 0 && static_cast<std::uint64_t>(status.st_size) == length_) return;
  throw Error(ErrorCode::io,
              "'" + path_.string() + "' has been removed or written to by someone else");
}

void Journal::append(const ProposalBatch& batch, const Contents& contents, bool others_follow) {
  const auto waiting = time(stats_.wait_seconds);
  NewRecord& record = writer_.free_record();
  const std::size_t count = batch.end - batch.begin;
  const StoredRows rows = contents.vectors.rows();
  const std::size_t row_bytes = contents.vectors.row_bytes(rows.element);
  const Graph& graph = contents.graph;
  NodeId replaced = 0;
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    replaced += graph.replaced_by(node) == kNoNode ? 0 : 1;
  }
  record.kind = replaced > 0 ? RecordKind::update : RecordKind::insert;
  record.added = batch.end - batch.begin - replaced;
  record.batch = batch;
  ranks_.follow(graph);
  ranks_.to_ranks(record.batch.ids);
  record.element = rows.element;
  record.rows = {static_cast<const std::byte*>(rows.data) + batch.begin * row_bytes,
                 count * row_bytes};
  record.labels = contents.labels.labels().subspan(batch.begin, count);
  record.reserve();
  if (others_follow) {
    writer_.hand_over();
  } else {
    writer_.write_now();
  }
}

void Journal::write(NewRecord& record) {
  const auto writing = time(stats_.write_seconds);
  const std::uint64_t checksum = encode(record, place());
  attempt([&] {
    file_.write(length_, record.buffer.data(), record.buffer.size());
    file_.write(length_ + record.buffer.size(), record.rows.data(), record.rows.size());
  });
  OperationCounts after = counts_;
  after.inserts += record.added;
  after.updates += record.batch.end - record.batch.begin - record.added;
  go_behind(record.buffer.size() + record.rows.size(), checksum, after);
  marked_ = false;
}

void Journal::go_behind(std::uint64_t bytes, std::uint64_t checksum, const OperationCounts& after) {
  chain_ = chain_after(chain_, checksum);
  length_ += bytes;
  counts_ = after;
  const std::lock_guard lock(stats_mutex_);
  stats_.bytes = length_;
}

void Journal::append_remove(std::span<const std::uint64_t> labels) {
  std::vector<std::byte> bytes;
  const std::uint64_t checksum = encode_remove(labels, place(), bytes);
  OperationCounts after = counts_;
  after.removes += labels.size();
  append_alone(bytes, checksum, after);
}

void Journal::append_flush() {
  std::vector<std::byte> bytes;
  const std::uint64_t checksum = encode_flush(place(), bytes);
  OperationCounts after = counts_;
  ++after.flushes;
  append_alone(bytes, checksum, after);
}

void Journal::append_alone(std::span<const std::byte> bytes, std::uint64_t checksum,
                           const OperationCounts& after) {
  {
    const auto writing = time(stats_.write_seconds);
    attempt([&] { file_.write(length_, bytes.data(), bytes.size()); });
  }
  go_behind(bytes.size(), checksum, after);
  marked_ = false;
  sync();
}

void Journal::write_mark() {
  MarkBytes bytes;
  const std::uint64_t checksum = encode_mark({counts_.size(), chain_, boot_}, place(), bytes);
  file_.write(length_, bytes.data(), bytes.size());
  go_behind(bytes.size(), checksum, counts_);
  marked_ = true;
}

void Journal::sync() {
  const auto waiting = time(stats_.wait_seconds);
  writer_.wait();
  if (failure_) std::rethrow_exception(failure_);
  if (marked_) return;
  const auto syncing = time(stats_.sync_seconds);
  attempt([&] {
    expect_own_content();
    if (durability_ == Durability::synced) {
      file_.sync();
      durable_ = length_;
    }
    write_mark();
  });
}

}  // namespace concord::core
