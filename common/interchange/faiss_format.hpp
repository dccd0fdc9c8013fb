// FAISS's write_index of an IndexHNSWFlat or IndexHNSWSQ, alone or within an IndexIDMap,
// little-endian, unaligned:
//
//   "IxMp" or "IxM2", index header      (only within an IndexIDMap or IndexIDMap2)
//   "IHNf" or "IHNs", index header      dimension i32, n i64, 2 × i64, trained u8, metric i32
//   probability of each level f64[]     arrays have their length before them, as u64
//   Σ width of the layers before i32[]  0, width of layer 0, that plus width of layer 1, …
//   levels + 1 i32[n], offsets u64[n + 1] and ids i32[]: of all layers of a node, -1 = no neighbor
//   entry point, max_level, efConstruction, efSearch, 1: i32
//   of "IHNf": "IxF2", "IxFI" or "IxFl", index header, vectors f32[n × dimension]
//   of "IHNs": "IxSQ", index header, and what faiss_quantizer.hpp describes
//   labels i64[n]                       (only within an IndexIDMap)
//
// Around either may be "IxPT", index header, the number of transforms i32 and the transforms, which
// must be the identity.
// Thread-safety: constants.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace concord::interchange::faiss {

using FourCc = std::array<char, 4>;
inline constexpr FourCc kIdMap = {'I', 'x', 'M', 'p'};
inline constexpr FourCc kIdMap2 = {'I', 'x', 'M', '2'};
inline constexpr FourCc kPreTransform = {'I', 'x', 'P', 'T'};
inline constexpr FourCc kRemap = {'R', 'm', 'D', 'T'};
inline constexpr FourCc kCentering = {'V', 'C', 'n', 't'};
inline constexpr FourCc kLinear = {'L', 'T', 'r', 'a'};
inline constexpr FourCc kRotation = {'r', 'r', 'o', 't'};
inline constexpr FourCc kHnswFlat = {'I', 'H', 'N', 'f'};
inline constexpr FourCc kHnswQuantized = {'I', 'H', 'N', 's'};
inline constexpr FourCc kQuantized = {'I', 'x', 'S', 'Q'};
inline constexpr FourCc kFlatL2 = {'I', 'x', 'F', '2'};
inline constexpr FourCc kFlatInnerProduct = {'I', 'x', 'F', 'I'};
inline constexpr FourCc kFlat = {'I', 'x', 'F', 'l'};

inline constexpr std::int32_t kInnerProduct = 0;
inline constexpr std::int32_t kL2 = 1;
inline constexpr std::int32_t kNoNeighbor = -1;
inline constexpr std::uint64_t kMaxLabel = std::numeric_limits<std::int64_t>::max();

}  // namespace concord::interchange::faiss
