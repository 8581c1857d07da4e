#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace offbeat {

/// Bytes of the character that `text` begins with, 1 to 4; 0 where it begins with none: overlong forms, surrogates and
/// numbers beyond U+10FFFF are none (RFC 3629).
std::size_t utf8_length(std::string_view text) noexcept;

/// Appends the character of a code point up to U+10FFFF.
void append_utf8(std::string& text, std::uint32_t code);

}  // namespace offbeat
