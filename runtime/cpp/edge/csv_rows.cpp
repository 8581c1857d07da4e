#include "csv_rows.h"

#include <algorithm>

#include "arguments.h"
#include "csv_line.h"

namespace offbeat::edge {

namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::size_t max_quoted = 40;
constexpr std::size_t max_joined = 200;

// The input's own words for a message: what is no number may be no text either, and must neither steer the terminal nor fill it.
std::string printable(std::string_view text, std::size_t max_length) {
  std::size_t length = std::min(text.size(), max_length);
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  std::string shown(text.substr(0, length));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }, '?');
  return length < text.size() ? shown + "…" : shown;
}

std::string quoted(std::string_view text) { return "'" + printable(text, max_quoted) + "'"; }

template <class Words>
std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) {
    text += (text.empty() ? "" : ", ") + std::string(word);
    if (text.size() > max_joined) break;
  }
  return printable(text, max_joined);
}

}  // namespace

RowRead CsvRows::next(std::span<float> row) {
  const bool is_first = n_columns_ == 0;
  RowRead read = next_line();
  if (is_first && read == RowRead::row) read = begin();
  return read == RowRead::row ? read_row(row) : read;
}

// Reads a line that is not blank into cells_.
RowRead CsvRows::next_line() {
  std::string_view line;
  do {
    const ByteReader::Got got = reader_->line(line);
    if (got == ByteReader::Got::end) return RowRead::end;
    const std::string where = "line " + std::to_string(++n_lines_) + ": ";
    if (got == ByteReader::Got::too_long) return wrong(RowRead::unfit, where + "longer than " + std::to_string(ByteReader::max_line) + " bytes");
    if (got != ByteReader::Got::data) return wrong(RowRead::unreadable, where + reader_->problem());
    if (n_lines_ == 1 && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
  } while (line.find_first_not_of(" \t") == std::string_view::npos);
  if (options_.delimiter == '\0') options_.delimiter = recognised_delimiter(line);
  split_cells(line, options_.delimiter, cells_, rewritten_cells_);
  return RowRead::row;
}

// Chooses the columns by the first line, and goes on to the second where the first only names them.
RowRead CsvRows::begin() {
  const bool is_word_there =
      std::any_of(cells_.begin(), cells_.end(), [](std::string_view cell) { return read_cell(cell).kind == CellValue::Kind::no_number; });
  const bool has_header = options_.header == Header::present || (options_.header == Header::recognised && is_word_there);
  const bool are_chosen = !options_.columns.empty()             ? choose_by_option(has_header)
                          : has_header && are_names_known_ ? choose_by_name()
                                                           : choose_in_order();
  if (!are_chosen) return RowRead::unfit;
  n_columns_ = cells_.size();
  return has_header ? next_line() : RowRead::row;
}

bool CsvRows::choose_by_option(bool has_header) {
  if (options_.columns.size() != names_.size()) {
    return refuse("--columns has " + std::to_string(options_.columns.size()) + "; expected one for each feature: " + joined(names_));
  }
  for (const std::string& column : options_.columns) {
    const auto found = has_header ? std::find(cells_.begin(), cells_.end(), column) : cells_.end();
    const std::size_t number = found != cells_.end() ? static_cast<std::size_t>(found - cells_.begin()) + 1 : whole_number(column).value_or(0);
    if (number == 0 || number > cells_.size()) {
      return refuse("there is no column " + quoted(column) + "; expected a name in the first line, or a number from 1 to " +
                    std::to_string(cells_.size()));
    }
    columns_.push_back(number - 1);
  }
  return true;
}

bool CsvRows::choose_by_name() {
  std::vector<std::string> missing;
  for (const std::string& name : names_) {
    const auto found = std::find(cells_.begin(), cells_.end(), name);
    if (found == cells_.end()) missing.push_back(name);
    columns_.push_back(static_cast<std::size_t>(found - cells_.begin()));
  }
  if (missing.empty()) return true;
  return refuse("no column is named " + joined(missing) + "; the columns are " + joined(cells_) +
                "; where the first line is data, say --header absent, or choose --columns");
}

bool CsvRows::choose_in_order() {
  if (cells_.size() != names_.size()) {
    return refuse(std::to_string(cells_.size()) + " columns; expected one for each feature: " + joined(names_) + "; or choose --columns");
  }
  for (std::size_t i = 0; i < names_.size(); ++i) columns_.push_back(i);
  return true;
}

bool CsvRows::refuse(std::string what) {
  wrong(RowRead::unfit, "line " + std::to_string(n_lines_) + ": " + std::move(what));
  return false;
}

RowRead CsvRows::read_row(std::span<float> row) {
  if (cells_.size() != n_columns_) {
    return wrong(RowRead::bad, "line " + std::to_string(n_lines_) + ": " + std::to_string(cells_.size()) + " columns; expected " + std::to_string(n_columns_));
  }
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string_view cell = cells_[columns_[i]];
    const CellValue seen = read_cell(cell);
    row[i] = seen.value;
    if (seen.kind == CellValue::Kind::number) continue;
    if (seen.kind == CellValue::Kind::no_number) return wrong(RowRead::bad, place(i) + quoted(cell) + " is not a number");
    if (seen.kind == CellValue::Kind::not_finite) return wrong(RowRead::bad, place(i) + quoted(cell) + " is beyond float32");
    const float* filled = gaps_.fill(i);
    if (filled == nullptr) return wrong(RowRead::bad, place(i) + "no value" + (options_.missing == Missing::forward_fill ? ", and none before it" : ""));
    row[i] = *filled;
  }
  gaps_.remember(row);
  return RowRead::row;
}

std::string CsvRows::place(std::size_t feature) const {
  return "line " + std::to_string(n_lines_) + ", column " + std::to_string(columns_[feature] + 1) + " (" + names_[feature] + "): ";
}

}  // namespace offbeat::edge
