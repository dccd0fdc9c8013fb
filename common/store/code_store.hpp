// The codes of a VectorStore's rows, from which searches and proposals estimate distances
// (scalar_code.hpp, rotated_code.hpp); none, and no memory, unless the parameters of the index ask
// for codes.
//
// Codes of four bits need the centre of the first vectors. So there are none before the last of
// these is inserted; then all rows have one. Whoever finds are_ready() finds the codes of all rows
// that were published before.
// Thread-safety: as VectorStore, which owns it and writes both.
#pragma once

#include <algorithm>
#include <atomic>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/store/element.hpp"
#include "common/store/rotated_code.hpp"
#include "common/store/scalar_code.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

/// Bytes of the code of a vector.
constexpr std::size_t code_bytes(const IndexParams& params) noexcept {
  if (params.codes == Codes::none) return 0;
  return params.codes == Codes::sq8 ? code_bytes(params.dimension)
                                    : rotated_code_bytes(params.dimension);
}

class CodeStore {
 public:
  explicit CodeStore(const IndexParams& params)
      : dimension_(params.dimension),
        metric_(params.metric),
        kind_(params.codes),
        row_bytes_(code_bytes(params)),
        are_ready_(params.codes == Codes::sq8) {
    if (kind_ == Codes::sq4) {
      coder_ = std::make_unique<RotatedCoder>(dimension_, metric_, params.seed);
    }
  }

  [[nodiscard]] Codes kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_used() const noexcept { return row_bytes_ > 0; }
  /// Whether all rows have their codes. It stays so.
  [[nodiscard]] bool are_ready() const noexcept { return are_ready_.load(); }
  /// Whether proposals walk by codes that see sealed what was inserted before the insertion of that
  /// number: so calls and removals have no part in it.
  [[nodiscard]] bool serve_proposals(std::uint64_t insertion) const noexcept {
    return kind_ == Codes::sq8 || (kind_ == Codes::sq4 && insertion >= kCentreVectors);
  }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// For readers what is there stays until they leave.
  [[nodiscard]] const std::byte* rows() const noexcept { return memory_.data(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.bytes(); }
  [[nodiscard]] std::size_t query_bytes() const noexcept {
    return coder_ == nullptr ? query_code_bytes(dimension_) : coder_->query_bytes();
  }
  /// Writes the code of a query in its stored form to `out` ([query_bytes()], aligned as floats).
  void encode_query(const float* query, std::uint8_t* out) const noexcept {
    if (coder_ != nullptr) return coder_->encode_query(query, out);
    core::encode_query(query, dimension_, metric_, out);
  }

  /// Room for what encoding one vector needs.
  using Scratch = std::vector<float>;
  [[nodiscard]] Scratch make_scratch() const { return Scratch(coder_ == nullptr ? 0 : dimension_); }
  /// Whether row `i` has the code of a vector that is kept as `element` at `vector`; `buffer` is
  /// for one code ([row_bytes()]).
  [[nodiscard]] bool is_code_of(std::size_t i, Element element, const void* vector,
                                Scratch& scratch, std::byte* buffer) const noexcept {
    encode(element, vector, scratch, buffer);
    return std::equal(buffer, buffer + row_bytes_, &memory_[i * row_bytes_]);
  }

  /// Writes the code of row `i`, which is kept as `element` at `vector`.
  void write(std::size_t i, Element element, const void* vector, Scratch& scratch) noexcept {
    encode(element, vector, scratch, &memory_[i * row_bytes_]);
  }

  /// What the first vectors are counted in by; null for codes that need no centre.
  [[nodiscard]] const RotatedCoder* coder() const noexcept { return coder_.get(); }
  [[nodiscard]] RotatedCoder* coder() noexcept { return coder_.get(); }
  /// All rows have their codes from here on.
  void set_ready() noexcept { are_ready_.store(true); }

  /// For codes to be read into.
  [[nodiscard]] std::byte* data() noexcept { return memory_.data(); }

  // As the members of VectorStore:
  void resize(std::size_t rows) { memory_.resize(rows * row_bytes_); }
  void free_left() noexcept { memory_.free_left(); }
  void move(std::size_t from, std::size_t to) noexcept {
    if (is_used()) std::copy_n(&memory_[from * row_bytes_], row_bytes_, &memory_[to * row_bytes_]);
  }
  void clear(std::size_t first, std::size_t last) noexcept {
    memory_.clear(first * row_bytes_, last * row_bytes_);
  }
  void give_front_back(std::size_t rows) noexcept { memory_.give_front_back(rows * row_bytes_); }
  void reuse_front() noexcept { memory_.reuse_front(); }
  void shrink(std::size_t rows) noexcept { memory_.shrink(rows * row_bytes_); }

 private:
  void encode(Element element, const void* vector, Scratch& scratch,
              std::byte* code) const noexcept {
    if (coder_ != nullptr) return coder_->encode(element, vector, scratch.data(), code);
    core::encode(element, vector, dimension_, metric_, code);
  }

  std::uint32_t dimension_;
  Metric metric_;
  Codes kind_;
  std::size_t row_bytes_;
  std::atomic<bool> are_ready_;
  std::unique_ptr<RotatedCoder> coder_;
  VirtualArray<std::byte> memory_;
};

}  // namespace concord::core
