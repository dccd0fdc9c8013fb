// concord::Replica: an index that follows one which another process changes.
//
// It reads the files that Index::open keeps, and holds no lock. It does what the journal records,
// so it costs a small part of the writer's work and ends with the same digest.
#pragma once

#include <concord/durability.hpp>
#include <concord/error.hpp>
#include <concord/export.hpp>
#include <concord/index.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace concord {

/// The files are those of another history than the one that a replica has followed. It is refused
/// and never repaired; a new Replica reads the files from the beginning. The code is corrupt_file.
class CONCORD_API DivergedError : public Error {
 public:
  explicit DivergedError(const std::string& message);
  ~DivergedError() override;
  DivergedError(const DivergedError&) = default;
  DivergedError& operator=(const DivergedError&) = default;
};

/// How far a replica is behind what the writer cannot lose any more.
struct ReplicaLag {
  std::uint64_t operations = 0;  ///< insertions and removals; an update is one of each
  std::uint64_t bytes = 0;       ///< of the journal, which catch_up() would read
};

/// An index that follows the files of an index made by Index::open, which one other process (or
/// this one) has open and changes.
///
/// *What it does.* It reads the index file and the journal. catch_up() commits the recorded batches
/// with the code of an insertion, and searches for nothing again. So whenever it has done all that
/// a call of the writer recorded, digest() is that of the writer's index.
///
/// *What it never has.* An operation that could still be lost. With Durability::synced it takes
/// what the writer has synced, so no power cut takes away from the writer what a replica shows. On
/// the machine of the writer it also takes what a call has acknowledged without a sync, because the
/// machine's end is the replica's as well. Elsewhere, what was written with Durability::system
/// comes when the writer syncs, at the latest when it closes.
///
/// It has one gap. With Durability::system, a replica on another machine that is opened, or reads
/// the index file anew, while the writer compacts may do so before the file's name is on disk. A
/// power cut of the writer's machine may then bring the old file back. A compaction shows such a
/// replica all.
///
/// *Compaction.* compact() of the writer begins a new journal. A replica that was at its beginning
/// compares its digest with the one that the writer noted, and goes on. A replica that is too far
/// behind reads the index file anew and shows another Index from then on. It compares the vectors
/// and labels that both have, and refuses files in which lives what it has removed.
///
/// *Other files.* It goes on in a copy of the journal if the running hash of the records is the
/// same up to where it is. Other files are read anew. If they lead to its operations, the digest
/// there must be its own; if the index file is beyond them, it compares as behind a compaction.
///
/// Thread-safety: all members from any thread. catch_up(), lag() and promote() take turns. Searches
/// of index() run beside catch_up() as beside a writer, and never wait for it. In a forked child it
/// goes on as an Index does.
class CONCORD_API Replica {
 public:
  /// Reads the files of the index at `path`, and catches up. Symbolic links are followed. Throws
  /// Error(io), with ENOENT if no writer has begun a journal there, and Error(corrupt_file), as
  /// Index::open. O(bytes of both files).
  static Replica open(const std::filesystem::path& path, RuntimeOptions options = {});
  ~Replica();
  Replica(Replica&&) noexcept;
  Replica& operator=(Replica&&) noexcept;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  /// Does all that the writer has recorded and cannot lose. Returns how many insertions and
  /// removals that was; an update is one of each, a flush none. Does not wait for the writer.
  ///
  /// Throws DivergedError if the files have another history than the replica. Others were put in
  /// their place, an operation that it has done is gone, or the running hash of the records or a
  /// digest differs. Throws Error(corrupt_file) for a damaged record. If it has
  /// diverged, or fails in the middle of an operation (out_of_memory), every later call throws the
  /// same. After other failures, such as Error(io), it has what came before the failure and may try
  /// again.
  ///
  /// One failure of the writer ends it as well. If a removal runs out of memory there, and the
  /// writer then compacts, the file has a part of that removal. No record tells which part. So a
  /// replica that has done the whole removal throws DivergedError.
  ///
  /// Complexity: about a twentieth of an insertion for each; O(bytes of the index) once for each
  /// compaction.
  std::uint64_t catch_up();

  /// The index, to be read. It cannot be changed: its members that do so throw Error(unsupported).
  /// Whoever holds the pointer may go on using it; where the replica has read the index file anew,
  /// it is of the moment before. Throws as catch_up() once the replica has diverged.
  [[nodiscard]] std::shared_ptr<const Index> index() const;

  /// How far the replica is behind. Reads the heads of the records that it lacks. Throws as
  /// catch_up().
  [[nodiscard]] ReplicaLag lag() const;

  /// Opens the index at `path` as Index::open does, and returns it: locks the journal, reads both
  /// files anew, and takes changes from then on. So nothing in the files is lost, even if the index
  /// file is ahead of the journal. index() gives the opened index from then on. Who holds the one
  /// from before may go on reading it. The replica keeps the index as well, so the lock is given
  /// back when both are gone. The replica follows no more: catch_up() and lag() throw
  /// Error(unsupported).
  ///
  /// Throws DivergedError unless what it opened has all operations of this replica, with its digest
  /// where they are as many. Then the lock is given back, and the files are as they were. Throws
  /// Error(io) if an index is open for the path, and as catch_up() and Index::open; then it goes on
  /// as a replica if it can. Complexity: as Index::open, O(bytes of both files) and the work of
  /// catch_up(); memory for both indexes meanwhile.
  std::shared_ptr<Index> promote(Durability durability = Durability::synced);

 private:
  struct Impl;
  explicit Replica(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace concord
