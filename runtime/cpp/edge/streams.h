#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace offbeat::edge {

/// Collects text and writes it to a descriptor when flushed, or when much has come together.
class TextWriter {
 public:
  explicit TextWriter(int descriptor) : descriptor_(descriptor) { text_.reserve(2 * flush_size); }

  void add(std::string_view text);
  void add(std::size_t number);
  /// Nine significant digits: enough to tell any two float32 apart.
  void add(float number);
  /// Gives what was collected to the system. Once a write fails nothing more is written.
  void flush() noexcept;
  [[nodiscard]] bool has_failed() const noexcept { return error_number_ != 0; }
  /// What the system said of the write that failed.
  [[nodiscard]] std::string problem() const;

 private:
  static constexpr std::size_t flush_size = 16 * 1024;

  int descriptor_;
  int error_number_ = 0;
  std::string text_;
};

/// Reads a descriptor piece by piece, in a buffer of fixed size.
///
/// Before it waits for more it flushes the writer it was given, so that whoever feeds us has every answer before it sends on.
class ByteReader {
 public:
  enum class Got { data, end, cut_off, too_long, failed };

  static constexpr std::size_t max_line = 1 << 20;

  ByteReader(int descriptor, TextWriter& flushed_before_waiting) : descriptor_(descriptor), writer_(&flushed_before_waiting) {}

  /// The next line without its end; valid until the next call. A last line needs no end.
  Got line(std::string_view& line);
  /// Exactly `bytes`; `end` where none are left, `cut_off` where some are, but not enough.
  Got exactly(std::span<std::byte> bytes);
  [[nodiscard]] std::string problem() const;

 private:
  Got fill();
  [[nodiscard]] std::size_t n_left() const noexcept { return n_held_ - at_; }

  int descriptor_;
  TextWriter* writer_;
  std::vector<char> buffer_ = std::vector<char>(64 * 1024);
  std::size_t at_ = 0;
  std::size_t n_held_ = 0;
  int error_number_ = 0;
};

}  // namespace offbeat::edge
