#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "offbeat/result.h"

namespace offbeat::edge {

/// A flag of a command: `--name VALUE`, `--name=VALUE`, or `--name` alone where it takes no value.
struct Flag {
  std::string_view name;  // without the dashes
  bool takes_value = true;
};

/// The command line behind the command's name, checked against the flags it knows.
///
/// A flag that is not given is taken from the environment: `--on-bad-row` from OFFBEAT_EDGE_ON_BAD_ROW.
class Arguments {
 public:
  static Result<Arguments> parse(std::span<char* const> words, std::span<const Flag> flags);

  /// What is no flag, in order.
  [[nodiscard]] const std::vector<const char*>& positional() const noexcept { return positional_; }
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  [[nodiscard]] std::optional<std::string_view> value(std::string_view name) const noexcept;

  /// A whole number of at least `least`, or `otherwise` where the flag is not given.
  [[nodiscard]] Result<std::size_t> count(std::string_view name, std::size_t otherwise, std::size_t least = 1) const;
  /// The place of the flag's value among `words`, or 0 where the flag is not given.
  [[nodiscard]] Result<std::size_t> choice(std::string_view name, std::span<const std::string_view> words) const;

 private:
  struct Given {
    std::string_view name;
    std::string_view value;
  };

  std::vector<Given> given_;
  std::vector<const char*> positional_;
};

/// The parts between commas, none of them empty; an error names the flag.
Result<std::vector<std::string_view>> comma_separated(std::string_view flag, std::string_view text);

/// A whole number written in digits alone.
std::optional<std::size_t> whole_number(std::string_view text) noexcept;

}  // namespace offbeat::edge
