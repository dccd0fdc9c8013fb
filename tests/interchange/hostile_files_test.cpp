// Foreign files cut short, damaged and forged: refused with a typed error that says why, or loaded
// as a sound index; never a crash, and never more memory than the file accounts for.

#include <cerrno>

#include "tests/hostile/data_limit.hpp"
#include "tests/interchange/hostile_file.hpp"

namespace concord::test {
namespace {

TEST_F(HostileFile, CutShortOrLongerIsRefused) {
  expect_cut_files_refused(hnswlib_, [&](const auto& bytes) { return load_hnswlib(bytes); });
  expect_cut_files_refused(faiss_, [&](const auto& bytes) { return load_faiss(bytes); });
  expect_cut_files_refused(faiss_labelled_, [&](const auto& bytes) { return load_faiss(bytes); });
  expect_cut_files_refused(faiss_half_, [&](const auto& bytes) { return load_faiss(bytes); });
}

TEST_F(HostileFile, WithAnyBitOfItsHeadersFlippedIsRefusedOrSound) {
  const auto flip_all = [&](const std::vector<char>& bytes, std::size_t first, std::size_t last,
                            const auto& load) {
    int refused = 0;
    for (std::size_t byte = first; byte < last; ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        std::vector<char> damaged = bytes;
        damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit));
        SCOPED_TRACE(testing::Message() << "byte " << byte << " bit " << bit);
        refused += is_refused([&] { return load(damaged); }) ? 1 : 0;
      }
    }
    return refused;
  };
  const auto from_hnswlib = [&](const auto& bytes) { return load_hnswlib(bytes); };
  const auto from_faiss = [&](const auto& bytes) { return load_faiss(bytes); };
  // Not to be told from sound ones: max_elements, level multiplier, ef_construction.
  EXPECT_GT(flip_all(hnswlib_, 0, kHnswlibHeader, from_hnswlib), 500);
  // Everything before the ids, and the headers behind them; the rest of the file is ids and floats.
  const std::size_t probabilities = read_at<std::uint64_t>(faiss_, kIndexHeader);
  const std::size_t widths = kIndexHeader + 8 + 8 * probabilities;
  const std::size_t graph = widths + 8 + 4 * (probabilities + 1);
  EXPECT_GT(flip_all(faiss_, 0, kIndexHeader + 16, from_faiss), 150);
  EXPECT_GT(flip_all(faiss_, widths, graph + 8 + 40, from_faiss), 400);
  const std::size_t storage = faiss_.size() - kRows * kDimension * 4 - 8 - kIndexHeader;
  EXPECT_GT(flip_all(faiss_, storage - 20, storage + kIndexHeader + 8, from_faiss), 150);
  EXPECT_GT(
      flip_all(faiss_half_, quantizer() - kIndexHeader, quantizer() + kQuantizerHeader, from_faiss),
      400);
}

TEST_F(HostileFile, DamagedAnywhereIsRefusedOrSound) {
  const std::uint64_t rounds = scaled(1500, 400);
  EXPECT_GT(fuzz(hnswlib_, rounds, [&](const auto& bytes) { return load_hnswlib(bytes); }), 50);
  EXPECT_GT(fuzz(faiss_, rounds, [&](const auto& bytes) { return load_faiss(bytes); }), 50);
  EXPECT_GT(fuzz(faiss_labelled_, rounds, [&](const auto& bytes) { return load_faiss(bytes); }),
            50);
  EXPECT_GT(fuzz(faiss_half_, rounds / 3, [&](const auto& bytes) { return load_faiss(bytes); }),
            50);
}

TEST_F(HostileFile, ForgedHnswlibFieldsAreRefusedByWhatTheyBreak) {
  const auto expect = [&](ErrorCode code, const char* message, std::size_t offset, auto value) {
    std::vector<char> forged = hnswlib_;
    write_at(forged, offset, value);
    SCOPED_TRACE(message);
    expect_refused(code, {message}, [&] { load_hnswlib(forged); });
  };
  using u64 = std::uint64_t;
  constexpr ErrorCode kCorrupt = ErrorCode::corrupt_file;
  expect(kCorrupt, "offsets", 0, u64{4});
  expect(kCorrupt, "more elements than max_elements", 8, u64{kRows - 1});
  expect(kCorrupt, "more elements than max_elements", 16, u64{0x7FFFFFFE});
  expect(kCorrupt, "claims 18446744073709551615 elements", 16, ~u64{0});
  expect(kCorrupt, "offsets", 24, u64{0});
  expect(kCorrupt, "offsets", 32, u64{0});
  expect(kCorrupt, "offsets", 40, ~u64{0});
  expect(kCorrupt, "entry point", 48, std::int32_t{77});
  expect(kCorrupt, "entry point", 48, std::int32_t{-1});
  expect(kCorrupt, "entry point", 52, std::uint32_t{kRows});
  expect(kCorrupt, "upper lists", 56, u64{3});
  expect(kCorrupt, "lists are too long", 56, ~u64{0});
  expect(kCorrupt, "fewer than M", 56, u64{1});
  expect(kCorrupt, "lists are too long", 64, u64{1} << 62);
  expect(ErrorCode::unsupported, "M is 1", 72, u64{1});
  expect(ErrorCode::unsupported, "M is 65", 72, u64{65});
  expect(kCorrupt, "ef_construction is 0", 88, u64{0});
  const auto width = read_at<u64>(hnswlib_, 64);
  const std::size_t element = read_at<u64>(hnswlib_, 24);
  const std::size_t fifth = kHnswlibHeader + 5 * element;
  expect(kCorrupt, "element 5 has more links", fifth, static_cast<std::uint16_t>(width + 1));
  expect(kCorrupt, "element 5 links to 90", fifth + 4, std::uint32_t{90});
  const std::size_t data = fifth + 4 + 4 * width;
  expect(kCorrupt, "vector 5 has NaN", data, std::numeric_limits<float>::quiet_NaN());
  expect(kCorrupt, "squared norm", data, 3e38f);
  expect(kCorrupt, "label 4 ", data + 4 * kDimension, u64{4});
  expect(ErrorCode::unsupported, "label 18446744073709551615", data + 4 * kDimension, kNoLabel);
  expect(kCorrupt, "upper lists of element 0", kHnswlibHeader + kRows * element,
         std::uint32_t{0xFFFFFFFC});
}

TEST_F(HostileFile, TheLabelThatAddRefusesIsRefusedHoweverTheFileIsAdopted) {
  const std::size_t label_of_first = kHnswlibHeader + read_at<std::uint64_t>(hnswlib_, 32);
  write_at(hnswlib_, label_of_first, kNoLabel);
  write_file(path_, hnswlib_);
  for (const Adopt adopt : {Adopt::graph, Adopt::vectors}) {
    expect_refused(ErrorCode::unsupported, {"label 18446744073709551615"}, [&] {
      interchange::load_hnswlib(path_, {kDimension, Metric::l2sq}, adopt, on_cpu());
    });
  }
}

TEST_F(HostileFile, ForgedFaissFieldsAreRefusedByWhatTheyBreak) {
  const auto expect = [&](ErrorCode code, const char* message, std::size_t offset, auto value) {
    std::vector<char> forged = faiss_;
    write_at(forged, offset, value);
    SCOPED_TRACE(message);
    expect_refused(code, {message}, [&] { load_faiss(forged); });
  };
  using i32 = std::int32_t;
  constexpr ErrorCode kCorrupt = ErrorCode::corrupt_file;
  expect(kCorrupt, "does not hold a FAISS index", 0, std::uint32_t{7});
  expect(ErrorCode::unsupported, "'IHNp'", 0, std::array<char, 4>{'I', 'H', 'N', 'p'});
  expect(kCorrupt, "dimension 0", 4, i32{0});
  expect(kCorrupt, "-1 vectors", 8, std::int64_t{-1});
  expect(kCorrupt, "levels instead of 91", 8, std::int64_t{kRows + 1});
  expect(kCorrupt, "vectors of dimension", 8, std::int64_t{1} << 40);
  expect(ErrorCode::unsupported, "metric is number 2", 33, i32{2});
  expect(kCorrupt, "disagree", 33, i32{0});
  expect(kCorrupt, "ends early", kIndexHeader, ~std::uint64_t{0});
  expect(kCorrupt, "probabilities", kIndexHeader + 8, 1.5);
  expect(ErrorCode::unsupported, "M is 100", kIndexHeader + 8, 0.99);
  expect(ErrorCode::unsupported, "M is 1000000000", kIndexHeader + 8, 1 - 1e-12);
  expect(kCorrupt, "probabilities", kIndexHeader + 8, std::numeric_limits<double>::quiet_NaN());
  const std::size_t probabilities = read_at<std::uint64_t>(faiss_, kIndexHeader);
  const std::size_t widths = kIndexHeader + 8 + 8 * probabilities;
  expect(kCorrupt, "widths", widths + 8, i32{1});
  expect(kCorrupt, "widths", widths + 12, i32{-1});
  expect(kCorrupt, "offset of node", widths + 12, i32{3});
  const std::size_t levels = widths + 8 + 4 * (probabilities + 1);
  expect(kCorrupt, "node 5 has 0 layers", levels + 8 + 5 * 4, i32{0});
  expect(kCorrupt, "node 5 has 1000 layers", levels + 8 + 5 * 4, i32{1000});
  const std::size_t offsets = levels + 8 + 4 * kRows;
  expect(kCorrupt, "first offset", offsets + 8, std::uint64_t{1});
  expect(kCorrupt, "offset of node 5 ", offsets + 8 + 6 * 8, ~std::uint64_t{0});
  const std::size_t ids = offsets + 8 + 8 * (kRows + 1);
  expect(kCorrupt, "neighbors instead of", ids, std::uint64_t{1});
  expect(kCorrupt, "node 0 links to 90 in layer 0", ids + 8, i32{kRows});
  expect(kCorrupt, "node 0 links to -2 in layer 0", ids + 8, i32{-2});
  const std::size_t storage = faiss_.size() - kRows * kDimension * 4 - 8 - kIndexHeader;
  expect(kCorrupt, "entry point", storage - 20, i32{-1});
  expect(kCorrupt, "entry point", storage - 16, i32{30});
  expect(kCorrupt, "ef_construction is 0", storage - 12, i32{-5});
  expect(ErrorCode::unsupported, "'IxPq'", storage, std::array<char, 4>{'I', 'x', 'P', 'q'});
  expect(kCorrupt, "disagree", storage, std::array<char, 4>{'I', 'x', 'F', 'I'});
  expect(kCorrupt, "disagree", storage + 4, i32{4});
  expect(kCorrupt, "elements of vectors", storage + kIndexHeader, std::uint64_t{1});
  expect(kCorrupt, "vector 0 has an infinity", storage + kIndexHeader + 8,
         std::numeric_limits<float>::infinity());
}

TEST_F(HostileFile, ForgedFaissLabelsAreRefused) {
  std::vector<char> forged = faiss_labelled_;
  write_at(forged, forged.size() - 8, std::int64_t{100});
  expect_refused(ErrorCode::unsupported, {"several of its vectors have the id 100", "unique"},
                 [&] { load_faiss(forged); });
  write_at(forged, forged.size() - 8, std::int64_t{-3});
  expect_refused(ErrorCode::unsupported, {"label -3 is negative"}, [&] { load_faiss(forged); });
  write_at(forged, forged.size() - 8 * kRows - 8, std::uint64_t{kRows - 1});
  expect_refused(ErrorCode::corrupt_file, {"labels instead of"}, [&] { load_faiss(forged); });
}

/// As FAISS writes a VectorTransform: what its kind has of its own, then dimensions and "trained".
std::vector<char> transform(const std::string& kind, const std::vector<char>& own,
                            std::int32_t to = kDimension) {
  std::vector<char> bytes(kind.begin(), kind.end());
  bytes.insert(bytes.end(), own.begin(), own.end());
  const std::size_t dimensions = bytes.size();
  bytes.resize(dimensions + 9, 1);
  write_at(bytes, dimensions, std::int32_t{kDimension});
  write_at(bytes, dimensions + 4, to);
  return bytes;
}
template <class T>
std::vector<char> array_of(const std::vector<T>& values) {
  std::vector<char> bytes(8 + values.size() * sizeof(T));
  write_at(bytes, 0, std::uint64_t{values.size()});
  const auto* first = reinterpret_cast<const char*>(values.data());  // null where there are none
  std::copy(first, first + values.size() * sizeof(T), bytes.begin() + 8);
  return bytes;
}
std::vector<char> linear(const std::vector<float>& matrix, const std::vector<float>& bias) {
  std::vector<char> bytes{1};
  for (const auto& part : {array_of(matrix), array_of(bias)}) {
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  return bytes;
}

/// `index` within an IndexPreTransform of these.
std::vector<char> transformed(const std::vector<char>& index,
                              const std::vector<std::vector<char>>& transforms) {
  std::vector<char> bytes(index.begin(), index.begin() + kIndexHeader);
  const char kind[] = {'I', 'x', 'P', 'T'};
  std::copy(kind, kind + 4, bytes.begin());
  bytes.resize(kIndexHeader + 4);
  write_at(bytes, kIndexHeader, static_cast<std::int32_t>(transforms.size()));
  for (const auto& one : transforms) bytes.insert(bytes.end(), one.begin(), one.end());
  bytes.insert(bytes.end(), index.begin(), index.end());
  return bytes;
}

const std::vector<float> kUnit{1, 0, 0, 0, 1, 0, 0, 0, 1};

TEST_F(HostileFile, TransformsThatAreTheIdentityChangeNothing) {
  const std::vector<std::vector<char>> all{
      transform("RmDT", array_of(std::vector<std::int32_t>{0, 1, 2})),
      transform("VCnt", array_of(std::vector<float>(kDimension))),
      transform("LTra", linear(kUnit, std::vector<float>(kDimension))),
      transform("rrot", linear(kUnit, std::vector<float>(kDimension)))};
  for (const std::vector<char>& index : {faiss_, faiss_labelled_}) {
    const std::string digest = load_faiss(index).digest();
    EXPECT_EQ(load_faiss(transformed(index, {})).digest(), digest);
    EXPECT_EQ(load_faiss(transformed(index, all)).digest(), digest);
  }
  expect_cut_files_refused(transformed(faiss_, all),
                           [this](const std::vector<char>& bytes) { return load_faiss(bytes); });
}

TEST_F(HostileFile, TransformsThatChangeVectorsAreRefusedByName) {
  std::vector<float> turned = kUnit;
  turned[1] = 0.5F;
  const auto refused = [&](const std::string& kind, const std::vector<char>& one) {
    SCOPED_TRACE(kind);
    expect_refused(ErrorCode::unsupported, {"transform '" + kind + "'"},
                   [&] { load_faiss(transformed(faiss_, {one})); });
  };
  refused("RmDT", transform("RmDT", array_of(std::vector<std::int32_t>{0, 2, 1})));
  refused("RmDT", transform("RmDT", array_of(std::vector<std::int32_t>{0, 1, 2}), 2));
  refused("VCnt", transform("VCnt", array_of(std::vector<float>{0, 0, 1})));
  refused("LTra", transform("LTra", linear(turned, std::vector<float>(kDimension))));
  refused("LTra", transform("LTra", linear(kUnit, {0, 1, 0})));
  refused("rrot", transform("rrot", linear({1}, {})));
  refused("VNrm", transform("VNrm", {0, 0, 0, 64}));
  // Once around an index is enough.
  expect_refused(ErrorCode::unsupported, {"'IxPT'"},
                 [&] { load_faiss(transformed(transformed(faiss_, {}), {})); });
}

/// As Chroma's fork of hnswlib writes it: with a float for each element before the upper lists.
std::vector<char> of_chroma(std::vector<char> file, float norm) {
  const auto rows = static_cast<std::size_t>(read_at<std::uint64_t>(file, 16));
  const std::size_t elements = kHnswlibHeader + rows * read_at<std::uint64_t>(file, 24);
  std::vector<char> norms(rows * sizeof(float));
  for (std::size_t i = 0; i < rows; ++i) write_at(norms, i * sizeof(float), norm);
  file.insert(file.begin() + static_cast<std::ptrdiff_t>(elements), norms.begin(), norms.end());
  return file;
}

TEST_F(HostileFile, FilesOfChromaAreRead) {
  const std::string digest = load_hnswlib(hnswlib_).digest();
  for (const float norm : {0.0F, 1.0F, 1e-44F, 3e38F}) {
    EXPECT_EQ(load_hnswlib(of_chroma(hnswlib_, norm)).digest(), digest) << norm;
  }
  Index flat(make_params(kDimension, kM, 12, 1024), on_cpu());  // no element is above layer 0
  flat.add(make_data(Shape::random, 1, kDimension).view());
  interchange::save_hnswlib(flat, path_);
  EXPECT_EQ(load_hnswlib(of_chroma(read_file(path_), 0)).size(), 1u);
  const std::vector<char> whole = of_chroma(hnswlib_, 1);
  for (std::size_t length = kHnswlibHeader; length < whole.size(); length += 41) {
    const auto end = whole.begin() + static_cast<std::ptrdiff_t>(length);
    EXPECT_TRUE(is_refused([&] { return load_hnswlib({whole.begin(), end}); })) << length;
  }
}

TEST_F(HostileFile, WhatChromaPersistsInFourFilesIsRefusedByName) {
  std::vector<char> header(hnswlib_.begin(), hnswlib_.begin() + kHnswlibHeader);
  header.insert(header.begin(), {1, 0, 0, 0});
  expect_refused(ErrorCode::unsupported, {"Chroma", "save_index"}, [&] { load_hnswlib(header); });
  std::filesystem::remove(path_.path());
  std::filesystem::create_directory(path_.path());
  write_file(path_.path() / "link_lists.bin", {});
  expect_refused(ErrorCode::unsupported, {"Chroma", "save_index"}, [&] {
    interchange::load_hnswlib(path_, {kDimension, Metric::l2sq});
  });
  std::filesystem::remove_all(path_.path());
}

TEST(ForeignFile, WhoseNameTheSystemRefusesIsAnErrorOfFiles) {
  const std::filesystem::path name(std::string(300, 'n'));
  const auto expect_too_long = [](const auto& load) {
    try {
      load();
      ADD_FAILURE() << "it was loaded";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io);
      EXPECT_EQ(error.system_error(), ENAMETOOLONG);
    }
  };
  expect_too_long([&] { interchange::load_hnswlib(name, {4, Metric::l2sq}); });
  expect_too_long([&] { interchange::load_faiss(name); });
}

// As concord/interchange.hpp says.
TEST(ForeignFile, TakesMemoryByItsLength) {
  for (const std::uint32_t M : {2u, 16u, 64u}) {
    for (const std::uint32_t dimension : {1u, 128u}) {
      SCOPED_TRACE(testing::Message() << "M " << M << ", dimension " << dimension);
      Index index(make_params(dimension, M, 8, 1024), on_cpu());
      index.add(make_data(Shape::random, 3000, dimension).view());
      const TempPath path;
      interchange::save_hnswlib(index, path);
      const std::size_t bound = 8 * std::filesystem::file_size(path) + (4u << 20);
      const DataLimit limit(bound);
      if (DataLimit::supported() && !DataLimit::refuses(2 * bound))
        GTEST_SKIP() << "this system does not enforce RLIMIT_DATA";
      for (const Adopt adopt : {Adopt::graph, Adopt::vectors}) {
        EXPECT_EQ(
            interchange::load_hnswlib(path, {dimension, Metric::l2sq}, adopt, on_cpu()).size(),
            index.size());
      }
    }
  }
}

}  // namespace
}  // namespace concord::test
