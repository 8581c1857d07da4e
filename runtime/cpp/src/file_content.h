#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "offbeat/result.h"

namespace offbeat {

/// The bytes of a file for as long as this lives: mapped where the system can, read elsewhere.
///
/// A file must not be shortened while it is mapped: reading beyond its new end would end the program. Models are
/// replaced by renaming a new file over the old one, which leaves the mapped one as it was.
class FileContent {
 public:
  /// Only regular files, of at most `max_bytes`.
  static Result<FileContent> open(const char* path, std::size_t max_bytes);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_.get(), n_bytes_}; }

 private:
  struct Release {
    std::size_t n_bytes = 0;
    void operator()(const std::byte* data) const noexcept;
  };

  FileContent(const std::byte* data, std::size_t n_bytes) noexcept : data_(data, Release{n_bytes}), n_bytes_(n_bytes) {}

  std::unique_ptr<const std::byte, Release> data_;
  std::size_t n_bytes_;
};

}  // namespace offbeat
