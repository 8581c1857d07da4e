// Scores rows of a csv file from standard input, one score a row once the first window is full:
//
//   score model.safetensors 60 < rows.csv
//
// The second argument is the number of rows in a window, 0 where the model fixes it. The first line may be one of names; another that
// holds no row ends the program.
#include <offbeat/session.h>
#include <offbeat/window_buffer.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

// Reads as many numbers between commas as the row has; false where there are fewer.
bool read_row(const std::string& line, std::vector<float>& row) {
  const char* at = line.c_str();
  for (float& value : row) {
    char* end = nullptr;
    value = std::strtof(at, &end);
    if (end == at) return false;
    at = *end == ',' ? end + 1 : end;
  }
  return true;
}

int fail(const offbeat::Error& error) {
  std::cerr << "score: " << error.message << '\n';
  return EXIT_FAILURE;
}

}  // namespace

int main(int n_arguments, char** arguments) {
  if (n_arguments != 3) return fail({"usage: score model.safetensors ROWS_IN_A_WINDOW < rows.csv"});

  const offbeat::Result<offbeat::Session> session = offbeat::Session::load(arguments[1]);
  if (!session) return fail(session.error());
  const std::size_t n_steps = std::strtoul(arguments[2], nullptr, 10);
  offbeat::Result<offbeat::WindowBuffer> buffer = offbeat::WindowBuffer::make(session.value(), {.n_steps = n_steps});
  if (!buffer) return fail(buffer.error());

  float error = 0, score = 0;
  bool is_anomaly = false;
  const offbeat::Outputs outputs{.reconstruction_error = &error, .anomaly_score = &score, .is_anomaly = &is_anomaly};
  std::vector<float> row(session.value().shape().n_features);
  std::size_t n_lines = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const bool may_be_names = ++n_lines == 1;
    if (!read_row(line, row)) {
      if (may_be_names) continue;
      return fail({"line " + std::to_string(n_lines) + ": expected " + std::to_string(row.size()) + " numbers between commas"});
    }
    const offbeat::Pushed pushed = buffer.value().push(row.data(), outputs);
    if (pushed.status != offbeat::Status::ok) std::cerr << "score: " << describe(pushed.status) << '\n';
    if (pushed.is_scored()) std::printf("%.9g,%.9g,%d\n", static_cast<double>(error), static_cast<double>(score), is_anomaly);
  }
  return EXIT_SUCCESS;
}
