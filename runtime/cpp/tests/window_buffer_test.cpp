// A stream scored row by row gives the scores of its windows.
#include "offbeat/window_buffer.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "expect.h"
#include "golden_models.h"

namespace {

using offbeat::Outputs;
using offbeat::Pushed;
using offbeat::Session;
using offbeat::Status;
using offbeat::WindowBuffer;
using offbeat_test::expect;

constexpr std::size_t n_rows = 40;

float score_of(const Session& session, const float* window, std::size_t n_steps) {
  offbeat::Result<offbeat::Workspace> workspace = session.workspace(n_steps);
  float error = -1;
  expect(session.score(window, 1, n_steps, {.reconstruction_error = &error}, workspace.value()) == Status::ok, "the window is scored");
  return error;
}

void rows_give_the_scores_of_their_windows(const std::string& name, std::size_t stride) {
  const Session session = offbeat_test::load_model(name);
  const std::size_t n_features = session.shape().n_features, n_steps = offbeat_test::steps_of(session);
  const std::vector<float> rows = offbeat_test::random_rows(n_rows * n_features);
  offbeat::Result<WindowBuffer> made = WindowBuffer::make(session, {.n_steps = n_steps, .stride = stride});
  expect(made.ok(), name + ": a buffer is made");
  WindowBuffer& buffer = made.value();
  float error = 0;
  for (std::size_t row = 0; row < n_rows; ++row) {
    const Pushed pushed = buffer.push(rows.data() + row * n_features, {.reconstruction_error = &error});
    const bool is_due = row + 1 >= n_steps && (row + 1 - n_steps) % stride == 0;
    const std::string where = name + ", stride " + std::to_string(stride) + ", row " + std::to_string(row);
    expect(pushed.is_due == is_due && pushed.is_scored() == is_due, where + ": a score comes when one is due");
    expect(buffer.is_full() == (row + 1 >= n_steps), where + ": the buffer knows whether it is full");
    if (!is_due) continue;
    const float* window = rows.data() + (row + 1 - n_steps) * n_features;
    expect(error == score_of(session, window, n_steps), where + ": it is the score of the rows up to this one");
    expect(std::equal(window, window + n_steps * n_features, buffer.window()), where + ": the window is the newest rows, oldest first");
  }
}

void a_cleared_buffer_begins_anew() {
  const Session session = offbeat_test::load_model("state");
  const std::size_t n_features = session.shape().n_features;
  const std::vector<float> rows = offbeat_test::random_rows(n_rows * n_features);
  WindowBuffer buffer = WindowBuffer::make(session, {.n_steps = 5}).value();
  float error = 0;
  for (std::size_t row = 0; row < 7; ++row) buffer.push(rows.data() + row * n_features, {.reconstruction_error = &error});
  buffer.clear();
  for (std::size_t row = 7; row < 11; ++row) {
    expect(!buffer.push(rows.data() + row * n_features, {.reconstruction_error = &error}).is_due, "no score before the window is full again");
  }
  expect(buffer.push(rows.data() + 11 * n_features, {.reconstruction_error = &error}).is_scored(), "a full window is scored again");
  expect(error == score_of(session, rows.data() + 7 * n_features, 5), "of rows behind the clearing alone");
}

void no_window_that_holds_nan_is_scored() {
  const Session session = offbeat_test::load_model("repeat");
  WindowBuffer buffer = WindowBuffer::make(session, {.n_steps = 3}).value();
  const float good = 1, bad = std::numeric_limits<float>::quiet_NaN();
  float error = 0;
  const Outputs outputs{.reconstruction_error = &error};
  std::string seen;
  for (const float value : {good, good, good, bad, good, good, good}) {
    const Pushed pushed = buffer.push(&value, outputs);
    seen += !pushed.is_due ? '.' : pushed.is_scored() ? 's' : pushed.status == Status::not_finite ? 'n' : '?';
  }
  expect(seen == "..snnns", "windows with NaN are refused, and the first without it is scored: " + seen);
}

void impossible_buffers_are_refused() {
  const Session series = offbeat_test::load_model("state"), table = offbeat_test::load_model("tabular");
  expect(!WindowBuffer::make(series).ok(), "a window of unknown length");
  expect(!WindowBuffer::make(series, {.n_steps = 5, .stride = 0}).ok(), "a stride of 0");
  expect(!WindowBuffer::make(series, {.n_steps = std::numeric_limits<std::size_t>::max()}).ok(), "a window beyond memory");
  expect(!WindowBuffer::make(table, {.n_steps = 2}).ok(), "two rows for a table");
  expect(WindowBuffer::make(table).ok(), "a table needs no length");
  expect(series.shape().is_time_dynamic, "the model takes any length");
}

void an_output_that_is_missing_is_told() {
  const Session session = offbeat_test::load_model("state");
  WindowBuffer buffer = WindowBuffer::make(session, {.n_steps = 1}).value();
  const std::vector<float> row(session.shape().n_features);
  float error_std = 0;
  const Pushed pushed = buffer.push(row.data(), {.error_std = &error_std});
  expect(pushed.is_due && pushed.status == Status::missing_output, "asked for a spread that the model does not have");
}

}  // namespace

int main() {
  for (const char* name : offbeat_test::model_names) {
    for (const std::size_t stride : {1, 3, 20}) rows_give_the_scores_of_their_windows(name, stride);
  }
  a_cleared_buffer_begins_anew();
  no_window_that_holds_nan_is_scored();
  impossible_buffers_are_refused();
  an_output_that_is_missing_is_told();
  return offbeat_test::exit_code();
}
