#include "manifest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include "json.h"

namespace offbeat::edge {

namespace {

using json::Array;
using json::Number;
using json::Object;
using json::Value;

constexpr double max_parity_bound = 0.1;
constexpr std::size_t max_name = 128;

struct Key {
  std::string_view name;
  bool is_required = true;
};

constexpr std::array<Key, 20> manifest_keys{{{"schema_version"}, {"name"}, {"version"}, {"description"}, {"licence", false},
                                             {"architecture"}, {"inputs"}, {"outputs"}, {"feature_names"}, {"window"},
                                             {"normalisation"}, {"threshold"}, {"training"}, {"recalibration", false}, {"metrics"},
                                             {"opset"}, {"graph", false}, {"precision", false}, {"parity"}, {"files"}}};

// Reads fields one after the other and keeps the first thing that is wrong; what is read after that is empty.
class Reader {
 public:
  explicit Reader(std::string_view where) : where_(where) {}

  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  void refuse(std::string_view field, std::string_view what) {
    if (error_.empty()) error_ = where_ + ": " + std::string(field) + (field.empty() ? "" : ": ") + std::string(what);
  }

  // An object with exactly these keys.
  void check_keys(const Value& value, std::string_view field, std::span<const Key> keys) {
    const Object* members = value.as<Object>();
    if (members == nullptr) return refuse(field, std::string(value.describe()) + "; expected an object");
    for (const json::Member& member : *members) {
      const bool is_known = std::any_of(keys.begin(), keys.end(), [&](const Key& key) { return key.name == member.key; });
      if (!is_known) refuse(field, "unknown key " + member.key);
    }
    for (const Key& key : keys) {
      if (key.is_required && value.find(key.name) == nullptr) refuse(field, "no key " + std::string(key.name));
    }
  }

  template <class T>
  const T& get(const Value* value, std::string_view field, std::string_view expected) {
    static const T empty{};
    const T* content = value == nullptr ? nullptr : value->as<T>();
    if (content != nullptr) return *content;
    refuse(field, (value == nullptr ? "missing" : std::string(value->describe())) + "; expected " + std::string(expected));
    return empty;
  }

  std::string text(const Value* value, std::string_view field) { return get<std::string>(value, field, "a string"); }
  double number(const Value* value, std::string_view field) { return get<Number>(value, field, "a number").value; }
  const Array& array(const Value* value, std::string_view field) { return get<Array>(value, field, "a list"); }

  std::uint64_t count(const Value* value, std::string_view field, std::uint64_t least) {
    const Number& number = get<Number>(value, field, "a number");
    const std::uint64_t integer = number.integer.value_or(0);
    if (error_.empty() && (!number.integer || integer < least)) refuse(field, "expected a whole number from " + std::to_string(least));
    return integer;
  }

  std::vector<std::string> texts(const Value* value, std::string_view field) {
    std::vector<std::string> result;
    for (const Value& each : array(value, field)) result.push_back(text(&each, field));
    if (result.empty() || std::set<std::string>(result.begin(), result.end()).size() != result.size()) {
      refuse(field, "expected at least one name, each once");
    }
    return result;
  }

  // One finite float32 for each feature, and none below `least`.
  std::vector<float> by_feature(const Value* value, std::string_view field, std::size_t n_features, float least) {
    std::vector<float> result;
    for (const Value& each : array(value, field)) {
      result.push_back(static_cast<float>(number(&each, field)));
      if (!std::isfinite(result.back()) || result.back() < least) refuse(field, "expected finite float32 numbers, scales positive");
    }
    if (result.size() != n_features) refuse(field, std::to_string(result.size()) + " numbers; expected " + std::to_string(n_features));
    return result;
  }

 private:
  std::string where_;
  std::string error_;
};

const Value* member(const Value& root, std::string_view object, std::string_view key) {
  const Value* value = root.find(object);
  return value == nullptr ? nullptr : value->find(key);
}

// [A-Za-z0-9][A-Za-z0-9._-]{0,127}: no path leads out of a folder by such a name.
bool is_plain_name(std::string_view name) {
  const auto is_alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= max_name && is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

void read_window(Reader& reader, const Value& root, Manifest& manifest) {
  const Value* window = root.find("window");
  manifest.window_length = 1;
  manifest.has_time = window != nullptr && window->as<std::nullptr_t>() == nullptr;
  if (!manifest.has_time) return;
  constexpr std::array<Key, 4> keys{{{"length"}, {"stride"}, {"is_time_dynamic"}, {"min_length", false}}};
  reader.check_keys(*window, "window", keys);
  manifest.window_length = static_cast<std::size_t>(reader.count(window->find("length"), "window.length", 1));
}

void read_outputs(Reader& reader, const Value& root, Manifest& manifest) {
  for (const Value& output : reader.array(root.find("outputs"), "outputs")) {
    constexpr std::array<Key, 3> keys{{{"name"}, {"dtype"}, {"shape"}}};
    reader.check_keys(output, "outputs", keys);
    manifest.outputs.push_back(reader.text(output.find("name"), "outputs.name"));
  }
}

void read_threshold(Reader& reader, const Value& root, Manifest& manifest) {
  const double value = reader.number(member(root, "threshold", "value"), "threshold.value");
  manifest.threshold = static_cast<float>(value);
  if (!std::isfinite(manifest.threshold) || manifest.threshold <= 0) reader.refuse("threshold.value", "expected a positive float32 number");
  manifest.threshold_method = reader.text(member(root, "threshold", "method"), "threshold.method");
  manifest.parity_bound = reader.number(member(root, "parity", "bound"), "parity.bound");
  if (!(manifest.parity_bound > 0 && manifest.parity_bound <= max_parity_bound)) {
    reader.refuse("parity.bound", "expected a number above 0, at most 0.1");
  }
}

void read_files(Reader& reader, const Value& root, Manifest& manifest) {
  for (const json::Member& file : reader.get<Object>(root.find("files"), "files", "an object")) {
    const std::string field = "files." + file.key;
    constexpr std::array<Key, 2> keys{{{"n_bytes"}, {"sha256"}}};
    reader.check_keys(file.value, field, keys);
    if (!is_plain_name(file.key) || file.key == "manifest.json") reader.refuse(field, "expected a plain file name other than manifest.json");
    manifest.files.push_back({.name = file.key,
                              .n_bytes = reader.count(file.value.find("n_bytes"), field + ".n_bytes", 0),
                              .sha256 = reader.text(file.value.find("sha256"), field + ".sha256")});
  }
}

}  // namespace

Result<Manifest> read_manifest(std::string_view text, std::string_view where) {
  const Result<Value> parsed = json::parse(text);
  if (!parsed) return Error{std::string(where) + ": " + parsed.error().message};
  const Value& root = parsed.value();
  Reader reader(where);
  Manifest manifest;
  // The schema comes first: a later one may have other keys.
  if (reader.count(root.find("schema_version"), "schema_version", 0) != 1) reader.refuse("schema_version", "expected 1");
  reader.check_keys(root, "", manifest_keys);
  manifest.name = reader.text(root.find("name"), "name");
  if (!is_plain_name(manifest.name)) reader.refuse("name", "expected letters, digits, dots, dashes and underscores");
  manifest.version = reader.count(root.find("version"), "version", 1);
  manifest.description = reader.text(root.find("description"), "description");
  manifest.architecture = reader.text(member(root, "architecture", "kind"), "architecture.kind");
  manifest.n_parameters = reader.count(member(root, "architecture", "n_parameters"), "architecture.n_parameters", 0);
  manifest.trained_at = reader.text(member(root, "training", "trained_at"), "training.trained_at");
  manifest.feature_names = reader.texts(root.find("feature_names"), "feature_names");
  const std::size_t n_features = manifest.feature_names.size();
  manifest.mean = reader.by_feature(member(root, "normalisation", "mean"), "normalisation.mean", n_features, std::numeric_limits<float>::lowest());
  manifest.scale = reader.by_feature(member(root, "normalisation", "scale"), "normalisation.scale", n_features, std::numeric_limits<float>::min());
  read_window(reader, root, manifest);
  read_outputs(reader, root, manifest);
  read_threshold(reader, root, manifest);
  read_files(reader, root, manifest);
  if (!reader.error().empty()) return Error{reader.error()};
  return manifest;
}

}  // namespace offbeat::edge
