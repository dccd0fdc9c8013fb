// A saved index of a few vectors whose every section has content, and loading of damaged copies.
#pragma once

#include <fstream>

#include "tests/support/graph_builder.hpp"
#include "tests/support/index_file.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

/// 60 vectors in the middle of an epoch: overflow and sealed copies in both tables, labels.
class SmallFile : public testing::Test {
 protected:
  SmallFile() : index_(make_params(3, 2, 12, 4096), on_cpu()) {
    std::vector<std::uint64_t> labels(kRows);
    for (std::size_t i = 0; i < kRows; ++i) labels[i] = 1000 + 7 * i;
    index_.add(data_.slice(0, kRows), labels);
    digest_ = index_.digest();
    index_.save(path_);
    bytes_ = read_file(path_);
    for (std::size_t s = 0; s < kSections; ++s) {
      EXPECT_GT(section(bytes_, s).length, 0u) << "section " << s << " is empty: nothing to damage";
    }
  }

  static RuntimeOptions on_cpu(unsigned threads = 1) {
    RuntimeOptions options;
    options.threads = threads;
    options.device = "cpu";
    return options;
  }

  /// The message with which the file at path_ is refused; empty where it is loaded. Any other error
  /// than corrupt_file fails the test.
  std::string refusal(unsigned threads = 1) {
    try {
      Index::load(path_, on_cpu(threads));
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupt_file) << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(path_.path().string()));
      return error.what();
    }
  }
  std::string refusal(const std::vector<char>& bytes) {
    write_file(path_, bytes);
    return refusal();
  }

  static constexpr std::size_t kRows = 60;
  Matrix data_ = make_data(Shape::random, 120, 3);
  Index index_;
  std::string digest_;
  TempPath path_;
  std::vector<char> bytes_;
};

}  // namespace concord::test
