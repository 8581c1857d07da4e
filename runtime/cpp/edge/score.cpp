#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "csv_rows.h"
#include "golden_check.h"
#include "model.h"
#include "offbeat/window_buffer.h"
#include "output_arrays.h"
#include "row_source.h"
#include "score_options.h"
#include "score_writer.h"
#include "streams.h"

namespace offbeat::edge {

namespace {

// Rows in, lines out.
class Scoring {
 public:
  Scoring(WindowBuffer& buffer, RowSource& rows, OutputArrays& outputs, TextWriter& text, const ScoreOptions& options)
      : buffer_(&buffer), rows_(&rows), places_(outputs.from(0)), text_(&text), writer_(text, outputs), options_(&options) {
    // The decision says whether a line is printed, asked for or not.
    if (options.every > 1 && places_.is_anomaly == nullptr) places_.is_anomaly = &is_anomaly_;
  }

  ExitCode run(const std::vector<std::string>& feature_names) {
    if (options_->writes_header) writer_.header(feature_names);
    std::vector<float> row(feature_names.size());
    ExitCode code = ExitCode::ok;
    for (std::size_t n_rows = 0; code == ExitCode::ok && !text_->has_failed(); ++n_rows) {
      const RowRead read = rows_->next(row);
      if (read == RowRead::end) break;
      if (read != RowRead::row) {
        code = refuse(read);
      } else if (buffer_->push(row.data(), places_).is_scored() && is_printed()) {
        writer_.line(n_rows);
      }
    }
    text_->flush();
    if (n_bad_ > max_told) complain(std::to_string(n_bad_) + " bad rows in all");
    return text_->has_failed() ? fail(ExitCode::io, "standard output: " + text_->problem()) : code;
  }

 private:
  static constexpr std::size_t max_told = 10;

  bool is_printed() noexcept { return n_scores_++ % options_->every == 0 || *places_.is_anomaly; }

  // The code to end with, or `ok` to go on.
  ExitCode refuse(RowRead read) {
    if (read != RowRead::bad || options_->bad_row == BadRow::stop) {
      text_->flush();
      return fail(read == RowRead::unreadable ? ExitCode::io : ExitCode::data, rows_->problem());
    }
    const bool is_restart = options_->bad_row == BadRow::restart;
    if (is_restart) buffer_->clear();
    if (++n_bad_ <= max_told) complain(rows_->problem() + (is_restart ? "; the window begins anew" : "; the row is left out"));
    if (n_bad_ == max_told) complain("further bad rows are only counted");
    return ExitCode::ok;
  }

  WindowBuffer* buffer_;
  RowSource* rows_;
  Outputs places_;
  bool is_anomaly_ = false;
  TextWriter* text_;
  ScoreWriter writer_;
  const ScoreOptions* options_;
  std::size_t n_scores_ = 0;
  std::size_t n_bad_ = 0;
};

std::unique_ptr<RowSource> row_source(const ScoreOptions& options, const Model& model, ByteReader& reader) {
  if (options.is_raw) return std::make_unique<RawRows>(reader, model.feature_names(), options.csv.missing);
  return std::make_unique<CsvRows>(reader, model.feature_names(), model.manifest.has_value(), options.csv);
}

ExitCode score_standard_input(const Model& model, const ScoreOptions& options) {
  const Result<std::size_t> n_steps = model.n_steps(options.window.n_steps);
  if (!n_steps) return fail(ExitCode::usage, n_steps.error().message);
  Result<WindowBuffer> buffer = WindowBuffer::make(model.session, {.n_steps = n_steps.value(), .stride = options.window.stride});
  if (!buffer) return fail(ExitCode::usage, buffer.error().message);
  Result<std::vector<OutputSpec>> specs = chosen_outputs(available_outputs(model.session, n_steps.value()), options.outputs);
  if (!specs) return fail(ExitCode::usage, specs.error().message);
  OutputArrays outputs(std::move(specs).value(), 1);
  TextWriter text(STDOUT_FILENO);
  ByteReader reader(STDIN_FILENO, text);
  const std::unique_ptr<RowSource> rows = row_source(options, model, reader);
  return Scoring(buffer.value(), *rows, outputs, text, options).run(model.feature_names());
}

}  // namespace

ExitCode score(std::span<char* const> words) {
  const Result<Arguments> arguments = Arguments::parse(words, score_flags);
  if (!arguments) return fail(ExitCode::usage, arguments.error().message);
  if (arguments.value().positional().size() != 1) return fail(ExitCode::usage, "score takes one model: offbeat-edge score MODEL < rows.csv");
  const Result<ScoreOptions> options = score_options(arguments.value());
  if (!options) return fail(ExitCode::usage, options.error().message);
  const Result<Model> model = open_model(arguments.value().positional().front(), options.value().session);
  if (!model) return fail(ExitCode::model, model.error().message);
  if (const Result<bool> golden = require_golden(model.value()); !golden) return fail(ExitCode::model, golden.error().message);
  return score_standard_input(model.value(), options.value());
}

}  // namespace offbeat::edge
