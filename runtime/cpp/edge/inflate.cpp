#include "inflate.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace offbeat::edge {

namespace {

constexpr unsigned max_code_bits = 15;

// Reads bits, lowest first. Past the end it gives zeros and remembers that it did.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> data) noexcept : data_(data) {}

  std::uint32_t bits(unsigned n) noexcept {
    while (n_held_ < n) {
      const bool is_past = at_ == data_.size();
      is_past_end_ |= is_past;
      held_ |= (is_past ? 0u : static_cast<std::uint32_t>(data_[at_++])) << n_held_;
      n_held_ += 8;
    }
    const std::uint32_t value = held_ & ((1u << n) - 1);
    held_ >>= n;
    n_held_ -= n;
    return value;
  }

  // Drops what is left of a byte and gives the next n bytes; empty where there are not so many.
  std::span<const std::byte> bytes(std::size_t n) noexcept {
    held_ = n_held_ = 0;  // never more than 7 bits: bits() reads only the bytes it needs
    if (n > data_.size() - at_) {
      is_past_end_ = true;
      return {};
    }
    at_ += n;
    return data_.subspan(at_ - n, n);
  }

  [[nodiscard]] bool is_past_end() const noexcept { return is_past_end_; }

 private:
  std::span<const std::byte> data_;
  std::size_t at_ = 0;
  std::uint32_t held_ = 0;
  unsigned n_held_ = 0;
  bool is_past_end_ = false;
};

// A canonical prefix code: how many codes there are of each length, and the symbols in the order of their codes.
class PrefixCode {
 public:
  // False where there are more codes than their lengths have room for. Fewer are allowed: one distance alone is coded so.
  bool set(std::span<const std::uint8_t> lengths) noexcept {
    n_of_length_.fill(0);
    for (const std::uint8_t length : lengths) ++n_of_length_[length];
    n_of_length_[0] = 0;
    std::array<std::uint16_t, max_code_bits + 2> first{};
    int n_free = 1;
    for (unsigned length = 1; length <= max_code_bits; ++length) {
      n_free = 2 * n_free - n_of_length_[length];
      if (n_free < 0) return false;
      first[length + 1] = static_cast<std::uint16_t>(first[length] + n_of_length_[length]);
    }
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
      if (lengths[symbol] != 0) symbols_[first[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
    }
    return true;
  }

  // The next symbol, or -1 for a code that is none. Bit by bit: golden files are small, and so should this be.
  int next(BitReader& reader) const noexcept {
    int code = 0, first_code = 0, index = 0;
    for (unsigned length = 1; length <= max_code_bits; ++length) {
      code |= static_cast<int>(reader.bits(1));
      const int n = n_of_length_[length];
      if (code - first_code < n) return symbols_[static_cast<std::size_t>(index + code - first_code)];
      index += n;
      first_code = (first_code + n) << 1;
      code <<= 1;
    }
    return -1;
  }

 private:
  std::array<std::uint16_t, max_code_bits + 1> n_of_length_{};
  std::array<std::uint16_t, 288> symbols_{};
};

// What a length or distance symbol stands for: a base, and so many further bits (RFC 1951, 3.2.5).
struct Range {
  std::uint16_t base;
  std::uint8_t n_bits;
};

constexpr std::array<Range, 29> length_ranges{{{3, 0},  {4, 0},  {5, 0},  {6, 0},  {7, 0},  {8, 0},  {9, 0},  {10, 0},  {11, 1},  {13, 1},
                                               {15, 1}, {17, 1}, {19, 2}, {23, 2}, {27, 2}, {31, 2}, {35, 3}, {43, 3},  {51, 3},  {59, 3},
                                               {67, 4}, {83, 4}, {99, 4}, {115, 4}, {131, 5}, {163, 5}, {195, 5}, {227, 5}, {258, 0}}};
constexpr std::array<Range, 30> distance_ranges{{{1, 0},     {2, 0},     {3, 0},     {4, 0},     {5, 1},     {7, 1},     {9, 2},      {13, 2},
                                                 {17, 3},    {25, 3},    {33, 4},    {49, 4},    {65, 5},    {97, 5},    {129, 6},    {193, 6},
                                                 {257, 7},   {385, 7},   {513, 8},   {769, 8},   {1025, 9},  {1537, 9},  {2049, 10},  {3073, 10},
                                                 {4097, 11}, {6145, 11}, {8193, 12}, {12289, 12}, {16385, 13}, {24577, 13}}};

class Inflater {
 public:
  Inflater(std::span<const std::byte> packed, std::span<std::byte> unpacked) noexcept : reader_(packed), unpacked_(unpacked) {}

  bool run() noexcept {
    bool is_last = false;
    while (!is_last) {
      is_last = reader_.bits(1) != 0;
      if (!block(reader_.bits(2)) || reader_.is_past_end()) return false;
    }
    return n_written_ == unpacked_.size();
  }

 private:
  bool block(std::uint32_t kind) noexcept {
    if (kind == 0) return stored();
    if (kind == 1) return set_fixed_codes() && coded();
    return kind == 2 && set_dynamic_codes() && coded();
  }

  bool stored() noexcept {
    const std::span<const std::byte> sizes = reader_.bytes(4);
    if (sizes.empty()) return false;
    const auto word = [&](std::size_t i) { return static_cast<unsigned>(sizes[i]) | static_cast<unsigned>(sizes[i + 1]) << 8; };
    if ((word(0) ^ word(2)) != 0xffff) return false;
    const std::span<const std::byte> content = reader_.bytes(word(0));
    if (content.size() != word(0) || content.size() > unpacked_.size() - n_written_) return false;
    std::copy(content.begin(), content.end(), unpacked_.begin() + static_cast<std::ptrdiff_t>(n_written_));
    n_written_ += content.size();
    return true;
  }

  bool set_fixed_codes() noexcept {
    std::array<std::uint8_t, 288 + 30> lengths;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < 288 ? 8 : 5;
    }
    return literals_.set(std::span(lengths).first(288)) && distances_.set(std::span(lengths).last(30));
  }

  // The lengths of both codes are themselves coded, with runs (RFC 1951, 3.2.7).
  bool set_dynamic_codes() noexcept {
    const std::size_t n_literals = reader_.bits(5) + 257, n_distances = reader_.bits(5) + 1, n_code_lengths = reader_.bits(4) + 4;
    if (n_literals > 286 || n_distances > 30) return false;
    constexpr std::array<std::uint8_t, 19> order{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    std::array<std::uint8_t, 19> code_lengths{};
    for (std::size_t i = 0; i < n_code_lengths; ++i) code_lengths[order[i]] = static_cast<std::uint8_t>(reader_.bits(3));
    PrefixCode code;
    std::array<std::uint8_t, 286 + 30> lengths{};
    if (!code.set(code_lengths) || !read_lengths(code, std::span(lengths).first(n_literals + n_distances))) return false;
    return literals_.set(std::span(lengths).first(n_literals)) && distances_.set(std::span(lengths).subspan(n_literals, n_distances));
  }

  bool read_lengths(const PrefixCode& code, std::span<std::uint8_t> lengths) noexcept {
    for (std::size_t n = 0; n < lengths.size();) {
      const int symbol = code.next(reader_);
      if (symbol < 0 || (symbol == 16 && n == 0)) return false;
      std::size_t n_repeats = 1;
      if (symbol == 16) n_repeats = 3 + reader_.bits(2);
      if (symbol == 17) n_repeats = 3 + reader_.bits(3);
      if (symbol == 18) n_repeats = 11 + reader_.bits(7);
      if (n_repeats > lengths.size() - n) return false;
      const std::uint8_t value = symbol < 16 ? static_cast<std::uint8_t>(symbol) : symbol == 16 ? lengths[n - 1] : std::uint8_t{0};
      std::fill_n(lengths.begin() + static_cast<std::ptrdiff_t>(n), n_repeats, value);
      n += n_repeats;
    }
    return true;
  }

  bool coded() noexcept {
    while (!reader_.is_past_end()) {
      const int symbol = literals_.next(reader_);
      if (symbol == 256) return true;
      if (symbol < 0) return false;
      if (symbol < 256) {
        if (n_written_ == unpacked_.size()) return false;
        unpacked_[n_written_++] = static_cast<std::byte>(symbol);
      } else if (!copy(static_cast<std::size_t>(symbol) - 257)) {
        return false;
      }
    }
    return false;
  }

  // Repeats what was written some distance ago; byte by byte, since the two may overlap.
  bool copy(std::size_t length_symbol) noexcept {
    if (length_symbol >= length_ranges.size()) return false;
    const std::size_t length = value_of(length_ranges[length_symbol]);
    const int distance_symbol = distances_.next(reader_);
    if (distance_symbol < 0 || static_cast<std::size_t>(distance_symbol) >= distance_ranges.size()) return false;
    const std::size_t distance = value_of(distance_ranges[static_cast<std::size_t>(distance_symbol)]);
    if (distance > n_written_ || length > unpacked_.size() - n_written_) return false;
    for (std::size_t i = 0; i < length; ++i, ++n_written_) unpacked_[n_written_] = unpacked_[n_written_ - distance];
    return true;
  }

  std::size_t value_of(Range range) noexcept { return range.base + reader_.bits(range.n_bits); }

  BitReader reader_;
  std::span<std::byte> unpacked_;
  std::size_t n_written_ = 0;
  PrefixCode literals_;
  PrefixCode distances_;
};

}  // namespace

bool inflate(std::span<const std::byte> packed, std::span<std::byte> unpacked) noexcept { return Inflater(packed, unpacked).run(); }

}  // namespace offbeat::edge
