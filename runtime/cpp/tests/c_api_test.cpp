// The C interface: handles, messages cut to size, and arguments that are not there.
#include "offbeat.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "expect.h"
#include "model_file.h"

using offbeat_test::expect;
using offbeat_test::file_of;
using offbeat_test::filled;

namespace {

std::vector<std::uint8_t> table_file() {
  return file_of(R"({"schema_version":1,"input":{"name":"window","shape":["batch",2]},"normalisation":{"mean":"mean","scale":"scale"},)"
                 R"("layers":[{"kind":"linear","input_size":2,"output_size":2,"weight":"w","bias":"b"}],"error":"mean_squared","threshold":"t"})",
                 {filled("mean", {2}, 0), filled("scale", {2}, 1), filled("w", {2, 2}, 0), filled("b", {2}, 0), filled("t", {}, 2)});
}

offbeat_session* load(const std::vector<std::uint8_t>& file) {
  offbeat_session* session = nullptr;
  char message[200];
  const offbeat_status status = offbeat_session_load_memory(file.data(), file.size(), nullptr, &session, message, sizeof message);
  expect(status == OFFBEAT_OK && session != nullptr && message[0] == '\0', "a file in memory is loaded: " + std::string(message));
  return session;
}

void scores() {
  offbeat_session* session = load(table_file());
  offbeat_shape shape = OFFBEAT_SHAPE_INIT;
  expect(offbeat_session_shape(session, &shape) == OFFBEAT_OK && shape.n_features == 2 && !shape.has_time && shape.threshold == 2, "its shape is told");
  expect(std::strlen(offbeat_session_isa(session)) > 0 && offbeat_n_output_steps(session, 1) == 1, "so is what it computes with");
  offbeat_workspace* workspace = nullptr;
  expect(offbeat_workspace_new(session, 1, &workspace, nullptr, 0) == OFFBEAT_OK, "a workspace is made");
  const float windows[] = {3, 1, 0, 0};
  float error[2];
  bool is_anomaly[2];
  offbeat_outputs outputs = OFFBEAT_OUTPUTS_INIT;
  outputs.reconstruction_error = error;
  outputs.is_anomaly = is_anomaly;
  expect(offbeat_score(session, windows, 2, 1, &outputs, workspace) == OFFBEAT_OK, "two rows are scored");
  expect(std::abs(error[0] - 5) < 1e-6F && is_anomaly[0] && error[1] == 0 && !is_anomaly[1], "their errors are the mean squares");
  const float wrong[] = {NAN, 1};
  expect(offbeat_score(session, wrong, 1, 1, &outputs, workspace) == OFFBEAT_NOT_FINITE, "NaN is refused");
  expect(offbeat_score(session, windows, 1, 2, &outputs, workspace) == OFFBEAT_WRONG_TIME, "a table has no steps");
  offbeat_workspace_free(workspace);
  offbeat_session_free(session);
}

void buffers_rows() {
  offbeat_session* session = load(table_file());
  offbeat_window_buffer* buffer = nullptr;
  char message[100];
  expect(offbeat_window_buffer_new(session, 0, 1, &buffer, message, sizeof message) == OFFBEAT_OK, "a buffer is made");
  float error = -1;
  offbeat_outputs outputs = OFFBEAT_OUTPUTS_INIT;
  outputs.reconstruction_error = &error;
  const float row[] = {1, 1};
  bool is_scored = false;
  expect(offbeat_window_buffer_push(buffer, row, &outputs, &is_scored) == OFFBEAT_OK && is_scored && std::abs(error - 1) < 1e-6F, "a row is scored");
  offbeat_window_buffer_clear(buffer);
  offbeat_window_buffer_free(buffer);
  offbeat_session_free(session);
}

void says_why_not() {
  offbeat_session* session = reinterpret_cast<offbeat_session*>(1);
  char message[16];
  std::memset(message, 'x', sizeof message);
  expect(offbeat_session_load("/no/such/file", nullptr, &session, message, sizeof message) == OFFBEAT_FAILED, "a file that is missing fails");
  expect(session == nullptr && std::string(message) == "/no/such/file: ", "the message is cut to the buffer, the handle is NULL");
  expect(offbeat_session_load("/no/such/file", nullptr, &session, nullptr, 0) == OFFBEAT_FAILED, "a message need not be asked for");
  offbeat_options options = OFFBEAT_OPTIONS_INIT;
  options.isa = "isa9000";
  const std::vector<std::uint8_t> file = table_file();
  expect(offbeat_session_load_memory(file.data(), file.size(), &options, &session, message, sizeof message) == OFFBEAT_FAILED, "no such instruction set");
  options = OFFBEAT_OPTIONS_INIT;
  options.struct_size = 4;
  expect(offbeat_session_load_memory(file.data(), file.size(), &options, &session, nullptr, 0) == OFFBEAT_INVALID_ARGUMENT, "a struct of another version");
  options = OFFBEAT_OPTIONS_INIT;
  options.n_threads = 0;
  expect(offbeat_session_load_memory(file.data(), file.size(), &options, &session, nullptr, 0) == OFFBEAT_INVALID_ARGUMENT, "no threads");
}

void takes_nothing_for_an_answer() {
  offbeat_session* session = nullptr;
  offbeat_outputs outputs = OFFBEAT_OUTPUTS_INIT;
  const float row[] = {0, 0};
  expect(offbeat_session_load(nullptr, nullptr, &session, nullptr, 0) == OFFBEAT_INVALID_ARGUMENT, "no path");
  expect(offbeat_session_load("x", nullptr, nullptr, nullptr, 0) == OFFBEAT_INVALID_ARGUMENT, "nowhere to put the session");
  expect(offbeat_session_load_memory(nullptr, 5, nullptr, &session, nullptr, 0) == OFFBEAT_INVALID_ARGUMENT, "no content");
  expect(offbeat_score(nullptr, row, 1, 1, &outputs, nullptr) == OFFBEAT_INVALID_ARGUMENT, "no session");
  expect(offbeat_workspace_new(nullptr, 1, nullptr, nullptr, 0) == OFFBEAT_INVALID_ARGUMENT, "no workspace");
  expect(offbeat_window_buffer_push(nullptr, row, &outputs, nullptr) == OFFBEAT_INVALID_ARGUMENT, "no buffer");
  expect(offbeat_session_shape(nullptr, nullptr) == OFFBEAT_INVALID_ARGUMENT && offbeat_n_output_steps(nullptr, 3) == 0, "no shape");
  offbeat_session_free(nullptr);
  offbeat_workspace_free(nullptr);
  offbeat_window_buffer_free(nullptr);
  offbeat_window_buffer_clear(nullptr);
  for (int status = OFFBEAT_OK; status <= OFFBEAT_FAILED; ++status) {
    expect(std::strlen(offbeat_status_text(static_cast<offbeat_status>(status))) > 1, "every status has words");
  }
  expect(std::string(offbeat_version()) == EXPECTED_VERSION, "the version is the project's");
}

}  // namespace

int main() {
  scores();
  buffers_rows();
  says_why_not();
  takes_nothing_for_an_answer();
  return offbeat_test::exit_code();
}
