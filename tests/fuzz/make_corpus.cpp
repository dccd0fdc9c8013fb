// Writes the corpus: concord_fuzz_make_corpus FOLDER. Sound inputs of each kind, small ones.

#include <concord/interchange.hpp>
#include <iterator>

#include "bench/tool/vec_files.hpp"
#include "tests/fuzz/compact_index.hpp"
#include "tests/fuzz/sharded_folder.hpp"
#include "tests/support/graph_builder.hpp"
#include "tests/support/support.hpp"

namespace concord::fuzz {
namespace {

using std::filesystem::path;
using test::Shape;

void keep(const path& name, const std::vector<char>& bytes) {
  create_directories(name.parent_path());
  test::write_file(name, bytes);
}

Index make_index(Metric metric, std::size_t n, bool labelled, std::uint32_t M,
                 Shape shape = Shape::duplicate) {
  RuntimeOptions options;
  options.threads = 1;
  options.device = "cpu";
  Index index(test::make_params(3, M, 8, 64, metric), options);
  std::vector<std::uint64_t> labels(labelled ? n : 0);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 10 * i + 5;
  const test::Matrix data = test::make_data(shape, n, 3);
  labelled ? index.add(data.view(), labels) : index.add(data.view());
  return index;
}

void make_indexes(const path& folder) {
  const test::TempPath file;
  for (const Shape shape : {Shape::u8, Shape::i8}) {
    make_index(Metric::l2sq, 6, false, 2, shape).save(file);
    keep(folder / "load_index" / ("n6-" + test::to_string(shape)), compact(test::read_file(file)));
  }
  for (const std::size_t n : {0u, 1u, 6u, 40u}) {
    for (const Metric metric : test::kAllMetrics) {
      const Index index = make_index(metric, n, n == 6, 2);
      const std::string name =
          "n" + std::to_string(n) + "-metric" + std::to_string(static_cast<int>(metric));
      index.save(file);
      std::vector<char> bytes = compact(test::read_file(file));
      keep(folder / "load_index" / name, bytes);
      if (n == 6 && metric == Metric::l2sq) {
        bytes[offsetof(core::file::Header, insertions)] = kKeepTable | kKeepDigest;
        keep(folder / "load_index" / (name + "-as-it-is"), bytes);
      }
      if (metric == Metric::l2sq) {
        interchange::save_hnswlib(index, file);
        keep(folder / "hnswlib" / name, test::read_file(file));
      }
      if (metric != Metric::cosine) {
        interchange::save_faiss(index, file);
        keep(folder / "faiss" / name, test::read_file(file));
      }
    }
  }
  IndexParams half = test::make_params(3, 2, 8, 8);
  half.storage = Storage::f16;
  Index halves(half);
  halves.add(test::make_data(Shape::random, 6, 3).view());
  interchange::save_faiss(halves, file);
  keep(folder / "faiss" / "n6-f16", test::read_file(file));
}

void make_journals(const path& folder) {
  for (const test::Shape shape : {Shape::duplicate, Shape::random}) {
    for (const std::size_t n : {0u, 1u, 30u}) {
      const test::TempPath file;
      const test::Matrix data = test::make_data(shape, n, 3);
      {
        RuntimeOptions options;
        options.threads = 1;
        options.device = "cpu";
        Index index = Index::open(file, test::make_params(3, 2, 8, 8), Durability::system, options);
        for (std::size_t i = 0; i < n; ++i) {
          const std::uint64_t label = shape == Shape::random ? i : 10 * i + 5;
          index.add(data.slice(i, 1), {&label, 1});
        }
      }
      keep(folder / "journal" / (test::to_string(shape) + std::to_string(n)),
           test::read_file(file.path().string() + ".journal"));
    }
  }
}

void make_vectors(const path& folder) {
  const char* const extensions[] = {".fvecs", ".bvecs", ".fbin", ".u8bin",
                                    ".i8bin", ".ivecs", ".ibin"};
  for (std::size_t format = 0; format < std::size(extensions); ++format) {
    const test::TempPath file(std::string("v") + extensions[format]);
    if (bench::is_id_file(file)) {
      bench::write_ids(file, bench::IdMatrix(3, 5));
    } else {
      bench::write_vectors(file, bench::FloatMatrix(3, 5));
    }
    std::vector<char> bytes = test::read_file(file);
    bytes.insert(bytes.begin(), static_cast<char>(format));
    keep(folder / "vec_files" / (extensions[format] + 1), bytes);
  }
}

void make_manifests(const path& folder) {
  const test::TempPath shards;
  small_sharded_index().save(shards);
  keep(folder / "manifest" / "two-shards", test::read_file(shards.path() / "manifest"));
  std::filesystem::remove_all(shards.path());
}

void make_arrays(const path& folder) {
  for (const char* const type : {"<f2", "<f4", "<f8", "|u1", "<i8"}) {
    for (const char* const order : {"False", "True"}) {
      const std::string text = std::string("{'descr': '") + type + "', 'fortran_order': " + order +
                               ", 'shape': (3, 5), }\n";
      std::string bytes = std::string("\x93NUMPY\x01", 7) + '\0';
      bytes += {static_cast<char>(text.size()), '\0'};
      bytes += text + std::string(std::size_t{15} * (type[2] - '0'), '\1');
      keep(folder / "npy" / (std::string(type + 1) + (*order == 'T' ? "-columns" : "")),
           {bytes.begin(), bytes.end()});
    }
  }
}

}  // namespace
}  // namespace concord::fuzz

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  concord::fuzz::make_indexes(argv[1]);
  concord::fuzz::make_journals(argv[1]);
  concord::fuzz::make_vectors(argv[1]);
  concord::fuzz::make_arrays(argv[1]);
  concord::fuzz::make_manifests(argv[1]);
  return 0;
}
