#include "common/journal.hpp"

#include <fcntl.h>

#include <algorithm>
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

// Whoever waits for a lock may get that of a journal that has been replaced meanwhile.
File open_and_lock(const std::filesystem::path& path) {
  for (;;) {
    File file(path, O_RDWR | O_CREAT);
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

}  // namespace

Journal::Journal(const std::filesystem::path& index_path, Durability durability)
    : index_path_(index_path),
      path_(path_for(index_path)),
      durability_(durability),
      file_(open_and_lock(path_)) {
  if (file_.size() > 0) header_ = read_journal_header(file_, path_);
}

bool Journal::exists(const std::filesystem::path& index_path) {
  return identity_of(path_for(index_path)).exists();
}

Journal::~Journal() {
  if (!header_ && file_.is_open()) file_system().unlink(path_.c_str());
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
  failure_.clear();
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

bool Journal::is_index_file(const std::filesystem::path& path) const {
  const FileIdentity found = identity_of(path);
  return (found.exists() && index_file_ && found.inode == index_file_->inode &&
          found.device == index_file_->device) ||
         std::filesystem::absolute(path).lexically_normal() ==
             std::filesystem::absolute(index_path_).lexically_normal();
}

// ---------------------------------------------------------------------------------------- writing

// A failed write or sync says nothing of what is in the file now, and trying once more may succeed
// without making the earlier bytes durable.
template <class Action>
void Journal::attempt(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    failure_ = error.what();
    throw;
  }
}

void Journal::check_usable(NodeId size) const {
  std::string reason = failure_;
  if (reason.empty() && end_ != size) reason = "an addition failed after it was recorded";
  if (reason.empty()) return;
  throw Error(ErrorCode::io, "nothing more can be added to '" + path_.string() + "' since " +
                                 reason +
                                 "; the index is as it was: compact() it or open it again");
}

void Journal::append(const ProposalBatch& batch, const VectorStore& vectors,
                     const LabelMap& labels) {
  const Stopwatch watch(stats_.write_seconds);
  const NodeId count = batch.end - batch.begin;
  const auto batch_labels = labels.labels().subspan(batch.begin, count);
  const bool labelled = !are_ids(batch_labels, batch.begin);
  buffer_.resize(sizeof(RecordHeader));
  if (labelled) put(buffer_, batch_labels.data(), count);
  put_proposals(buffer_, batch);
  buffer_.resize(align(buffer_.size(), kRecordAlignment));

  const auto* rows =
      static_cast<const std::byte*>(vectors.rows().data) + batch.begin * vectors.row_bytes();
  const std::size_t row_bytes = count * vectors.row_bytes();
  const std::uint64_t seed = header_->checksum;
  XXH3_state_t hash{};
  XXH3_64bits_reset_withSeed(&hash, seed);
  XXH3_64bits_update(&hash, buffer_.data() + sizeof(RecordHeader),
                     buffer_.size() - sizeof(RecordHeader));
  XXH3_64bits_update(&hash, rows, row_bytes);
  RecordHeader header{kRecordMagic,
                      static_cast<std::uint8_t>(vectors.element()),
                      labelled,
                      0,
                      batch.begin,
                      count,
                      buffer_.size() + row_bytes,
                      durable_,
                      XXH3_64bits_digest(&hash),
                      0};
  header.checksum = checksum_of(header, seed);
  std::memcpy(buffer_.data(), &header, sizeof header);
  attempt([&] {
    file_.write(length_, buffer_.data(), buffer_.size());
    file_.write(length_ + buffer_.size(), rows, row_bytes);
  });
  length_ += header.length;
  end_ = batch.end;
  stats_.bytes = length_;
}

void Journal::sync() {
  if (durability_ != Durability::synced || durable_ == length_) return;
  const Stopwatch watch(stats_.sync_seconds);
  attempt([&] {
    if (file_.status().st_nlink == 0) {
      throw Error(ErrorCode::io, "'" + path_.string() + "' has been removed by someone else");
    }
    file_.sync();
  });
  durable_ = length_;
}

}  // namespace concord::core
