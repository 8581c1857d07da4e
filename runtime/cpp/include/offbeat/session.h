#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "offbeat/export.h"
#include "offbeat/result.h"

namespace offbeat {

/// How the weights are kept in memory and multiplied. `stored` takes what the file holds.
enum class Precision { stored, float32, float16, bfloat16, int8 };

struct SessionOptions {
  /// Instruction set by name ("baseline", "avx2", "avx512", "neon"); empty takes the best that this CPU has.
  std::string_view isa{};
  Precision precision = Precision::stored;
  /// Threads that split a large batch, the caller's included: 1 to 1024.
  std::size_t n_threads = 1;
};

/// Where outputs go, row-major, as docs/format.md names them; null is not wanted, and costs nothing.
struct Outputs {
  float* reconstruction_error = nullptr;  ///< [n]
  float* anomaly_score = nullptr;         ///< [n]
  bool* is_anomaly = nullptr;             ///< [n]
  float* feature_error = nullptr;         ///< [n, feature]
  float* step_error = nullptr;            ///< [n, step]
  float* reconstruction = nullptr;        ///< [n, step, feature] or [n, feature], raw units
  float* error_std = nullptr;             ///< [n]
  float* class_probability = nullptr;     ///< [n, class]
  float* forecast = nullptr;              ///< [n, step, feature], raw units
};

/// What a call of `score` has to say. Unless it is `ok` nothing was written, and nothing may be concluded.
enum class Status {
  ok,
  wrong_time,           ///< a number of steps that this model does not score
  missing_output,       ///< an output was asked for that this model does not have
  workspace_too_small,  ///< the workspace was made for fewer steps, or for another session
  not_finite,           ///< a window holds NaN or infinity
};

/// The status as one sentence, for messages.
OFFBEAT_API std::string_view describe(Status status) noexcept;

/// What a model gives and takes, for whoever allocates.
struct ModelShape {
  std::size_t n_features;
  bool has_time;
  bool is_time_dynamic;
  std::size_t n_steps;  ///< where time is fixed, else 0
  std::size_t n_classes;
  bool has_error_std;
  bool has_forecast;
  std::size_t n_parameters;  ///< numbers in the file: a scale for the work of one step
  float threshold;
};

/// Scratch memory of one thread that scores: made once, used again for every call.
class OFFBEAT_API Workspace {
 public:
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;
  ~Workspace();

 private:
  friend class Session;
  struct Content;
  explicit Workspace(std::unique_ptr<Content> content) noexcept;
  std::unique_ptr<Content> content_;
};

/// A loaded scorer. Immutable: any number of threads may score at once, each with a workspace of its own.
class OFFBEAT_API Session {
 public:
  /// Loads `model.safetensors`: everything in it is validated, weights are packed for the instruction set.
  ///
  /// The file is mapped while this runs, and must not be shortened meanwhile; replace a model by renaming a new file over it.
  static Result<Session> load(const char* path, const SessionOptions& options = {});

  /// The same from the file's content in memory, which is not needed afterwards; `name` stands for the path in messages.
  static Result<Session> load(std::span<const std::byte> content, std::string_view name, const SessionOptions& options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Scratch memory for windows of up to `max_time` steps (any value for tables).
  [[nodiscard]] Result<Workspace> workspace(std::size_t max_time) const;

  /// Scores `n` windows [n, time, feature] in raw units (time 1 for tables). Allocates nothing, locks nothing.
  ///
  /// A window with NaN or infinity in it is never scored: `not_finite`. Finite values so large that the model's float32
  /// arithmetic overflows give an infinite error, score 1 and `is_anomaly`: errors, shares and spread are never NaN. A
  /// reconstruction, a forecast or a probability that the overflow reached may be.
  Status score(const float* windows, std::size_t n, std::size_t time, const Outputs& outputs, Workspace& workspace) const noexcept;

  [[nodiscard]] const ModelShape& shape() const noexcept;
  /// Steps of `reconstruction` and `step_error` for windows of `time` steps.
  [[nodiscard]] std::size_t n_output_steps(std::size_t time) const noexcept;
  [[nodiscard]] std::string_view isa() const noexcept;
  /// How most of the weights are kept: never `stored`.
  [[nodiscard]] Precision precision() const noexcept;

 private:
  struct Content;
  explicit Session(std::unique_ptr<Content> content) noexcept;
  std::unique_ptr<Content> content_;
};

}  // namespace offbeat
