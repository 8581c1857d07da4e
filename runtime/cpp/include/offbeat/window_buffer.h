#pragma once

#include <cstddef>
#include <memory>

#include "offbeat/export.h"
#include "offbeat/result.h"
#include "offbeat/session.h"

namespace offbeat {

struct WindowBufferOptions {
  /// Rows of a window; 0 takes the number that the model fixes. For tables every row is a window, and this is 0 or 1.
  std::size_t n_steps = 0;
  /// Rows from one scored window to the next.
  std::size_t stride = 1;
};

/// What became of a row: no window was due yet; or one was, and `status` is what Session::score said of it.
struct Pushed {
  bool is_due;
  Status status;

  /// Whether the outputs asked for were written.
  [[nodiscard]] bool is_scored() const noexcept { return is_due && status == Status::ok; }
};

/// The newest window of a stream of rows, scored as the rows come in.
///
/// A score is that of the window whose *last* row was just pushed: it looks at this row and at those before it, never ahead, so a row's score
/// does not change when more rows come. The first score comes with row n_steps, then one comes every `stride` rows. The numbers are those
/// of Session::score on the same windows.
///
/// The buffer keeps a reference to its session, which must outlive it and must not be moved. One thread at a time may push; any number of
/// buffers may share one session. A row with NaN or infinity is taken as it is, and no window that holds it is scored (`not_finite`): whoever
/// reads sensors decides what becomes of such a row, and calls clear() where the series was interrupted.
class OFFBEAT_API WindowBuffer {
 public:
  /// Makes all the memory that push() will ever use.
  static Result<WindowBuffer> make(const Session& session, const WindowBufferOptions& options = {});

  /// Adds `row` [feature], in raw units, and scores the newest window where one is due: `outputs` are those of one window. Allocates nothing.
  Pushed push(const float* row, const Outputs& outputs) noexcept;

  /// Forgets all rows: the next score comes n_steps rows later.
  void clear() noexcept;

  /// The newest window [n_steps, feature], oldest row first; only where is_full().
  [[nodiscard]] const float* window() const noexcept;
  [[nodiscard]] bool is_full() const noexcept { return n_rows_ == n_steps_; }
  [[nodiscard]] std::size_t n_steps() const noexcept { return n_steps_; }
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }

 private:
  WindowBuffer(const Session& session, Workspace workspace, std::unique_ptr<float[]> rows, std::size_t n_steps, std::size_t stride) noexcept;

  const Session* session_;
  Workspace workspace_;
  std::unique_ptr<float[]> rows_;
  std::size_t n_steps_;
  std::size_t stride_;
  std::size_t next_ = 0;       // where the next row goes, which is where the oldest one of a full window lies
  std::size_t n_rows_ = 0;     // rows held, at most n_steps_
  std::size_t n_until_score_;  // rows still to come before the next score
};

}  // namespace offbeat
