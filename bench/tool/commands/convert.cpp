// concord-bench convert: from .hdf5 or any vector file to any vector file.
#include <cstdio>

#include "bench/tool/command_line.hpp"
#include "bench/tool/commands/commands.hpp"
#include "bench/tool/hdf5_file.hpp"
#include "bench/tool/table.hpp"
#include "bench/tool/vec_files.hpp"
#include "bench/tool/vector_input.hpp"

namespace concord::bench {
namespace {

struct ConvertOptions {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string part = "train";
  std::string column;
  std::size_t limit = 0;
};

/// Writes the output by `write` and prints its shape.
template <class T>
void put(const ConvertOptions& options, const Matrix<T>& matrix,
         void (&write)(const std::filesystem::path&, const Matrix<T>&)) {
  write(options.output, matrix);
  std::printf("%s: %s x %zu\n", options.output.c_str(), grouped(matrix.rows).c_str(), matrix.cols);
}

int convert_hdf5(const ConvertOptions& options, std::size_t limit) {
  const Hdf5Wanted wanted{options.part == "train", options.part == "test",
                          options.part == "neighbors"};
  const Hdf5Contents contents = read_hdf5(options.input, wanted, limit, limit);
  if (wanted.neighbors) {
    put(options, contents.neighbors, write_ids);
    return 0;
  }
  const FloatMatrix& vectors = wanted.train ? contents.train : contents.test;
  if (vectors.empty()) {
    throw InputError(options.input.string() + ": has no data set \"" + options.part + "\"");
  }
  put(options, vectors, write_vectors);
  return 0;
}

int convert(const ConvertOptions& options) {
  const std::size_t limit = options.limit == 0 ? kAllRows : options.limit;
  if (is_hdf5_file(options.input)) {
    return convert_hdf5(options, limit);
  }
  if (!is_vector_input(options.input)) {
    throw InputError(options.input.string() + ": unknown file type; allowed are .hdf5, " +
                     vector_input_types());
  }
  std::error_code error;
  if (std::filesystem::equivalent(options.input, options.output, error)) {
    throw InputError(options.output.string() + ": is the input file");
  }
  if (is_id_file(options.input)) {
    put(options, read_ids(options.input, limit), write_ids);
  } else {
    put(options, read_vector_input(options.input, limit, options.column), write_vectors);
  }
  return 0;
}

}  // namespace

void add_convert_command(CLI::App& app, Options&, Command& chosen) {
  CLI::App& command = *app.add_subcommand("convert", "convert between vector file formats");
  const auto options = std::make_shared<ConvertOptions>();
  command.add_option("input", options->input, ".hdf5, " + vector_input_types())->required();
  command.add_option("output", options->output, vector_file_extensions())->required();
  command
      .add_option("--part", options->part, "data set of an .hdf5 file: train, test or neighbors")
      ->capture_default_str()
      ->check(CLI::IsMember({"train", "test", "neighbors"}));
  command.add_option("--limit", options->limit, "convert only the first N rows");
  add_column_option(command, options->column);
  add_examples(command, {"convert sift-128-euclidean.hdf5 queries.bvecs --part test",
                         "convert table.parquet vectors.fbin --column embedding"});
  command.callback([&chosen, options] { chosen = [options] { return convert(*options); }; });
}

}  // namespace concord::bench
