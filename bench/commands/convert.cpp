// concord-bench convert: from .hdf5 or any vector file to any vector file.
#include <cstdio>

#include "bench/commands/commands.hpp"
#include "bench/hdf5_file.hpp"
#include "bench/table.hpp"
#include "bench/vec_files.hpp"

namespace concord::bench {
namespace {

struct ConvertOptions {
  std::filesystem::path input;
  std::filesystem::path output;
  std::string part = "train";
  std::size_t limit = 0;
};

void report(const ConvertOptions& options, std::size_t rows, std::size_t cols) {
  std::printf("%s: %s x %zu\n", options.output.c_str(), grouped(rows).c_str(), cols);
}

int convert_hdf5(const ConvertOptions& options, std::size_t limit) {
  const Hdf5Wanted wanted{options.part == "train", options.part == "test",
                          options.part == "neighbors"};
  const Hdf5Contents contents = read_hdf5(options.input, wanted, limit, limit);
  if (wanted.neighbors) {
    write_ids(options.output, contents.neighbors);
    report(options, contents.neighbors.rows, contents.neighbors.cols);
    return 0;
  }
  const FloatMatrix& vectors = wanted.train ? contents.train : contents.test;
  if (vectors.empty()) throw InputError(options.input.string() + ": has no " + options.part);
  write_vectors(options.output, vectors);
  report(options, vectors.rows, vectors.cols);
  return 0;
}

int convert(const ConvertOptions& options) {
  const std::size_t limit = options.limit == 0 ? kAllRows : options.limit;
  if (options.input.extension() == ".hdf5" || options.input.extension() == ".h5") {
    return convert_hdf5(options, limit);
  }
  if (!is_vector_file(options.input)) {
    throw InputError(options.input.string() + ": unknown file type; allowed are .hdf5, " +
                     vector_file_extensions());
  }
  std::error_code error;
  if (std::filesystem::equivalent(options.input, options.output, error)) {
    throw InputError(options.output.string() + ": is the input itself");
  }
  if (is_id_file(options.input)) {
    const IdMatrix ids = read_ids(options.input, limit);
    write_ids(options.output, ids);
    report(options, ids.rows, ids.cols);
  } else {
    const FloatMatrix vectors = read_vectors(options.input, limit);
    write_vectors(options.output, vectors);
    report(options, vectors.rows, vectors.cols);
  }
  return 0;
}

}  // namespace

void add_convert_command(CLI::App& app, Options&, Command& chosen) {
  CLI::App& command = *app.add_subcommand("convert", "convert between vector file formats");
  const auto options = std::make_shared<ConvertOptions>();
  command.add_option("input", options->input, ".hdf5, " + vector_file_extensions())->required();
  command.add_option("output", options->output, vector_file_extensions())->required();
  command.add_option("--part", options->part, "of an .hdf5 file: train, test or neighbors")
      ->capture_default_str()
      ->check(CLI::IsMember({"train", "test", "neighbors"}));
  command.add_option("--limit", options->limit, "only the first N rows");
  command.callback([&chosen, options] { chosen = [options] { return convert(*options); }; });
}

}  // namespace concord::bench
