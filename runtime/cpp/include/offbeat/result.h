#pragma once

#include <string>
#include <utility>
#include <variant>

namespace offbeat {

/// Why something could not be had: one sentence that says what was seen, what was expected, and where.
struct Error {
  std::string message;
};

/// A value, or the reason why there is none. Nothing in this library throws.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  /// The value; only where ok().
  [[nodiscard]] T& value() & noexcept { return *std::get_if<0>(&content_); }
  [[nodiscard]] const T& value() const& noexcept { return *std::get_if<0>(&content_); }
  [[nodiscard]] T&& value() && noexcept { return std::move(*std::get_if<0>(&content_)); }

  /// The reason; only where not ok().
  [[nodiscard]] const Error& error() const noexcept { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, Error> content_;
};

}  // namespace offbeat
