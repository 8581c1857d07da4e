#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "output_arrays.h"
#include "streams.h"

namespace offbeat::edge {

/// Writes a csv line for each score: the row it belongs to, counted from 0, and the values of its outputs.
class ScoreWriter {
 public:
  ScoreWriter(TextWriter& text, const OutputArrays& outputs);

  /// The names of the columns: `feature_error.pressure`, `step_error.3`, `reconstruction.3.pressure`.
  void header(const std::vector<std::string>& feature_names);
  void line(std::size_t row);

 private:
  TextWriter* text_;
  const OutputArrays* outputs_;
  std::vector<std::size_t> n_values_;  // by output
};

}  // namespace offbeat::edge
