// Which journal a message is about: what reads one does not know its path.
// Thread-safety: a pure function.
#pragma once

#include <concord/error.hpp>
#include <concord/replica.hpp>
#include <filesystem>

namespace concord::core {

/// Runs `read`, and adds the journal's path to the message if it refuses the journal.
template <class Read>
auto naming(const std::filesystem::path& path, const Read& read) {
  try {
    return read();
  } catch (const DivergedError& error) {
    throw DivergedError("'" + path.string() +
                        "' has another history than what was read of it: " + error.what());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt_file) throw;
    throw Error(error.code(), "'" + path.string() + "' is not a sound journal: " + error.what());
  }
}

}  // namespace concord::core
