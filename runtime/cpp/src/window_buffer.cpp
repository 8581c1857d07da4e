#include "offbeat/window_buffer.h"

#include <algorithm>
#include <limits>
#include <new>
#include <string>

namespace offbeat {

namespace {

// The number of rows in a window, or why the model does not score that many.
Result<std::size_t> checked_steps(const ModelShape& shape, std::size_t n_steps) {
  if (!shape.has_time || !shape.is_time_dynamic) {
    const std::size_t fixed = shape.has_time ? shape.n_steps : 1;
    if (n_steps != 0 && n_steps != fixed) {
      return Error{"a window of " + std::to_string(n_steps) + " rows; this model scores windows of " + std::to_string(fixed)};
    }
    return fixed;
  }
  if (n_steps == 0) return Error{"a window of 0 rows; this model scores windows of any length, so say which"};
  return n_steps;
}

}  // namespace

Result<WindowBuffer> WindowBuffer::make(const Session& session, const WindowBufferOptions& options) {
  if (options.stride == 0) return Error{"a stride of 0 rows; expected at least 1"};
  const ModelShape& shape = session.shape();
  const Result<std::size_t> n_steps = checked_steps(shape, options.n_steps);
  if (!n_steps) return n_steps.error();
  const std::size_t length = n_steps.value();
  if (length > std::numeric_limits<std::size_t>::max() / sizeof(float) / 2 / shape.n_features) {
    return Error{"a window of " + std::to_string(length) + " rows is more than memory can hold"};
  }
  Result<Workspace> workspace = session.workspace(length);
  if (!workspace) return workspace.error();
  // Twice the rows, so that the newest window is contiguous wherever it begins. Zeros, for the trial below.
  std::unique_ptr<float[]> rows(new (std::nothrow) float[2 * length * shape.n_features]());
  if (!rows) return Error{"no memory for a window of " + std::to_string(length) + " rows"};
  const Status trial = session.score(rows.get(), 1, length, {}, workspace.value());
  if (trial != Status::ok) return Error{"a window of " + std::to_string(length) + " rows: " + std::string(describe(trial))};
  return WindowBuffer(session, std::move(workspace).value(), std::move(rows), length, options.stride);
}

WindowBuffer::WindowBuffer(const Session& session, Workspace workspace, std::unique_ptr<float[]> rows, std::size_t n_steps,
                           std::size_t stride) noexcept
  : session_(&session), workspace_(std::move(workspace)), rows_(std::move(rows)), n_steps_(n_steps), stride_(stride), n_until_score_(n_steps) {}

Pushed WindowBuffer::push(const float* row, const Outputs& outputs) noexcept {
  const std::size_t n_features = session_->shape().n_features;
  std::copy_n(row, n_features, rows_.get() + next_ * n_features);
  std::copy_n(row, n_features, rows_.get() + (next_ + n_steps_) * n_features);
  next_ = next_ + 1 == n_steps_ ? 0 : next_ + 1;
  n_rows_ = std::min(n_rows_ + 1, n_steps_);
  if (--n_until_score_ != 0) return {false, Status::ok};
  n_until_score_ = stride_;
  return {true, session_->score(window(), 1, n_steps_, outputs, workspace_)};
}

void WindowBuffer::clear() noexcept {
  next_ = 0;
  n_rows_ = 0;
  n_until_score_ = n_steps_;
}

const float* WindowBuffer::window() const noexcept { return rows_.get() + next_ * session_->shape().n_features; }

}  // namespace offbeat
