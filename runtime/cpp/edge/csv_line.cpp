#include "csv_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace offbeat::edge {

namespace {

constexpr std::string_view blanks = " \t";

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// The content of a quoted cell; `line` is moved behind its closing quote.
std::string unquoted(std::string_view& line) {
  std::string content;
  line.remove_prefix(1);
  while (!line.empty()) {
    const bool is_quote = line.front() == '"';
    if (is_quote && !line.substr(1).starts_with('"')) {
      line.remove_prefix(1);
      break;
    }
    content += line.front();
    line.remove_prefix(is_quote ? 2 : 1);
  }
  return content;
}

bool is_word(std::string_view cell, std::string_view lower_case) noexcept {
  if (cell.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    const char letter = cell[i] >= 'A' && cell[i] <= 'Z' ? static_cast<char>(cell[i] - 'A' + 'a') : cell[i];
    if (letter != lower_case[i]) return false;
  }
  return true;
}

}  // namespace

void split_cells(std::string_view line, char delimiter, std::vector<std::string_view>& cells, std::vector<std::string>& storage) {
  cells.clear();
  storage.clear();
  // Views into the storage must survive its growth, short strings lie inside it.
  storage.reserve(static_cast<std::size_t>(std::count(line.begin(), line.end(), '"')));
  while (true) {
    const std::size_t first = line.find_first_not_of(blanks);
    const bool is_quoted = first != std::string_view::npos && line[first] == '"';
    if (is_quoted) {
      line.remove_prefix(first);
      storage.push_back(unquoted(line));
    }
    const std::size_t end = line.find(delimiter);
    // What follows a closing quote makes a cell that is no number, rather than a number that nobody wrote.
    if (is_quoted && !trimmed(line.substr(0, end)).empty()) storage.back() += '"' + std::string(line.substr(0, end));
    cells.push_back(is_quoted ? trimmed(storage.back()) : trimmed(line.substr(0, end)));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + 1);
  }
}

char recognised_delimiter(std::string_view line) noexcept {
  for (const char delimiter : {',', ';', '\t', '|'}) {
    if (line.find(delimiter) != std::string_view::npos) return delimiter;
  }
  return ',';
}

CellValue read_cell(std::string_view cell) noexcept {
  using Kind = CellValue::Kind;
  constexpr std::array<std::string_view, 6> missing_words{"", "nan", "na", "n/a", "#n/a", "null"};
  for (const std::string_view word : missing_words) {
    if (is_word(cell, word)) return {Kind::missing, 0};
  }
  if (cell.starts_with('+') && !cell.starts_with("+-")) cell.remove_prefix(1);
  double number = 0;
  const auto [end, problem] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (end != cell.data() + cell.size() || problem == std::errc::invalid_argument) return {Kind::no_number, 0};
  // Beyond float64: what is too small counts as zero, as everywhere; the exponent's sign tells which it is.
  if (problem == std::errc::result_out_of_range) {
    const std::size_t exponent = cell.find_first_of("eE");
    if (exponent == std::string_view::npos || !cell.substr(exponent + 1).starts_with('-')) return {Kind::not_finite, 0};
    return {Kind::number, 0};
  }
  const float value = static_cast<float>(number);
  if (std::isnan(value)) return {Kind::missing, 0};
  return {std::isfinite(value) ? Kind::number : Kind::not_finite, value};
}

}  // namespace offbeat::edge
