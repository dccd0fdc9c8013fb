// Files of other libraries. Of hnswlib: HierarchicalNSW::saveIndex, also that of Chroma's fork. Of
// FAISS: write_index of an IndexHNSWFlat or IndexHNSWSQ, alone or in an IndexIDMap or IndexIDMap2.
// It may be behind an IndexPreTransform that changes nothing.
//
// Writing keeps every layer, every link and the entry point, so the other library walks the same
// graph. While an epoch is open a list may be longer than 2·M. All lists of the file are then as
// wide as the longest, which both formats allow.
//
// Reading trusts no field: a file is either sound or refused. It takes memory of at most 8 times
// the file's length plus 4 MiB. Foreign graphs have one-sided links and levels drawn by other
// generators, and some of their nodes may be unreachable. Adopt says what becomes of them.
//
// Thread-safety: saving is as a const member of Index that waits (Index::save). Loading makes a new
// index.
#pragma once

#include <concord/index.hpp>
#include <filesystem>

namespace concord::interchange {

/// What a loaded index takes from the file. In both cases vectors and labels keep the order of the
/// file, and seed and epoch_limit are the defaults. All invariants hold. The number of threads does
/// not affect the result.
enum class Adopt {
  /// The links of layer 0. Vectors are inserted in the order of the file, with its links, made
  /// two-sided, as proposals; seals cut lists above 2·M. A vector without an earlier neighbor in
  /// the file is inserted as by Index::add. Levels are Concord's own, so the upper layers are built
  /// anew unless the file has the same levels, as files written here have. Elements that the file
  /// marks as deleted are removed afterwards, as by Index::remove. Uses the CPU only.
  graph,
  /// Vectors and labels only. The index is the one that Index::add builds from them. An M above 64
  /// becomes 64.
  vectors,
};

/// What an hnswlib file does not say about itself. For cosine the file's vectors must be
/// normalised, as hnswlib's Python package writes them.
struct HnswlibSpace {
  std::uint32_t dimension = 0;   ///< 1 … 65,536
  Metric metric = Metric::l2sq;  ///< the metric that the index was built for
};

/// Writes a file for hnswlib's L2Space (l2sq) or InnerProductSpace (inner_product, cosine) of the
/// index's dimension, atomically as Index::save. Vectors that were removed are not in the file,
/// because hnswlib would never unlink them. Throws Error(io), Error(unsupported) for cosine with
/// 16-bit storage, because rounded vectors are not normalised, and Error(invalid_parameter) if
/// Index::open made the index and `path` is one of its own files.
CONCORD_API void save_hnswlib(const Index& index, const std::filesystem::path& path);

/// Reads a file of hnswlib. Elements that are marked as deleted are not in the index. An
/// ef_construction above 1,024 becomes 1,024. Throws Error(io), Error(corrupt_file), and
/// Error(dimension_mismatch) if its vectors do not have space.dimension floats. Throws
/// Error(unsupported) if M is outside 2 … 64, a label is kNoLabel, or Chroma persisted the index in
/// a folder of four files.
CONCORD_API Index load_hnswlib(const std::filesystem::path& path, HnswlibSpace space,
                               Adopt adopt = Adopt::graph, RuntimeOptions options = {});

/// Writes an IndexHNSWFlat (METRIC_L2, or METRIC_INNER_PRODUCT for inner_product and cosine). With
/// storage f16 or bf16 it is an IndexHNSWSQ of QT_fp16 or QT_bf16, which keeps the vectors exactly.
/// It is in an IndexIDMap unless the labels are 0, 1, …. FAISS returns x·y for an inner product,
/// Concord returns 1 − x·y. Throws Error(io), Error(unsupported) if a label exceeds 2^63 − 1, and
/// Error(invalid_parameter) as save_hnswlib.
CONCORD_API void save_faiss(const Index& index, const std::filesystem::path& path);

/// Reads an IndexHNSWFlat or IndexHNSWSQ, whose metric becomes l2sq or inner_product. QT_fp16 and
/// QT_bf16 become storage f16 and bf16. QT_8bit and QT_8bit_uniform become floats of
/// storage f32, within rounding of those that FAISS reconstructs; QT_8bit_direct and
/// QT_8bit_direct_signed are bytes. M is taken from the file's probabilities of levels,
/// ef_construction as by load_hnswlib. Throws Error(io) and Error(corrupt_file). Throws
/// Error(unsupported) for other kinds of index and metric, for transforms that are not the
/// identity, and for labels that are negative or stand twice, and as load_hnswlib for M. A
/// transform may be a RemapDimensionsTransform, a CenteringTransform, a LinearTransform or a
/// RandomRotationMatrix.
CONCORD_API Index load_faiss(const std::filesystem::path& path, Adopt adopt = Adopt::graph,
                             RuntimeOptions options = {});

}  // namespace concord::interchange
