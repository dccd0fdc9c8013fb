// Presets and tuning, which only an Index has, and explanations.
#include <nanobind/stl/string.h>

#include <concord/explanation.hpp>
#include <concord/tuning.hpp>

#include "errors.hpp"
#include "gil.hpp"
#include "index.hpp"
#include "number.hpp"
#include "row_reader.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

struct Stopped {};

nb::dict to_dict(const Preset& preset) {
  nb::dict d;
  d["recall"] = preset.recall;
  d["k"] = preset.k;
  d["ef"] = preset.ef;
  d["slack"] = preset.slack;
  d["measured"] = preset.measured;
  d["at_least"] = preset.at_least;
  d["distances"] = preset.distances;
  d["queries"] = preset.queries;
  d["size"] = preset.size;
  d["insertions"] = preset.insertions;
  d["removals"] = preset.removals;
  return d;
}

Preset to_preset(const nb::dict& d) {
  Preset preset;
  preset.recall = nb::cast<double>(d["recall"]);
  preset.k = number32(d["k"], "k");
  preset.ef = number32(d["ef"], "ef");
  preset.slack = real_number(d["slack"], "slack");
  preset.measured = nb::cast<double>(d["measured"]);
  preset.at_least = nb::cast<double>(d["at_least"]);
  preset.distances = nb::cast<double>(d["distances"]);
  preset.queries = number(d["queries"], "queries", 64);
  preset.size = number(d["size"], "size", 64);
  preset.insertions = number(d["insertions"], "insertions", 64);
  preset.removals = number(d["removals"], "removals", 64);
  return preset;
}

nb::dict to_dict(const Explanation& why) {
  nb::dict d;
  d["label"] = why.label;
  d["k"] = why.k;
  d["reason"] = to_string(why.reason);
  d["distance"] = why.distance;
  d["rank"] = why.rank;
  d["level"] = why.level;
  d["ef"] = why.ef == 0 ? nb::none() : nb::object(nb::int_(why.ef));
  d["slack"] = why.slack;
  d["hop"] = why.hop;
  d["parent"] = why.parent == kNoLabel ? nb::none() : nb::object(nb::int_(why.parent));
  d["text"] = why.text();
  return d;
}

void expect_on_host(const Array& array, const char* what) {
  if (!array.on_device()) return;
  throw Error(ErrorCode::unsupported, std::string(what) + " reads queries from host memory only");
}

}  // namespace

template <class Core>
nb::dict PythonIndexOf<Core>::tune(nb::handle queries, double recall, nb::handle k,
                                   nb::handle sample) requires std::is_same_v<Core, Index> {
  const TuneParams goal{recall, number32(k, "k"), number32(sample, "sample")};
  std::optional<Array> rows;
  std::optional<RowReader> reader;
  if (!queries.is_none()) {
    rows.emplace(queries, "queries");
    expect_on_host(*rows, "tune");
    reader.emplace(*rows);
  }
  Watch watch{nb::none()};
  const Reading reading(*lock_);
  Preset preset;
  {
    const WithoutGil released;
    const TuneProgress go_on = [&](std::size_t, std::size_t) {
      if (!watch.go_on()) throw Stopped();
    };
    try {
      preset = reader ? index_->tune(reader->read_all(), goal, go_on) : index_->tune(goal, go_on);
    } catch (const Stopped&) {
    }
  }
  watch.rethrow();
  return to_dict(preset);
}

template <class Core>
nb::list PythonIndexOf<Core>::presets() const requires std::is_same_v<Core, Index> {
  const Reading reading(*lock_);
  nb::list all;
  for (const Preset& preset : index_->presets()) all.append(to_dict(preset));
  return all;
}

template <class Core>
nb::tuple PythonIndexOf<Core>::preset(double recall,
                                      nb::handle k) const requires std::is_same_v<Core, Index> {
  const std::uint32_t neighbors = number32(k, "k");
  const Reading reading(*lock_);
  const SearchParams found = index_->preset(recall, neighbors);
  return nb::make_tuple(found.ef, found.slack, found.use_codes);
}

template <class Core>
void PythonIndexOf<Core>::remember(nb::dict preset) requires std::is_same_v<Core, Index> {
  const Preset given = to_preset(preset);
  const Reading reading(*lock_);
  const WithoutGil released;
  index_->remember(given);
}

template <class Core>
nb::dict PythonIndexOf<Core>::explain(nb::handle query, std::uint64_t label, nb::handle k,
                                      nb::handle filter) const {
  const Array row(query, "query");
  expect_on_host(row, "explain");
  const std::uint32_t neighbors = number32(k, "k");
  const Filter* const among = filter.is_none() ? nullptr : nb::cast<const Filter*>(filter);
  RowReader reader(row);
  const Reading reading(*lock_);
  Explanation why;
  {
    const WithoutGil released;
    why = index_->explain(reader.read_all(), label, neighbors, among);
  }
  return to_dict(why);
}

template nb::dict PythonIndexOf<Index>::tune(nb::handle, double, nb::handle, nb::handle);
template nb::list PythonIndexOf<Index>::presets() const;
template nb::tuple PythonIndexOf<Index>::preset(double, nb::handle) const;
template void PythonIndexOf<Index>::remember(nb::dict);
template nb::dict PythonIndexOf<Index>::explain(nb::handle, std::uint64_t, nb::handle,
                                                nb::handle) const;
template nb::dict PythonIndexOf<ShardedIndex>::explain(nb::handle, std::uint64_t, nb::handle,
                                                       nb::handle) const;

}  // namespace concord::python
