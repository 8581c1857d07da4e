#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace offbeat::edge {

/// Cuts a line into cells, blanks around them removed. A cell in double quotes may hold the delimiter, and quotes written twice (RFC 4180); it
/// ends with its line. `storage` keeps the cells that had to be rewritten.
void split_cells(std::string_view line, char delimiter, std::vector<std::string_view>& cells, std::vector<std::string>& storage);

/// The delimiter of a line: the first of `,`, `;`, tab and `|` that is in it, or `,`.
char recognised_delimiter(std::string_view line) noexcept;

/// What stands in a cell.
struct CellValue {
  enum class Kind { number, missing, not_finite, no_number } kind;
  float value;  // of a number
};

/// Reads a decimal number as float64 and rounds it to float32, as the Python package does.
CellValue read_cell(std::string_view cell) noexcept;

}  // namespace offbeat::edge
