// The vectors, one zero-padded row each, validated and (for cosine) normalised when they enter.
//
// Every stored vector is finite and has a squared norm of at most kMaxSquaredNorm, so no distance
// between two of them overflows and none is NaN: (distance, id) is a total order.
//
// Rows are kept as bytes for as long as that is exact: data that was 8-bit before it was float
// (descriptors, pixels, quantised embeddings) takes a quarter of the memory and, more important, of
// the bandwidth. The first vector that bytes cannot hold turns all rows into floats, once. Which of
// them it is shows in no result: a byte widened to float is the same number.
// Thread-safety: one writer; beside it rows written and published before may be read through rows()
// by those who have entered the ReaderGate.
#pragma once

#include <atomic>
#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/reader_gate.hpp"
#include "common/thread_pool.hpp"
#include "common/virtual_array.hpp"

namespace concord::core {

/// |x − y|² ≤ 4 · max(|x|², |y|²) and |x·y| ≤ max(|x|², |y|²) stay finite below this.
inline constexpr double kMaxSquaredNorm = double{std::numeric_limits<float>::max()} / 8;

/// How the elements of all rows of a store are kept.
enum class Element : std::uint8_t { u8, i8, f32 };

/// Where the rows of a store are and how they are kept, at one moment.
struct StoredRows {
  const void* data;
  Element element;
};

class VectorStore {
 public:
  /// With a gate, memory that readers may be using is freed only when they have left.
  explicit VectorStore(const IndexParams& params, const ReaderGate* gate = nullptr);

  [[nodiscard]] std::uint32_t dimension() const noexcept { return dimension_; }
  /// Elements from one row to the next: the dimension rounded up to a multiple of 8.
  [[nodiscard]] std::uint32_t stride() const noexcept { return stride_; }
  /// They stay where they are until the next write(), and for readers until they leave.
  [[nodiscard]] StoredRows rows() const noexcept {
    const std::byte* const stored = stored_.load();
    const std::uintptr_t element = reinterpret_cast<std::uintptr_t>(stored) & kElementBits;
    return {stored - element, static_cast<Element>(element)};
  }
  [[nodiscard]] Element element() const noexcept { return rows().element; }
  [[nodiscard]] std::size_t row_bytes(Element element) const noexcept {
    return element == Element::f32 ? stride_ * sizeof(float) : stride_;
  }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes(element()); }
  [[nodiscard]] std::size_t bytes() const noexcept { return size_ * row_bytes(); }

  /// Row `i` as floats ([stride]): where it is stored, or widened into `buffer`.
  [[nodiscard]] const float* read(std::size_t i, float* buffer) const noexcept {
    const StoredRows from = rows();
    if (from.element == Element::f32) return static_cast<const float*>(from.data) + i * stride_;
    widen(from, i, 1, buffer);
    return buffer;
  }
  /// The narrowest element that holds the first `n` rows exactly: what these rows alone say, also
  /// where rows that are gone since have turned the store to a wider one.
  [[nodiscard]] Element narrowest(std::size_t n) const noexcept;
  /// Rows [first, first + n) kept as `element`, no narrower than narrowest(first + n): where they
  /// are stored, or written to `buffer` ([n × stride]).
  [[nodiscard]] const void* read_as(Element element, std::size_t first, std::size_t n,
                                    std::uint8_t* buffer) const noexcept;
  /// Copies rows [first, first + n) as floats to `out` ([n × stride]).
  void copy(std::size_t first, std::size_t n, float* out) const noexcept;

  /// Makes the store `rows` rows long; new ones are unspecified until written. Throws
  /// Error(out_of_memory, capacity).
  void resize(std::size_t rows);

  /// Validates `vectors` and writes them to rows first, first + 1, …, in parallel.
  /// REQUIRES resize(first + vectors.rows or more) before, and all rows before `first` written.
  /// Throws Error(invalid_vector) naming the first bad row, counted from `number`, and
  /// Error(out_of_memory); rows from `first` on are then unspecified.
  void write(std::size_t first, MatrixView<const float> vectors, ThreadPool& pool,
             std::size_t number = 0);
  /// Writes rows as copy() gave them, padding included. REQUIRES as write(), and valid vectors.
  void restore(std::size_t first, std::size_t n, const float* rows, ThreadPool& pool);

  /// True for [stride] floats that a vector could be stored as.
  [[nodiscard]] bool is_stored_form(const float* row) const noexcept;

  // --- used by the file format ---
  /// Makes an empty store `rows` rows long and kept as `element`; returns memory to read them into.
  /// Throws as resize().
  std::byte* begin_import(Element element, std::size_t rows);
  /// Keeps all rows as narrowest() says. REQUIRES no readers. Throws Error(out_of_memory).
  void narrow();
  /// Puts rows of a file in the place of those of an empty store; they may only be read.
  void map(VirtualArray<float> rows) noexcept;
  void map(VirtualArray<std::uint8_t> rows, Element element) noexcept;
  /// True if row `i` holds what a vector could be stored as.
  [[nodiscard]] bool has_stored_form(std::size_t i) const noexcept;

  /// Writes one vector as it would be stored to `out` ([stride]). Throws Error(invalid_vector)
  /// that calls the vector "`what` `number`".
  void prepare(const float* vector, float* out, const char* what, std::size_t number) const;
  /// Writes a vector in its stored form as bytes to `out` ([stride]), with the same numbers. False,
  /// with `out` unspecified, if some element is none of `element`, which is one of bytes.
  [[nodiscard]] bool try_narrow(const float* row, Element element,
                                std::uint8_t* out) const noexcept;
  /// Throws Error(dimension_mismatch) unless the matrix has this store's dimension.
  void check_shape(const MatrixView<const float>& matrix, const char* what) const;

 private:
  /// False, with rows from `first` on unspecified, if bytes cannot hold some of the vectors.
  bool write_bytes(std::size_t first, const MatrixView<const float>& vectors, ThreadPool& pool);
  template <class Byte>
  bool write_as(std::size_t first, const MatrixView<const float>& vectors, ThreadPool& pool);
  [[nodiscard]] bool are_also_i8(std::size_t rows) const noexcept;
  void widen(const StoredRows& from, std::size_t first, std::size_t n, float* out) const noexcept;
  /// Keeps floats from now on.
  void turn_to_floats(std::size_t rows);
  /// Makes rows() what the members say.
  void publish(Element element) noexcept;

  void check(const MatrixView<const float>& vectors, ThreadPool& pool, std::size_t number) const;
  /// False if the vector must be refused.
  [[nodiscard]] bool try_prepare(const float* vector, float* out) const noexcept;
  [[noreturn]] void refuse(const float* vector, const char* what, std::size_t number) const;

  std::uint32_t dimension_;
  std::uint32_t stride_;
  Metric metric_;
  const ReaderGate* gate_;
  std::size_t size_ = 0;
  VirtualArray<std::uint8_t> bytes_;  ///< of this and floats_, only the one in use has room
  VirtualArray<float> floats_;
  static constexpr std::uintptr_t kElementBits = 3;  ///< pages are aligned to more
  std::atomic<const std::byte*> stored_;             ///< the rows' address, plus their element
};

}  // namespace concord::core
