#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/result.h"

namespace offbeat::edge {

/// One file in a zip archive, as the archive's directory describes it.
struct ZipMember {
  std::string name;
  std::uint16_t method;
  std::uint32_t crc32;
  std::size_t n_unpacked;
  std::span<const std::byte> packed;
};

/// The members of a zip archive in memory, in the directory's order. Sizes beyond 4 GiB, encryption and split archives are refused.
Result<std::vector<ZipMember>> zip_members(std::span<const std::byte> archive, std::string_view where);

/// The content of a stored or deflated member, its checksum compared.
Result<std::vector<std::byte>> unpacked(const ZipMember& member, std::string_view where);

}  // namespace offbeat::edge
