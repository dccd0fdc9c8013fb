// Rows of an Array as floats: where they stand if they can be read there, else converted into a
// buffer of at most kBufferBytes (or one row), whatever the size of the array, unless the caller
// wants all at once.
//
// float64 is rounded to nearest; float16, bfloat16, int8 and uint8 are exact in float32.
// Thread-safety: one thread at a time; needs no GIL.
#pragma once

#include <concord/matrix_view.hpp>
#include <cstddef>
#include <vector>

#include "array.hpp"

namespace concord::python {

class RowReader {
 public:
  static constexpr std::size_t kBufferBytes = 1 << 20;

  /// Borrows `array`, which must be on the host. Throws ArrayTypeError for elements of other types.
  explicit RowReader(const Array& array);

  /// Rows from `first` on: at least one, at most `most`; valid until the next call.
  MatrixView<const float> read(std::size_t first, std::size_t most);
  /// All rows, where they stand or converted into memory for all; valid until the next call.
  MatrixView<const float> read_all();

 private:
  const Array& array_;
  bool in_place_;
  std::vector<float> buffer_, all_;
};

}  // namespace concord::python
