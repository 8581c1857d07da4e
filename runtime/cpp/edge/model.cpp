#include "model.h"

#include <sys/stat.h>

#include <array>

#include "version_folder.h"

namespace offbeat::edge {

namespace {

constexpr std::array<std::string_view, 5> precision_names{"stored", "float32", "float16", "bfloat16", "int8"};

bool is_folder(const char* path) noexcept {
  struct stat status {};
  return ::stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// What the manifest and the file both say must be the same.
std::string contradiction(const Manifest& manifest, const ModelShape& shape) {
  if (shape.n_features != manifest.feature_names.size()) {
    return std::to_string(shape.n_features) + " features; manifest.json names " + std::to_string(manifest.feature_names.size());
  }
  if (shape.has_time != manifest.has_time) return "windows with time and rows without are mixed up with manifest.json";
  if (shape.has_time && !shape.is_time_dynamic && shape.n_steps != manifest.window_length) {
    return "windows of " + std::to_string(shape.n_steps) + " steps; manifest.json says " + std::to_string(manifest.window_length);
  }
  if (shape.threshold != manifest.threshold) return "another threshold than manifest.json";
  return {};
}

Result<Model> open_folder(const char* target, const SessionOptions& options) {
  Result<std::string> folder = version_folder(target);
  if (!folder) return folder.error();
  Result<Manifest> manifest = open_manifest(folder.value());
  if (!manifest) return manifest.error();
  if (const Result<bool> checked = check_other_digests(folder.value(), manifest.value()); !checked) return checked.error();
  // What is loaded is the very bytes whose digest was compared.
  const Result<FileContent> weights = read_listed(folder.value(), manifest.value(), weights_name);
  if (!weights) return weights.error();
  std::string file = folder.value() + "/" + std::string(weights_name);
  Result<Session> session = Session::load(weights.value().bytes(), file, options);
  if (!session) return session.error();
  const std::string problem = contradiction(manifest.value(), session.value().shape());
  if (!problem.empty()) return Error{file + ": " + problem};
  return Model{std::move(folder).value(), std::move(manifest).value(), std::move(file), std::move(session).value()};
}

}  // namespace

std::vector<std::string> Model::feature_names() const {
  if (manifest) return manifest->feature_names;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < session.shape().n_features; ++i) names.push_back("feature_" + std::to_string(i));
  return names;
}

Result<std::size_t> Model::n_steps(std::size_t asked) const {
  const ModelShape& shape = session.shape();
  if (asked != 0) return asked;
  if (!shape.has_time) return std::size_t{1};
  if (!shape.is_time_dynamic) return shape.n_steps;
  if (manifest) return manifest->window_length;
  return Error{file + " scores windows of any length; say --steps, or give the model version folder, which knows it"};
}

Result<SessionOptions> session_options(const Arguments& arguments) {
  SessionOptions options;
  options.isa = arguments.value("isa").value_or("");
  const Result<std::size_t> precision = arguments.choice("precision", precision_names);
  if (!precision) return precision.error();
  options.precision = static_cast<Precision>(precision.value());
  const Result<std::size_t> n_threads = arguments.count("threads", 1);
  if (!n_threads) return n_threads.error();
  options.n_threads = n_threads.value();
  return options;
}

std::string_view precision_name(Precision precision) noexcept { return precision_names[static_cast<std::size_t>(precision)]; }

Result<Model> open_model(const char* target, const SessionOptions& options) {
  if (is_folder(target)) return open_folder(target, options);
  Result<Session> session = Session::load(target, options);
  if (!session) return session.error();
  return Model{"", std::nullopt, target, std::move(session).value()};
}

}  // namespace offbeat::edge
