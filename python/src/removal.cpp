// Removal and replacement of vectors.
#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "changes.hpp"
#include "device_memory.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "row_reader.hpp"

namespace nb = nanobind;

namespace concord::python {
namespace {

constexpr std::size_t kRemovals = 256;  // between two looks at signals

/// Whether each has a vector and stands once.
template <class Core>
bool are_removable(const Core& index, std::span<const std::uint64_t> labels) {
  std::vector<std::uint64_t> sorted(labels.begin(), labels.end());
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end() &&
         std::all_of(sorted.begin(), sorted.end(),
                     [&](std::uint64_t label) { return index.contains(label); });
}

}  // namespace

template <class Core>
template <class FromHost, class FromDevice>
std::size_t PythonIndexOf<Core>::replace(nb::handle vectors, nb::handle labels, nb::object progress,
                                         const FromHost& from_host, const FromDevice& from_device) {
  expect_own();
  const Array rows(vectors, "vectors");
  const Array label_array(labels, "labels");
  const std::span<const std::uint64_t> label_span = labels_of(label_array);
  expect_one_each(label_span, rows);
  Watch watch(std::move(progress));
  const auto go_on = [&](std::uint64_t done, std::uint64_t total) {
    return watch.go_on(done, total);
  };
  return change(label_span, [&] {
    std::size_t replaced = 0;
    if (rows.on_device()) {
      const auto view = device_view(rows);
      const WithoutGil released;
      replaced = from_device(*index_, view, label_span, rows.stream(), go_on);
    } else {
      RowReader reader(rows);
      const WithoutGil released;
      // A width that the library refuses is not converted as a whole.
      const auto view =
          rows.cols() == params().dimension ? reader.read_all() : reader.read(0, rows.rows());
      replaced = from_host(*index_, view, label_span, go_on);
    }
    watch.rethrow();
    return replaced;
  });
}

template <class Core>
std::size_t PythonIndexOf<Core>::update(nb::handle vectors, nb::handle labels,
                                        nb::object progress) {
  return replace(
      vectors, labels, std::move(progress),
      [](Core& index, auto... change) { return index.update(change...); },
      []([[maybe_unused]] Core& index, [[maybe_unused]] auto... change) -> std::size_t {
        if constexpr (std::is_same_v<Core, Index>)
          return cuda::update(index, change...);
        else
          refuse_device_memory();
      });
}

template <class Core>
std::size_t PythonIndexOf<Core>::upsert(nb::handle vectors, nb::handle labels,
                                        nb::object progress) {
  return replace(
      vectors, labels, std::move(progress),
      [](Core& index, auto... change) { return index.upsert(change...); },
      []([[maybe_unused]] Core& index, [[maybe_unused]] auto... change) -> std::size_t {
        if constexpr (std::is_same_v<Core, Index>)
          return cuda::upsert(index, change...);
        else
          refuse_device_memory();
      });
}

// In pieces, which ends in the graph of one call, so that Ctrl-C is heeded. Labels that the library
// refuses are given to it whole, so that it removes none.
template <class Core>
std::size_t PythonIndexOf<Core>::remove(nb::handle labels) {
  expect_own();
  const Array label_array(labels, "labels");
  const std::span<const std::uint64_t> all = labels_of(label_array);
  Watch watch{nb::none()};
  return change({}, [&] {
    std::size_t removed = 0;
    {
      const WithoutGil released;
      const std::size_t most = are_removable(*index_, all) ? kRemovals : all.size();
      do {
        removed += index_->remove(all.subspan(removed, std::min(most, all.size() - removed)));
      } while (removed < all.size() && watch.go_on());
    }
    watch.rethrow();
    return removed;
  });
}

template <class Core>
void PythonIndexOf<Core>::flush() {
  expect_own();
  change({}, [&] {
    const WithoutGil released;
    index_->flush();
    return std::size_t{0};
  });
}

template std::size_t PythonIndexOf<Index>::update(nb::handle, nb::handle, nb::object);
template std::size_t PythonIndexOf<ShardedIndex>::update(nb::handle, nb::handle, nb::object);
template std::size_t PythonIndexOf<Index>::upsert(nb::handle, nb::handle, nb::object);
template std::size_t PythonIndexOf<ShardedIndex>::upsert(nb::handle, nb::handle, nb::object);
template std::size_t PythonIndexOf<Index>::remove(nb::handle);
template std::size_t PythonIndexOf<ShardedIndex>::remove(nb::handle);
template void PythonIndexOf<Index>::flush();
template void PythonIndexOf<ShardedIndex>::flush();

}  // namespace concord::python
