// Builds and searches a small index through an installed Concord; prints its digest.

#include <concord/index.hpp>
#include <cstdio>
#include <vector>

int main() {
  constexpr std::size_t kRows = 500;
  constexpr std::size_t kDimension = 6;
  std::vector<float> data(kRows * kDimension);
  std::uint32_t state = 1;
  for (float& x : data) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(state >> 16) / 65536.0f;
  }
  concord::IndexParams params;
  params.dimension = kDimension;
  concord::Index index(params);
  index.add({data.data(), kRows, kDimension});
  const concord::SearchResult result = index.search({data.data(), 10, kDimension});
  for (std::size_t q = 0; q < 10; ++q) {
    if (result.labels[q * result.k] != q) return 1;
  }
  try {
    static_cast<void>(index.vector(kRows));
    return 2;
  } catch (const concord::Error& error) {  // across the library's boundary
    if (error.code() != concord::ErrorCode::unknown_label) return 3;
  }
  if (!index.audit().ok) return 4;
  std::puts(index.digest().c_str());
  return 0;
}
