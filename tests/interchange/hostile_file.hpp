// Foreign files to be damaged, and how a damaged one may end: refused with a typed error that names
// the file, or loaded as a sound index.
#pragma once

#include <cstring>

#include "tests/interchange/edges.hpp"
#include "tests/support/support.hpp"

namespace concord::test {

using interchange::Adopt;

inline constexpr std::uint32_t kDimension = 3;
inline constexpr std::uint32_t kM = 2;
inline constexpr std::size_t kRows = 90;

// Places in an hnswlib file.
inline constexpr std::size_t kHnswlibHeader = 96;
// Places in a FAISS file without labels.
inline constexpr std::size_t kIndexHeader = 4 + 33;
// Of a scalar quantizer that is not trained: kind, statistic, argument, and four sizes.
inline constexpr std::size_t kQuantizerHeader = 3 * 4 + 4 * 8;

template <class T>
void write_at(std::vector<char>& bytes, std::size_t offset, const T& value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}
template <class T>
T read_at(const std::vector<char>& bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

class HostileFile : public testing::Test {
 protected:
  HostileFile() {
    Index index(make_params(kDimension, kM, 12, 1024), on_cpu());
    index.add(make_data(Shape::random, kRows, kDimension).view());
    interchange::save_hnswlib(index, path_);
    hnswlib_ = read_file(path_);
    interchange::save_faiss(index, path_);
    faiss_ = read_file(path_);
    Index labelled(index.params(), on_cpu());
    std::vector<std::uint64_t> labels(kRows);
    for (std::size_t i = 0; i < kRows; ++i) labels[i] = 100 + 7 * i;
    labelled.add(make_data(Shape::random, kRows, kDimension).view(), labels);
    interchange::save_faiss(labelled, path_);
    faiss_labelled_ = read_file(path_);
    IndexParams half = index.params();
    half.storage = Storage::f16;
    Index halves(half, on_cpu());
    halves.add(make_data(Shape::random, kRows, kDimension).view());
    interchange::save_faiss(halves, path_);
    faiss_half_ = read_file(path_);
  }
  /// The first byte of the scalar quantizer in faiss_half_.
  [[nodiscard]] std::size_t quantizer() const {
    return faiss_half_.size() - kRows * kDimension * 2 - kQuantizerHeader;
  }

  Index load_hnswlib(const std::vector<char>& bytes) {
    write_file(path_, bytes);
    return interchange::load_hnswlib(path_, {kDimension, Metric::l2sq}, Adopt::graph, on_cpu());
  }
  Index load_faiss(const std::vector<char>& bytes) {
    write_file(path_, bytes);
    return interchange::load_faiss(path_, Adopt::graph, on_cpu());
  }
  template <class Load>
  void expect_refused(ErrorCode code, const std::vector<std::string>& words, const Load& load) {
    std::vector<std::string> all = {path_.path().string()};
    all.insert(all.end(), words.begin(), words.end());
    expect_error(code, all, load);
  }

  // True if `load` refused; a sound index otherwise.
  template <class Load>
  bool is_refused(const Load& load) {
    try {
      const Index index = load();
      expect_sound(index.audit());
      return false;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::corrupt_file ||
                  error.code() == ErrorCode::unsupported ||
                  error.code() == ErrorCode::dimension_mismatch)
          << error.what();
      EXPECT_THAT(error.what(), testing::HasSubstr(path_.path().string()));
      return true;
    }
  }

  void expect_cut_files_refused(const std::vector<char>& bytes,
                                const std::function<Index(const std::vector<char>&)>& load) {
    for (std::size_t length = 0; length < bytes.size(); length += length < 400 ? 1 : 37) {
      SCOPED_TRACE(testing::Message() << length << " bytes of " << bytes.size());
      expect_refused(ErrorCode::corrupt_file, {}, [&] {
        load({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)});
      });
    }
    std::vector<char> longer = bytes;
    longer.push_back(0);
    expect_refused(ErrorCode::corrupt_file, {"1 bytes follow"}, [&] { load(longer); });
  }

  // Changes one to three words or bytes of the file; returns how many of `rounds` were refused.
  int fuzz(const std::vector<char>& bytes, std::uint64_t rounds,
           const std::function<Index(const std::vector<char>&)>& load) {
    int refused = 0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      std::vector<char> damaged = bytes;
      const std::uint64_t changes = 1 + hash(round, 0) % 3;
      for (std::uint64_t c = 0; c < changes; ++c) {
        const std::size_t at = hash(round, 1, c) % (bytes.size() - 4);
        const std::uint64_t value = hash(round, 2, c);
        switch (hash(round, 3, c) % 4) {
          case 0:
            damaged[at] = static_cast<char>(value);
            break;
          case 1:
            damaged[at] = static_cast<char>(damaged[at] ^ (1 << (value % 8)));
            break;
          case 2:
            write_at(damaged, at / 4 * 4, static_cast<std::uint32_t>(value % 100));
            break;
          default:
            write_at(damaged, at, static_cast<std::uint32_t>(value));
        }
      }
      SCOPED_TRACE(testing::Message() << "round " << round);
      refused += is_refused([&] { return load(damaged); }) ? 1 : 0;
    }
    return refused;
  }

  TempPath path_;
  std::vector<char> hnswlib_;
  std::vector<char> faiss_;
  std::vector<char> faiss_labelled_;
  std::vector<char> faiss_half_;  ///< of QT_fp16
};

}  // namespace concord::test
