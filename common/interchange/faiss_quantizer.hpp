// FAISS's ScalarQuantizer, as the file of an IndexScalarQuantizer has it, unaligned:
//
//   kind i32, statistic i32 and its argument f32     (how it was trained; not needed)
//   dimension u64, bytes of a code u64
//   trained f32[], codes u8[]                        arrays have their length before them, as u64
//
// Elements of 16 bits, and bytes that are numbers themselves, are kept exactly in both directions.
// A code of 8 bits stands for one of 256 numbers between a least and a greatest, of all elements or
// of each. FAISS computes them with roundings that depend on the processor; here they do not.
// Thread-safety: pure functions.
#pragma once

#include <concord/params.hpp>
#include <cstddef>
#include <vector>

#include "common/interchange/input_file.hpp"
#include "common/interchange/output_file.hpp"

namespace concord::interchange {

struct QuantizedVectors {
  std::vector<float> elements;           ///< [n × dimension]
  Storage storage = Storage::automatic;  ///< what keeps them as exactly as the file does
};

/// Refuses quantizers whose sizes do not fit one another, and kinds of fewer than 8 bits.
QuantizedVectors read_quantized(InputFile& file, std::size_t n, std::size_t dimension);

/// Writes the quantizer of f16 or bf16, and the length of what follows: n vectors by
/// write_quantized_vector.
void write_quantizer(OutputFile& file, Storage storage, std::size_t n, std::size_t dimension);
/// `vector` has only numbers of that storage.
void write_quantized_vector(OutputFile& file, Storage storage, const std::vector<float>& vector);

}  // namespace concord::interchange
