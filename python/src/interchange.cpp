#include "interchange.hpp"

#include <nanobind/stl/string.h>

#include <concord/error.hpp>
#include <concord/interchange.hpp>

#include "index.hpp"
#include "number.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace concord::python {
namespace {

using interchange::Adopt;
using std::filesystem::path;

Adopt adopt_from_string(const std::string& name) {
  if (name == "graph") return Adopt::graph;
  if (name == "vectors") return Adopt::vectors;
  throw Error(ErrorCode::invalid_parameter,
              "adopt is '" + name + "'; allowed are 'graph' and 'vectors'");
}

PythonIndex* load_hnswlib(const nb::bytes& from, nb::handle dim, const std::string& metric,
                          const std::string& adopt, nb::handle threads, const std::string& device) {
  const interchange::HnswlibSpace space{number32(dim, "dim"), metric_from_string(metric)};
  return PythonIndex::load(
      from, number32(threads, "threads"), device,
      [space, how = adopt_from_string(adopt)](const path& file, RuntimeOptions options) {
        return interchange::load_hnswlib(file, space, how, std::move(options));
      });
}

PythonIndex* load_faiss(const nb::bytes& from, const std::string& adopt, nb::handle threads,
                        const std::string& device) {
  return PythonIndex::load(
      from, number32(threads, "threads"), device,
      [how = adopt_from_string(adopt)](const path& file, RuntimeOptions options) {
        return interchange::load_faiss(file, how, std::move(options));
      });
}

}  // namespace

void add_interchange(nb::module_& module) {
  module.def("load_hnswlib", load_hnswlib, "path"_a, "dim"_a.none(), "metric"_a, "adopt"_a,
             "threads"_a.none(), "device"_a);
  module.def("load_faiss", load_faiss, "path"_a, "adopt"_a, "threads"_a.none(), "device"_a);
  module.def(
      "save_hnswlib",
      [](const PythonIndex& index, const nb::bytes& to) {
        index.save(to, interchange::save_hnswlib);
      },
      "index"_a, "path"_a);
  module.def(
      "save_faiss",
      [](const PythonIndex& index, const nb::bytes& to) {
        index.save(to, interchange::save_faiss);
      },
      "index"_a, "path"_a);
}

}  // namespace concord::python
