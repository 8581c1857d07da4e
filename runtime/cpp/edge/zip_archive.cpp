#include "zip_archive.h"

#include <algorithm>
#include <array>

#include "inflate.h"

namespace offbeat::edge {

namespace {

constexpr std::size_t end_record_size = 22;
constexpr std::size_t max_comment_size = 0xffff;
constexpr std::size_t directory_entry_size = 46;
constexpr std::size_t local_header_size = 30;
constexpr std::uint16_t stored = 0;
constexpr std::uint16_t deflated = 8;
constexpr std::uint16_t is_encrypted = 1;
// A deflate stream cannot give more than 258 bytes for two bits.
constexpr std::size_t max_expansion = 1032;

// Little-endian numbers and parts of the archive; whoever reads has checked the size.
std::uint32_t number(std::span<const std::byte> at, std::size_t offset, std::size_t n_bytes) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = n_bytes; i-- > 0;) value = value << 8 | static_cast<std::uint32_t>(at[offset + i]);
  return value;
}

bool is_at(std::span<const std::byte> archive, std::size_t offset, std::size_t size, std::uint32_t signature) noexcept {
  return offset <= archive.size() && size <= archive.size() - offset && number(archive, offset, 4) == signature;
}

Error damaged(std::string_view where, const char* what) { return Error{std::string(where) + ": not a readable npz archive: " + what}; }

// The record at the end of the archive, which may be followed by a comment; the archive's size where there is none.
std::size_t end_record(std::span<const std::byte> archive) noexcept {
  for (std::size_t back = end_record_size; back <= archive.size() && back <= end_record_size + max_comment_size; ++back) {
    if (is_at(archive, archive.size() - back, end_record_size, 0x06054b50)) return archive.size() - back;
  }
  return archive.size();
}

std::uint32_t crc32_of(std::span<const std::byte> data) noexcept {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xedb88320 ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : data) crc = table[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

// The directory's entry at `offset`, which is moved behind it.
Result<ZipMember> read_entry(std::span<const std::byte> archive, std::size_t& offset, std::string_view where) {
  if (!is_at(archive, offset, directory_entry_size, 0x02014b50)) return damaged(where, "its directory is cut off");
  const std::span<const std::byte> entry = archive.subspan(offset);
  const std::size_t n_name = number(entry, 28, 2), n_extra = number(entry, 30, 2), n_comment = number(entry, 32, 2);
  if (n_name + n_extra + n_comment > entry.size() - directory_entry_size) return damaged(where, "its directory is cut off");
  if ((number(entry, 8, 2) & is_encrypted) != 0) return damaged(where, "a member is encrypted");
  const std::size_t n_packed = number(entry, 20, 4), header = number(entry, 42, 4);
  if (!is_at(archive, header, local_header_size, 0x04034b50)) return damaged(where, "a member is not where the directory says");
  // The local header's extra field may differ from the directory's, the name may not.
  const std::size_t n_local_name = number(archive, header + 26, 2);
  const std::size_t begin = header + local_header_size + n_local_name + number(archive, header + 28, 2);
  if (begin > archive.size() || n_packed > archive.size() - begin) return damaged(where, "a member is cut off");
  const std::span<const std::byte> name = entry.subspan(directory_entry_size, n_name), local_name = archive.subspan(header + local_header_size, n_local_name);
  if (!std::equal(name.begin(), name.end(), local_name.begin(), local_name.end())) return damaged(where, "a member has two names");
  offset += directory_entry_size + n_name + n_extra + n_comment;
  return ZipMember{.name = std::string(reinterpret_cast<const char*>(name.data()), n_name),
                   .method = static_cast<std::uint16_t>(number(entry, 10, 2)),
                   .crc32 = number(entry, 16, 4),
                   .n_unpacked = number(entry, 24, 4),
                   .packed = archive.subspan(begin, n_packed)};
}

}  // namespace

Result<std::vector<ZipMember>> zip_members(std::span<const std::byte> archive, std::string_view where) {
  const std::size_t end = end_record(archive);
  if (end == archive.size()) return damaged(where, "it has no directory");
  const std::size_t n_members = number(archive, end + 10, 2);
  std::size_t offset = number(archive, end + 16, 4);
  std::vector<ZipMember> members;
  for (std::size_t i = 0; i < n_members; ++i) {
    Result<ZipMember> member = read_entry(archive, offset, where);
    if (!member) return member.error();
    members.push_back(std::move(member).value());
  }
  return members;
}

Result<std::vector<std::byte>> unpacked(const ZipMember& member, std::string_view where) {
  const std::string label = std::string(where) + ": " + member.name;
  const std::size_t n_packed = member.packed.size();
  std::vector<std::byte> content;
  if (member.method == stored && member.n_unpacked == n_packed) {
    content.assign(member.packed.begin(), member.packed.end());
  } else if (member.method == deflated && member.n_unpacked / max_expansion <= n_packed) {
    content.resize(member.n_unpacked);
    if (!inflate(member.packed, content)) return Error{label + " does not unpack into the " + std::to_string(member.n_unpacked) + " bytes it should"};
  } else {
    return Error{label + " has zip method " + std::to_string(member.method) + ", " + std::to_string(n_packed) + " bytes for " +
                 std::to_string(member.n_unpacked) + "; expected a stored or deflated member"};
  }
  if (crc32_of(content) != member.crc32) return Error{label + " does not have the checksum that the archive says"};
  return content;
}

}  // namespace offbeat::edge
