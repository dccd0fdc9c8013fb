#include "common/file/presets_file.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <concord/error.hpp>
#include <cstring>
#include <limits>

#include "common/base/number_text.hpp"
#include "common/base/xxh3.hpp"
#include "common/system/atomic_file.hpp"
#include "common/system/file.hpp"

namespace concord::core {
namespace {

constexpr std::string_view kHead = "concord presets 1\n";
constexpr std::string_view kChecksum = "xxh3 ";
constexpr std::size_t kChecksumDigits = 16;
constexpr std::size_t kMostBytes = std::size_t{1} << 20;

/// Calls use(name, value) for the fields of a preset, in the order of the file.
template <class SomePreset, class Use>
void for_each_field(SomePreset& preset, const Use& use) {
  use("recall", preset.recall);
  use("k", preset.k);
  use("ef", preset.ef);
  use("slack", preset.slack);
  use("measured", preset.measured);
  use("at_least", preset.at_least);
  use("distances", preset.distances);
  use("queries", preset.queries);
  use("size", preset.size);
  use("insertions", preset.insertions);
  use("removals", preset.removals);
}

std::string checksum_of(std::string_view text) {
  std::array<char, kChecksumDigits> digits;
  digits.fill('0');
  std::array<char, kChecksumDigits> shortest;
  const auto written = std::to_chars(shortest.data(), shortest.data() + shortest.size(),
                                     XXH3_64bits(text.data(), text.size()), 16);
  const auto count = static_cast<std::size_t>(written.ptr - shortest.data());
  std::memcpy(digits.data() + digits.size() - count, shortest.data(), count);
  return {digits.data(), digits.size()};
}

[[noreturn]] void refuse(const std::string& name, const std::string& reason) {
  throw Error(ErrorCode::corrupt_file,
              name + " " + reason + "; it holds presets alone, so it may be deleted");
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

// One line: names and values, each behind a space but the first.
Preset read_line(std::string_view line, const std::string& name) {
  Preset preset;
  bool is_first = true;
  for_each_field(preset, [&](const char* field, auto& value) {
    const bool has_name = (is_first || take(line, " ")) && take(line, field) && take(line, " ");
    is_first = false;
    const auto parsed = std::from_chars(line.data(), line.data() + line.size(), value);
    if (!has_name || parsed.ec != std::errc()) {
      refuse(name, std::string("has no ") + field + " where one belongs");
    }
    line.remove_prefix(static_cast<std::size_t>(parsed.ptr - line.data()));
  });
  if (!line.empty()) refuse(name, "has more in a line than belongs there");
  try {
    check_preset(preset);
  } catch (const Error& error) {
    refuse(name, std::string("is damaged: ") + error.what());
  }
  return preset;
}

bool is_there(const std::filesystem::path& path) {
  struct stat status {};
  if (file_system().stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return false;
  const int reason = errno;
  throw Error(ErrorCode::io, "cannot read '" + path.string() + "': " + std::strerror(reason),
              reason);
}

/// Whether the file may be removed: a damaged file of presets may, and what is no such file may
/// not.
bool begins_as_presets(const std::filesystem::path& path) {
  const File file(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (!S_ISREG(file.status().st_mode)) return false;
  std::string text(kHead.size(), '\0');
  text.resize(file.read(0, text.data(), text.size()));
  return text == kHead;
}

}  // namespace

std::filesystem::path presets_path(const std::filesystem::path& path) {
  std::filesystem::path beside = resolved(path);
  beside += ".presets";
  return beside;
}

std::vector<Preset> read_presets(const std::filesystem::path& path) {
  const std::filesystem::path from = presets_path(path);
  if (!is_there(from)) return {};
  const std::string name = "'" + from.string() + "'";
  const File file(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is not waited for
  if (!S_ISREG(file.status().st_mode)) refuse(name, "is no ordinary file");
  if (file.size() > kMostBytes) refuse(name, "is longer than presets are");
  std::string text(file.size(), '\0');
  text.resize(file.read(0, text.data(), text.size()));
  return presets_of_text(text, name);
}

void write_presets(const std::filesystem::path& path, std::span<const Preset> presets) {
  AtomicFile file(presets_path(path));
  const std::string text = text_of_presets(presets);
  file.write(text.data(), text.size());
  file.commit();
}

void remove_presets(const std::filesystem::path& path) {
  const std::filesystem::path from = presets_path(path);
  if (!is_there(from)) return;
  if (!begins_as_presets(from)) {
    throw Error(ErrorCode::invalid_parameter,
                "'" + from.string() +
                    "' is no file of presets, which would take its place; move it, "
                    "or save under another name");
  }
  if (file_system().unlink(from.c_str()) != 0 && errno != ENOENT) {
    const int reason = errno;
    throw Error(ErrorCode::io, "cannot remove '" + from.string() + "': " + std::strerror(reason),
                reason);
  }
  sync_directory_of(from);
}

std::string text_of_presets(std::span<const Preset> presets) {
  std::string text(kHead);
  for (const Preset& preset : presets) {
    std::string line;
    for_each_field(preset, [&](const char* field, const auto& value) {
      line += (line.empty() ? "" : " ") + std::string(field) + " " + text_of(value);
    });
    text += line + "\n";
  }
  return text + std::string(kChecksum) + checksum_of(text) + "\n";
}

std::vector<Preset> presets_of_text(std::string_view text, const std::string& name) {
  if (!text.starts_with(kHead)) refuse(name, "is not a file of presets");
  const std::size_t tail = kChecksum.size() + kChecksumDigits + 1;
  if (text.size() < kHead.size() + tail) refuse(name, "is cut short");
  const std::string_view lines = text.substr(0, text.size() - tail);
  if (text.substr(lines.size()) != std::string(kChecksum) + checksum_of(lines) + "\n") {
    refuse(name, "is damaged: its checksum differs");
  }
  std::vector<Preset> presets;
  for (std::string_view rest = lines.substr(kHead.size()); !rest.empty();) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) refuse(name, "has a line without an end");
    presets.push_back(read_line(rest.substr(0, end), name));
    rest.remove_prefix(end + 1);
  }
  return presets;
}

void check_preset(const Preset& preset) {
  const auto expect = [](bool holds, const char* what) {
    if (holds) return;
    throw Error(ErrorCode::invalid_parameter, std::string("a preset has ") + what);
  };
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  constexpr std::uint32_t kMostWidth = 65536;
  expect(preset.recall > 0 && preset.recall < 1, "a recall above 0 and below 1");
  expect(preset.k >= 1 && preset.k <= kMostWidth, "a k of 1 to 65536");
  expect(preset.ef >= 1 && preset.ef <= kMostWidth, "an ef of 1 to 65536");
  expect(preset.slack >= 0, "a slack of 0 to infinity");
  expect(is_share(preset.measured) && is_share(preset.at_least), "recalls of 0 to 1");
  expect(preset.distances >= 0 && preset.distances <= std::numeric_limits<double>::max(),
         "a number of distances");
}

}  // namespace concord::core
