#include "exact.hpp"

#include <nanobind/stl/string.h>

#include <concord/exact.hpp>
#include <concord/thread_limit.hpp>
#include <optional>
#include <string>

#include "answers.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "number.hpp"
#include "row_reader.hpp"
#include "watch.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace concord::python {
namespace {

/// concord::ThreadLimit as a context manager, of one `with` statement at a time.
struct PythonThreadLimit {
  unsigned threads;
  std::optional<ThreadLimit> limit;
};

void expect_on_host(const Array& array) {
  if (!array.on_device()) return;
  throw Error(ErrorCode::unsupported, "exact_knn reads vectors and queries from host memory only");
}

nb::object knn(nb::handle vectors, nb::handle queries, nb::handle k, const std::string& metric,
               nb::handle threads, nb::handle progress) {
  const Array rows(vectors, "vectors");
  const Array questions(queries, "queries");
  expect_on_host(rows);
  expect_on_host(questions);
  Watch watch{nb::borrow(progress)};
  const ExactParams how{.metric = metric_from_string(metric),
                        .threads = number32(threads, "threads"),
                        .progress = [&](std::uint64_t done, std::uint64_t total) {
                          return watch.go_on(done, total);
                        }};
  const std::uint32_t wanted = number32(k, "k");
  RowReader row_reader(rows);
  RowReader query_reader(questions);
  SearchResult found;
  {
    const WithoutGil released;
    found = exact_knn(row_reader.read_all(), query_reader.read_all(), wanted, how);
  }
  watch.rethrow();
  const Answers answers(found.queries, found.k, questions.ndim() == 1, nb::none());
  answers.put(found, 0);
  return answers.arrays(true);
}

}  // namespace

void add_exact(nb::module_& module) {
  module.def("exact_knn", knn, "vectors"_a.none(), "queries"_a.none(), "k"_a.none(), "metric"_a,
             "threads"_a.none(), "progress"_a.none());

  nb::class_<PythonThreadLimit>(module, "ThreadLimit")
      .def(
          "__init__",
          [](PythonThreadLimit* self, nb::handle threads) {
            const std::uint32_t most = number32(threads, "threads");
            if (most > 1024) {
              throw Error(ErrorCode::invalid_parameter,
                          "threads is " + std::to_string(most) +
                              "; allowed are 0 (as many as the index has) to 1024");
            }
            new (self) PythonThreadLimit{most, std::nullopt};
          },
          "threads"_a.none())
      .def("__enter__", [](PythonThreadLimit& self) { self.limit.emplace(self.threads); })
      .def(
          "__exit__",
          [](PythonThreadLimit& self, nb::handle, nb::handle, nb::handle) { self.limit.reset(); },
          "type"_a.none(), "value"_a.none(), "traceback"_a.none());
}

}  // namespace concord::python
