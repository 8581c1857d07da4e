#include "plan_reader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "json.h"
#include "plan_fields.h"
#include "plan_layers.h"
#include "plan_repeats.h"
#include "plan_tensors.h"

namespace offbeat {
namespace {

const std::string where_plan = "plan";

class PlanReader {
 public:
  explicit PlanReader(const SafetensorsFile& file) : tensors_(file, problem_) {}

  Result<Plan> read(const json::Value& root) {
    Fields fields(root, where_plan, problem_);
    read_version(fields);
    read_input(fields);
    read_normalisation(fields);
    if (problem_.none()) read_layers(fields);
    if (problem_.none()) read_heads(fields);
    read_error(fields);
    read_threshold(fields);
    fields.refuse_others();
    tensors_.refuse_unused();
    if (!problem_.none()) return Error{problem_.message()};
    return std::move(plan_);
  }

 private:
  void read_version(Fields& fields) {
    const json::Value* version = fields.take("schema_version");
    const json::Number* number = version == nullptr ? nullptr : version->as<json::Number>();
    if (number == nullptr || number->integer != std::uint64_t{1}) fields.wrong("schema_version: expected 1, all that this reader knows");
  }

  void read_input(Fields& fields) {
    const json::Value* value = fields.take("input");
    if (value == nullptr) return;
    Fields input(*value, "plan: input", problem_);
    if (input.text("name") != "window") input.wrong("expected the name 'window'");
    read_axes(input, input.array("shape"));
    input.refuse_others();
  }

  // ["batch", "time", F], ["batch", T, F] or ["batch", F].
  void read_axes(Fields& input, const json::Array& axes) {
    const auto word = [&](std::size_t index, std::string_view expected) {
      const std::string* text = axes[index].as<std::string>();
      return text != nullptr && *text == expected;
    };
    const auto size = [&](std::size_t index) -> std::size_t {
      const json::Number* number = axes[index].as<json::Number>();
      return number != nullptr && number->integer && *number->integer <= max_size ? static_cast<std::size_t>(*number->integer) : 0;
    };
    const bool has_rank = axes.size() == 2 || axes.size() == 3;
    plan_.has_time = axes.size() == 3;
    if (has_rank) plan_.n_features = size(axes.size() - 1);
    if (plan_.has_time && !word(1, "time")) plan_.n_steps = size(1);
    if (!has_rank || !word(0, "batch") || plan_.n_features == 0 || plan_.n_steps == std::size_t{0}) {
      input.wrong("shape: expected [\"batch\", \"time\" or a number, a number] or [\"batch\", a number]");
    }
  }

  void read_normalisation(Fields& fields) {
    const json::Value* value = fields.take("normalisation");
    if (value == nullptr) return;
    Fields normalisation(*value, "plan: normalisation", problem_);
    plan_.mean = tensors_.vector(normalisation, "mean", plan_.n_features);
    plan_.scale = tensors_.vector(normalisation, "scale", plan_.n_features);
    normalisation.refuse_others();
    if (!std::all_of(plan_.scale.begin(), plan_.scale.end(), [](float scale) { return scale > 0; })) {
      normalisation.wrong("scale: expected numbers above 0");
    }
  }

  void read_layers(Fields& fields) {
    ValueShape shape{.has_time = plan_.has_time, .size = plan_.n_features};
    plan_.layers = layers_.read(fields.array("layers"), "plan: layers", shape);
    if (plan_.layers.empty()) fields.wrong("layers: expected at least one");
    if (const auto problem = bound_repeats(plan_.layers)) fields.wrong("layers" + *problem);
    if (shape.has_time != plan_.has_time || shape.size != plan_.n_features) {
      const std::string expected = plan_.has_time ? "[batch, time, " : "[batch, ";
      fields.wrong("the layers give " + describe_shape(shape) + "; expected " + expected + std::to_string(plan_.n_features) + "]");
    }
  }

  void read_heads(Fields& fields) {
    const json::Value* heads = fields.take_optional("heads");
    if (heads == nullptr) return;
    const json::Array* elements = heads->as<json::Array>();
    if (elements == nullptr) return fields.wrong("heads: expected an array");
    for (std::size_t index = 0; index < elements->size() && problem_.none(); ++index) {
      read_head((*elements)[index], "plan: heads[" + std::to_string(index) + "]");
    }
  }

  void read_head(const json::Value& value, const std::string& where) {
    Fields fields(value, where, problem_);
    const std::string output = fields.text("output");
    const std::size_t kept = layers_.kept_value(fields, "value");
    if (output != "class_probability" && output != "forecast") fields.wrong("the output '" + output + "' is not known");
    if (!problem_.none()) return;
    const HeadOutput kind = output == "forecast" ? HeadOutput::forecast : HeadOutput::class_probability;
    const bool is_there = std::any_of(plan_.heads.begin(), plan_.heads.end(), [&](const Head& head) { return head.output == kind; });
    if (is_there) fields.wrong("a second head for " + output);
    ValueShape shape = plan_.value_shapes[kept];
    std::vector<Layer> layers = layers_.read(fields.array("layers"), where + ".layers", shape);
    fields.refuse_others();
    if (const auto problem = bound_repeats(layers)) fields.wrong("layers" + *problem);
    ValueShape expected;
    expected.has_time = kind == HeadOutput::forecast;
    expected.size = kind == HeadOutput::forecast ? plan_.n_features : shape.size;
    if (shape != expected) fields.wrong("the layers give " + describe_shape(shape) + "; expected " + describe_shape(expected));
    plan_.heads.push_back(Head{kind, kept, std::move(layers), shape.size});
  }

  void read_error(Fields& fields) {
    constexpr std::pair<std::string_view, ErrorKind> kinds[] = {
        {"mean_squared", ErrorKind::mean_squared}, {"sum_squared", ErrorKind::sum_squared}, {"sum_absolute", ErrorKind::sum_absolute}};
    const std::string seen = fields.text("error");
    const auto found = std::find_if(std::begin(kinds), std::end(kinds), [&](const auto& kind) { return kind.first == seen; });
    if (found == std::end(kinds)) return fields.wrong("the error '" + seen + "' is not known");
    plan_.error = found->second;
  }

  void read_threshold(Fields& fields) {
    plan_.threshold = tensors_.scalar(fields, "threshold");
    if (!(plan_.threshold >= std::numeric_limits<float>::min())) fields.wrong("threshold: expected a positive, normal float32 number");
  }

  Problem problem_;
  Plan plan_;
  PlanTensors tensors_;
  LayerReader layers_{plan_, tensors_, problem_};
};

}  // namespace

Result<Plan> read_plan(const SafetensorsFile& file) {
  const Result<json::Value> root = json::parse(file.plan());
  if (!root) return Error{where_plan + ": " + root.error().message};
  return PlanReader(file).read(root.value());
}

}  // namespace offbeat
