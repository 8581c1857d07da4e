#include "npz.h"

#include <bit>
#include <cstring>
#include <optional>

#include "zip_archive.h"

namespace offbeat::edge {

namespace {

static_assert(std::endian::native == std::endian::little, "npy members are read as they lie in memory");

constexpr std::size_t preamble_size = 10;  // \x93NUMPY, the version's two bytes, the header's size in two
constexpr std::size_t max_unpacked = std::size_t{1} << 30;
constexpr std::string_view npy_suffix = ".npy";

// What a member's header says: the text of a Python dictionary with the keys descr, fortran_order and shape.
struct NpyHeader {
  std::string_view dtype;
  bool is_fortran_order = false;
  std::vector<std::size_t> shape;
};

// Reads the header's dictionary from left to right; whatever numpy does not write is refused.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) noexcept : text_(text) {}

  std::optional<NpyHeader> read() {
    NpyHeader header;
    unsigned n_seen = 0;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const std::optional<std::string_view> key = quoted();
      if (!key || !take(':') || !value(*key, header)) return std::nullopt;
      ++n_seen;
      if (!take(',') && !(skip_blanks(), text_.starts_with('}'))) return std::nullopt;
    }
    skip_blanks();
    if (!text_.empty() || n_seen != 3) return std::nullopt;
    return header;
  }

 private:
  void skip_blanks() noexcept {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n')) text_.remove_prefix(1);
  }

  bool take(char expected) noexcept {
    skip_blanks();
    if (!text_.starts_with(expected)) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::optional<std::string_view> quoted() noexcept {
    if (!take('\'')) return std::nullopt;
    const std::size_t end = text_.find('\'');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view word = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return word;
  }

  bool value(std::string_view key, NpyHeader& header) {
    if (key == "descr") {
      const std::optional<std::string_view> word = quoted();
      header.dtype = word.value_or("");
      return word.has_value();
    }
    if (key == "fortran_order") return truth(header.is_fortran_order);
    return key == "shape" && sizes(header.shape);
  }

  bool truth(bool& value) noexcept {
    skip_blanks();
    value = text_.starts_with("True");
    if (!value && !text_.starts_with("False")) return false;
    text_.remove_prefix(value ? 4 : 5);
    return true;
  }

  bool sizes(std::vector<std::size_t>& shape) {
    shape.clear();
    if (!take('(')) return false;
    while (!take(')')) {
      std::size_t size = 0, n_digits = 0;
      for (skip_blanks(); !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; text_.remove_prefix(1), ++n_digits) {
        size = size * 10 + static_cast<std::size_t>(text_.front() - '0');
        if (size > max_unpacked) return false;
      }
      shape.push_back(size);
      if (n_digits == 0 || (!take(',') && !text_.starts_with(')'))) return false;
    }
    return true;
  }

  std::string_view text_;
};

// The number of elements, or nothing where it is beyond what an archive may hold.
std::optional<std::size_t> n_elements(const std::vector<std::size_t>& shape) noexcept {
  std::size_t n = 1;
  for (const std::size_t size : shape) {
    if (size != 0 && n > max_unpacked / size) return std::nullopt;
    n *= size;
  }
  return n;
}

Result<NamedArray> read_array(std::string_view name, std::span<const std::byte> content, const std::string& label) {
  const char* text = reinterpret_cast<const char*>(content.data());
  if (content.size() < preamble_size || std::memcmp(text, "\x93NUMPY\x01\x00", 8) != 0) return Error{label + " is not of npy format 1.0"};
  const std::size_t n_header = static_cast<std::size_t>(content[8]) | static_cast<std::size_t>(content[9]) << 8;
  if (n_header > content.size() - preamble_size) return Error{label + " is cut off in its header"};
  const std::optional<NpyHeader> header = HeaderReader({text + preamble_size, n_header}).read();
  if (!header) return Error{label + " has an unreadable header"};
  const bool is_bool = header->dtype == "|b1";
  if (header->is_fortran_order || (!is_bool && header->dtype != "<f4")) {
    return Error{label + " holds " + std::string(header->dtype) + "; expected row-major <f4 or |b1"};
  }
  const std::span<const std::byte> data = content.subspan(preamble_size + n_header);
  const std::size_t item_size = is_bool ? 1 : sizeof(float);
  const std::optional<std::size_t> n = n_elements(header->shape);
  if (!n || data.size() % item_size != 0 || data.size() / item_size != *n) return Error{label + " has other bytes than its shape needs"};
  NamedArray array{.name = std::string(name), .is_bool = is_bool, .shape = header->shape, .values = {}, .flags = {}};
  if (is_bool) {
    for (const std::byte flag : data) array.flags.push_back(flag != std::byte{0});
  } else {
    array.values.resize(*n);
    if (*n != 0) std::memcpy(array.values.data(), data.data(), data.size());
  }
  return array;
}

}  // namespace

std::string NamedArray::describe() const {
  std::string text = is_bool ? "bool [" : "float32 [";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

Result<std::vector<NamedArray>> read_npz(std::span<const std::byte> archive, std::string_view where) {
  const Result<std::vector<ZipMember>> members = zip_members(archive, where);
  if (!members) return members.error();
  std::vector<NamedArray> arrays;
  std::size_t n_unpacked = 0;
  for (const ZipMember& member : members.value()) {
    n_unpacked += member.n_unpacked;
    if (n_unpacked > max_unpacked) return Error{std::string(where) + ": unpacks to more than " + std::to_string(max_unpacked) + " bytes"};
    const Result<std::vector<std::byte>> content = unpacked(member, where);
    if (!content) return content.error();
    std::string_view name = member.name;
    if (name.ends_with(npy_suffix)) name.remove_suffix(npy_suffix.size());
    Result<NamedArray> array = read_array(name, content.value(), std::string(where) + ": " + member.name);
    if (!array) return array.error();
    arrays.push_back(std::move(array).value());
  }
  return arrays;
}

}  // namespace offbeat::edge
