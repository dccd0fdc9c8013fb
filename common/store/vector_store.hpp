// The vectors, one row each, in the stored form of ingest.hpp.
//
// The store keeps rows as bytes for as long as that is exact. Data that was 8-bit before it was
// float (descriptors, pixels, quantised embeddings) then takes a quarter of the memory and, more
// important, of the bandwidth. The first vector that bytes cannot hold turns all rows into floats,
// once. The choice affects no result, because a byte widened to float is the same number. With
// IndexParams::storage rows have 16 bits, or are floats from the first. Where the parameters ask
// for codes, each row has one as well (code_store.hpp).
// Thread-safety: one writer. Readers in the ReaderGate may read rows that were published before,
// through rows(), while it writes.
#pragma once

#include <algorithm>
#include <atomic>
#include <concord/matrix_view.hpp>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "common/store/code_store.hpp"
#include "common/store/element.hpp"
#include "common/store/ingest.hpp"
#include "common/store/row_file.hpp"
#include "common/system/virtual_array.hpp"
#include "common/threads/reader_gate.hpp"
#include "common/threads/thread_pool.hpp"

namespace concord::core {

/// The address of a store's rows and the kind of their elements, at one moment.
struct StoredRows {
  const void* data;
  Element element;
};

class VectorStore {
 public:
  /// Borrows the gate. With one, memory is freed only when no reader can be using it.
  explicit VectorStore(const IndexParams& params, const ReaderGate* gate = nullptr);

  [[nodiscard]] std::uint32_t dimension() const noexcept { return form_.dimension; }
  /// Elements from one row to the next.
  [[nodiscard]] std::uint32_t stride() const noexcept { return form_.stride; }
  /// The rows do not move before the next resize() or write(). For readers what is there stays
  /// until they leave; who asks after the size of the graph finds all rows before it.
  [[nodiscard]] StoredRows rows() const noexcept {
    const std::uintptr_t stored = stored_.load();
    const std::uintptr_t element = stored & kElementBits;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): one word must hold both
    return {reinterpret_cast<const std::byte*>(stored - element), static_cast<Element>(element)};
  }
  [[nodiscard]] Element element() const noexcept { return rows().element; }
  [[nodiscard]] std::size_t row_bytes(Element element) const noexcept {
    return stride() * bytes_of(element);
  }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes(element()); }
  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.bytes() + codes_.bytes(); }
  [[nodiscard]] const CodeStore& codes() const noexcept { return codes_; }

  /// Row `i` as floats ([stride]): where it is stored, or widened into `buffer`.
  [[nodiscard]] const float* read(std::size_t i, float* buffer) const noexcept {
    const StoredRows from = rows();
    if (from.element == Element::f32) return static_cast<const float*>(from.data) + i * stride();
    widen(from.element, row(from, i), stride(), buffer);
    return buffer;
  }
  /// Copies rows [first, first + n) as floats to `out` ([n × stride]).
  void copy(std::size_t first, std::size_t n, float* out) const noexcept {
    const StoredRows from = rows();
    widen(from.element, row(from, first), n * stride(), out);
  }
  /// Whether rows `a` and `b` have the same elements, as numbers: −0 is 0.
  [[nodiscard]] bool are_equal(std::size_t a, std::size_t b) const noexcept;
  /// The narrowest element that holds the first `n` rows exactly. These rows alone decide, even if
  /// other rows, gone since, have turned the store to a wider element.
  [[nodiscard]] Element narrowest(std::size_t n) const noexcept {
    return narrowest_of([&](const auto& use) { use(0, n); });
  }
  /// The same for the rows that for_each(use) names by calls use(first row, number of rows).
  template <class ForEach>
  [[nodiscard]] Element narrowest_of(const ForEach& for_each) const noexcept {
    const StoredRows from = rows();
    if (!are_bytes(first_element_)) return from.element;
    Narrowest narrowest(from.element);
    for_each(
        [&](std::size_t first, std::size_t n) { narrowest.add(row(from, first), n * stride()); });
    return narrowest.element();
  }
  /// Rows [first, first + n) kept as `element`, no narrower than narrowest(first + n) and no wider
  /// than element(): where they are stored, or written to `buffer` ([n × stride]).
  [[nodiscard]] const void* read_as(Element element, std::size_t first, std::size_t n,
                                    std::uint8_t* buffer) const noexcept;

  /// Makes the store `rows` rows long; new ones are unspecified until written. Throws
  /// Error(out_of_memory).
  void resize(std::size_t rows);

  // --- used by a slide (common/contents/slide.hpp): as the members of VirtualArray ---
  /// Row `to` becomes what row `from` is.
  void move(std::size_t from, std::size_t to) noexcept {
    std::copy_n(&memory_[from * row_bytes()], row_bytes(), &memory_[to * row_bytes()]);
    codes_.move(from, to);
  }
  void clear(std::size_t first, std::size_t last) noexcept {
    memory_.clear(first * row_bytes(), last * row_bytes());
    codes_.clear(first, last);
  }
  void give_front_back(std::size_t rows) noexcept {
    memory_.give_front_back(rows * row_bytes());
    codes_.give_front_back(rows);
  }
  void reuse_front() noexcept {
    memory_.reuse_front();
    codes_.reuse_front();
  }
  /// Forgets the rows from `rows` on.
  void shrink(std::size_t rows) noexcept {
    memory_.shrink(rows * row_bytes());
    codes_.shrink(rows);
    size_ = rows;
  }

  /// Validates `vectors` and writes them to rows first, first + 1, …, in parallel.
  /// REQUIRES resize(first + vectors.rows or more) before, and all rows before `first` written.
  /// Throws Error(invalid_vector) naming the first bad row, counted from `number`, and
  /// Error(out_of_memory); rows from `first` on are then unspecified.
  void write(std::size_t first, MatrixView<const float> vectors, ThreadPool& pool,
             std::size_t number = 0);
  /// Writes rows as copy() gave them, padding included. REQUIRES as write(), and valid vectors.
  void restore(std::size_t first, std::size_t n, const float* rows, ThreadPool& pool);
  /// Tells codes of the insertions before number `insertions`, whose vectors are the rows before
  /// `end`, the last of each. Called after each commit, so that the centre is of what was inserted,
  /// whatever is removed later. When it is known all rows get their codes. Throws
  /// Error(out_of_memory), std::bad_alloc; the next call tries again.
  void count_insertions(std::uint64_t insertions, std::size_t end, ThreadPool& pool);

  // --- ingest.hpp for vectors of this store ---
  /// Writes one vector in its stored form to `out` ([stride]). Throws Error(invalid_vector); the
  /// message calls the vector "`what` `number`".
  void prepare(const float* vector, float* out, const char* what, std::size_t number) const {
    if (!try_prepare(form_, vector, out)) refuse_vector(form_, vector, what, number);
  }
  [[nodiscard]] bool is_stored_form(const float* row) const noexcept {
    return core::is_stored_form(form_, row);
  }
  void check_shape(const MatrixView<const float>& matrix, const char* what) const {
    core::check_shape(form_, matrix, what);
  }

  // --- used by the file format ---
  /// Makes an empty store `rows` rows long and kept as `element`; returns memory to read them into.
  /// Throws as resize().
  std::byte* begin_import(Element element, std::size_t rows);
  /// Keeps all rows as narrowest() says. REQUIRES no readers. Throws Error(out_of_memory).
  void narrow();
  /// Makes an empty store one of `rows` rows of a file, which begin at `offset` as `element`. They
  /// may only be read. Throws as VirtualMemory and resize().
  void map(std::shared_ptr<const File> file, std::uint64_t offset, Element element,
           std::size_t rows);
  /// Where few rows are wanted of a mapped store with codes: they are read from the file, so that
  /// no page of it stays in memory. Null for any other store.
  [[nodiscard]] const RowFile* row_file() const noexcept { return row_file_.get(); }
  /// Lets the pages go that were read of rows which row_file() is for.
  void leave_to_file() const noexcept {
    if (row_file_ != nullptr) memory_.leave_to_file();
  }
  /// Takes over what a file says of the first `counted` insertions. REQUIRES codes with a centre.
  void restore_sums(std::span<const double> sums, std::uint32_t counted) noexcept {
    codes_.coder()->restore(sums, counted);
  }
  /// Makes the codes of all rows, if there are to be any, which were read or mapped.
  void make_codes(ThreadPool& pool);
  /// Memory to read them into in the place of that. REQUIRES codes and rows that are there.
  std::byte* begin_import_of_codes() noexcept { return codes_.data(); }
  /// All codes were read.
  void end_import_of_codes() noexcept { codes_.set_ready(); }
  /// Whether what the file says of the first insertions can be, where their vectors are the first
  /// rows, or, with `are_there` false, may be gone.
  [[nodiscard]] bool has_its_sums(bool are_there) const;
  /// True if the code of row `i` is what make_codes() makes.
  [[nodiscard]] bool has_its_code(std::size_t i) const;
  /// True if row `i` can be the stored form of a vector.
  [[nodiscard]] bool has_stored_form(std::size_t i) const;

 private:
  [[nodiscard]] const std::byte* row(const StoredRows& from, std::size_t i) const noexcept {
    return static_cast<const std::byte*>(from.data) + i * row_bytes(from.element);
  }
  [[nodiscard]] float* float_row(std::size_t i) const noexcept {
    return reinterpret_cast<float*>(memory_.data()) + i * stride();
  }
  void check(const MatrixView<const float>& vectors, ThreadPool& pool, std::size_t number) const;
  /// False, with rows from `first` on unspecified, if bytes cannot hold some of the vectors.
  bool write_bytes(std::size_t first, const MatrixView<const float>& vectors, ThreadPool& pool);
  bool write_as(Element element, std::size_t first, const MatrixView<const float>& vectors,
                ThreadPool& pool);
  [[nodiscard]] bool are_also_i8(std::size_t rows) const noexcept;
  void write_rows(std::size_t first, const MatrixView<const float>& vectors, ThreadPool& pool,
                  std::size_t number);
  void make_codes(std::size_t first, std::size_t n, ThreadPool& pool);
  void encode_rows(std::size_t first, std::size_t n, ThreadPool& pool);
  /// False if the vector must be refused. REQUIRES a store that does not keep bytes.
  bool write_row(std::size_t i, const float* vector);
  /// Keeps floats from now on.
  void turn_to_floats(std::size_t rows);
  /// Shows readers the memory as it is now.
  void publish(Element element) noexcept;

  VectorForm form_;
  Element first_element_;  ///< of a store without rows
  const ReaderGate* gate_;
  std::size_t size_ = 0;
  VirtualArray<std::byte> memory_;
  CodeStore codes_;
  std::unique_ptr<const RowFile> row_file_;
  static constexpr std::uintptr_t kElementBits = 7;  ///< memory is aligned to more
  /// The rows' address, plus their element. No pointer, because there may be no rows yet.
  std::atomic<std::uintptr_t> stored_;
};

}  // namespace concord::core
