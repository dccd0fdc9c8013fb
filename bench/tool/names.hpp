// Names of vectors: a file of one name a line, the line's number being the vector's label.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

namespace concord::bench {

class Names {
 public:
  Names() = default;
  /// Throws InputError if the file cannot be read.
  explicit Names(const std::filesystem::path& path);

  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  /// Empty beyond the last line.
  [[nodiscard]] std::string of(std::uint64_t label) const;
  /// The first line of that name. Throws InputError for an unknown one.
  [[nodiscard]] std::uint64_t label_of(const std::string& name) const;

 private:
  std::string file_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint64_t> labels_;
};

}  // namespace concord::bench
