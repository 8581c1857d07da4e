#include "arguments.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>

namespace offbeat::edge {

namespace {

// OFFBEAT_EDGE_ON_BAD_ROW for on-bad-row.
std::string variable_name(std::string_view flag) {
  std::string name = "OFFBEAT_EDGE_";
  for (const char letter : flag) name += letter == '-' ? '_' : static_cast<char>(letter - 'a' + 'A');
  return name;
}

Error unknown(std::string_view word, std::span<const Flag> flags) {
  std::string message = std::string(word) + " is not a flag of this command; it knows";
  for (const Flag& flag : flags) message += " --" + std::string(flag.name);
  return Error{message};
}

}  // namespace

Result<Arguments> Arguments::parse(std::span<char* const> words, std::span<const Flag> flags) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with("--")) {
      arguments.positional_.push_back(words[i]);
      continue;
    }
    const std::string_view name = word.substr(2, word.find('=') == std::string_view::npos ? word.npos : word.find('=') - 2);
    const auto flag = std::find_if(flags.begin(), flags.end(), [&](const Flag& each) { return each.name == name; });
    if (flag == flags.end()) return unknown(word, flags);
    if (arguments.has(name)) return Error{"--" + std::string(name) + " is given twice"};
    const bool has_equals = name.size() + 2 < word.size();
    if (!flag->takes_value) {
      if (has_equals) return Error{"--" + std::string(name) + " takes no value"};
      arguments.given_.push_back({name, ""});
    } else if (has_equals) {
      arguments.given_.push_back({name, word.substr(name.size() + 3)});
    } else if (i + 1 < words.size()) {
      arguments.given_.push_back({name, words[++i]});
    } else {
      return Error{"--" + std::string(name) + " needs a value"};
    }
  }
  for (const Flag& flag : flags) {
    const char* value = arguments.has(flag.name) ? nullptr : std::getenv(variable_name(flag.name).c_str());
    if (value != nullptr && *value != '\0') arguments.given_.push_back({flag.name, value});
  }
  return arguments;
}

bool Arguments::has(std::string_view name) const noexcept { return value(name).has_value(); }

std::optional<std::string_view> Arguments::value(std::string_view name) const noexcept {
  for (const Given& given : given_) {
    if (given.name == name) return given.value;
  }
  return std::nullopt;
}

Result<std::size_t> Arguments::count(std::string_view name, std::size_t otherwise, std::size_t least) const {
  const std::optional<std::string_view> text = value(name);
  if (!text) return otherwise;
  const std::optional<std::size_t> number = whole_number(*text);
  if (!number || *number < least) {
    return Error{"--" + std::string(name) + " is '" + std::string(*text) + "'; expected a whole number from " + std::to_string(least)};
  }
  return *number;
}

Result<std::size_t> Arguments::choice(std::string_view name, std::span<const std::string_view> words) const {
  const std::optional<std::string_view> text = value(name);
  if (!text) return std::size_t{0};
  std::string expected;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == *text) return i;
    expected += (i == 0 ? "" : ", ") + std::string(words[i]);
  }
  return Error{"--" + std::string(name) + " is '" + std::string(*text) + "'; expected one of " + expected};
}

Result<std::vector<std::string_view>> comma_separated(std::string_view flag, std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) return Error{"--" + std::string(flag) + " is '" + std::string(text) + "'; expected words between commas"};
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<std::size_t> whole_number(std::string_view text) noexcept {
  std::size_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace offbeat::edge
