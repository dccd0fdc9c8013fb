// The extension module concord._concord: a thin layer that concord/index.py gives its Python face.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <optional>

#include "errors.hpp"
#include "index.hpp"
#include "interchange.hpp"
#include "number.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace concord::python {
namespace {

IndexParams make_params(nb::handle dim, const std::string& metric, nb::handle M,
                        nb::handle ef_construction, nb::handle seed, nb::handle epoch_limit) {
  IndexParams params;
  params.dimension = number32(dim, "dim");
  params.metric = metric_from_string(metric);
  params.M = number32(M, "M");
  params.ef_construction = number32(ef_construction, "ef_construction");
  params.seed = number(seed, "seed", 64);
  params.epoch_limit = number32(epoch_limit, "epoch_limit");
  return params;
}

void make_index(PythonIndex* self, nb::handle dim, const std::string& metric, nb::handle M,
                nb::handle ef_construction, nb::handle seed, nb::handle epoch_limit,
                nb::handle threads, const std::string& device) {
  const IndexParams params = make_params(dim, metric, M, ef_construction, seed, epoch_limit);
  new (self) PythonIndex(params, number32(threads, "threads"), device);
}

Durability to_durability(const std::string& name) {
  if (name == "synced") return Durability::synced;
  if (name == "system") return Durability::system;
  throw Error(ErrorCode::invalid_parameter,
              "durability '" + name + "' is unknown; allowed are synced and system");
}

// Without `dim` the parameters are those of the files.
PythonIndex* open_index(const nb::bytes& path, nb::handle dim, const std::string& metric,
                        nb::handle M, nb::handle ef_construction, nb::handle seed,
                        nb::handle epoch_limit, const std::string& durability, nb::handle threads,
                        const std::string& device) {
  const Durability level = to_durability(durability);
  std::optional<IndexParams> params;
  if (!dim.is_none()) params = make_params(dim, metric, M, ef_construction, seed, epoch_limit);
  return PythonIndex::load(path, number32(threads, "threads"), device,
                           [&](const std::filesystem::path& from, RuntimeOptions options) {
                             return params ? Index::open(from, *params, level, std::move(options))
                                           : Index::open(from, level, std::move(options));
                           });
}

PythonIndex* load(const nb::bytes& path, nb::handle threads, const std::string& device) {
  return PythonIndex::load(path, number32(threads, "threads"), device, Index::load);
}

PythonIndex* map(const nb::bytes& path, bool check, nb::handle threads, const std::string& device) {
  return PythonIndex::load(path, number32(threads, "threads"), device,
                           [&](const std::filesystem::path& from, RuntimeOptions options) {
                             return Index::map(from,
                                               check ? MapCheck::on_open : MapCheck::on_first_use,
                                               std::move(options));
                           });
}

void save(const PythonIndex& self, const nb::bytes& path) {
  self.save(path, [](const Index& index, const std::filesystem::path& to) { index.save(to); });
}

void set_runtime(PythonIndex& self, nb::handle threads, const std::string& device) {
  self.set_runtime(number32(threads, "threads"), device);
}

}  // namespace

NB_MODULE(_concord, m) {
  translate_errors();
  m.attr("built_with_cuda") = bool{CONCORD_PYTHON_CUDA};

  m.def("load", load, "path"_a, "threads"_a.none(), "device"_a);
  m.def("map", map, "path"_a, "check"_a, "threads"_a.none(), "device"_a);
  m.def("open", open_index, "path"_a, "dim"_a.none(), "metric"_a, "M"_a.none(),
        "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(), "durability"_a,
        "threads"_a.none(), "device"_a);

  nb::class_<PythonIndex>(m, "Index")
      .def("__init__", make_index, "dim"_a.none(), "metric"_a, "M"_a.none(),
           "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(), "threads"_a.none(),
           "device"_a)
      .def("save", save, "path"_a)
      .def("compact", &PythonIndex::compact)
      .def("add", &PythonIndex::add, "vectors"_a.none(), "labels"_a.none(), "progress"_a.none())
      .def("search", &PythonIndex::search, "queries"_a.none(), "k"_a.none(), "ef"_a.none(),
           "slack"_a.none(), "out"_a.none())
      .def("exact_search", &PythonIndex::exact_search, "queries"_a.none(), "k"_a.none(),
           "out"_a.none())
      .def("size", &PythonIndex::size)
      .def("contains", &PythonIndex::contains, "label"_a)
      .def("vector", &PythonIndex::vector, "label"_a)
      .def("labels", &PythonIndex::labels)
      .def("digest", &PythonIndex::digest)
      .def("audit", &PythonIndex::audit)
      .def("stats", &PythonIndex::stats)
      .def("memory", &PythonIndex::memory)
      .def("set_runtime", set_runtime, "threads"_a.none(), "device"_a)
      .def_prop_ro("dim", [](const PythonIndex& self) { return self.params().dimension; })
      .def_prop_ro("metric",
                   [](const PythonIndex& self) { return to_string(self.params().metric); })
      .def_prop_ro("M", [](const PythonIndex& self) { return self.params().M; })
      .def_prop_ro("ef_construction",
                   [](const PythonIndex& self) { return self.params().ef_construction; })
      .def_prop_ro("seed", [](const PythonIndex& self) { return self.params().seed; })
      .def_prop_ro("epoch_limit", [](const PythonIndex& self) { return self.params().epoch_limit; })
      .def_prop_ro("threads", &PythonIndex::threads)
      .def_prop_ro("device", &PythonIndex::device);
  add_interchange(m);
}

}  // namespace concord::python
