// A number in an error's message: the shortest text that reads back as the same number, for example
// 0.5, -1, 4.25e+37 or nan.
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace concord::core {

template <class Number>
std::string text_of(Number value) {
  std::array<char, 32> text;
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), written.ptr};
}

}  // namespace concord::core
