// Layers whose steps are taken in turn: two at once give what each gives alone, and a window alone in a batch what it gives among others.
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernel_support.h"
#include "model_file.h"
#include "offbeat/session.h"

namespace {

using offbeat::Constants;
using offbeat::kernels::Format;
using offbeat::kernels::LstmArgs;
using offbeat_test::expect;
using offbeat_test::floats;
using offbeat_test::matrix_of;
using offbeat_test::NamedKernels;
using offbeat_test::random_floats;

// What one layer of a pair may be.
struct Variant {
  bool has_x;
  bool has_state;
  bool is_ring;
};

// h of all steps that are kept, and c behind them.
struct Layer {
  std::size_t size;
  std::vector<float> x, gates, state, c, h;
  Constants constants;
  LstmArgs args{};

  Layer(const NamedKernels& kernels, const Variant& variant, std::size_t n_steps, unsigned seed)
      : size(2 * kernels.n_lanes), x(random_floats(n_steps * 3, seed)), gates(random_floats(n_steps * 4 * size, seed + 1)),
        state(random_floats(size, seed + 2)), c(random_floats(size, seed + 3)), h(n_steps * size + 2 * size) {
    const auto rows = offbeat::lstm_rows(size, true, kernels.n_lanes);
    args.n_rows = 1;
    args.n_steps = n_steps;
    args.gates = gates.data();
    args.gates_row = 4 * size;
    args.gates_step = static_cast<std::ptrdiff_t>(4 * size);
    args.weight_hidden = offbeat::pack(matrix_of(random_floats(4 * size * size, seed + 4, 0.2f), 4 * size), rows, Format::f32, kernels.n_lanes, constants);
    args.weight_input = offbeat::pack(matrix_of(random_floats(4 * size * 3, seed + 5), 4 * size), rows, Format::f32, kernels.n_lanes, constants);
    if (variant.has_x) args.x = x.data();
    args.x_row = 3;
    args.x_step = 3;
    if (variant.has_state) args.h_before = state.data();
    args.c = c.data();
    args.c_row = args.h_row = size;
    args.h = h.data();
    args.h_step = static_cast<std::ptrdiff_t>(size);
    args.is_ring = variant.is_ring;
  }
};

constexpr Variant variants[] = {{false, false, false}, {true, false, false}, {false, true, true}, {true, true, false}, {false, false, true}};

void two_at_once_give_what_each_gives_alone(const NamedKernels& kernels) {
  if (kernels.lstm_two == nullptr) return;
  for (const std::size_t n_steps : {1, 2, 7}) {
    for (const Variant& one : variants) {
      for (const Variant& other : variants) {
        Layer first(kernels, one, n_steps, 1), second(kernels, other, n_steps, 11);
        Layer alone_first(kernels, one, n_steps, 1), alone_second(kernels, other, n_steps, 11);
        kernels.lstm_two(first.args, second.args);
        kernels.lstm(alone_first.args);
        kernels.lstm(alone_second.args);
        expect(first.h == alone_first.h && first.c == alone_first.c, kernels.name + ": the first of two layers as alone");
        expect(second.h == alone_second.h && second.c == alone_second.c, kernels.name + ": the second of two layers as alone");
      }
    }
  }
}

constexpr std::size_t hidden_size = 32;

// The plan's layers, and the tensors that they name.
struct Model {
  std::string layers;
  std::string heads;
  std::vector<offbeat_test::FileTensor> tensors;

  void add(const std::string& layer, std::string& to) { to += (to.empty() ? "" : ",") + layer; }

  void lstm(const std::string& name, std::size_t n_inputs, const std::string& states = "") {
    const auto seed = static_cast<unsigned>(tensors.size());
    const auto tensor = [&](const std::string& part, std::vector<std::size_t> shape, std::size_t n) {
      tensors.push_back(floats(name + part, std::move(shape), random_floats(n, seed + static_cast<unsigned>(tensors.size()), 0.25f)));
      return "\"" + name + part + "\"";
    };
    const std::string weights = "\"weight_input\":" + tensor("wi", {4 * hidden_size, n_inputs}, 4 * hidden_size * n_inputs) +
                                ",\"weight_hidden\":" + tensor("wh", {4 * hidden_size, hidden_size}, 4 * hidden_size * hidden_size) +
                                ",\"bias_input\":" + tensor("bi", {4 * hidden_size}, 4 * hidden_size) +
                                ",\"bias_hidden\":" + tensor("bh", {4 * hidden_size}, 4 * hidden_size);
    add("{\"kind\":\"lstm\",\"input_size\":" + std::to_string(n_inputs) + ",\"hidden_size\":32," + weights + states + "}", layers);
  }

  void simple(const std::string& layer) { add(layer, layers); }

  [[nodiscard]] std::vector<std::uint8_t> file() {
    tensors.push_back(offbeat_test::filled("mean", {2}, 1));
    tensors.push_back(offbeat_test::filled("scale", {2}, 2));
    tensors.push_back(offbeat_test::filled("threshold", {}, 1));
    tensors.push_back(floats("wo", {2, hidden_size}, random_floats(2 * hidden_size, 90)));
    tensors.push_back(offbeat_test::filled("bo", {2}, 0));
    simple(R"({"kind":"linear","input_size":32,"output_size":2,"weight":"wo","bias":"bo"})");
    return offbeat_test::file_of(R"({"schema_version":1,"input":{"name":"window","shape":["batch","time",2]},"normalisation":{"mean":"mean","scale":"scale"},)"
                                 R"("layers":[)" + layers + R"(],"error":"mean_squared","threshold":"threshold"})", tensors);
  }
};

std::string state(const std::string& kind, int number) { return ",\"" + kind + "_state\":\"s" + std::to_string(number) + "\""; }

// M2: an encoder's states are a decoder's, which reads zeros.
Model state_design() {
  Model model;
  model.lstm("e0", 2, state("final", 0));
  model.lstm("e1", 32, state("final", 1));
  model.simple(R"({"kind":"zeros","size":2})");
  model.lstm("d0", 2, state("initial", 0));
  model.lstm("d1", 32, state("initial", 1));
  return model;
}

Model repeat_design() {
  Model model;
  for (const char* name : {"e0", "e1", "e2"}) model.lstm(name, name[1] == '0' ? 2 : 32);
  model.simple(R"({"kind":"last_step"})");
  model.simple(R"({"kind":"repeat"})");
  for (const char* name : {"d0", "d1"}) model.lstm(name, 32);
  return model;
}

// More layers than a group takes, each beginning where another ended.
Model long_design() {
  Model model;
  model.lstm("a", 2, state("final", 0));
  model.lstm("b", 32, state("initial", 0) + state("final", 1));
  for (const char* name : {"c", "d", "e"}) model.lstm(name, 32);
  model.lstm("f", 32, state("initial", 1));
  return model;
}

void alone_as_among_others(const std::string& name, Model model, const offbeat::SessionOptions& options) {
  const std::vector<std::uint8_t> file = model.file();
  const auto session = offbeat::Session::load(offbeat_test::bytes_of(file), name, options);
  expect(static_cast<bool>(session), session ? "" : session.error().message);
  if (!session) return;
  for (const std::size_t time : {1, 2, 23, 24, 25, 60}) {
    constexpr std::size_t n = 7;
    auto workspace = session.value().workspace(time);
    const std::vector<float> windows = random_floats(n * time * 2, 5);
    std::vector<float> together(n * time * 2), errors(n);
    offbeat::Outputs outputs{.reconstruction_error = errors.data(), .reconstruction = together.data()};
    expect(session.value().score(windows.data(), n, time, outputs, workspace.value()) == offbeat::Status::ok, name + " scores a batch");
    for (std::size_t window = 0; window < n; ++window) {
      std::vector<float> alone(time * 2);
      float error = 0;
      outputs = {.reconstruction_error = &error, .reconstruction = alone.data()};
      expect(session.value().score(&windows[window * time * 2], 1, time, outputs, workspace.value()) == offbeat::Status::ok, name + " scores one");
      const bool is_same = error == errors[window] && std::memcmp(alone.data(), &together[window * time * 2], alone.size() * sizeof(float)) == 0;
      expect(is_same && std::isfinite(error) && error != 0, name + ", " + std::to_string(time) + " steps: alone as among others");
    }
  }
}

}  // namespace

int main() {
  for (const NamedKernels& kernels : offbeat_test::kernels_of_this_machine()) two_at_once_give_what_each_gives_alone(kernels);
  for (const auto precision : {offbeat::Precision::float32, offbeat::Precision::bfloat16, offbeat::Precision::float16, offbeat::Precision::int8}) {
    const offbeat::SessionOptions options{.precision = precision};
    alone_as_among_others("state", state_design(), options);
    alone_as_among_others("repeat", repeat_design(), options);
    alone_as_among_others("long", long_design(), options);
  }
  return offbeat_test::exit_code();
}
