#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"

namespace offbeat {

/// The first thing that was wrong. Readers go on after it, with empty values, and look here before they use any.
class Problem {
 public:
  [[nodiscard]] bool none() const noexcept { return message_.empty(); }
  void note(std::string_view where, std::string_view what);
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

 private:
  std::string message_;
};

/// The fields of one JSON object, each taken once: a field of another type is a problem, and so is one that nobody took.
class Fields {
 public:
  Fields(const json::Value& value, std::string where, Problem& problem);

  /// The field; null where it is missing, which is a problem.
  const json::Value* take(std::string_view key);
  /// The field; null where it is missing.
  const json::Value* take_optional(std::string_view key);

  std::string text(std::string_view key);
  std::optional<std::string> optional_text(std::string_view key);
  /// 1 to max_size.
  std::size_t size(std::string_view key);
  std::optional<std::size_t> optional_size(std::string_view key);
  /// A finite float32 number of at least 0.
  float number(std::string_view key);
  const json::Array& array(std::string_view key);

  /// To be called in the end: fields that were not taken are a problem.
  void refuse_others();

  void wrong(std::string_view what) { problem_.note(where_, what); }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  /// What the fields are of, in brackets behind the place.
  void name(std::string_view kind) { where_ += " (" + std::string(kind) + ")"; }

 private:
  std::string as_text(std::string_view key, const json::Value& value);
  std::size_t as_size(std::string_view key, const json::Value& value);

  const json::Value& value_;
  std::string where_;
  Problem& problem_;
  std::vector<std::string> taken_;
};

}  // namespace offbeat
