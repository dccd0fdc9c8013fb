// A history of additions, removals, replacements and flushes with batches large enough for a
// device, and the digest that it ends with on every device. For the tests and for the conformance
// program, so without GoogleTest.
#pragma once

#include <concord/index.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace concord::cuda::testing {

/// As the scalar CPU path gives it.
inline constexpr const char* kChurnDigest = "b9f2eeacc580de0eeba22c474655c7c0";

struct Churned {
  std::string digest;
  SearchResult found;  ///< with tombstones pending
  SearchResult exact;
  SearchResult filtered;
  std::string device;  ///< that is in use at the end
};

inline std::vector<float> churned_rows(std::size_t rows, std::size_t dimension) {
  std::vector<float> data(rows * dimension);
  for (std::size_t j = 0; j < data.size(); ++j) {
    data[j] = static_cast<float>((j * j + j * 7919) % 10007) / 5000.0f - 1.0f;
  }
  return data;
}

/// `count` labels, every `step`-th from `first` on.
inline std::vector<std::uint64_t> labels_by(std::uint64_t first, std::uint64_t step,
                                            std::size_t count) {
  std::vector<std::uint64_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = first + i * step;
  return labels;
}

inline Churned live_through_churn(const std::string& device) {
  constexpr std::size_t kDimension = 96;
  const std::vector<float> data = churned_rows(6000, kDimension);
  const auto rows = [&](std::size_t first, std::size_t count) {
    return MatrixView<const float>(data.data() + first * kDimension, count, kDimension);
  };
  IndexParams params;
  params.dimension = kDimension;
  params.M = 8;
  params.ef_construction = 60;
  params.epoch_limit = 256;
  RuntimeOptions options;
  options.device = device;
  Index index(params, options);
  index.add(rows(0, 3000));
  index.remove(labels_by(10, 3, 700));  // seals in between
  index.add(rows(3000, 1000), labels_by(100000, 1, 1000));
  index.update(rows(4000, 900), labels_by(100000, 1, 900));
  index.flush();
  index.remove(labels_by(100500, 1, 200));
  index.add(rows(4900, 600), labels_by(200000, 1, 600));
  index.remove(labels_by(200000, 7, 60));
  const SearchParams how{10, 64};
  Churned churned;
  churned.found = index.search(rows(0, 300), how);
  churned.exact = index.exact_search(rows(0, 300), 10);
  const Filter filter =
      Filter::of_predicate(index, [](std::uint64_t label) { return label % 5 != 0; });
  churned.filtered = index.search(rows(0, 300), {10, 12}, {.filter = &filter});
  churned.digest = index.digest();
  churned.device = index.stats().device.name;
  return churned;
}

}  // namespace concord::cuda::testing
