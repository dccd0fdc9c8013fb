// Files of other libraries: stock hnswlib (HierarchicalNSW::saveIndex) and FAISS (write_index of an
// IndexHNSWFlat, alone or within an IndexIDMap or IndexIDMap2).
//
// Writing loses nothing of the graph: every layer, every edge and the entry point, so that the
// other library walks the same graph. While an epoch is open some rows are longer than 2·M; the
// rows of the file are then as wide as the longest, which both formats allow.
//
// Reading treats every field as hostile: a file is either sound or refused, and no more memory is
// taken than about eight times the file's length (four were measured, with 300,000 vectors of
// dimension 1). Their graphs have one-sided edges, levels drawn by other generators and perhaps
// nodes that nothing reaches; see Adopt for what becomes of them.
//
// Thread-safety: as members of Index that are const (save) or make an Index (load).
#pragma once

#include <concord/index.hpp>
#include <filesystem>

namespace concord::interchange {

/// What a loaded index takes over. Either way vectors and labels stand in the order of the file,
/// the seed and epoch_limit are the defaults, all invariants hold, and the result is the same for
/// every number of threads.
enum class Adopt {
  /// The links of layer 0, made two-sided and inserted vector by vector in the order of the file;
  /// seals cut rows above 2·M as ever. A vector to which the file gives no earlier neighbor is
  /// inserted as by Index::add. Levels are Concord's own, so the layers above 0 are built anew, but
  /// for files whose levels are the same, such as those written here. On the CPU.
  graph,
  /// Vectors and labels alone: the index is the one that Index::add builds from them.
  vectors,
};

/// What an hnswlib file does not say of itself. For cosine, hnswlib's vectors must be normalised,
/// as its Python package does.
struct HnswlibSpace {
  std::uint32_t dimension = 0;
  Metric metric = Metric::l2sq;
};

/// Writes a file for hnswlib's L2Space (l2sq) or InnerProductSpace (inner_product, cosine) of the
/// index's dimension. Throws Error(io), Error(invalid_parameter) where `path` is a file of an index
/// made by Index::open.
CONCORD_API void save_hnswlib(const Index& index, const std::filesystem::path& path);

/// Reads a file of hnswlib's. Elements that are marked as deleted are left out.
/// Throws Error(io), Error(corrupt_file), Error(dimension_mismatch) where its vectors are not of
/// space.dimension floats, Error(unsupported) where M is outside 2 … 64 or a label is
/// kNoLabel. An ef_construction above 1,024 becomes 1,024.
CONCORD_API Index load_hnswlib(const std::filesystem::path& path, HnswlibSpace space,
                               Adopt adopt = Adopt::graph, RuntimeOptions options = {});

/// Writes an IndexHNSWFlat (METRIC_L2; METRIC_INNER_PRODUCT for inner_product and cosine), within
/// an IndexIDMap where the labels are not 0, 1, …. FAISS's inner product is x·y, Concord's distance
/// 1 − x·y. Throws Error(io), Error(unsupported) where a label exceeds 2^63 − 1, and
/// Error(invalid_parameter) as save_hnswlib.
CONCORD_API void save_faiss(const Index& index, const std::filesystem::path& path);

/// Reads an IndexHNSWFlat; its metric is l2sq or inner_product. Throws Error(io),
/// Error(corrupt_file), Error(unsupported) for other kinds of index and metric and for negative
/// labels, and as load_hnswlib for M, which is taken from the probabilities of the levels.
CONCORD_API Index load_faiss(const std::filesystem::path& path, Adopt adopt = Adopt::graph,
                             RuntimeOptions options = {});

}  // namespace concord::interchange
