// The type of a file by the end of its name, in upper or lower case.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>

namespace concord::bench {

/// ASCII letters alone change.
inline std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

/// ".fvecs" of "BASE.FVECS".
inline std::string file_type(const std::filesystem::path& path) {
  return lower_case(path.extension().string());
}

}  // namespace concord::bench
