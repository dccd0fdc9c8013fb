// The rows of a mapped VectorStore, read from its file a few at a time.
//
// Searches by codes want a few rows that are anywhere in the file. Through the mapping they would
// wait for one after the other, and each would leave pages in memory. Here the system is asked for
// all of them first, so that the disk works on them side by side, and none stays with the process.
// A file that can no longer be read gives an error; through the mapping it would end the process.
// Thread-safety: any number of threads.
#pragma once

#include <concord/error.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/base/key.hpp"
#include "common/system/file.hpp"

namespace concord::core {

class RowFile {
 public:
  /// Rows of `row_bytes` from `offset` on.
  RowFile(std::shared_ptr<const File> file, std::uint64_t offset, std::size_t row_bytes)
      : file_(std::move(file)),
        identity_(identity_of(file_->status())),
        offset_(offset),
        row_bytes_(row_bytes) {}

  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }

  /// Reads rows ids[0], ids[1], … to `out` ([n × row_bytes()]). Throws Error(io), also if the
  /// program has closed the file's descriptor and it is now another file's.
  void read(const NodeId* ids, std::size_t n, std::byte* out) const {
    if (!identity_of(file_->status()).is_same_file(identity_)) {
      throw Error(ErrorCode::io, "the descriptor of a mapped index's file was closed");
    }
    for (std::size_t i = 0; i < n; ++i) file_->read_ahead(place(ids[i]), row_bytes_);
    for (std::size_t i = 0; i < n; ++i) {
      if (file_->read(place(ids[i]), out + i * row_bytes_, row_bytes_) == row_bytes_) continue;
      throw Error(ErrorCode::io, "the file of a mapped index has become shorter");
    }
  }

 private:
  [[nodiscard]] std::uint64_t place(NodeId id) const noexcept {
    return offset_ + std::uint64_t{id} * row_bytes_;
  }

  std::shared_ptr<const File> file_;
  FileIdentity identity_;
  std::uint64_t offset_;
  std::size_t row_bytes_;
};

}  // namespace concord::core
