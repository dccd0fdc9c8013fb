#include "bench/tool/names.hpp"

#include <fstream>

#include "bench/tool/input_error.hpp"
#include "bench/tool/table.hpp"

namespace concord::bench {

Names::Names(const std::filesystem::path& path) : file_(path.string()) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    labels_.emplace(line, names_.size());
    names_.push_back(std::move(line));
  }
  if (!file.eof()) throw InputError(file_ + ": cannot be read");
}

std::string Names::of(std::uint64_t label) const {
  return label < names_.size() ? names_[label] : "";
}

std::uint64_t Names::label_of(const std::string& name) const {
  const auto found = labels_.find(name);
  if (found != labels_.end()) return found->second;
  throw InputError(file_ + ": has no \"" + name + "\" among its " + grouped(names_.size()) +
                   " names");
}

}  // namespace concord::bench
