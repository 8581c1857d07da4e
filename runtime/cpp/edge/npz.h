#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/result.h"

namespace offbeat::edge {

/// One array of an npz archive, row-major: float32 in `values`, or bool in `flags`.
struct NamedArray {
  std::string name;
  bool is_bool = false;
  std::vector<std::size_t> shape;
  std::vector<float> values;
  std::vector<std::uint8_t> flags;

  /// `float32 [32, 50, 1]`, for messages.
  [[nodiscard]] std::string describe() const;
};

/// Reads an npz archive as docs/format.md allows it: stored or deflated members of npy format 1.0, float32 or bool, row-major.
///
/// Trusts nothing: every offset and size is checked before it is used, checksums are compared, and nothing larger than what the packed
/// bytes can hold is allocated. `where` names the file in the error.
Result<std::vector<NamedArray>> read_npz(std::span<const std::byte> archive, std::string_view where);

}  // namespace offbeat::edge
