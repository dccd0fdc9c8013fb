// What additions to an index made by Index::open survive, and what its journal did.
#pragma once

#include <cstdint>

namespace concord {

/// Which failures the vectors of a call to add survive once it has returned.
enum class Durability : std::uint32_t {
  synced = 0,  ///< the end of the process and a power cut; add syncs the journal before it returns
  system = 1,  ///< the end of the process; after a power cut a prefix of the vectors is left.
               ///< Nothing is synced until the index is closed
};

/// Figures of the journal of an index made by Index::open. All zero for other indexes.
struct JournalStats {
  std::uint64_t bytes = 0;      ///< length of the journal now
  std::uint64_t recovered = 0;  ///< vectors that Index::open took from the journal
  std::uint64_t cut_bytes = 0;  ///< length of what Index::open cut off, as a crash leaves it
  std::uint64_t dropped = 0;    ///< vectors in whole records that were cut off with it
  double recovery_seconds = 0;  ///< time that Index::open spent on the journal
  double write_seconds = 0;     ///< time spent writing records, mostly by a thread beside add
  double sync_seconds = 0;      ///< time spent syncing them
  double wait_seconds = 0;      ///< time that add spent handing records over and waiting for them
};

}  // namespace concord
