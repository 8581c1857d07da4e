#include "score_writer.h"

#include <algorithm>

namespace offbeat::edge {

namespace {

// Names come from the model: what would break a line or a column is replaced.
std::string one_cell(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char character) { return character == ',' || character == '"' || static_cast<unsigned char>(character) < ' '; },
      '_');
  return name;
}

// The last axis of these runs over features.
bool is_by_feature(const OutputSpec& spec) { return spec.name == "feature_error" || spec.name == "reconstruction" || spec.name == "forecast"; }

// The name of one value of an output: its indices, the last one as a feature's name where it is one.
std::string column_name(const OutputSpec& spec, std::size_t index, const std::vector<std::string>& feature_names) {
  std::string name = spec.name;
  std::size_t block = spec.n_values();
  for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
    block /= spec.shape[axis];
    const std::size_t place = index / block % spec.shape[axis];
    const bool is_feature = is_by_feature(spec) && axis + 1 == spec.shape.size();
    name += "." + (is_feature ? one_cell(feature_names[place]) : std::to_string(place));
  }
  return name;
}

}  // namespace

ScoreWriter::ScoreWriter(TextWriter& text, const OutputArrays& outputs) : text_(&text), outputs_(&outputs) {
  for (const OutputSpec& spec : outputs.specs()) n_values_.push_back(spec.n_values());
}

void ScoreWriter::header(const std::vector<std::string>& feature_names) {
  text_->add("row");
  for (const OutputSpec& spec : outputs_->specs()) {
    for (std::size_t i = 0; i < spec.n_values(); ++i) text_->add("," + column_name(spec, i, feature_names));
  }
  text_->add("\n");
}

void ScoreWriter::line(std::size_t row) {
  text_->add(row);
  for (std::size_t output = 0; output < n_values_.size(); ++output) {
    for (std::size_t i = 0; i < n_values_[output]; ++i) {
      text_->add(",");
      text_->add(outputs_->value(output, i));
    }
  }
  text_->add("\n");
}

}  // namespace offbeat::edge
