#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "arguments.h"
#include "csv_rows.h"
#include "offbeat/result.h"
#include "offbeat/session.h"
#include "offbeat/window_buffer.h"

namespace offbeat::edge {

/// What becomes of a row that cannot be scored: the end; as if it had not been; or the window begins anew behind it.
enum class BadRow { stop, skip, restart };

/// The flags of `score`, read.
struct ScoreOptions {
  SessionOptions session;
  WindowBufferOptions window;
  std::size_t every = 1;  ///< of so many scores one is printed, and every anomaly
  std::vector<std::string_view> outputs;
  bool is_raw = false;
  CsvOptions csv;
  BadRow bad_row = BadRow::stop;
  bool writes_header = true;
};

inline constexpr Flag score_flags[] = {{"steps"},   {"stride"},     {"every"},            {"outputs"}, {"format"},    {"header"}, {"delimiter"}, {"columns"},
                                       {"missing"}, {"on-bad-row"}, {"no-header", false}, {"isa"},     {"precision"}, {"threads"}};

Result<ScoreOptions> score_options(const Arguments& arguments);

}  // namespace offbeat::edge
