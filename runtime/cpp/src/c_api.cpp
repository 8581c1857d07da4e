#include <algorithm>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "offbeat.h"
#include "offbeat/session.h"
#include "offbeat/version.h"
#include "offbeat/window_buffer.h"

struct offbeat_session {
  offbeat::Session session;
  std::string isa;
};

struct offbeat_workspace {
  offbeat::Workspace workspace;
};

struct offbeat_window_buffer {
  offbeat::WindowBuffer buffer;
};

namespace {

using offbeat::Outputs;
using offbeat::Precision;
using offbeat::Result;
using offbeat::Session;

// Statuses cross the border as they are.
static_assert(static_cast<int>(offbeat::Status::not_finite) == OFFBEAT_NOT_FINITE);
static_assert(static_cast<int>(offbeat::Status::workspace_too_small) == OFFBEAT_WORKSPACE_TOO_SMALL);
static_assert(static_cast<int>(Precision::int8) == OFFBEAT_INT8);
static_assert(sizeof(bool) == 1);

offbeat_status crossed(offbeat::Status status) noexcept { return static_cast<offbeat_status>(status); }

offbeat_status say(offbeat_status status, std::string_view what, char* message, std::size_t message_size) noexcept {
  if (message == nullptr || message_size == 0) return status;
  const std::size_t n_bytes = std::min(what.size(), message_size - 1);
  std::copy_n(what.data(), n_bytes, message);
  message[n_bytes] = '\0';
  return status;
}

// What is not known of a struct was compiled against another version.
template <class Struct>
bool is_known(const Struct* value) noexcept {
  return value != nullptr && value->struct_size == sizeof(Struct);
}

bool read(const offbeat_options* given, offbeat::SessionOptions& options) noexcept {
  if (given == nullptr) return true;
  if (!is_known(given) || given->precision < OFFBEAT_STORED || given->precision > OFFBEAT_INT8 || given->n_threads == 0) return false;
  options.isa = given->isa == nullptr ? std::string_view{} : given->isa;
  options.precision = static_cast<Precision>(given->precision);
  options.n_threads = given->n_threads;
  return true;
}

Outputs read(const offbeat_outputs& given) noexcept {
  return {given.reconstruction_error, given.anomaly_score, given.is_anomaly,        given.feature_error, given.step_error,
          given.reconstruction,       given.error_std,     given.class_probability, given.forecast};
}

// Makes the handle of a value, or says why there is none.
template <class Handle, class Value, class... Rest>
offbeat_status hand_out(Result<Value> made, Handle** handle, char* message, std::size_t message_size, Rest&&... rest) {
  if (!made) return say(OFFBEAT_FAILED, made.error().message, message, message_size);
  *handle = new Handle{std::move(made).value(), std::forward<Rest>(rest)...};
  return say(OFFBEAT_OK, {}, message, message_size);
}

// No exception may cross the border, and the standard library throws this one where memory ends.
template <class Call>
offbeat_status guarded(char* message, std::size_t message_size, const Call& call) noexcept {
  try {
    return call();
  } catch (...) {
    return say(OFFBEAT_FAILED, "no memory", message, message_size);
  }
}

template <class Load>
offbeat_status load_session(const offbeat_options* given, offbeat_session** session, char* message, std::size_t message_size,
                            const Load& load) noexcept {
  offbeat::SessionOptions options;
  if (!read(given, options)) {
    return say(OFFBEAT_INVALID_ARGUMENT, "options: expected OFFBEAT_OPTIONS_INIT, a known precision and at least 1 thread", message, message_size);
  }
  return guarded(message, message_size, [&] {
    Result<Session> loaded = load(options);
    const std::string isa(loaded ? loaded.value().isa() : std::string_view{});
    return hand_out(std::move(loaded), session, message, message_size, isa);
  });
}

}  // namespace

const char* offbeat_version(void) {
  // A literal, hence ended by a zero byte.
  return offbeat::version().data();
}

const char* offbeat_status_text(offbeat_status status) {
  if (status == OFFBEAT_INVALID_ARGUMENT) return "an argument is NULL or out of range";
  if (status == OFFBEAT_FAILED) return "failed";
  return offbeat::describe(static_cast<offbeat::Status>(status)).data();
}

offbeat_status offbeat_session_load(const char* path, const offbeat_options* options, offbeat_session** session, char* message,
                                    size_t message_size) {
  if (session == nullptr) return say(OFFBEAT_INVALID_ARGUMENT, "session: NULL", message, message_size);
  *session = nullptr;
  if (path == nullptr) return say(OFFBEAT_INVALID_ARGUMENT, "path: NULL", message, message_size);
  return load_session(options, session, message, message_size,
                      [&](const offbeat::SessionOptions& read) { return Session::load(path, read); });
}

offbeat_status offbeat_session_load_memory(const void* content, size_t content_size, const offbeat_options* options, offbeat_session** session,
                                           char* message, size_t message_size) {
  if (session == nullptr) return say(OFFBEAT_INVALID_ARGUMENT, "session: NULL", message, message_size);
  *session = nullptr;
  if (content == nullptr) return say(OFFBEAT_INVALID_ARGUMENT, "content: NULL", message, message_size);
  const std::span bytes(static_cast<const std::byte*>(content), content_size);
  return load_session(options, session, message, message_size,
                      [&](const offbeat::SessionOptions& read) { return Session::load(bytes, "memory", read); });
}

void offbeat_session_free(offbeat_session* session) { delete session; }

offbeat_status offbeat_session_shape(const offbeat_session* session, offbeat_shape* shape) {
  if (session == nullptr || !is_known(shape)) return OFFBEAT_INVALID_ARGUMENT;
  const offbeat::ModelShape& known = session->session.shape();
  *shape = {sizeof(offbeat_shape), known.n_features,      known.n_steps,       known.n_classes,    known.has_time,
            known.is_time_dynamic, known.has_error_std, known.has_forecast, known.threshold};
  return OFFBEAT_OK;
}

size_t offbeat_n_output_steps(const offbeat_session* session, size_t time) {
  return session == nullptr ? 0 : session->session.n_output_steps(time);
}

const char* offbeat_session_isa(const offbeat_session* session) { return session == nullptr ? "" : session->isa.c_str(); }

offbeat_status offbeat_workspace_new(const offbeat_session* session, size_t max_time, offbeat_workspace** workspace, char* message,
                                     size_t message_size) {
  if (workspace == nullptr || session == nullptr) return say(OFFBEAT_INVALID_ARGUMENT, "session or workspace: NULL", message, message_size);
  *workspace = nullptr;
  return guarded(message, message_size, [&] { return hand_out(session->session.workspace(max_time), workspace, message, message_size); });
}

void offbeat_workspace_free(offbeat_workspace* workspace) { delete workspace; }

offbeat_status offbeat_score(const offbeat_session* session, const float* windows, size_t n, size_t time, const offbeat_outputs* outputs,
                             offbeat_workspace* workspace) {
  if (session == nullptr || workspace == nullptr || !is_known(outputs) || (windows == nullptr && n > 0)) return OFFBEAT_INVALID_ARGUMENT;
  return crossed(session->session.score(windows, n, time, read(*outputs), workspace->workspace));
}

offbeat_status offbeat_window_buffer_new(const offbeat_session* session, size_t n_steps, size_t stride, offbeat_window_buffer** buffer,
                                         char* message, size_t message_size) {
  if (buffer == nullptr || session == nullptr) return say(OFFBEAT_INVALID_ARGUMENT, "session or buffer: NULL", message, message_size);
  *buffer = nullptr;
  return guarded(message, message_size, [&] {
    return hand_out(offbeat::WindowBuffer::make(session->session, {n_steps, stride}), buffer, message, message_size);
  });
}

void offbeat_window_buffer_free(offbeat_window_buffer* buffer) { delete buffer; }

offbeat_status offbeat_window_buffer_push(offbeat_window_buffer* buffer, const float* row, const offbeat_outputs* outputs, bool* is_scored) {
  if (is_scored != nullptr) *is_scored = false;
  if (buffer == nullptr || row == nullptr || !is_known(outputs)) return OFFBEAT_INVALID_ARGUMENT;
  const offbeat::Pushed pushed = buffer->buffer.push(row, read(*outputs));
  if (is_scored != nullptr) *is_scored = pushed.is_scored();
  return crossed(pushed.is_due ? pushed.status : offbeat::Status::ok);
}

void offbeat_window_buffer_clear(offbeat_window_buffer* buffer) {
  if (buffer != nullptr) buffer->buffer.clear();
}
