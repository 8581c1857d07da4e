#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace offbeat::edge {

/// SHA-256 (FIPS 180-4) of what is added, piece by piece.
class Sha256 {
 public:
  void add(std::span<const std::byte> data) noexcept;

  /// The digest of everything added, as 64 lower-case hexadecimal digits. Nothing may be added afterwards.
  [[nodiscard]] std::string hexadecimal() noexcept;

 private:
  void add_block(const std::byte* block) noexcept;

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_{};
  std::size_t n_in_block_ = 0;
  std::uint64_t n_bytes_ = 0;
};

}  // namespace offbeat::edge
