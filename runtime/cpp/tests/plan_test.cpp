// The plan reader: shapes followed from layer to layer, names resolved, and everything else refused by name.
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "expect.h"
#include "model_file.h"
#include "plan_reader.h"
#include "safetensors.h"

using offbeat::Plan;
using offbeat::Result;
using offbeat_test::bytes_of;
using offbeat_test::expect;
using offbeat_test::file_of;
using offbeat_test::filled;
using offbeat_test::FileTensor;
using offbeat_test::floats;
using offbeat_test::replaced;

namespace {

const std::string series_plan =
    R"({"schema_version":1,"input":{"name":"window","shape":["batch","time",2]},)"
    R"("normalisation":{"mean":"mean","scale":"scale"},"layers":[)"
    R"({"kind":"lstm","input_size":2,"hidden_size":3,"weight_input":"wi","weight_hidden":"wh","bias_input":"bi","bias_hidden":"bh","final_state":"s"},)"
    R"({"kind":"keep","name":"v"},{"kind":"last_step"},{"kind":"repeat"},)"
    R"({"kind":"linear","input_size":3,"output_size":2,"weight":"wo","bias":"bo"}],)"
    R"("heads":[{"output":"forecast","value":"v","layers":[{"kind":"linear","input_size":3,"output_size":2,"weight":"wo","bias":"bo"}]}],)"
    R"("error":"mean_squared","threshold":"threshold"})";

std::vector<FileTensor> series_tensors() {
  return {filled("mean", {2}, 1),    filled("scale", {2}, 2), filled("wi", {12, 2}, 0.1F), filled("wh", {12, 3}, 0.1F), filled("bi", {12}, 0),
          filled("bh", {12}, 0),     filled("wo", {2, 3}, 1), filled("bo", {2}, 0),        filled("threshold", {}, 0.5F)};
}

const std::string window_plan =
    R"({"schema_version":1,"input":{"name":"window","shape":["batch",4,2]},"normalisation":{"mean":"mean","scale":"scale"},)"
    R"("layers":[{"kind":"keep","name":"v"},{"kind":"flatten"},{"kind":"linear","input_size":8,"output_size":8,"weight":"w","bias":"b"},)"
    R"({"kind":"unflatten","n_steps":4},{"kind":"add","name":"v"}],"error":"sum_absolute","threshold":"threshold"})";

std::vector<FileTensor> window_tensors() {
  return {filled("mean", {2}, 0), filled("scale", {2}, 1), filled("w", {8, 8}, 1), filled("b", {8}, 0), filled("threshold", {}, 1)};
}

// The message where it is refused, "" where it is taken.
std::string refusal(const std::string& plan, const std::vector<FileTensor>& tensors) {
  const std::vector<std::uint8_t> content = file_of(plan, tensors);
  const Result<offbeat::SafetensorsFile> file = offbeat::SafetensorsFile::parse(bytes_of(content));
  if (!file) return file.error().message;
  const Result<Plan> read = offbeat::read_plan(file.value());
  return read ? "" : read.error().message;
}

void expect_refusal(const std::string& message, std::string_view words) {
  expect(message.find(words) != std::string::npos, "'" + message + "' says: " + std::string(words));
}

void resolves_a_series() {
  const std::vector<std::uint8_t> content = file_of(series_plan, series_tensors());
  const auto file = offbeat::SafetensorsFile::parse(bytes_of(content));
  const Result<Plan> read = offbeat::read_plan(file.value());
  expect(read.ok(), read ? "" : read.error().message);
  if (!read) return;
  const Plan& plan = read.value();
  expect(plan.n_features == 2 && plan.has_time && !plan.n_steps && plan.threshold == 0.5F, "the window is a series of any length");
  expect(plan.layers.size() == 5 && plan.state_sizes == std::vector<std::size_t>{3} && plan.value_shapes.size() == 1, "one state, one value");
  const auto* lstm = std::get_if<offbeat::LstmLayer>(&plan.layers.front().kind);
  expect(lstm != nullptr && lstm->final_state == 0 && lstm->initial_state == offbeat::no_slot, "its states are slots");
  expect(plan.heads.size() == 1 && plan.heads[0].output == offbeat::HeadOutput::forecast && plan.heads[0].size == 2, "the head is a forecast");
}

void follows_a_fixed_window() {
  expect(refusal(window_plan, window_tensors()).empty(), "flatten, unflatten and add follow a fixed number of steps: " + refusal(window_plan, window_tensors()));
  const auto refused = [](std::string_view from, std::string_view to, std::string_view words) {
    expect_refusal(refusal(replaced(window_plan, from, to), window_tensors()), words);
  };
  refused(R"("batch",4,2)", R"("batch","time",2)", "layers[1] (flatten): the number of steps is not fixed");
  refused(R"("n_steps":4)", R"("n_steps":3)", "is not divided by 3 steps");
  refused(R"("n_steps":4)", R"("n_steps":2)", "layers[4] (add): the value is [batch, 2, 4], the kept one [batch, time, 2]");
  refused(R"("n_steps":4)", R"("n_steps":0)", "n_steps: expected a whole number");
  refused(R"({"kind":"add","name":"v"})", R"({"kind":"add","name":"x"})", "no value was kept as 'x'");
  refused(R"("batch",4,2)", R"("batch",16777216,2)", "expected at most 16777216");
}

void refuses_plans_by_name() {
  const auto refused = [](std::string_view from, std::string_view to, std::string_view words) {
    expect(series_plan.find(from) != std::string::npos, "the test replaces something: " + std::string(from));
    expect_refusal(refusal(replaced(series_plan, from, to), series_tensors()), words);
  };
  refused(R"("schema_version":1)", R"("schema_version":2)", "schema_version: expected 1");
  refused(R"("schema_version":1)", R"("schema_version":1.0)", "schema_version: expected 1");
  refused(R"("schema_version":1,)", "", "no schema_version");
  refused(R"("schema_version":1,)", R"("schema_version":1,"more":1,)", "the key 'more' is not known");
  refused(R"("name":"window")", R"("name":"x")", "expected the name 'window'");
  refused(R"(["batch","time",2])", R"(["batch","time",0])", "input: shape");
  refused(R"(["batch","time",2])", R"(["time","batch",2])", "input: shape");
  refused(R"(["batch","time",2])", R"([])", "input: shape");
  refused(R"(["batch","time",2])", R"(["batch",2])", "layers[0] (lstm): the value is [batch, 2]; expected [batch, time, size]");
  refused(R"(["batch","time",2])", R"(["batch","time",3])", "tensor 'mean' has shape [2]; expected [3]");
  refused(R"("kind":"lstm")", R"("kind":"gru")", "layers[0]: the kind 'gru' is not known");
  refused(R"("kind":"lstm",)", "", "layers[0]: no kind");
  refused(R"("hidden_size":3)", R"("hidden_size":4)", "tensor 'wi' has shape [12, 2]; expected [16, 2]");
  refused(R"("hidden_size":3)", R"("hidden_size":99999999999)", "hidden_size: expected a whole number");
  refused(R"("input_size":2)", R"("input_size":-2)", "input_size: expected a whole number");
  refused(R"("final_state":"s")", R"("final_state":"s","initial_state":"s")", "no state was kept as 's'");
  refused(R"("final_state":"s")", R"("finalstate":"s")", "the key 'finalstate' is not known");
  refused(R"({"kind":"last_step"})", R"({"kind":"hidden_state","state":"t"})", "no state was kept as 't'");
  refused(R"({"kind":"last_step"})", R"({"kind":"keep","name":"v"})", "a value is kept as 'v' already");
  refused(R"({"kind":"last_step"},)", "", "layers[2] (repeat): the value is [batch, time, 3]; expected [batch, size]");
  refused(R"({"kind":"repeat"})", R"({"kind":"relu"})", "the layers give [batch, 2]; expected [batch, time, 2]");
  refused(R"({"kind":"repeat"})", R"({"kind":"relu","more":1})", "layers[3] (relu): the key 'more' is not known");
  refused(R"("weight":"wo")", R"("weight":"bo")", "tensor 'bo' has shape [2]; expected [2, 3]");
  refused(R"("weight":"wo")", R"("weight":"nowhere")", "there is no tensor 'nowhere'");
  refused(R"("weight":"wo")", R"("weight":1)", "weight is a number; expected a name");
  refused(R"("output":"forecast")", R"("output":"weather")", "the output 'weather' is not known");
  refused(R"("value":"v")", R"("value":"w")", "heads[0]: no value was kept as 'w'");
  refused(R"("error":"mean_squared")", R"("error":"huber")", "the error 'huber' is not known");
  refused(R"("threshold":"threshold")", R"("threshold":"mean")", "tensor 'mean' has shape [2]; expected []");
  refused(R"("layers":[)", R"("layers":[7,)", "layers[0]: expected an object, seen a number");
}

void refuses_numbers_that_cannot_be() {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto refused = [](const FileTensor& tensor, std::string_view words) {
    std::vector<FileTensor> tensors = series_tensors();
    for (FileTensor& each : tensors) {
      if (each.name == tensor.name) each = tensor;
    }
    expect_refusal(refusal(series_plan, tensors), words);
  };
  refused(filled("scale", {2}, 0), "scale: expected numbers above 0");
  refused(filled("scale", {2}, -1), "scale: expected numbers above 0");
  refused(filled("threshold", {}, 0), "threshold: expected a positive, normal");
  refused(filled("threshold", {}, 1e-40F), "threshold: expected a positive, normal");
  refused(filled("mean", {2}, std::numeric_limits<float>::quiet_NaN()), "tensor 'mean' holds NaN or infinity");
  refused(filled("wh", {12, 3}, infinity), "tensor 'wh' holds NaN or infinity");
  refused({"mean", "BF16", {2}, {0, 0, 0, 0}}, "tensor 'mean' is BF16; expected F32");
  std::vector<FileTensor> more = series_tensors();
  more.push_back(filled("idle", {1}, 1));
  expect_refusal(refusal(series_plan, more), "nothing uses the tensor 'idle'");
}

// Weights of 16 bits stand before those of 8, so that all of them are aligned.
void takes_narrower_weights() {
  const auto with = [](const FileTensor& weight, const std::vector<FileTensor>& more) {
    std::vector<FileTensor> tensors;
    for (const FileTensor& each : window_tensors()) {
      if (each.name != weight.name) tensors.push_back(each);
    }
    tensors.insert(tensors.end(), more.begin(), more.end());
    tensors.push_back(weight);
    return refusal(window_plan, tensors);
  };
  const std::vector<std::uint8_t> halves(128, 0x3C);
  expect(with({"w", "F16", {8, 8}, halves}, {}).empty(), "F16 weights are taken");
  expect(with({"w", "BF16", {8, 8}, halves}, {}).empty(), "BF16 weights are taken");
  expect_refusal(with({"w", "F16", {8, 8}, std::vector<std::uint8_t>(128, 0x7C)}, {}), "holds NaN or infinity");
  expect_refusal(with({"w", "BF16", {8, 8}, std::vector<std::uint8_t>(128, 0xFF)}, {}), "holds NaN or infinity");
  const std::vector<std::uint8_t> bytes(64, 0x81);
  expect(with({"w", "I8", {8, 8}, bytes}, {filled("w.scale", {8}, 0.1F)}).empty(), "I8 weights with a scale for each row are taken");
  expect_refusal(with({"w", "I8", {8, 8}, bytes}, {}), "there is no tensor 'w.scale'");
  expect_refusal(with({"w", "I8", {8, 8}, bytes}, {filled("w.scale", {1}, 0.1F)}), "tensor 'w.scale' has shape [1]; expected [8]");
  expect_refusal(with({"w", "I8", {8, 8}, bytes}, {filled("w.scale", {8}, -0.1F)}), "holds a number below 0");
  expect_refusal(with({"w", "I8", {8, 8}, std::vector<std::uint8_t>(64, 0x80)}, {filled("w.scale", {8}, 0.1F)}), "holds -128");
}

}  // namespace

int main() {
  resolves_a_series();
  follows_a_fixed_window();
  refuses_plans_by_name();
  refuses_numbers_that_cannot_be();
  takes_narrower_weights();
  return offbeat_test::exit_code();
}
