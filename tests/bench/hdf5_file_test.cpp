// ann-benchmarks files, with elements of the kinds they come in.
#include "bench/tool/hdf5_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <array>
#include <cmath>
#include <functional>

#include "bench/tool/data_set.hpp"
#include "bench/tool/vec_files.hpp"
#include "tests/bench/temp_dir.hpp"

namespace concord::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// IEEE half precision, as numpy writes it.
hid_t half_type() {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

class Hdf5File : public testing::Test {
 protected:
  void SetUp() override { create(); }

  void create() { file_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT); }

  void put(const char* name, hid_t stored, std::vector<hsize_t> sizes, hid_t memory,
           const void* values) const {
    const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
    const hid_t set = H5Dcreate2(file_, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(set);
    H5Sclose(space);
  }

  void put_distance(const char* text) const {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(file_, "distance", type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, &text);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
  }

  /// train 3 × 2, test 1 × 2, neighbors 1 × 2.
  void put_all(hid_t element) const {
    const std::array<float, 6> train{0, 1, 2, 3, 4, 255};
    const std::array<float, 2> test{1, 2};
    const std::array<int, 2> neighbors{1, 0};
    put("train", element, {3, 2}, H5T_NATIVE_FLOAT, train.data());
    put("test", element, {1, 2}, H5T_NATIVE_FLOAT, test.data());
    put("neighbors", H5T_STD_I32LE, {1, 2}, H5T_NATIVE_INT, neighbors.data());
  }

  void close() const { H5Fclose(file_); }

  /// A file with nothing but `train`, which nothing is written to, laid out as `lay_out` says.
  void create_train(std::array<hsize_t, 2> sizes,
                    const std::function<void(hid_t layout)>& lay_out) const {
    const std::array<hsize_t, 2> unlimited{H5S_UNLIMITED, H5S_UNLIMITED};
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    lay_out(layout);
    const bool grows = H5Pget_layout(layout) == H5D_CHUNKED;
    const hid_t space = H5Screate_simple(2, sizes.data(), grows ? unlimited.data() : nullptr);
    H5Dclose(H5Dcreate2(file_, "train", H5T_IEEE_F32LE, space, H5P_DEFAULT, layout, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(layout);
    close();
  }

  [[nodiscard]] std::string refusal() const {
    return message_of<InputError>([&] { (void)read_hdf5(path_, {}, kAllRows, kAllRows); });
  }

  TempDir dir_;
  std::filesystem::path path_ = dir_.file("d.hdf5");
  hid_t file_ = -1;
};

TEST_F(Hdf5File, ReadsBytesHalvesAndFloats) {
  const hid_t half = half_type();
  for (const hid_t element : {H5T_STD_U8LE, half, H5T_IEEE_F32LE, H5T_IEEE_F64LE}) {
    put_all(element);
    put_distance("angular");
    close();
    const Hdf5Contents contents = read_hdf5(path_, {}, kAllRows, kAllRows);
    EXPECT_EQ(contents.distance, "angular");
    EXPECT_EQ(contents.train_rows, 3U);
    EXPECT_THAT(contents.train.values, ElementsAre(0, 1, 2, 3, 4, 255));
    EXPECT_THAT(contents.test.values, ElementsAre(1, 2));
    EXPECT_THAT(contents.neighbors.values, ElementsAre(1, 0));
    create();
  }
  close();
  H5Tclose(half);
}

TEST_F(Hdf5File, ReadsAColumnOfIntegersAndRefusesAnythingElse) {
  const std::array<std::int16_t, 3> values{7, -1, 300};
  const std::array<float, 3> floats{1, 2, 3};
  put_all(H5T_STD_U8LE);
  put("section", H5T_STD_I16LE, {3}, H5T_NATIVE_INT16, values.data());
  put("price", H5T_IEEE_F32LE, {3}, H5T_NATIVE_FLOAT, floats.data());
  close();
  EXPECT_THAT(read_hdf5_column(path_, "section", 3), ElementsAre(7, -1, 300));
  EXPECT_THAT(read_hdf5_column(path_, "section", 2), ElementsAre(7, -1));
  EXPECT_TRUE(read_hdf5_column(path_, "section", 0).empty());
  const auto refused = [&](const char* name, std::size_t rows) {
    return message_of<InputError>([&] { (void)read_hdf5_column(path_, name, rows); });
  };
  EXPECT_THAT(refused("section", 4), HasSubstr("3 values for 4 vectors"));
  EXPECT_THAT(refused("price", 3), HasSubstr("not a column of integers"));
  EXPECT_THAT(refused("train", 3), HasSubstr("not a column of integers"));
  EXPECT_THAT(refused("absent", 3), HasSubstr("no data set \"absent\""));
}

TEST_F(Hdf5File, CutTrainLosesItsNeighbors) {
  put_all(H5T_STD_U8LE);
  close();
  DataSource source;
  source.dataset = path_;
  EXPECT_EQ(load_data_set(source, Need::train_and_queries).neighbors.rows, 1U);
  source.limit = 2;
  const DataSet cut = load_data_set(source, Need::train_and_queries);
  EXPECT_EQ(cut.train.rows, 2U);
  EXPECT_TRUE(cut.neighbors.empty());
}

TEST_F(Hdf5File, AnotherMetricLosesTheNeighbors) {
  put_all(H5T_STD_U8LE);
  put_distance("euclidean");
  close();
  DataSource source;
  source.dataset = path_;
  EXPECT_EQ(load_data_set(source, Need::queries).metric, Metric::l2sq);
  source.metric = Metric::cosine;
  EXPECT_TRUE(load_data_set(source, Need::queries).neighbors.empty());
}

TEST_F(Hdf5File, NamesOfTheLibraryAreKnown) {
  for (const auto& [name, metric] :
       {std::pair("Euclidean", Metric::l2sq), std::pair("L2", Metric::l2sq),
        std::pair("cosine", Metric::cosine), std::pair("IP", Metric::inner_product)}) {
    put_all(H5T_STD_U8LE);
    put_distance(name);
    close();
    DataSource source;
    source.dataset = path_;
    EXPECT_EQ(load_data_set(source, Need::queries).metric, metric) << name;
    create();
  }
  close();
}

TEST_F(Hdf5File, AMetricOverrulesAnUnknownDistance) {
  put_all(H5T_STD_U8LE);
  put_distance("hamming");
  close();
  DataSource source;
  source.dataset = path_;
  EXPECT_THAT(message_of<InputError>([&] { (void)load_data_set(source, Need::train); }),
              AllOf(HasSubstr(path_.string()), HasSubstr("hamming"), HasSubstr("--metric")));
  source.metric = Metric::l2sq;
  const DataSet data = load_data_set(source, Need::train_and_queries);
  EXPECT_EQ(data.metric, Metric::l2sq);
  EXPECT_TRUE(data.neighbors.empty());
}

TEST_F(Hdf5File, WhatIsNotFiniteIsRefused) {
  const std::array<float, 4> whole{0, 1, 2, 3};
  const std::array<float, 4> nan{0, 1, 2, NAN};
  for (const bool in_test : {false, true}) {
    put("train", H5T_IEEE_F32LE, {2, 2}, H5T_NATIVE_FLOAT, in_test ? whole.data() : nan.data());
    put("test", H5T_IEEE_F32LE, {2, 2}, H5T_NATIVE_FLOAT, in_test ? nan.data() : whole.data());
    close();
    DataSource source;
    source.dataset = path_;
    EXPECT_THAT(
        message_of<InputError>([&] { (void)load_data_set(source, Need::train_and_queries); }),
        HasSubstr(in_test ? "query 1 has a NaN at element 1" : "vector 1 has a NaN at element 1"));
    create();
  }
  close();
}

TEST_F(Hdf5File, WrongShapesAndFilesAreErrors) {
  const float value = 1;
  put("train", H5T_IEEE_F32LE, {1}, H5T_NATIVE_FLOAT, &value);
  close();
  EXPECT_THAT(message_of<InputError>([&] { (void)read_hdf5(path_, {}, kAllRows, kAllRows); }),
              HasSubstr("is not a matrix"));
  Bytes().put(1).write(path_);
  EXPECT_THAT(message_of<InputError>([&] { (void)read_hdf5(path_, {}, kAllRows, kAllRows); }),
              HasSubstr("is not an HDF5 file"));
  EXPECT_THROW((void)read_hdf5(dir_.file("gone.hdf5"), {}, kAllRows, kAllRows), InputError);
}

// Each would be written beyond the room for one text.
TEST_F(Hdf5File, SeveralDistancesAreNone) {
  for (const std::size_t size : {std::size_t{9}, H5T_VARIABLE}) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    const hsize_t count = 500;
    const hid_t space = H5Screate_simple(1, &count, nullptr);
    const hid_t attribute = H5Acreate2(file_, "distance", type, space, H5P_DEFAULT, H5P_DEFAULT);
    const std::vector<const char*> texts(count, "euclidean");
    const std::string joined(count * 9, 'e');
    ASSERT_GE(
        H5Awrite(attribute, type,
                 size == H5T_VARIABLE ? static_cast<const void*>(texts.data()) : joined.data()),
        0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    close();
    EXPECT_EQ(read_hdf5(path_, {}, kAllRows, kAllRows).distance, "");
    create();
  }
}

// A data set that nothing was written to takes no room, however large it claims to be.
TEST_F(Hdf5File, SizesThatTheFileCannotHoldAreRefusedBeforeMemoryIsTaken) {
  const std::array<hsize_t, 2> sizes{hsize_t{1} << 33, 128};
  const hid_t space = H5Screate_simple(2, sizes.data(), nullptr);
  H5Dclose(
      H5Dcreate2(file_, "train", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
  close();
  EXPECT_THAT(message_of<InputError>([&] { (void)read_hdf5(path_, {}, kAllRows, kAllRows); }),
              HasSubstr("more than the file can hold"));
}

// HDF5 takes memory for a whole chunk, however little of it is in the matrix.
TEST_F(Hdf5File, ChunksThatTheFileCannotHoldAreRefusedBeforeMemoryIsTaken) {
  create_train({3, 2}, [](hid_t layout) {
    const std::array<hsize_t, 2> chunk{hsize_t{1} << 22, 128};
    H5Pset_chunk(layout, 2, chunk.data());
  });
  EXPECT_THAT(refusal(), HasSubstr("more than the file can hold"));
}

TEST_F(Hdf5File, OtherFiltersThanGzipAreRefused) {
  create_train({3, 2}, [](hid_t layout) {
    const std::array<hsize_t, 2> chunk{3, 2};
    H5Pset_chunk(layout, 2, chunk.data());
    H5Pset_nbit(layout);
  });
  EXPECT_THAT(refusal(), HasSubstr("allowed are gzip"));
}

// A file that was sent must not make the benchmark read another file of this machine.
TEST_F(Hdf5File, WhatIsKeptInOtherFilesIsRefused) {
  const std::string other = dir_.file("other").string();
  const std::vector<float> values(6, 1);
  put("train", H5T_IEEE_F32LE, {3, 2}, H5T_NATIVE_FLOAT, values.data());
  close();
  std::filesystem::rename(path_, other);

  create();
  H5Lcreate_external(other.c_str(), "train", file_, "train", H5P_DEFAULT, H5P_DEFAULT);
  close();
  EXPECT_THAT(refusal(), HasSubstr("is a link"));

  create();
  create_train({3, 2},
               [&](hid_t layout) { H5Pset_external(layout, other.c_str(), 0, H5F_UNLIMITED); });
  EXPECT_THAT(refusal(), HasSubstr("is stored in other files"));

  create();
  create_train({3, 2}, [&](hid_t layout) {
    const std::array<hsize_t, 2> sizes{3, 2};
    const hid_t space = H5Screate_simple(2, sizes.data(), nullptr);
    H5Pset_virtual(layout, space, other.c_str(), "train", space);
    H5Sclose(space);
  });
  EXPECT_THAT(refusal(), HasSubstr("is stored in other files"));
}

}  // namespace
}  // namespace concord::bench
