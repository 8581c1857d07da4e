#include "plan_fields.h"

#include <algorithm>
#include <limits>

#include "plan.h"

namespace offbeat {

void Problem::note(std::string_view where, std::string_view what) {
  if (none()) message_ = std::string(where) + ": " + std::string(what);
}

Fields::Fields(const json::Value& value, std::string where, Problem& problem) : value_(value), where_(std::move(where)), problem_(problem) {
  if (value_.as<json::Object>() == nullptr) wrong("expected an object, seen " + std::string(value_.describe()));
}

const json::Value* Fields::take(std::string_view key) {
  const json::Value* value = take_optional(key);
  if (value == nullptr) wrong("no " + std::string(key));
  return value;
}

const json::Value* Fields::take_optional(std::string_view key) {
  taken_.emplace_back(key);
  return value_.find(key);
}

std::string Fields::text(std::string_view key) {
  const json::Value* value = take(key);
  return value == nullptr ? std::string{} : as_text(key, *value);
}

std::optional<std::string> Fields::optional_text(std::string_view key) {
  const json::Value* value = take_optional(key);
  if (value == nullptr) return std::nullopt;
  return as_text(key, *value);
}

std::size_t Fields::size(std::string_view key) {
  const json::Value* value = take(key);
  return value == nullptr ? 0 : as_size(key, *value);
}

std::optional<std::size_t> Fields::optional_size(std::string_view key) {
  const json::Value* value = take_optional(key);
  if (value == nullptr) return std::nullopt;
  return as_size(key, *value);
}

float Fields::number(std::string_view key) {
  const json::Value* value = take(key);
  const json::Number* number = value == nullptr ? nullptr : value->as<json::Number>();
  if (number == nullptr || !(number->value >= 0 && number->value <= std::numeric_limits<float>::max())) {
    wrong(std::string(key) + ": expected a float32 number of at least 0");
    return 0;
  }
  return static_cast<float>(number->value);
}

const json::Array& Fields::array(std::string_view key) {
  static const json::Array empty;
  const json::Value* value = take(key);
  const json::Array* elements = value == nullptr ? nullptr : value->as<json::Array>();
  if (elements != nullptr) return *elements;
  if (value != nullptr) wrong(std::string(key) + " is " + std::string(value->describe()) + "; expected an array");
  return empty;
}

void Fields::refuse_others() {
  const json::Object* members = value_.as<json::Object>();
  if (members == nullptr) return;
  for (const json::Member& member : *members) {
    if (std::find(taken_.begin(), taken_.end(), member.key) == taken_.end()) wrong("the key '" + member.key + "' is not known");
  }
}

std::string Fields::as_text(std::string_view key, const json::Value& value) {
  const std::string* text = value.as<std::string>();
  if (text != nullptr && !text->empty()) return *text;
  wrong(std::string(key) + " is " + (text != nullptr ? "empty" : std::string(value.describe())) + "; expected a name");
  return {};
}

std::size_t Fields::as_size(std::string_view key, const json::Value& value) {
  const json::Number* number = value.as<json::Number>();
  if (number != nullptr && number->integer && *number->integer >= 1 && *number->integer <= max_size) {
    return static_cast<std::size_t>(*number->integer);
  }
  wrong(std::string(key) + ": expected a whole number from 1 to " + std::to_string(max_size));
  return 0;
}

}  // namespace offbeat
