// Reads and writes the plain vector file formats, chosen by extension:
//   .fvecs .bvecs .ivecs   TEXMEX: each row is int32 d, then d float32, uint8 or int32
//   .fbin .u8bin .i8bin .ibin   big-ann: uint32 n, uint32 d, then n × d float32, uint8, int8, int32
// A big-ann ground-truth .ibin (ids, then as many float32 distances) is accepted as ids.
// Everything is little-endian, as the formats are. Sizes are checked against the file's length
// before memory is allocated. Errors are InputErrors that name the file.
#pragma once

#include <filesystem>

#include "bench/tool/matrix.hpp"

namespace concord::bench {

inline constexpr std::size_t kAllRows = ~std::size_t{0};

/// "…, …" list of the extensions, for messages.
std::string vector_file_extensions();
/// Has one of the formats' extensions, in upper or lower case.
bool is_vector_file(const std::filesystem::path& path);
/// Holds row numbers (.ivecs, .ibin) rather than vectors.
bool is_id_file(const std::filesystem::path& path);

/// The first `limit` rows; integer elements become floats exactly.
FloatMatrix read_vectors(const std::filesystem::path& path, std::size_t limit = kAllRows);
IdMatrix read_ids(const std::filesystem::path& path, std::size_t limit = kAllRows);

/// Refuses values that the format's element type cannot hold exactly.
void write_vectors(const std::filesystem::path& path, const FloatMatrix& vectors);
void write_ids(const std::filesystem::path& path, const IdMatrix& ids);

}  // namespace concord::bench
