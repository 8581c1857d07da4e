#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "offbeat/result.h"

/// A strict reader of JSON (RFC 8259): what it takes has one meaning. Duplicate keys, lone surrogates, numbers beyond double
/// and anything behind the value are refused; depth and size are bounded.
namespace offbeat::json {

inline constexpr std::size_t max_bytes = std::size_t{4} << 20;
inline constexpr std::size_t max_depth = 32;

class Value;

struct Number {
  double value;
  std::optional<std::uint64_t> integer;  ///< where it is written as one: digits alone
};

struct Member;
using Array = std::vector<Value>;
using Object = std::vector<Member>;  ///< sorted by key

class Value {
 public:
  using Content = std::variant<std::nullptr_t, bool, Number, std::string, Array, Object>;

  Value();
  explicit Value(Content content);

  template <class T>
  [[nodiscard]] const T* as() const noexcept {
    return std::get_if<T>(&content_);
  }
  /// The member of that name; null where there is none, or where this is no object.
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;
  /// What it is, for messages: "a string", "an object", …
  [[nodiscard]] std::string_view describe() const noexcept;

 private:
  Content content_;
};

struct Member {
  std::string key;
  Value value;
};

// Behind Member: a vector of it can be made and destroyed only where it is complete.
inline Value::Value() = default;
inline Value::Value(Content content) : content_(std::move(content)) {}

/// Reads one value. The error says at which byte it lies.
Result<Value> parse(std::string_view text);

}  // namespace offbeat::json
