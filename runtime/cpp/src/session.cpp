#include "offbeat/session.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine.h"
#include "file_content.h"
#include "plan_reader.h"
#include "safetensors.h"

namespace offbeat {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t max_threads = 1024;

struct AlignedDelete {
  void operator()(std::byte* bytes) const noexcept { ::operator delete(bytes, std::align_val_t{alignment}); }
};
using AlignedBytes = std::unique_ptr<std::byte, AlignedDelete>;

AlignedBytes allocate(std::size_t n_bytes) noexcept {
  return AlignedBytes(static_cast<std::byte*>(::operator new(std::max<std::size_t>(n_bytes, 1), std::align_val_t{alignment}, std::nothrow)));
}

std::uint64_t next_id() noexcept {
  static std::atomic<std::uint64_t> n_sessions{0};
  return ++n_sessions;
}

// Messages quote the file, and may end in a terminal or a log: no control characters, no length that the file chooses.
Error refusal(std::string_view name, std::string_view why) {
  constexpr std::size_t max_characters = 600;
  std::string message = (std::string(name) + ": " + std::string(why)).substr(0, max_characters);
  std::replace_if(
      message.begin(), message.end(), [](char character) { return static_cast<unsigned char>(character) < 0x20 || character == 0x7F; }, '?');
  return Error{std::move(message)};
}

ModelShape shape_of(const Plan& plan, const SafetensorsFile& file) {
  ModelShape shape{};
  shape.n_features = plan.n_features;
  shape.has_time = plan.has_time;
  shape.is_time_dynamic = plan.has_time && !plan.n_steps;
  shape.n_steps = plan.n_steps.value_or(0);
  shape.threshold = plan.threshold;
  for (const Tensor& tensor : file.tensors()) shape.n_parameters += tensor.data.size() / dtype_bytes(tensor.dtype);
  const auto has_draws = [](const Layer& layer) { return layer.output.has_draws; };
  shape.has_error_std = !plan.layers.empty() && has_draws(plan.layers.back());
  for (const Head& head : plan.heads) {
    if (head.output == HeadOutput::class_probability) shape.n_classes = head.size;
    if (head.output == HeadOutput::forecast) shape.has_forecast = true;
  }
  return shape;
}

}  // namespace

std::string_view describe(Status status) noexcept {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::wrong_time:
      return "a number of steps that this model does not score";
    case Status::missing_output:
      return "an output was asked for that this model does not have";
    case Status::workspace_too_small:
      return "the workspace was made for fewer steps, or for another session";
    case Status::not_finite:
      return "a window holds NaN or infinity";
  }
  return "unknown status";
}

struct Workspace::Content {
  std::uint64_t session_id;
  std::size_t max_time;
  AlignedBytes bytes;
};

Workspace::Workspace(std::unique_ptr<Content> content) noexcept : content_(std::move(content)) {}
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;
Workspace::~Workspace() = default;

struct Session::Content {
  std::uint64_t id;  // never used twice, unlike an address
  std::unique_ptr<const Engine> engine;
  ModelShape shape;
  std::optional<std::size_t> n_decoded_steps;  // where the reconstruction has another number of steps than the window

  [[nodiscard]] bool scores_time(std::size_t time) const noexcept {
    if (!shape.has_time) return time == 1;
    return time >= 1 && (shape.is_time_dynamic || time == shape.n_steps);
  }

  [[nodiscard]] bool has(const Outputs& outputs) const noexcept {
    return (outputs.step_error == nullptr || shape.has_time) && (outputs.error_std == nullptr || shape.has_error_std) &&
           (outputs.class_probability == nullptr || shape.n_classes > 0) && (outputs.forecast == nullptr || shape.has_forecast);
  }
};

Session::Session(std::unique_ptr<Content> content) noexcept : content_(std::move(content)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::load(const char* path, const SessionOptions& options) try {
  const Result<FileContent> file = FileContent::open(path, SafetensorsFile::max_bytes);
  if (!file) return file.error();
  return load(file.value().bytes(), path, options);
} catch (const std::bad_alloc&) {
  return refusal(path, "no memory to load it");
}

Result<Session> Session::load(std::span<const std::byte> content, std::string_view name, const SessionOptions& options) try {
  if (options.n_threads < 1 || options.n_threads > max_threads) {
    return refusal(name, std::to_string(options.n_threads) + " threads; expected 1 to " + std::to_string(max_threads));
  }
  AlignedBytes aligned;
  if (reinterpret_cast<std::uintptr_t>(content.data()) % alignof(float) != 0) {
    aligned = allocate(content.size());
    if (aligned == nullptr) throw std::bad_alloc();
    std::copy(content.begin(), content.end(), aligned.get());
    content = {aligned.get(), content.size()};
  }
  const Result<SafetensorsFile> file = SafetensorsFile::parse(content);
  if (!file) return refusal(name, file.error().message);
  const Result<Plan> plan = read_plan(file.value());
  if (!plan) return refusal(name, plan.error().message);
  Result<std::unique_ptr<const Engine>> engine = Engine::compile(plan.value(), options);
  if (!engine) return refusal(name, engine.error().message);
  const ValueShape decoded = plan.value().layers.empty() ? ValueShape{} : plan.value().layers.back().output;
  return Session(std::make_unique<Content>(Content{next_id(), std::move(engine).value(), shape_of(plan.value(), file.value()), decoded.n_steps}));
} catch (const std::bad_alloc&) {
  // The standard library's containers have no other way to say it.
  return refusal(name, "no memory to load it");
} catch (const std::length_error&) {
  return refusal(name, "no memory to load it");
}

Result<Workspace> Session::workspace(std::size_t max_time) const try {
  const ModelShape& shape = content_->shape;
  const std::size_t time = !shape.has_time ? 1 : shape.is_time_dynamic ? std::max<std::size_t>(max_time, 1) : shape.n_steps;
  if (time > max_size) return Error{"a workspace for " + std::to_string(time) + " steps; expected at most " + std::to_string(max_size)};
  const std::size_t n_bytes = content_->engine->n_workspace_bytes(time);
  AlignedBytes bytes = allocate(n_bytes);
  if (bytes == nullptr) return Error{"no memory for a workspace of " + std::to_string(n_bytes) + " bytes"};
  return Workspace(std::make_unique<Workspace::Content>(Workspace::Content{content_->id, time, std::move(bytes)}));
} catch (const std::bad_alloc&) {
  return Error{"no memory for a workspace"};
}

Status Session::score(const float* windows, std::size_t n, std::size_t time, const Outputs& outputs, Workspace& workspace) const noexcept {
  const Workspace::Content* const scratch = workspace.content_.get();
  if (!content_->scores_time(time)) return Status::wrong_time;
  if (!content_->has(outputs)) return Status::missing_output;
  if (scratch == nullptr || scratch->session_id != content_->id || scratch->max_time < time) return Status::workspace_too_small;
  if (!content_->engine->all_finite(windows, n * time * content_->shape.n_features)) return Status::not_finite;
  content_->engine->score(windows, n, time, outputs, scratch->bytes.get());
  return Status::ok;
}

const ModelShape& Session::shape() const noexcept { return content_->shape; }

std::size_t Session::n_output_steps(std::size_t time) const noexcept { return std::min(time, content_->n_decoded_steps.value_or(time)); }

std::string_view Session::isa() const noexcept { return content_->engine->isa(); }

Precision Session::precision() const noexcept { return content_->engine->precision(); }

}  // namespace offbeat
