#include "score_options.h"

#include <optional>
#include <string>

#include "model.h"

namespace offbeat::edge {

namespace {

constexpr std::string_view format_words[] = {"csv", "raw"};
constexpr std::string_view header_words[] = {"recognised", "present", "absent"};
constexpr std::string_view missing_words[] = {"reject", "forward-fill"};
constexpr std::string_view bad_row_words[] = {"stop", "skip", "restart"};
constexpr std::string_view default_outputs[] = {"reconstruction_error", "anomaly_score", "is_anomaly"};

Result<CsvOptions> csv_options(const Arguments& arguments) {
  const Result<std::size_t> header = arguments.choice("header", header_words), missing = arguments.choice("missing", missing_words);
  if (!header) return header.error();
  if (!missing) return missing.error();
  CsvOptions options{.header = static_cast<Header>(header.value()), .missing = static_cast<Missing>(missing.value()), .columns = {}};
  if (const std::optional<std::string_view> delimiter = arguments.value("delimiter")) {
    const std::string_view character = *delimiter == "\\t" || *delimiter == "tab" ? "\t" : *delimiter;
    if (character.size() != 1 || character == "\"") return Error{"--delimiter is '" + std::string(*delimiter) + "'; expected one character, or tab"};
    options.delimiter = character.front();
  }
  if (const std::optional<std::string_view> columns = arguments.value("columns")) {
    const Result<std::vector<std::string_view>> names = comma_separated("columns", *columns);
    if (!names) return names.error();
    options.columns.assign(names.value().begin(), names.value().end());
  }
  return options;
}

}  // namespace

Result<ScoreOptions> score_options(const Arguments& arguments) {
  ScoreOptions options;
  options.outputs.assign(std::begin(default_outputs), std::end(default_outputs));
  Result<SessionOptions> session = session_options(arguments);
  if (!session) return session.error();
  options.session = session.value();
  Result<CsvOptions> csv = csv_options(arguments);
  if (!csv) return csv.error();
  options.csv = std::move(csv).value();
  const Result<std::size_t> steps = arguments.count("steps", 0), stride = arguments.count("stride", 1), every = arguments.count("every", 1);
  const Result<std::size_t> format = arguments.choice("format", format_words), bad_row = arguments.choice("on-bad-row", bad_row_words);
  for (const Result<std::size_t>* number : {&steps, &stride, &every, &format, &bad_row}) {
    if (!*number) return number->error();
  }
  options.window = {.n_steps = steps.value(), .stride = stride.value()};
  options.every = every.value();
  options.is_raw = format.value() == 1;
  options.bad_row = static_cast<BadRow>(bad_row.value());
  options.writes_header = !arguments.has("no-header");
  if (options.is_raw && (arguments.has("header") || arguments.has("delimiter") || arguments.has("columns"))) {
    return Error{"--header, --delimiter and --columns are for csv; rows of --format raw hold the features and nothing else"};
  }
  if (const std::optional<std::string_view> outputs = arguments.value("outputs")) {
    Result<std::vector<std::string_view>> names = comma_separated("outputs", *outputs);
    if (!names) return names.error();
    options.outputs = std::move(names).value();
  }
  return options;
}

}  // namespace offbeat::edge
