// What an addition to an index made by Index::open survives, and what opening it found.
#pragma once

#include <cstdint>

namespace concord {

/// What survives once a call to add has returned.
enum class Durability : std::uint32_t {
  synced = 0,  ///< the end of the process and a power cut: the journal is synced before add returns
  system = 1,  ///< the end of the process; what a power cut leaves is up to the operating system
};

/// Of the journal of an index made by Index::open; all zero for others.
struct JournalStats {
  std::uint64_t bytes = 0;      ///< length of the journal now
  std::uint64_t recovered = 0;  ///< vectors that Index::open took from the journal
  std::uint64_t cut_bytes = 0;  ///< of an incomplete record, that it cut off the journal's end
  double recovery_seconds = 0;  ///< it spent on the journal
  double write_seconds = 0;     ///< spent on writing records since, most of it beside additions
  double sync_seconds = 0;      ///< spent on syncing them
  double wait_seconds = 0;      ///< additions spent on handing records over and on waiting for it
};

}  // namespace concord
