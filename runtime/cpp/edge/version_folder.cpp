#include "version_folder.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "arguments.h"
#include "sha256.h"

namespace offbeat::edge {

namespace {

constexpr std::size_t max_manifest_bytes = std::size_t{4} << 20;
constexpr std::size_t max_file_bytes = (std::size_t{1} << 31) - 1;

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

Result<std::vector<std::string>> entries(const std::string& folder) {
  const std::unique_ptr<DIR, CloseFolder> opened(::opendir(folder.c_str()));
  if (!opened) return Error{folder + ": " + std::strerror(errno) + "; expected a model version folder or a model.safetensors"};
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(opened.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A version's number, or 0 for a name that is none.
std::size_t version_number(const std::string& name) { return name.starts_with('0') ? 0 : whole_number(name).value_or(0); }

std::string path_of(const std::string& folder, std::string_view name) { return folder + "/" + std::string(name); }

// Links are refused: what they lead to may change without the folder changing.
Result<FileContent> open_regular(const std::string& path, std::size_t max_bytes) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return Error{path + ": " + std::strerror(errno)};
  if (!S_ISREG(status.st_mode)) return Error{path + ": not a regular file"};
  return FileContent::open(path.c_str(), max_bytes);
}

const FileRecord* record_of(const Manifest& manifest, std::string_view name) noexcept {
  const auto found = std::find_if(manifest.files.begin(), manifest.files.end(), [&](const FileRecord& file) { return file.name == name; });
  return found == manifest.files.end() ? nullptr : &*found;
}

}  // namespace

Result<std::string> version_folder(const std::string& path) {
  const Result<std::vector<std::string>> names = entries(path);
  if (!names) return names.error();
  if (std::find(names.value().begin(), names.value().end(), manifest_name) != names.value().end()) return path;
  const auto newest = std::max_element(names.value().begin(), names.value().end(),
                                       [](const std::string& a, const std::string& b) { return version_number(a) < version_number(b); });
  if (newest == names.value().end() || version_number(*newest) == 0) {
    return Error{path + ": neither manifest.json nor a version is in it; expected a model version folder"};
  }
  return path_of(path, *newest);
}

Result<Manifest> open_manifest(const std::string& folder) {
  const std::string path = path_of(folder, manifest_name);
  const Result<FileContent> content = open_regular(path, max_manifest_bytes);
  if (!content) return content.error();
  const std::span<const std::byte> bytes = content.value().bytes();
  Result<Manifest> manifest = read_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
  if (!manifest) return manifest;
  const Result<std::vector<std::string>> names = entries(folder);
  if (!names) return names.error();
  for (const std::string& name : names.value()) {
    if (name != manifest_name && record_of(manifest.value(), name) == nullptr) return Error{folder + ": " + name + " is not listed in manifest.json"};
  }
  for (const std::string_view name : {weights_name, golden_name}) {
    if (record_of(manifest.value(), name) == nullptr) return Error{path + ": files lists no " + std::string(name)};
  }
  return manifest;
}

Result<FileContent> read_listed(const std::string& folder, const Manifest& manifest, std::string_view name) {
  const std::string path = path_of(folder, name);
  const FileRecord* record = record_of(manifest, name);
  if (record == nullptr) return Error{path + ": not listed in manifest.json"};
  Result<FileContent> content = open_regular(path, max_file_bytes);
  if (!content) return content;
  const std::span<const std::byte> bytes = content.value().bytes();
  if (bytes.size() != record->n_bytes) {
    return Error{path + ": " + std::to_string(bytes.size()) + " bytes; manifest.json says " + std::to_string(record->n_bytes)};
  }
  Sha256 digest;
  digest.add(bytes);
  const std::string seen = digest.hexadecimal();
  if (seen != record->sha256) return Error{path + ": SHA-256 is " + seen + "; manifest.json says " + record->sha256};
  return content;
}

Result<bool> check_other_digests(const std::string& folder, const Manifest& manifest) {
  for (const FileRecord& file : manifest.files) {
    if (file.name == weights_name) continue;
    const Result<FileContent> content = read_listed(folder, manifest, file.name);
    if (!content) return content.error();
  }
  return true;
}

}  // namespace offbeat::edge
