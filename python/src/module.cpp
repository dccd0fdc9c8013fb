// The extension module concord._concord: a thin layer that concord/index.py gives its Python face.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <concord/shard_folder.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "cursor.hpp"
#include "errors.hpp"
#include "exact.hpp"
#include "index.hpp"
#include "interchange.hpp"
#include "number.hpp"
#include "replica.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace concord::python {
namespace {

IndexParams make_params(nb::handle dim, const std::string& metric, nb::handle M,
                        nb::handle ef_construction, nb::handle seed, nb::handle epoch_limit,
                        const std::string& codes, const std::string& storage) {
  IndexParams params;
  params.dimension = number32(dim, "dim");
  params.metric = metric_from_string(metric);
  params.M = number32(M, "M");
  params.ef_construction = number32(ef_construction, "ef_construction");
  params.seed = number(seed, "seed", 64);
  params.epoch_limit = number32(epoch_limit, "epoch_limit");
  params.codes = codes_from_string(codes);
  params.storage = storage_from_string(storage);
  return params;
}

void make_index(PythonIndex* self, nb::handle dim, const std::string& metric, nb::handle M,
                nb::handle ef_construction, nb::handle seed, nb::handle epoch_limit,
                const std::string& codes, const std::string& storage, nb::handle threads,
                const std::string& device) {
  const IndexParams params =
      make_params(dim, metric, M, ef_construction, seed, epoch_limit, codes, storage);
  new (self) PythonIndex(params, number32(threads, "threads"), device);
}

// Without `dim` the parameters are those of the files.
PythonIndex* open_index(const nb::bytes& path, nb::handle dim, const std::string& metric,
                        nb::handle M, nb::handle ef_construction, nb::handle seed,
                        nb::handle epoch_limit, const std::string& codes,
                        const std::string& storage, const std::string& durability,
                        nb::handle threads, const std::string& device) {
  const Durability level = to_durability(durability);
  std::optional<IndexParams> params;
  if (!dim.is_none()) {
    params = make_params(dim, metric, M, ef_construction, seed, epoch_limit, codes, storage);
  }
  return PythonIndex::load(path, number32(threads, "threads"), device,
                           [&](const std::filesystem::path& from, RuntimeOptions options) {
                             return params ? Index::open(from, *params, level, std::move(options))
                                           : Index::open(from, level, std::move(options));
                           });
}

PythonIndex* load(const nb::bytes& path, nb::handle threads, const std::string& device) {
  return PythonIndex::load(path, number32(threads, "threads"), device, Index::load);
}

PythonIndex* from_bytes(nb::handle content, nb::handle threads, const std::string& device) {
  return PythonIndex::from_bytes(content, number32(threads, "threads"), device);
}

PythonIndex* map(const nb::bytes& path, bool check, nb::handle threads, const std::string& device) {
  return PythonIndex::load(path, number32(threads, "threads"), device,
                           [&](const std::filesystem::path& from, RuntimeOptions options) {
                             return Index::map(from,
                                               check ? MapCheck::on_open : MapCheck::on_first_use,
                                               std::move(options));
                           });
}

ShardParams make_shards(nb::handle shards, nb::handle block) {
  return {number32(shards, "shards"), number32(block, "block")};
}

void make_sharded_index(PythonShardedIndex* self, nb::handle dim, const std::string& metric,
                        nb::handle M, nb::handle ef_construction, nb::handle seed,
                        nb::handle epoch_limit, const std::string& codes,
                        const std::string& storage, nb::handle shards, nb::handle block,
                        nb::handle threads, const std::string& device) {
  const IndexParams params =
      make_params(dim, metric, M, ef_construction, seed, epoch_limit, codes, storage);
  new (self)
      PythonShardedIndex(params, make_shards(shards, block), number32(threads, "threads"), device);
}

PythonShardedIndex* open_shards(const nb::bytes& folder, nb::handle dim, const std::string& metric,
                                nb::handle M, nb::handle ef_construction, nb::handle seed,
                                nb::handle epoch_limit, const std::string& codes,
                                const std::string& storage, nb::handle shards, nb::handle block,
                                const std::string& durability, nb::handle threads,
                                const std::string& device) {
  const Durability level = to_durability(durability);
  std::optional<IndexParams> params;
  ShardParams layout;
  if (!dim.is_none()) {
    params = make_params(dim, metric, M, ef_construction, seed, epoch_limit, codes, storage);
    layout = make_shards(shards, block);
  }
  return PythonShardedIndex::load(
      folder, number32(threads, "threads"), device,
      [&](const std::filesystem::path& from, ShardRuntime runtime) {
        return params ? ShardedIndex::open(from, *params, layout, level, std::move(runtime))
                      : ShardedIndex::open(from, level, std::move(runtime));
      });
}

PythonShardedIndex* load_shards(const nb::bytes& folder, nb::handle threads,
                                const std::string& device) {
  return PythonShardedIndex::load(folder, number32(threads, "threads"), device, ShardedIndex::load);
}

PythonShardedIndex* map_shards(const nb::bytes& folder, bool check, nb::handle threads,
                               const std::string& device) {
  return PythonShardedIndex::load(folder, number32(threads, "threads"), device,
                                  [&](const std::filesystem::path& from, ShardRuntime runtime) {
                                    return ShardedIndex::map(
                                        from, check ? MapCheck::on_open : MapCheck::on_first_use,
                                        std::move(runtime));
                                  });
}

nb::object read_shard_manifest(const nb::bytes& folder) {
  const std::filesystem::path path(std::string(folder.c_str(), folder.size()));
  const auto manifest =
      with_path(path.string(), [&] { return concord::read_shard_manifest(path); });
  if (!manifest) return nb::none();
  nb::dict read;
  read["dim"] = manifest->params.dimension;
  read["metric"] = to_string(manifest->params.metric);
  read["M"] = manifest->params.M;
  read["ef_construction"] = manifest->params.ef_construction;
  read["seed"] = manifest->params.seed;
  read["epoch_limit"] = manifest->params.epoch_limit;
  read["codes"] = to_string(manifest->params.codes);
  read["storage"] = to_string(manifest->params.storage);
  read["shards"] = manifest->shards.shards;
  read["block"] = manifest->shards.block;
  read["generation"] = manifest->generation;
  nb::list bytes;
  for (const std::uint64_t length : manifest->bytes) bytes.append(length);
  read["bytes"] = bytes;
  return read;
}

void write_shard_manifest(const nb::bytes& folder, nb::handle dim, const std::string& metric,
                          nb::handle M, nb::handle ef_construction, nb::handle seed,
                          nb::handle epoch_limit, const std::string& codes,
                          const std::string& storage, nb::handle shards, nb::handle block,
                          const std::vector<std::string>& next) {
  const std::filesystem::path path(std::string(folder.c_str(), folder.size()));
  const IndexParams params =
      make_params(dim, metric, M, ef_construction, seed, epoch_limit, codes, storage);
  const ShardParams layout = make_shards(shards, block);
  with_path(path.string(), [&] { concord::write_shard_manifest(path, params, layout, next); });
}

std::string digest_of_shards(nb::handle shards, nb::handle block,
                             const std::vector<std::string>& digests) {
  return concord::digest_of_shards(make_shards(shards, block), digests);
}

template <class Core>
void save(const PythonIndexOf<Core>& self, const nb::bytes& path) {
  self.save(path, [](const Core& index, const std::filesystem::path& to) { index.save(to); });
}

template <class Core>
void set_runtime(PythonIndexOf<Core>& self, nb::handle threads, const std::string& device,
                 bool certificates, double checked_share) {
  self.set_runtime(number32(threads, "threads"), device, certificates, checked_share);
}

/// What both kinds of index have.
template <class Core>
void define_members(nb::class_<PythonIndexOf<Core>>& index) {
  using Self = PythonIndexOf<Core>;
  index.def("save", save<Core>, "path"_a)
      .def("compact", &Self::compact)
      .def("add", &Self::add, "vectors"_a.none(), "labels"_a.none(), "progress"_a.none())
      .def("search", &Self::search, "queries"_a.none(), "k"_a.none(), "ef"_a.none(),
           "slack"_a.none(), "rescore"_a.none(), "use_codes"_a, "out"_a.none(), "progress"_a.none())
      .def("exact_search", &Self::exact_search, "queries"_a.none(), "k"_a.none(), "out"_a.none(),
           "progress"_a.none())
      .def("remove", &Self::remove, "labels"_a)
      .def("update", &Self::update, "vectors"_a, "labels"_a, "progress"_a.none())
      .def("upsert", &Self::upsert, "vectors"_a, "labels"_a, "progress"_a.none())
      .def("flush", &Self::flush)
      .def("search_among", &Self::search_among, "queries"_a.none(), "k"_a.none(), "ef"_a.none(),
           "slack"_a.none(), "rescore"_a.none(), "use_codes"_a, "filters"_a.none(),
           "groups"_a.none(), "group_hits"_a.none(), "out"_a.none(), "progress"_a.none())
      .def("groups_of_keys", &Self::groups_of_keys, "keys"_a)
      .def("exact_search_among", &Self::exact_search_among, "queries"_a.none(), "k"_a.none(),
           "filters"_a, "out"_a.none(), "progress"_a.none())
      .def("cursor", &Self::cursor, "query"_a.none(), "ef"_a.none(), "slack"_a.none(),
           "filter"_a.none(), nb::keep_alive<0, 1>())
      .def("explain", &Self::explain, "query"_a.none(), "label"_a, "k"_a.none(), "filter"_a.none())
      .def("range_search", &Self::range_search, "queries"_a.none(), "radius"_a.none(),
           "ef"_a.none(), "slack"_a.none(), "limit"_a.none(), "filters"_a.none(),
           "progress"_a.none())
      .def("filter_of_mask", &Self::filter_of_mask, "mask"_a)
      .def("filter_of_bits", &Self::filter_of_bits, "bits"_a, "count"_a, "offset"_a)
      .def("filter_of_labels", &Self::filter_of_labels, "labels"_a)
      .def("filter_of_range", &Self::filter_of_range, "first"_a, "last"_a)
      .def("size", &Self::size)
      .def("contains", &Self::contains, "label"_a)
      .def("vector", &Self::vector, "label"_a)
      .def("vectors", &Self::vectors, "labels"_a, "or_nan"_a)
      .def("labels", &Self::labels)
      .def("digest", &Self::digest)
      .def("audit", &Self::audit)
      .def("stats", &Self::stats)
      .def("memory", &Self::memory)
      .def("set_runtime", set_runtime<Core>, "threads"_a.none(), "device"_a, "certificates"_a,
           "checked_share"_a)
      .def_prop_ro("certificates", &Self::certificates)
      .def_prop_ro("checked_share", &Self::checked_share)
      .def_prop_ro("dim", [](const Self& self) { return self.params().dimension; })
      .def_prop_ro("metric", [](const Self& self) { return to_string(self.params().metric); })
      .def_prop_ro("M", [](const Self& self) { return self.params().M; })
      .def_prop_ro("ef_construction",
                   [](const Self& self) { return self.params().ef_construction; })
      .def_prop_ro("seed", [](const Self& self) { return self.params().seed; })
      .def_prop_ro("epoch_limit", [](const Self& self) { return self.params().epoch_limit; })
      .def_prop_ro("codes", [](const Self& self) { return to_string(self.params().codes); })
      .def_prop_ro("storage", [](const Self& self) { return to_string(self.params().storage); })
      .def_prop_ro("threads", &Self::threads)
      .def_prop_ro("device", &Self::device);
}

}  // namespace

NB_MODULE(_concord, m) {
  translate_errors();
  // A daemon thread may be inside a call when the interpreter ends, and keeps what it uses.
  nb::set_leak_warnings(false);
  m.attr("built_with_cuda") = bool{CONCORD_PYTHON_CUDA};

  m.def("load", load, "path"_a, "threads"_a.none(), "device"_a);
  m.def("from_bytes", from_bytes, "content"_a.none(), "threads"_a.none(), "device"_a);
  m.def("map", map, "path"_a, "check"_a, "threads"_a.none(), "device"_a);
  m.def("open", open_index, "path"_a, "dim"_a.none(), "metric"_a, "M"_a.none(),
        "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(), "codes"_a, "storage"_a,
        "durability"_a, "threads"_a.none(), "device"_a);

  m.def("open_shards", open_shards, "folder"_a, "dim"_a.none(), "metric"_a, "M"_a.none(),
        "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(), "codes"_a, "storage"_a,
        "shards"_a.none(), "block"_a.none(), "durability"_a, "threads"_a.none(), "device"_a);
  m.def("load_shards", load_shards, "folder"_a, "threads"_a.none(), "device"_a);
  m.def("map_shards", map_shards, "folder"_a, "check"_a, "threads"_a.none(), "device"_a);

  m.def("read_shard_manifest", read_shard_manifest, "folder"_a);
  m.def("write_shard_manifest", write_shard_manifest, "folder"_a, "dim"_a.none(), "metric"_a,
        "M"_a.none(), "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(),
        "codes"_a, "storage"_a, "shards"_a.none(), "block"_a.none(), "next"_a);
  m.def("digest_of_shards", digest_of_shards, "shards"_a.none(), "block"_a.none(), "digests"_a);

  nb::class_<Filter>(m, "Filter")
      .def("__and__", &Filter::operator&, "other"_a)
      .def("__or__", &Filter::operator|, "other"_a)
      .def("__invert__", &Filter::operator~)
      .def_prop_ro("matches", &Filter::matches)
      .def_prop_ro("size", &Filter::size)
      .def_prop_ro("nbytes", &Filter::bytes)
      .def_prop_ro("unknown", &Filter::unknown);

  nb::class_<PythonCursor>(m, "Cursor")
      .def(
          "next", [](PythonCursor& self, nb::handle k) { return self.next(self, k); }, "k"_a.none())
      .def_prop_ro("given", [](const PythonCursor& self) { return self.cursor.given(); });
  nb::class_<Groups>(m, "Groups")
      .def_prop_ro("count", &Groups::count)
      .def_prop_ro("size", &Groups::size)
      .def_prop_ro("nbytes", &Groups::bytes);

  nb::class_<PythonIndex> index(m, "Index");
  index.def("__init__", make_index, "dim"_a.none(), "metric"_a, "M"_a.none(),
            "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(), "codes"_a,
            "storage"_a, "threads"_a.none(), "device"_a);
  define_members(index);
  index.def("to_bytes", &PythonIndex::to_bytes)
      .def("insertion_numbers", &PythonIndex::insertion_numbers, "labels"_a)
      .def("write", &PythonIndex::write, "put"_a)
      .def("tune", &PythonIndex::tune, "queries"_a.none(), "recall"_a, "k"_a.none(),
           "sample"_a.none())
      .def("presets", &PythonIndex::presets)
      .def("preset", &PythonIndex::preset, "recall"_a, "k"_a.none())
      .def("remember", &PythonIndex::remember, "preset"_a);

  nb::class_<PythonShardedIndex> sharded(m, "ShardedIndex");
  sharded.def("__init__", make_sharded_index, "dim"_a.none(), "metric"_a, "M"_a.none(),
              "ef_construction"_a.none(), "seed"_a.none(), "epoch_limit"_a.none(), "codes"_a,
              "storage"_a, "shards"_a.none(), "block"_a.none(), "threads"_a.none(), "device"_a);
  define_members(sharded);
  sharded
      .def(
          "shard",
          [](const PythonShardedIndex& self, nb::handle number) {
            return shard_of(self, number32(number, "number"));
          },
          "number"_a.none())
      .def_prop_ro("shards",
                   [](const PythonShardedIndex& self) { return self.core().shard_params().shards; })
      .def_prop_ro("block",
                   [](const PythonShardedIndex& self) { return self.core().shard_params().block; })
      .def_prop_ro("resume_at",
                   [](const PythonShardedIndex& self) { return self.core().resume_at(); });
  add_interchange(m);
  add_exact(m);
  add_replica(m);
}

}  // namespace concord::python
