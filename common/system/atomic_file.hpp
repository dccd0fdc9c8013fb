// Writing a file so that its old content stays whole until the new one is complete and on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "common/system/file.hpp"
#include "common/system/output.hpp"

namespace concord::core {

/// A temporary file beside the file that `path` names or would name: links are followed. commit()
/// syncs it and renames it over `path`; without commit()
/// the destructor removes it. Writes are sequential, and only the system buffers them, so pass
/// large pieces. All members throw Error(io) with the path and the system's reason. If commit()
/// throws because the directory cannot be synced, `path` already holds the new content.
class AtomicFile final : public Output {
 public:
  explicit AtomicFile(const std::filesystem::path& path);

  void write(const void* data, std::size_t bytes) override;
  void rewrite(std::uint64_t offset, const void* data, std::size_t bytes) override;
  void commit();

 private:
  std::filesystem::path path_;
  File file_;
};

}  // namespace concord::core
