// concord::Cursor: a search that goes on, page by page, for as long as its caller wants more.
//
// docs/filtering.md shows its use and says what it costs.
#pragma once

#include <concord/export.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace concord {

class Index;
struct IndexAccess;
struct SearchResult;

/// The vectors near one query, in pages. Index::cursor makes it.
///
/// A page lists the nearest vectors that no page before has given. Behind K results it shows what a
/// search with k = K + k and ef = ef + K + k finds, less what was given, bit for bit. That search
/// is one without codes. A page is sorted. If the walk meets a nearer vector late, it stands in a
/// later page. So it is never lost, and pages need not ascend from one to the next.
///
/// A cursor sees the vectors that the index had when it was made, less those that were removed or
/// replaced since. It gives none of them twice and goes on to the last. Changes between two pages
/// may change their order, because links have moved; what a walk has missed is scanned in the end.
///
/// Memory: a few keys for each vector that it has met. The first page after the index has moved
/// vectors (see Index::remove) walks through what all pages before it have walked through.
/// Thread-safety: one thread at a time; the index may be changed meanwhile. The index may be moved,
/// and must outlive the cursor, except for its destructor. After a move from it a cursor can only
/// be destroyed or assigned to.
class CONCORD_API Cursor {
 public:
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) noexcept;
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor();

  /// The next page: one query with k places, of which counts[0] are results. Fewer than k mean that
  /// nothing is left. k is at most 65,536; 0 gives an empty page. Runs on the calling thread and
  /// the CPU, beside additions. It computes the distances that the larger search needs beyond the
  /// page before. Throws Error(invalid_parameter), Error(out_of_memory) or std::bad_alloc. A later
  /// call then goes on with the same page.
  [[nodiscard]] SearchResult next(std::uint32_t k);
  /// Vectors given so far.
  [[nodiscard]] std::size_t given() const noexcept;

 private:
  friend class Index;
  friend struct IndexAccess;
  struct Impl;
  explicit Cursor(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace concord
