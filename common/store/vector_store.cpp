#include "common/store/vector_store.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "common/base/key.hpp"

namespace concord::core {
namespace {

// Normalised vectors are never bytes, nor are those that may not be.
Element first_element(const IndexParams& params) noexcept {
  const bool may_be_bytes = fits(Element::u8, params.storage) && params.metric != Metric::cosine;
  return may_be_bytes ? Element::u8 : widest(params.storage);
}

constexpr std::size_t kRowsAtOnce = 256;

}  // namespace

VectorStore::VectorStore(const IndexParams& params, const ReaderGate* gate)
    : form_(params), first_element_(first_element(params)), gate_(gate), codes_(params) {
  publish(first_element_);
}

void VectorStore::publish(Element element) noexcept {
  stored_.store(reinterpret_cast<std::uintptr_t>(memory_.data()) +
                static_cast<std::uintptr_t>(element));
}

void VectorStore::resize(std::size_t rows) {
  memory_.resize(rows * row_bytes());
  codes_.resize(rows);
  size_ = rows;
  publish(element());
  if (gate_ != nullptr && !gate_->is_empty()) return;
  memory_.free_left();
  codes_.free_left();
}

// ---------------------------------------------------------------------------------------- writing

void VectorStore::write(std::size_t first, MatrixView<const float> vectors, ThreadPool& pool,
                        std::size_t number) {
  write_rows(first, vectors, pool, number);
  make_codes(first, vectors.rows, pool);
}

void VectorStore::write_rows(std::size_t first, const MatrixView<const float>& vectors,
                             ThreadPool& pool, std::size_t number) {
  if (are_bytes(element())) {
    if (write_bytes(first, vectors, pool)) return;
    check(vectors, pool, number);  // before all rows change for vectors that are then refused
    turn_to_floats(first);
  }
  pool.for_each(vectors.rows, kRowsAtOnce, [&](std::size_t r) {
    const float* const vector = vectors.row(r);
    if (!write_row(first + r, vector)) refuse_vector(form_, vector, "vector", number + r);
  });
}

bool VectorStore::write_row(std::size_t i, const float* vector) {
  if (element() == Element::f32) return try_prepare_to_store(form_, vector, float_row(i));
  std::vector<float> rounded(stride());
  return try_prepare_to_store(form_, vector, rounded.data()) &&
         core::narrow(rounded.data(), stride(), element(), &memory_[i * row_bytes()]);
}

void VectorStore::restore(std::size_t first, std::size_t n, const float* rows, ThreadPool& pool) {
  const bool stay_bytes =
      are_bytes(element()) && write_bytes(first, {rows, n, dimension(), stride()}, pool);
  if (!stay_bytes) {
    if (are_bytes(element())) turn_to_floats(first);
    core::narrow(rows, n * stride(), element(), &memory_[first * row_bytes()]);
  }
  make_codes(first, n, pool);
}

void VectorStore::make_codes(std::size_t first, std::size_t n, ThreadPool& pool) {
  if (codes_.are_ready()) encode_rows(first, n, pool);
}

void VectorStore::make_codes(ThreadPool& pool) {
  if (codes_.coder() != nullptr ? !codes_.coder()->has_centre() : !codes_.is_used()) return;
  encode_rows(0, size_, pool);
  codes_.set_ready();
}

void VectorStore::encode_rows(std::size_t first, std::size_t n, ThreadPool& pool) {
  const StoredRows from = rows();
  pool.parallel_for(n, kRowsAtOnce, [&](unsigned, std::size_t begin, std::size_t end) {
    CodeStore::Scratch scratch = codes_.make_scratch();
    for (std::size_t i = first + begin; i < first + end; ++i) {
      codes_.write(i, from.element, row(from, i), scratch);
    }
  });
}

void VectorStore::count_insertions(std::uint64_t insertions, std::size_t end, ThreadPool& pool) {
  RotatedCoder* const coder = codes_.coder();
  if (coder == nullptr || codes_.are_ready()) return;
  const StoredRows from = rows();
  while (!coder->has_centre() && coder->counted() < insertions) {
    coder->count_in(from.element, row(from, end - (insertions - coder->counted())));
  }
  make_codes(pool);
}

void VectorStore::check(const MatrixView<const float>& vectors, ThreadPool& pool,
                        std::size_t number) const {
  pool.for_each(vectors.rows, kRowsAtOnce, [&](std::size_t r) {
    const float* const vector = vectors.row(r);
    if (!is_allowed(form_, vector) || !is_large_enough(form_, vector)) {
      refuse_vector(form_, vector, "vector", number + r);
    }
  });
}

bool VectorStore::write_bytes(std::size_t first, const MatrixView<const float>& vectors,
                              ThreadPool& pool) {
  if (element() == Element::u8) {
    if (write_as(Element::u8, first, vectors, pool)) return true;
    if (!are_also_i8(first)) return false;
  }
  if (!write_as(Element::i8, first, vectors, pool)) return false;
  publish(Element::i8);
  return true;
}

bool VectorStore::write_as(Element element, std::size_t first,
                           const MatrixView<const float>& vectors, ThreadPool& pool) {
  std::atomic<bool> fit{true};
  pool.for_each(vectors.rows, kRowsAtOnce, [&](std::size_t r) {
    if (!fit.load(std::memory_order_relaxed))
      return;  // a hint; the end of the loop orders the last
    std::byte* const to = memory_.data() + (first + r) * stride();
    std::fill(to + dimension(), to + stride(), std::byte{0});
    if (!core::narrow(vectors.row(r), dimension(), element, to)) fit = false;
  });
  return fit;
}

// Bytes below 128 mean the same with a sign and without.
bool VectorStore::are_also_i8(std::size_t rows) const noexcept {
  std::byte all{0};
  for (std::size_t e = 0; e < rows * stride(); ++e) all |= memory_[e];
  return all < std::byte{128};
}

void VectorStore::turn_to_floats(std::size_t rows) {
  VirtualArray<std::byte> memory;
  memory.resize(size_ * row_bytes(Element::f32));
  copy(0, rows, reinterpret_cast<float*>(memory.data()));
  std::swap(memory_, memory);
  publish(Element::f32);
  if (gate_ != nullptr) gate_->wait_for_readers();
}

// ---------------------------------------------------------------------------------- reading, files

bool VectorStore::are_equal(std::size_t a, std::size_t b) const noexcept {
  const StoredRows from = rows();
  return core::are_equal(from.element, row(from, a), row(from, b), stride());
}

const void* VectorStore::read_as(Element element, std::size_t first, std::size_t n,
                                 std::uint8_t* buffer) const noexcept {
  const StoredRows from = rows();
  // A number that both kinds of bytes hold has the same bits in both.
  if (bytes_of(element) == bytes_of(from.element)) return row(from, first);
  core::narrow(static_cast<const float*>(from.data) + first * stride(), n * stride(), element,
               buffer);
  return buffer;
}

std::byte* VectorStore::begin_import(Element element, std::size_t rows) {
  if (bytes_of(element) != bytes_of(this->element())) memory_ = {};
  publish(element);
  resize(rows);
  return memory_.data();
}

void VectorStore::narrow() {
  const Element element = narrowest(size_);
  if (bytes_of(element) != bytes_of(this->element())) {
    VirtualArray<std::byte> memory;
    memory.resize(size_ * row_bytes(element));
    core::narrow(float_row(0), size_ * stride(), element, memory.data());
    memory_ = std::move(memory);
  }
  publish(element);
}

void VectorStore::map(std::shared_ptr<const File> file, std::uint64_t offset, Element element,
                      std::size_t rows) {
  codes_.resize(rows);
  memory_ = VirtualArray<std::byte>(*file, offset, rows * row_bytes(element));
  if (codes_.is_used()) {
    row_file_ = std::make_unique<RowFile>(std::move(file), offset, row_bytes(element));
  }
  size_ = rows;
  publish(element);
}

bool VectorStore::has_its_code(std::size_t i) const {
  const StoredRows from = rows();
  std::vector<std::byte> code(codes_.row_bytes());
  CodeStore::Scratch scratch = codes_.make_scratch();
  return codes_.is_code_of(i, from.element, row(from, i), scratch, code.data());
}

// Of vectors that are gone only a bound is known: the norm that each could have.
bool VectorStore::has_its_sums(bool are_there) const {
  const RotatedCoder& coder = *codes_.coder();
  const std::span<const double> sums = coder.sums();
  if (are_there) {
    std::vector<double> own(sums.size());
    std::vector<float> vector(stride());
    for (std::size_t i = 0; i < coder.counted(); ++i) {
      const float* const x = read(i, vector.data());
      for (std::size_t e = 0; e < own.size(); ++e) own[e] += double{x[e]};
    }
    return std::memcmp(own.data(), sums.data(), sums.size_bytes()) == 0;
  }
  double square = 0;
  for (const double sum : sums) square += sum * sum;
  const auto counted = static_cast<double>(coder.counted());
  const double most = counted * counted * form_.most_squared;
  return square <= most * 1.001;
}

bool VectorStore::has_stored_form(std::size_t i) const {
  const StoredRows from = rows();
  if (from.element == Element::f32) return is_stored_form(float_row(i));
  if (!are_bytes(from.element)) {
    std::vector<float> floats(stride());
    return is_stored_form(read(i, floats.data()));
  }
  const std::byte* const bytes = row(from, i);
  return std::all_of(bytes + dimension(), bytes + stride(),
                     [](std::byte x) { return x == std::byte{0}; });
}

}  // namespace concord::core
