#pragma once

#include <cstddef>
#include <span>

namespace offbeat::edge {

/// Unpacks a raw deflate stream (RFC 1951) into exactly `unpacked`: false where the stream is damaged or holds another number of bytes.
[[nodiscard]] bool inflate(std::span<const std::byte> packed, std::span<std::byte> unpacked) noexcept;

}  // namespace offbeat::edge
