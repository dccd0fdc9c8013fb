// A concord::Replica for Python: its index is a PythonIndex that can only be read.
//
// Thread-safety: all members, called with the GIL held; long work releases it.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/replica.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "index.hpp"

namespace concord::python {

class PythonReplica {
 public:
  PythonReplica(const std::filesystem::path& path, unsigned threads, std::string device);

  std::uint64_t catch_up();
  [[nodiscard]] PythonIndex* index();
  [[nodiscard]] nanobind::tuple lag() const;
  PythonIndex* promote(Durability durability);

 private:
  [[nodiscard]] PythonIndex* wrap(std::shared_ptr<const Index> shown);

  std::unique_ptr<Replica> replica_;
  unsigned threads_;
  std::string device_;
  // Of the index that is shown; guarded by the GIL.
  std::shared_ptr<const Index> shown_;
  std::shared_ptr<IndexLock> lock_;
  std::shared_ptr<LabelRange> range_ = std::make_shared<LabelRange>();
};

/// Adds the class to the module.
void add_replica(nanobind::module_& module);

}  // namespace concord::python
