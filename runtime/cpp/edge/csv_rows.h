#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "row_source.h"

namespace offbeat::edge {

/// Whether the first line names the columns. `recognised`: it does where a cell of it is no number.
enum class Header { recognised, present, absent };

struct CsvOptions {
  Header header = Header::recognised;
  char delimiter = '\0';  ///< \0: recognised from the first line
  Missing missing = Missing::reject;
  /// The columns to take, by name or by number from 1, one for each feature; empty takes those with the features' names,
  /// or, where no line names them, as many columns as there are features.
  std::vector<std::string> columns;
};

/// Rows of a csv stream, read line by line. Blank lines are passed over.
class CsvRows final : public RowSource {
 public:
  /// `are_names_known` says whether the model itself names its features; if not, columns are taken in their order.
  CsvRows(ByteReader& reader, std::vector<std::string> feature_names, bool are_names_known, CsvOptions options)
      : reader_(&reader),
        names_(std::move(feature_names)),
        are_names_known_(are_names_known),
        options_(std::move(options)),
        gaps_(options_.missing, names_.size()) {}

  RowRead next(std::span<float> row) override;

 private:
  RowRead next_line();
  RowRead begin();
  bool choose_by_option(bool has_header);
  bool choose_by_name();
  bool choose_in_order();
  bool refuse(std::string what);
  RowRead read_row(std::span<float> row);
  [[nodiscard]] std::string place(std::size_t feature) const;

  ByteReader* reader_;
  std::vector<std::string> names_;
  bool are_names_known_;
  CsvOptions options_;
  GapFiller gaps_;
  std::vector<std::string_view> cells_;
  std::vector<std::string> rewritten_cells_;
  std::vector<std::size_t> columns_;  // by feature
  std::size_t n_columns_ = 0;
  std::size_t n_lines_ = 0;
};

}  // namespace offbeat::edge
