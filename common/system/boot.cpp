#include "common/system/boot.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <concord/error.hpp>

#include "common/system/file.hpp"

namespace concord::core {

// The identity is a text, xxxxxxxx-xxxx-xxxx-…, whose first 16 digits are the number.
std::uint64_t boot_number() {
  std::array<char, 18> text;
  try {
    const File file(kBootIdPath, O_RDONLY);
    if (file.read(0, text.data(), text.size()) < text.size()) return 0;
  } catch (const Error&) {
    return 0;
  }
  char* const end = std::remove(text.begin(), text.end(), '-');
  std::uint64_t number = 0;
  std::from_chars(text.data(), end, number, 16);
  return number;
}

}  // namespace concord::core
