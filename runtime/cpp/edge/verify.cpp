#include <unistd.h>

#include <string>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "golden_check.h"
#include "model.h"
#include "offbeat/cpu_features.h"
#include "streams.h"

namespace offbeat::edge {

namespace {

constexpr std::string_view all = "all";

// Replays on one instruction set and writes a line for each output.
ExitCode verify_on(const char* target, const SessionOptions& options, TextWriter& text) {
  const Result<Model> model = open_model(target, options);
  if (!model) return fail(ExitCode::model, model.error().message);
  if (!model.value().manifest) return fail(ExitCode::usage, std::string(target) + ": a file alone has no golden windows; give the version folder");
  const Result<std::vector<Deviation>> deviations = replay_folder(model.value());
  if (!deviations) return fail(ExitCode::model, deviations.error().message);
  for (const Deviation& deviation : deviations.value()) {
    const bool is_wrong = !(deviation.largest <= 1);
    text.add(std::string(model.value().session.isa()) + " " + std::string(precision_name(model.value().session.precision())) + " " + deviation.output + " ");
    text.add(static_cast<float>(deviation.largest));
    text.add(is_wrong ? " of the allowed difference, in window " + std::to_string(deviation.window) + ": beyond it\n" : " of the allowed difference\n");
  }
  return is_within(deviations.value()) ? ExitCode::ok : ExitCode::disagreement;
}

}  // namespace

ExitCode verify(std::span<char* const> words) {
  const Result<Arguments> arguments = Arguments::parse(words, session_flags);
  if (!arguments) return fail(ExitCode::usage, arguments.error().message);
  if (arguments.value().positional().size() != 1) return fail(ExitCode::usage, "verify takes one model: offbeat-edge verify FOLDER");
  Result<SessionOptions> options = session_options(arguments.value());
  if (!options) return fail(ExitCode::usage, options.error().message);
  const std::vector<std::string_view> isas = options.value().isa == all ? instruction_sets() : std::vector{options.value().isa};
  TextWriter text(STDOUT_FILENO);
  ExitCode code = ExitCode::ok;
  for (const std::string_view isa : isas) {
    options.value().isa = isa;
    const ExitCode seen = verify_on(arguments.value().positional().front(), options.value(), text);
    if (seen != ExitCode::ok) code = seen;
  }
  text.flush();
  if (text.has_failed()) return fail(ExitCode::io, "standard output: " + text.problem());
  return code == ExitCode::disagreement ? fail(code, "the golden windows do not get their golden outputs") : code;
}

}  // namespace offbeat::edge
