#include "replica.hpp"

#include <nanobind/stl/string.h>

#include <utility>

#include "errors.hpp"
#include "gil.hpp"
#include "number.hpp"

namespace nb = nanobind;

namespace concord::python {

PythonReplica::PythonReplica(const std::filesystem::path& path, unsigned threads,
                             std::string device)
    : threads_(threads), device_(std::move(device)) {
  const WithoutGil released;
  replica_ = with_path(path.string(), [&] {
    return std::make_unique<Replica>(Replica::open(path, runtime_of_index(threads, device_)));
  });
}

// What it brings may have labels of any size. So while it runs, and once behind it, each answer
// looks at them all.
std::uint64_t PythonReplica::catch_up() {
  struct Following {
    explicit Following(PythonReplica& by) : replica(by) {
      replica.range_->is_known = false;
      ++replica.range_->begun;
    }
    ~Following() { ++replica.range_->ended; }
    Following(const Following&) = delete;
    Following& operator=(const Following&) = delete;

    PythonReplica& replica;
  };
  const Following following(*this);
  const WithoutGil released;
  return replica_->catch_up();
}

PythonIndex* PythonReplica::wrap(std::shared_ptr<const Index> shown) {
  if (shown != shown_) {
    shown_ = shown;
    lock_ = std::make_shared<IndexLock>();
    range_ = std::make_shared<LabelRange>(LabelRange{false, true, range_->begun, range_->ended});
  }
  // Its members refuse changes until the replica is promoted.
  return new PythonIndex(std::const_pointer_cast<Index>(shown), lock_, range_, threads_, device_,
                         false);
}

PythonIndex* PythonReplica::index() { return wrap(replica_->index()); }

nb::tuple PythonReplica::lag() const {
  ReplicaLag lag;
  {
    const WithoutGil released;
    lag = replica_->lag();
  }
  return nb::make_tuple(lag.operations, lag.bytes);
}

PythonIndex* PythonReplica::promote(Durability durability) {
  std::shared_ptr<Index> promoted;
  {
    const WithoutGil released;
    promoted = replica_->promote(durability);
  }
  return wrap(std::move(promoted));
}

namespace {

void make_replica(PythonReplica* self, const nb::bytes& path, nb::handle threads,
                  const std::string& device) {
  new (self)
      PythonReplica(std::string(path.c_str(), path.size()), number32(threads, "threads"), device);
}

}  // namespace

void add_replica(nb::module_& module) {
  using namespace nb::literals;
  nb::class_<PythonReplica>(module, "Replica")
      .def("__init__", make_replica, "path"_a, "threads"_a.none(), "device"_a)
      .def("catch_up", &PythonReplica::catch_up)
      .def("index", &PythonReplica::index)
      .def("lag", &PythonReplica::lag)
      .def(
          "promote",
          [](PythonReplica& self, const std::string& durability) {
            return self.promote(to_durability(durability));
          },
          "durability"_a);
}

}  // namespace concord::python
