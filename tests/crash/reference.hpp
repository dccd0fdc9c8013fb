// What every durable index of a test must be: the first so many of its vectors, and no other index.
#pragma once

#include <string>
#include <vector>

#include "common/contents/digest.hpp"
#include "common/file/file_format.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/memory_file_system.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

inline RuntimeOptions one_thread() {
  RuntimeOptions options;
  options.threads = 1;
  options.device = "cpu";
  return options;
}

/// The index file of tests in a MemoryFileSystem.
inline const std::filesystem::path kIndexPath =
    std::filesystem::path(MemoryFileSystem::kDirectory) / "index";
inline const std::filesystem::path kJournalPath = kIndexPath.string() + ".journal";

/// Vectors, labels, and the digest of an index of the first s of them, for every s.
class Reference {
 public:
  enum class Elements { bytes, floats, bytes_then_floats };

  /// With `labelled`, labels that are no ids. The first `equal_nodes` vectors become nodes though
  /// some are equal, as in 0.1.
  Reference(const IndexParams& params, std::size_t rows, std::uint64_t seed,
            Elements elements = Elements::floats, bool labelled = true, std::size_t equal_nodes = 0,
            Shape shape = Shape::duplicate)
      : params_(params), data_(make_data(shape, rows, params.dimension, seed)) {
    for (std::size_t i = 0; i < data_.values.size(); ++i) {
      const bool whole = elements == Elements::bytes ||
                         (elements == Elements::bytes_then_floats && i < data_.values.size() / 2);
      if (whole) data_.values[i] = static_cast<float>(hash(seed, 7, i) % 9) - 2;
    }
    for (std::size_t i = 0; i < rows; ++i) labels_.push_back(labelled ? 10 * i + 7 : i);
    Index index(params, one_thread());
    digests_.push_back(index.digest());
    if (equal_nodes > 0) index = index_of_equal_nodes(equal_nodes);
    for (std::size_t i = equal_nodes; i < rows; ++i) {
      index.add(data_.slice(i, 1), {&labels_[i], 1});
      digests_.push_back(index.digest());
    }
  }

  [[nodiscard]] const IndexParams& params() const { return params_; }
  [[nodiscard]] std::size_t rows() const { return data_.rows; }
  [[nodiscard]] const Matrix& data() const { return data_; }
  [[nodiscard]] const std::string& digest(std::size_t size) const { return digests_.at(size); }

  Index open(const std::filesystem::path& path, Durability durability = Durability::synced,
             unsigned threads = 1) const {
    RuntimeOptions options = one_thread();
    options.threads = threads;
    return Index::open(path, params_, durability, options);
  }
  /// Adds the `count` vectors that come next.
  std::size_t add(Index& index, std::size_t count, const ProgressCallback& progress = {}) const {
    const std::size_t first = index.size();
    return index.add(data_.slice(first, count), std::span(labels_).subspan(first, count), progress);
  }
  void expect_prefix(const Index& index) const {
    ASSERT_LE(index.size(), rows());
    ASSERT_EQ(index.digest(), digest(index.size())) << "size " << index.size();
  }

 private:
  Index index_of_equal_nodes(std::size_t count) {
    Matrix first(count, data_.cols);
    std::copy_n(data_.values.data(), first.values.size(), first.values.data());
    GraphBuilder built(params_, first);
    built.contents.labels.truncate(0);
    built.contents.labels.append(std::span(labels_).first(count), count, 0);
    while (built.graph.size() < count) {
      built.step();
      digests_.push_back(core::to_hex(core::Digester(built.contents).finish()));
    }
    std::vector<std::byte> bytes;
    core::write_index([&](std::span<const std::byte> some,
                          std::uint64_t) { bytes.insert(bytes.end(), some.begin(), some.end()); },
                      built.contents);
    return Index::from_bytes(bytes, one_thread());
  }

  IndexParams params_;
  Matrix data_;
  std::vector<std::uint64_t> labels_;
  std::vector<std::string> digests_;
};

}  // namespace concord::test
