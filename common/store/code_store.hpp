// The codes of a VectorStore's rows, from which searches and proposals estimate distances
// (scalar_code.hpp); none, and no memory, unless the parameters of the index ask for codes.
// Thread-safety: as VectorStore, which owns it and writes both.
#pragma once

#include <algorithm>
#include <concord/params.hpp>
#include <cstddef>
#include <cstdint>

#include "common/store/element.hpp"
#include "common/store/scalar_code.hpp"
#include "common/system/virtual_array.hpp"

namespace concord::core {

class CodeStore {
 public:
  explicit CodeStore(const IndexParams& params)
      : dimension_(params.dimension),
        metric_(params.metric),
        row_bytes_(params.codes == Codes::none ? 0 : code_bytes(params.dimension)) {}

  [[nodiscard]] bool is_used() const noexcept { return row_bytes_ > 0; }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return row_bytes_; }
  /// For readers what is there stays until they leave.
  [[nodiscard]] const std::byte* rows() const noexcept { return memory_.data(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.bytes(); }
  [[nodiscard]] std::size_t query_bytes() const noexcept { return query_code_bytes(dimension_); }
  /// Writes the code of a query in its stored form to `out` ([query_bytes()]).
  void encode_query(const float* query, std::uint8_t* out) const noexcept {
    core::encode_query(query, dimension_, metric_, out);
  }

  /// Whether row `i` has the code of a vector that is kept as `element` at `vector`; `buffer` is
  /// for one code ([row_bytes()]).
  [[nodiscard]] bool is_code_of(std::size_t i, Element element, const void* vector,
                                std::byte* buffer) const noexcept {
    encode(element, vector, dimension_, metric_, buffer);
    return std::equal(buffer, buffer + row_bytes_, &memory_[i * row_bytes_]);
  }

  /// Writes the code of row `i`, which is kept as `element` at `vector`.
  void write(std::size_t i, Element element, const void* vector) noexcept {
    encode(element, vector, dimension_, metric_, &memory_[i * row_bytes_]);
  }

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
  std::uint32_t dimension_;
  Metric metric_;
  std::size_t row_bytes_;
  VirtualArray<std::byte> memory_;
};

}  // namespace concord::core
