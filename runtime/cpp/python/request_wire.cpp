#include "request_wire.h"

#include <limits>

namespace offbeat_python {
namespace {

constexpr std::uint64_t float32_number = 1;  // offbeat.v1.DATA_TYPE_FLOAT32
constexpr std::uint64_t max_uint32 = std::numeric_limits<std::uint32_t>::max();
constexpr unsigned max_varint_bits = 63;  // ten bytes are for negative numbers, of which no usual request has any

// The wire types that fields of requests have.
enum class WireType : unsigned { varint = 0, length_delimited = 2 };

// A tag of one byte: the fields 1 to 15, which are all that requests have.
constexpr unsigned tag(unsigned field, WireType type) { return field << 3U | static_cast<unsigned>(type); }
constexpr unsigned bytes_tag(unsigned field) { return tag(field, WireType::length_delimited); }
constexpr unsigned varint_tag(unsigned field) { return tag(field, WireType::varint); }

/// Takes fields off the front of a message. After the first thing that is not usual it is at its end, and `failed`.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) noexcept : rest_(bytes) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }

  /// The next field's tag; 0, which is none, at the end. Any field but those of `repeated` comes once.
  unsigned next(unsigned repeated) noexcept {
    if (rest_.empty()) return 0;
    const unsigned found = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    const unsigned bit = 1U << (found >> 3U);
    if (found < varint_tag(1) || found >= 0x80U || (seen_ & bit) != 0) return fail();
    if ((repeated & bit) == 0) seen_ |= bit;
    return found;
  }

  /// A number of as few bytes as it takes, up to `most`.
  std::uint64_t varint(std::uint64_t most) noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < max_varint_bits; shift += 7) {
      if (rest_.empty()) return fail();
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80U) return (byte == 0 && shift > 0) || value > most ? fail() : value;
    }
    return fail();
  }

  /// The value of a field of bytes, text or message.
  std::string_view bytes() noexcept {
    const std::uint64_t n_bytes = varint(max_uint32);
    if (n_bytes > rest_.size()) fail();
    if (failed_) return {};
    const std::string_view value = rest_.substr(0, static_cast<std::size_t>(n_bytes));
    rest_.remove_prefix(value.size());
    return value;
  }

  /// Text whose bytes need no look at how UTF-8 puts them together.
  std::string_view ascii() noexcept {
    const std::string_view value = bytes();
    unsigned char all = 0;
    for (const char each : value) all |= static_cast<unsigned char>(each);
    if (all >= 0x80U) fail();
    return value;
  }

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

  unsigned fail() noexcept {
    failed_ = true;
    rest_ = {};
    return 0;
  }

 private:
  std::string_view rest_;
  unsigned seen_ = 0;
  bool failed_ = false;
};

bool read_shape(std::string_view packed, WireRequest& request) noexcept {
  FieldReader reader(packed);
  while (!reader.at_end()) {
    if (request.n_axes == max_wire_axes) return false;
    request.shape[request.n_axes++] = reader.varint(std::numeric_limits<std::int64_t>::max());
  }
  return !reader.failed();
}

bool add_output(std::string_view name, WireRequest& request) noexcept {
  if (request.n_outputs == max_wire_outputs) return false;
  request.outputs[request.n_outputs++] = name;
  return true;
}

// offbeat.v1.Tensor
bool read_tensor(std::string_view bytes, WireRequest& request) noexcept {
  FieldReader reader(bytes);
  bool is_window = false;
  bool is_float32 = false;
  while (const unsigned found = reader.next(0)) {
    bool is_usual = true;
    switch (found) {
      case bytes_tag(1): is_window = reader.bytes() == "window"; break;
      case varint_tag(2): is_float32 = reader.varint(max_uint32) == float32_number; break;
      case bytes_tag(3): is_usual = read_shape(reader.bytes(), request); break;
      case bytes_tag(4): request.data = reader.bytes(); break;
      default: is_usual = false;
    }
    if (!is_usual) return false;
  }
  return !reader.failed() && is_window && is_float32;
}

// inference.ModelInferRequest.InferInputTensor
bool read_input(std::string_view bytes, WireRequest& request) noexcept {
  FieldReader reader(bytes);
  bool is_window = false;
  bool is_float32 = false;
  while (const unsigned found = reader.next(0)) {
    bool is_usual = true;
    switch (found) {
      case bytes_tag(1): is_window = reader.bytes() == "window"; break;
      case bytes_tag(2): is_float32 = reader.bytes() == "FP32"; break;
      case bytes_tag(3): is_usual = read_shape(reader.bytes(), request); break;
      default: is_usual = false;
    }
    if (!is_usual) return false;
  }
  return !reader.failed() && is_window && is_float32;
}

// inference.ModelInferRequest.InferRequestedOutputTensor
bool read_output(std::string_view bytes, WireRequest& request) noexcept {
  FieldReader reader(bytes);
  if (reader.next(0) != bytes_tag(1)) return false;
  const std::string_view name = reader.ascii();
  return !reader.failed() && reader.at_end() && add_output(name, request);
}

constexpr unsigned bit_of(unsigned field) { return 1U << field; }

}  // namespace

bool read_score_request(std::string_view bytes, WireRequest& request) noexcept {
  FieldReader reader(bytes);
  bool has_window = false;
  while (const unsigned found = reader.next(bit_of(5))) {
    bool is_usual = true;
    switch (found) {
      case bytes_tag(1): request.model = reader.ascii(); break;
      case varint_tag(2): request.version_number = reader.varint(std::numeric_limits<std::int64_t>::max()); break;
      case bytes_tag(3): request.id = reader.ascii(); break;
      case bytes_tag(4): has_window = is_usual = read_tensor(reader.bytes(), request); break;
      case bytes_tag(5): is_usual = add_output(reader.ascii(), request); break;
      case varint_tag(6): request.priority = reader.varint(max_uint32); break;
      default: is_usual = false;
    }
    if (!is_usual) return false;
  }
  return !reader.failed() && has_window;
}

bool read_infer_request(std::string_view bytes, WireRequest& request) noexcept {
  FieldReader reader(bytes);
  bool has_window = false;
  bool has_data = false;
  while (const unsigned found = reader.next(bit_of(6))) {
    bool is_usual = true;
    switch (found) {
      case bytes_tag(1): request.model = reader.ascii(); break;
      case bytes_tag(2): request.version_text = reader.ascii(); break;
      case bytes_tag(3): request.id = reader.ascii(); break;
      case bytes_tag(5): has_window = is_usual = read_input(reader.bytes(), request); break;
      case bytes_tag(6): is_usual = read_output(reader.bytes(), request); break;
      case bytes_tag(7):
        request.data = reader.bytes();
        has_data = true;
        break;
      default: is_usual = false;
    }
    if (!is_usual) return false;
  }
  return !reader.failed() && has_window && has_data;
}

}  // namespace offbeat_python
