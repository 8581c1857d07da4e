#include <unistd.h>

#include <string>

#include "arguments.h"
#include "commands.h"
#include "model.h"
#include "offbeat/cpu_features.h"
#include "output_arrays.h"
#include "streams.h"

namespace offbeat::edge {

namespace {

void line(TextWriter& text, std::string_view key, std::string_view value) {
  constexpr std::size_t width = 18;
  text.add(key);
  text.add(std::string(key.size() < width ? width - key.size() : 1, ' '));
  text.add(value);
  text.add("\n");
}

// `pressure, flow`; `step_error [50]`.
template <class Items, class Describe>
std::string listed(const Items& items, Describe describe) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + describe(item);
  return text;
}

std::string described(const OutputSpec& spec) {
  if (spec.shape.empty()) return spec.name;
  return spec.name + " [" + listed(spec.shape, [](std::size_t size) { return std::to_string(size); }) + "]";
}

void write_manifest(TextWriter& text, const Manifest& manifest) {
  line(text, "model", manifest.name + ", version " + std::to_string(manifest.version));
  if (!manifest.description.empty()) line(text, "description", manifest.description);
  line(text, "architecture", manifest.architecture + ", " + std::to_string(manifest.n_parameters) + " parameters");
  line(text, "trained", manifest.trained_at);
}

void write_session(TextWriter& text, const Model& model) {
  const ModelShape& shape = model.session.shape();
  line(text, "features", listed(model.feature_names(), [](const std::string& name) { return name; }));
  const Result<std::size_t> n_steps = model.n_steps(0);
  const std::string steps = n_steps ? std::to_string(n_steps.value()) + " rows" : "";
  if (shape.has_time) line(text, "window", shape.is_time_dynamic ? steps + (steps.empty() ? "" : ", or ") + "any number of rows" : steps);
  text.add("threshold         ");
  text.add(shape.threshold);
  text.add(model.manifest ? ", by " + model.manifest->threshold_method + "\n" : "\n");
  // Where any length will do, one step stands for it.
  line(text, "outputs", listed(available_outputs(model.session, n_steps ? n_steps.value() : 1), described));
  line(text, "precision", precision_name(model.session.precision()));
  line(text, "instruction set", std::string(model.session.isa()) + "; this CPU runs " +
                                    listed(instruction_sets(), [](std::string_view name) { return std::string(name); }));
}

}  // namespace

ExitCode inspect(std::span<char* const> words) {
  const Result<Arguments> arguments = Arguments::parse(words, session_flags);
  if (!arguments) return fail(ExitCode::usage, arguments.error().message);
  if (arguments.value().positional().size() != 1) return fail(ExitCode::usage, "inspect takes one model: offbeat-edge inspect MODEL");
  const Result<SessionOptions> options = session_options(arguments.value());
  if (!options) return fail(ExitCode::usage, options.error().message);
  const Result<Model> model = open_model(arguments.value().positional().front(), options.value());
  if (!model) return fail(ExitCode::model, model.error().message);
  TextWriter text(STDOUT_FILENO);
  if (model.value().manifest) write_manifest(text, *model.value().manifest);
  write_session(text, model.value());
  text.flush();
  return text.has_failed() ? fail(ExitCode::io, "standard output: " + text.problem()) : ExitCode::ok;
}

}  // namespace offbeat::edge
