#include "common/journal.hpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <concord/error.hpp>
#include <cstring>
#include <utility>

#include "common/file_system.hpp"
#include "common/stopwatch.hpp"

namespace concord::core {
namespace {

using namespace file;

std::filesystem::path path_for(const std::filesystem::path& index_path) {
  return index_path.string() + ".journal";
}

// What the index file's owner keeps from others the journal must not show them. The owner writes
// it, also where the file, which is replaced, is read-only.
mode_t mode_beside(const std::filesystem::path& index_path) {
  struct stat status {};
  const bool is_there = file_system().stat(index_path.c_str(), &status) == 0;
  return is_there ? (status.st_mode & 0666) | 0600 : 0666;
}

// Whoever waits for a lock may get that of a journal that has been replaced meanwhile.
File open_and_lock(const std::filesystem::path& path, mode_t mode) {
  for (;;) {
    File file(path, O_RDWR | O_CREAT, mode);
    const struct stat status = file.status();
    if (!S_ISREG(status.st_mode)) {
      throw Error(ErrorCode::io, "'" + path.string() + "' is there and not a regular file");
    }
    if (!file.lock()) {
      throw Error(ErrorCode::io, "'" + path.string() +
                                     "' is in use: an index is open for one at a time, in this or "
                                     "another process");
    }
    const FileIdentity found = identity_of(path);
    if (found.inode == status.st_ino && found.device == status.st_dev) return file;
  }
}

template <class T>
void put(std::vector<std::byte>& buffer, const T* values, std::size_t count) {
  const auto* bytes = reinterpret_cast<const std::byte*>(values);
  buffer.insert(buffer.end(), bytes, bytes + count * sizeof(T));
}

void put_proposals(std::vector<std::byte>& buffer, const ProposalBatch& batch) {
  const std::size_t counts = buffer.size();
  buffer.resize(counts + batch.lists());
  std::size_t list = 0;
  for (NodeId node = batch.begin; node < batch.end; ++node) {
    const std::uint32_t layers =
        batch.first_list[node - batch.begin + 1] - batch.first_list[node - batch.begin];
    for (std::uint32_t layer = 0; layer < layers; ++layer, ++list) {
      const auto neighbors = batch.neighbors(node, layer);
      buffer[counts + list] = static_cast<std::byte>(neighbors.size());
      put(buffer, neighbors.data(), neighbors.size());
    }
  }
}

bool are_ids(std::span<const std::uint64_t> labels, NodeId first) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != first + i) return false;
  }
  return true;
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
      path_(path_for(index_path)),
      durability_(durability),
      file_(open_and_lock(path_, mode_beside(index_path_))),
      writer_([this](RecordParts& parts) { write(parts); }) {
  sync_directory_of(path_);  // whoever was killed may have renamed files and not synced that
  if (file_.size() > 0) header_ = read_journal_header(file_, path_);
}

bool Journal::exists(const std::filesystem::path& index_path) {
  return identity_of(path_for(index_path)).exists();
}

// A process forked meanwhile shares the lock and keeps it unless it is given back.
Journal::~Journal() {
  if (!file_.is_open()) return;
  if (!header_) file_system().unlink(path_.c_str());
  file_.unlock();
}

// ---------------------------------------------------------------------------------------- opening

Replay Journal::replay(const ReplayParts& parts) {
  const Stopwatch watch(stats_.recovery_seconds);
  const Replay replay = replay_journal(file_, path_, *header_, parts);
  if (replay.cut > 0) file_.truncate(replay.length);
  file_.sync();
  length_ = durable_ = stats_.bytes = replay.length;
  end_ = replay.end;
  stats_.recovered = replay.recovered;
  stats_.cut_bytes = replay.cut;
  return replay;
}

void Journal::restart(const IndexParams& params, NodeId size, const Digest& digest) {
  JournalHeader header{kJournalMagic,
                       kJournalVersion,
                       params.dimension,
                       static_cast<std::uint32_t>(params.metric),
                       params.M,
                       params.ef_construction,
                       params.epoch_limit,
                       params.seed,
                       size,
                       0,
                       size == 0 ? Digest{} : digest,
                       0};
  header.checksum = checksum_of(header);
  File fresh = File::temporary_for(path_);
  if (!fresh.lock()) fresh.fail("lock");
  fresh.write(0, &header, sizeof header);
  fresh.sync();
  fresh.rename_to_path();
  file_ = std::move(fresh);
  header_ = header;
  length_ = durable_ = stats_.bytes = sizeof header;
  end_ = size;
  failure_ = nullptr;
  attempt([&] { sync_directory_of(path_); });
}

void Journal::note_index_file() { index_file_ = identity_of(index_path_); }

void Journal::check_files() const {
  if (index_file_ && identity_of(index_path_) != *index_file_) {
    throw Error(ErrorCode::io, "'" + index_path_.string() +
                                   "' has been replaced, removed or written to by someone else "
                                   "since it was opened");
  }
  const struct stat status = file_.status();
  const FileIdentity found = identity_of(path_);
  if (found.inode != status.st_ino || found.device != status.st_dev) {
    throw Error(ErrorCode::io, "'" + path_.string() +
                                   "' has been replaced or removed by someone else since it was "
                                   "opened");
  }
}

bool Journal::is_own_file(const std::filesystem::path& path) const {
  const std::filesystem::path name = resolved(path).lexically_normal();
  const FileIdentity found = identity_of(path);
  const auto is = [&](const std::filesystem::path& own) {
    const FileIdentity known = identity_of(own);
    return name == own.lexically_normal() ||
           (found.exists() && found.inode == known.inode && found.device == known.device);
  };
  return is(index_path_) || is(path_);
}

// ---------------------------------------------------------------------------------------- writing

/// Adds the time of a scope to a sum of the stats.
class Journal::Timer {
 public:
  Timer(Journal& journal, double JournalStats::*sum) : journal_(journal), sum_(sum) {}
  ~Timer() {
    const std::lock_guard lock(journal_.stats_mutex_);
    journal_.stats_.*sum_ += std::chrono::duration<double>(Clock::now() - start_).count();
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  Journal& journal_;
  double JournalStats::*sum_;
  Clock::time_point start_ = Clock::now();
};

// A failed write or sync says nothing of what is in the file now, and trying once more may succeed
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

void Journal::check_usable(NodeId size) const {
  if (!failure_ && end_ == size) return expect_own_content();
  throw Error(ErrorCode::io,
              "nothing more can be added to '" + path_.string() + "' since " +
                  (failure_ ? text_of(failure_) : "an addition failed after it was recorded") +
                  "; the index is as it was: compact() it or open it again");
}

void Journal::expect_own_content() const {
  const struct stat status = file_.status();
  if (status.st_nlink > 0 && static_cast<std::uint64_t>(status.st_size) == length_) return;
  throw Error(ErrorCode::io,
              "'" + path_.string() + "' has been removed or written to by someone else");
}

void Journal::append(const ProposalBatch& batch, const VectorStore& vectors, const LabelMap& labels,
                     bool others_follow) {
  const Timer waiting(*this, &JournalStats::wait_seconds);
  RecordParts& parts = writer_.free_record();
  const std::size_t count = batch.end - batch.begin;
  const StoredRows rows = vectors.rows();
  const std::size_t row_bytes = vectors.row_bytes(rows.element);
  parts.batch = batch;
  parts.element = rows.element;
  parts.rows = {static_cast<const std::byte*>(rows.data) + batch.begin * row_bytes,
                count * row_bytes};
  parts.labels = labels.labels().subspan(batch.begin, count);
  parts.buffer.reserve(sizeof(RecordHeader) + parts.labels.size_bytes() + batch.lists() +
                       batch.ids.size() * sizeof(NodeId) + kRecordAlignment);
  if (others_follow) {
    writer_.hand_over();
  } else {
    writer_.write_now();
  }
}

void Journal::write(RecordParts& parts) {
  const Timer writing(*this, &JournalStats::write_seconds);
  const ProposalBatch& batch = parts.batch;
  const bool labelled = !are_ids(parts.labels, batch.begin);
  std::vector<std::byte>& buffer = parts.buffer;
  buffer.resize(sizeof(RecordHeader));
  if (labelled) put(buffer, parts.labels.data(), parts.labels.size());
  put_proposals(buffer, batch);
  buffer.resize(align(buffer.size(), kRecordAlignment));

  const std::uint64_t seed = header_->checksum;
  XXH3_state_t hash{};
  XXH3_64bits_reset_withSeed(&hash, seed);
  XXH3_64bits_update(&hash, buffer.data() + sizeof(RecordHeader),
                     buffer.size() - sizeof(RecordHeader));
  XXH3_64bits_update(&hash, parts.rows.data(), parts.rows.size());
  RecordHeader header{kRecordMagic,
                      static_cast<std::uint8_t>(parts.element),
                      labelled,
                      0,
                      batch.begin,
                      batch.end - batch.begin,
                      buffer.size() + parts.rows.size(),
                      durable_,
                      XXH3_64bits_digest(&hash),
                      0};
  header.checksum = checksum_of(header, seed);
  std::memcpy(buffer.data(), &header, sizeof header);
  attempt([&] {
    file_.write(length_, buffer.data(), buffer.size());
    file_.write(length_ + buffer.size(), parts.rows.data(), parts.rows.size());
  });
  length_ += header.length;
  end_ = batch.end;
  const std::lock_guard lock(stats_mutex_);
  stats_.bytes = length_;
}

void Journal::sync() {
  const Timer waiting(*this, &JournalStats::wait_seconds);
  writer_.wait();
  if (failure_) std::rethrow_exception(failure_);
  if (durable_ == length_) return;
  const Timer syncing(*this, &JournalStats::sync_seconds);
  attempt([&] {
    expect_own_content();
    if (durability_ != Durability::synced) return;
    file_.sync();
    durable_ = length_;
  });
}

}  // namespace concord::core
