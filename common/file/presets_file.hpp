// The file of presets beside an index file: `path`.presets. FORMAT.md describes it.
//
// It is apart from the index file, so that presets change neither its bytes nor its digest.
// Thread-safety: as the file system.
#pragma once

#include <concord/tuning.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace concord::core {

/// The path of the presets of the index file at `path`, beside the file itself if that is a link.
std::filesystem::path presets_path(const std::filesystem::path& path);

/// Those beside the index file at `path`; none where there is no such file. Throws Error(io),
/// Error(corrupt_file).
std::vector<Preset> read_presets(const std::filesystem::path& path);
/// Replaces the file, durably. Throws Error(io).
void write_presets(const std::filesystem::path& path, std::span<const Preset> presets);
/// Removes the file if there is one. Throws Error(io), and Error(invalid_parameter) for a file that
/// holds something else.
void remove_presets(const std::filesystem::path& path);

/// The content of the file, and back. Throws Error(corrupt_file), calling it `name`.
std::string text_of_presets(std::span<const Preset> presets);
std::vector<Preset> presets_of_text(std::string_view text, const std::string& name);

/// Throws Error(invalid_parameter) for a preset that no index can have.
void check_preset(const Preset& preset);

}  // namespace concord::core
