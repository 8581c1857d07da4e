#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/result.h"

namespace offbeat::edge {

/// Size and SHA-256 of a file of a model version folder.
struct FileRecord {
  std::string name;
  std::uint64_t n_bytes;
  std::string sha256;
};

/// What `manifest.json` says that scoring, checking and showing a model need. docs/format.md is its specification.
struct Manifest {
  std::string name;
  std::uint64_t version = 0;
  std::string description;
  std::string architecture;
  std::uint64_t n_parameters = 0;
  std::string trained_at;
  std::vector<std::string> feature_names;
  std::vector<std::string> outputs;
  bool has_time = false;
  std::size_t window_length = 0;  ///< 1 for tables
  std::vector<float> mean;
  std::vector<float> scale;
  float threshold = 0;
  std::string threshold_method;
  double parity_bound = 0;
  std::vector<FileRecord> files;
};

/// Reads a manifest. Unknown keys beside those read here are refused, parts that are not read are not looked into. `where` names the file.
Result<Manifest> read_manifest(std::string_view json, std::string_view where);

}  // namespace offbeat::edge
