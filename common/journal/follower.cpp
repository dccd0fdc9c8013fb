#include "common/journal/follower.hpp"

#include <fcntl.h>

#include <cerrno>
#include <concord/error.hpp>
#include <concord/replica.hpp>
#include <string>

#include "common/journal/naming.hpp"
#include "common/system/boot.hpp"

namespace concord::core {
namespace {

File open_begun(const std::filesystem::path& path) {
  if (!identity_of(path).exists()) {
    throw Error(ErrorCode::io,
                "there is no journal '" + path.string() +
                    "'; a replica follows an index that was opened with one (Index::open)",
                ENOENT);
  }
  File file(path, O_RDONLY);
  if (file.size() > 0) return file;
  throw Error(ErrorCode::io, "the journal '" + path.string() + "' was not begun yet", ENOENT);
}

}  // namespace

Follower::Follower(const std::filesystem::path& index_path)
    : path_(journal_path(index_path)),
      file_(open_begun(path_)),
      boot_(boot_number()),
      begin_(read_journal_begin(file_, path_)),
      reader_(naming(path_, [&] { return RecordReader(file_, begin_, boot_); })),
      lasting_(reader_.offset()) {}

bool Follower::begins_with_flush() const {
  return core::begins_with_flush(file_, path_, begin_, boot_);
}

bool Follower::go_to(const Follower& other) {
  if (begin_.header.checksum != other.begin_.header.checksum) return false;
  const bool is_there = naming(path_, [&] { return reader_.go_to(other.reader_); });
  lasting_ = reader_.offset();
  return is_there;
}

// The server of a network file system forgets a file that has lost its name: ESTALE.
bool Follower::look() {
  try {
    find_lasting();
    const FileIdentity now = identity_of(path_);
    if (now.exists()) return now.is_same_file(identity_of(file_.status()));
  } catch (const Error& error) {
    if (error.system_error() != ESTALE) throw;
    lasting_ = reader_.offset();
    return false;
  }
  throw Error(ErrorCode::io, "'" + path_.string() + "' has been removed", ENOENT);
}

// The writer may be writing the place of its close just now, so it is read once more if it is not
// sound.
void Follower::find_lasting() {
  JournalBegin begin;
  try {
    begin = read_journal_begin(file_, path_);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt_file) throw;
    begin = read_journal_begin(file_, path_);
  }
  naming(path_, [&] {
    if (begin.header.checksum != begin_.header.checksum) {
      throw DivergedError("another journal was written into the file");
    }
    lasting_ = reader_.find_lasting(begin.closed);
  });
}

void Follower::take(const ReplayTarget& target, const file::OperationCounts* until,
                    const std::function<void()>& between) {
  naming(path_, [&] {
    reader_.end_at(lasting_);
    Applier applier(target);
    while (has_more()) {
      if (until != nullptr && reader_.next_counts().is_beyond(*until)) break;
      const Record* const record = reader_.next();
      if (record == nullptr) refuse_journal("a record that was written whole is damaged");
      has_failed_ = true;
      apply(applier, *record);
      has_failed_ = false;
      between();
    }
  });
}

// A record whose checksums hold is what a writer made, for an index that it fits.
void Follower::apply(Applier& applier, const Record& record) const {
  try {
    applier.apply(record);
  } catch (const Error& error) {
    if (!has_history_ || error.code() != ErrorCode::corrupt_file) throw;
    throw DivergedError(error.what());
  }
}

void Follower::expect_history() noexcept {
  has_history_ = true;
  reader_.expect_history();
}

}  // namespace concord::core
