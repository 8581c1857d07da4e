#include "streams.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace offbeat::edge {

void TextWriter::add(std::string_view text) {
  text_ += text;
  if (text_.size() >= flush_size) flush();
}

void TextWriter::add(std::size_t number) {
  std::array<char, 24> digits;
  const auto [end, problem] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  add(std::string_view(digits.data(), end));
}

void TextWriter::add(float number) {
  std::array<char, 32> digits;
  const int n = std::snprintf(digits.data(), digits.size(), "%.9g", static_cast<double>(number));
  add(std::string_view(digits.data(), static_cast<std::size_t>(n)));
}

void TextWriter::flush() noexcept {
  std::string_view rest = text_;
  while (!rest.empty() && !has_failed()) {
    const ssize_t n = ::write(descriptor_, rest.data(), rest.size());
    if (n >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno != EINTR) {
      error_number_ = errno;
    }
  }
  text_.clear();
}

std::string TextWriter::problem() const { return std::strerror(error_number_); }

ByteReader::Got ByteReader::line(std::string_view& line) {
  std::size_t n_searched = 0;
  while (true) {
    const char* begin = buffer_.data() + at_;
    const char* held_end = buffer_.data() + n_held_;
    const char* end = std::find(begin + n_searched, held_end, '\n');
    if (end != held_end) {
      line = {begin, end};
      at_ += line.size() + 1;
      return Got::data;
    }
    n_searched = n_left();
    if (n_searched >= max_line) return Got::too_long;
    const Got got = fill();
    if (got == Got::end && n_searched > 0) {
      line = {buffer_.data() + at_, n_searched};
      at_ = n_held_;
      return Got::data;
    }
    if (got != Got::data) return got;
  }
}

ByteReader::Got ByteReader::exactly(std::span<std::byte> bytes) {
  std::size_t n_copied = 0;
  while (n_copied < bytes.size()) {
    if (n_left() == 0) {
      const Got got = fill();
      if (got == Got::end && n_copied > 0) return Got::cut_off;
      if (got != Got::data) return got;
    }
    const std::size_t n = std::min(n_left(), bytes.size() - n_copied);
    std::memcpy(bytes.data() + n_copied, buffer_.data() + at_, n);
    at_ += n;
    n_copied += n;
  }
  return Got::data;
}

// Makes room, then waits for at least one byte.
ByteReader::Got ByteReader::fill() {
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), buffer_.begin() + static_cast<std::ptrdiff_t>(n_held_), buffer_.begin());
  n_held_ -= at_;
  at_ = 0;
  if (n_held_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  writer_->flush();
  while (true) {
    const ssize_t n = ::read(descriptor_, buffer_.data() + n_held_, buffer_.size() - n_held_);
    if (n > 0) {
      n_held_ += static_cast<std::size_t>(n);
      return Got::data;
    }
    if (n == 0) return Got::end;
    if (errno == EINTR) continue;
    error_number_ = errno;
    return Got::failed;
  }
}

std::string ByteReader::problem() const { return std::strerror(error_number_); }

}  // namespace offbeat::edge
