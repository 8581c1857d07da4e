#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "file_content.h"
#include "manifest.h"
#include "offbeat/result.h"

namespace offbeat::edge {

inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::string_view weights_name = "model.safetensors";
inline constexpr std::string_view golden_name = "golden.npz";

/// The version folder that a path means: itself where it holds a manifest, else the newest version in it.
Result<std::string> version_folder(const std::string& path);

/// The manifest of a version folder, whose files are then exactly those it lists; digests are not compared here.
Result<Manifest> open_manifest(const std::string& folder);

/// The content of a listed file, with exactly the recorded size and SHA-256.
Result<FileContent> read_listed(const std::string& folder, const Manifest& manifest, std::string_view name);

/// Compares the digests of all listed files but the weights, which whoever loads them compares.
Result<bool> check_other_digests(const std::string& folder, const Manifest& manifest);

}  // namespace offbeat::edge
