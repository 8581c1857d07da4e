// Sessions: what they promise to whoever scores, and that a spoilt file ends in an error or in scores, never otherwise.
#include "offbeat/session.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "expect.h"
#include "model_file.h"
#include "offbeat/cpu_features.h"

using offbeat::Outputs;
using offbeat::Session;
using offbeat::Status;
using offbeat::Workspace;
using offbeat_test::bytes_of;
using offbeat_test::expect;
using offbeat_test::file_of;
using offbeat_test::filled;

namespace {

constexpr std::size_t n_features = 2;

// What comes out is the mean: the error is the mean square of the normalised values.
std::vector<std::uint8_t> level_file() {
  return file_of(R"({"schema_version":1,"input":{"name":"window","shape":["batch","time",2]},"normalisation":{"mean":"mean","scale":"scale"},)"
                 R"("layers":[{"kind":"zeros","size":2}],"error":"mean_squared","threshold":"threshold"})",
                 {filled("mean", {2}, 10), filled("scale", {2}, 2), filled("threshold", {}, 1.5F)});
}

std::vector<std::uint8_t> recurrent_file() {
  return file_of(R"({"schema_version":1,"input":{"name":"window","shape":["batch","time",2]},"normalisation":{"mean":"mean","scale":"scale"},)"
                 R"("layers":[{"kind":"lstm","input_size":2,"hidden_size":3,"weight_input":"wi","weight_hidden":"wh","bias_input":"bi",)"
                 R"("bias_hidden":"bh"},{"kind":"last_step"},{"kind":"repeat"},{"kind":"linear","input_size":3,"output_size":2,)"
                 R"("weight":"wo","bias":"bo"}],"error":"sum_squared","threshold":"threshold"})",
                 {filled("mean", {2}, 1), filled("scale", {2}, 2), filled("wi", {12, 2}, 0.1F), filled("wh", {12, 3}, 0.1F), filled("bi", {12}, 0),
                  filled("bh", {12}, 0), filled("wo", {2, 3}, 1), filled("bo", {2}, 0), filled("threshold", {}, 0.5F)});
}

// A vector repeated for a fixed number of steps, and decoded by a layer of its own.
std::vector<std::uint8_t> repeating_file(std::size_t n_repeats, const std::string& decoder) {
  std::vector<offbeat_test::FileTensor> tensors{filled("mean", {2}, 1), filled("scale", {2}, 2), filled("wi", {8, 2}, 0.1F),
                                                filled("wh", {8, 2}, 0.1F), filled("bi", {8}, 0.2F), filled("bh", {8}, 0),
                                                filled("threshold", {}, 0.5F)};
  if (decoder.find("linear") != decoder.npos) {
    tensors.push_back(filled("wo", {2, 4}, 0.3F));
    tensors.push_back(filled("bo", {2}, 0));
  }
  return file_of(R"({"schema_version":1,"input":{"name":"window","shape":["batch","time",2]},"normalisation":{"mean":"mean","scale":"scale"},)"
                 R"("layers":[{"kind":"last_step"},{"kind":"repeat","n_repeats":)" + std::to_string(n_repeats) + "}," + decoder +
                 R"(],"error":"sum_squared","threshold":"threshold"})", tensors);
}

constexpr const char* forward_decoder =
    R"({"kind":"lstm","input_size":2,"hidden_size":2,"weight_input":"wi","weight_hidden":"wh","bias_input":"bi","bias_hidden":"bh"})";
constexpr const char* bidirectional_decoder =
    R"({"kind":"bidirectional_lstm","input_size":2,"hidden_size":2,"weight_input":"wi","weight_hidden":"wh","bias_input":"bi","bias_hidden":"bh",)"
    R"("weight_input_reverse":"wi","weight_hidden_reverse":"wh","bias_input_reverse":"bi","bias_hidden_reverse":"bh"},)"
    R"({"kind":"linear","input_size":4,"output_size":2,"weight":"wo","bias":"bo"})";

Session open(const std::vector<std::uint8_t>& file) {
  auto session = Session::load(bytes_of(file), "by hand");
  if (!session) {
    expect(false, session.error().message);
    std::exit(1);
  }
  return std::move(session).value();
}

void scores_by_the_formula() {
  const Session session = open(level_file());
  Workspace workspace = std::move(session.workspace(3)).value();
  const std::vector<float> windows{12, 10, 10, 14, 10, 10, 10, 10, 10, 10, 10, 10};
  std::vector<float> error(2), score(2), steps(6), features(4), reconstruction(12);
  bool is_anomaly[2];
  const Outputs outputs{error.data(), score.data(), is_anomaly, features.data(), steps.data(), reconstruction.data()};
  expect(session.score(windows.data(), 2, 3, outputs, workspace) == Status::ok, "two windows are scored");
  expect(std::abs(error[0] - 5.0F / 6) < 1e-6F && error[1] == 0, "the error is the mean square of (1, 0, 0, 2, 0, 0)");
  expect(std::abs(score[0] - error[0] / 3) < 1e-6F && !is_anomaly[0] && score[1] == 0, "the score is clip(error / (2 threshold))");
  expect(std::abs(steps[0] - 1.0F / 6) < 1e-6F && std::abs(features[1] - 4.0F / 6) < 1e-6F, "steps and features have their shares");
  expect(reconstruction[0] == 10 && reconstruction[11] == 10, "the reconstruction is in raw units");
}

// Values near float32's end become infinite in the first layer, and infinity times zero in the second.
void calls_no_window_normal_whose_arithmetic_fails() {
  const auto file = file_of(R"({"schema_version":1,"input":{"name":"window","shape":["batch","time",2]},"normalisation":{"mean":"mean","scale":"scale"},)"
                            R"("layers":[{"kind":"linear","input_size":2,"output_size":2,"weight":"wa","bias":"ba"},)"
                            R"({"kind":"linear","input_size":2,"output_size":2,"weight":"wb","bias":"bb"}],"error":"mean_squared","threshold":"threshold"})",
                            {filled("mean", {2}, 0), filled("scale", {2}, 1), filled("wa", {2, 2}, 4), filled("ba", {2}, 0), filled("wb", {2, 2}, 0),
                             filled("bb", {2}, 0), filled("threshold", {}, 1.5F)});
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const std::string_view isa : offbeat::instruction_sets()) {
    const auto session = Session::load(bytes_of(file), "by hand", {.isa = isa});
    Workspace workspace = session.value().workspace(2).value();
    const std::vector<float> window(4, 3e38F);
    float error = 0, score = 0;
    bool is_anomaly = false;
    std::vector<float> features(2), steps(2), reconstruction(4);
    const Outputs outputs{.reconstruction_error = &error, .anomaly_score = &score, .is_anomaly = &is_anomaly, .feature_error = features.data(),
                          .step_error = steps.data(), .reconstruction = reconstruction.data()};
    expect(session.value().score(window.data(), 1, 2, outputs, workspace) == Status::ok, "it is scored");
    expect(std::isnan(reconstruction[0]), "the arithmetic fails");
    expect(error == infinity && score == 1 && is_anomaly, "the error is infinite, the score 1, the window an anomaly");
    expect(features == std::vector<float>(2, infinity) && steps == std::vector<float>(2, infinity), "so are its shares");
  }
}

void says_what_it_cannot_do() {
  const Session session = open(level_file());
  const Session other = open(recurrent_file());
  Workspace small = std::move(session.workspace(2)).value();
  Workspace foreign = std::move(other.workspace(100)).value();
  std::vector<float> windows(20, 10.0F), error(5, 7.0F);
  Outputs outputs;
  outputs.reconstruction_error = error.data();
  expect(session.score(windows.data(), 1, 0, outputs, small) == Status::wrong_time, "no steps are refused");
  expect(session.score(windows.data(), 1, 3, outputs, small) == Status::workspace_too_small, "a workspace for fewer steps is refused");
  expect(session.score(windows.data(), 1, 2, outputs, foreign) == Status::workspace_too_small, "another session's workspace is refused");
  Workspace moved = std::move(small);
  expect(session.score(windows.data(), 1, 2, outputs, small) == Status::workspace_too_small, "a workspace that was moved away is refused");
  outputs.error_std = error.data();
  expect(session.score(windows.data(), 1, 2, outputs, moved) == Status::missing_output, "an output that it does not have is refused");
  outputs.error_std = nullptr;
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    windows[19] = wrong;
    expect(session.score(windows.data(), 5, 2, outputs, moved) == Status::not_finite, "NaN and infinity are refused");
  }
  expect(error == std::vector<float>(5, 7.0F), "nothing was written");
  expect(session.score(windows.data(), 0, 2, outputs, moved) == Status::ok, "no windows are no problem");
  for (int status = 0; status <= static_cast<int>(Status::not_finite); ++status) {
    expect(!offbeat::describe(static_cast<Status>(status)).empty(), "every status has words");
  }
  expect(!session.workspace(std::numeric_limits<std::size_t>::max()).ok(), "a workspace beyond all memory is an error");
}

void bounds_threads() {
  const std::vector<std::uint8_t> file = level_file();
  for (const std::size_t n_threads : {std::size_t{0}, std::size_t{1025}, std::numeric_limits<std::size_t>::max()}) {
    offbeat::SessionOptions options;
    options.n_threads = n_threads;
    expect(!Session::load(bytes_of(file), "by hand", options).ok(), std::to_string(n_threads) + " threads are refused");
  }
}

void names_the_instruction_sets_there_are() {
  const auto session = Session::load(bytes_of(level_file()), "by hand", {.isa = "avx9000"});
  std::string listed;
  for (const std::string_view name : offbeat::instruction_sets()) listed += (listed.empty() ? "" : ", ") + std::string(name);
  expect(!session && session.error().message == "by hand: this processor has no instruction set \"avx9000\"; it has " + listed, "an unknown one");
}

void survives_moves_and_many_threads() {
  const std::vector<std::uint8_t> file = recurrent_file();
  Session first = open(file);
  const Session session = std::move(first);
  std::vector<float> windows(64 * 7 * n_features);
  for (std::size_t index = 0; index < windows.size(); ++index) windows[index] = static_cast<float>(index % 13) - 6.0F;
  const auto score = [&](std::vector<float>& errors) {
    Workspace workspace = std::move(session.workspace(7)).value();
    Outputs outputs;
    outputs.reconstruction_error = errors.data();
    for (int turn = 0; turn < 50; ++turn) {
      if (session.score(windows.data(), 64, 7, outputs, workspace) != Status::ok) errors[0] = -1;
    }
  };
  std::vector<float> alone(64);
  score(alone);
  std::vector<std::vector<float>> errors(4, std::vector<float>(64));
  std::vector<std::thread> threads;
  for (std::vector<float>& each : errors) threads.emplace_back([&score, &each] { score(each); });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& each : errors) expect(each == alone, "every thread gets the same bits");
}

void decodes_no_more_steps_than_the_window_has() {
  constexpr std::size_t n_steps = 5;
  const std::vector<float> window{3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
  std::vector<std::vector<float>> reconstructions;
  for (const std::size_t n_repeats : {n_steps, std::size_t{1} << 24}) {
    const Session session = open(repeating_file(n_repeats, forward_decoder));
    // All 16 million steps would take a workspace of a GiB, and a second.
    Workspace workspace = std::move(session.workspace(n_steps)).value();
    reconstructions.emplace_back(n_steps * n_features);
    Outputs outputs;
    outputs.reconstruction = reconstructions.back().data();
    const std::clock_t begin = std::clock();
    expect(session.score(window.data(), 1, n_steps, outputs, workspace) == Status::ok, "a window shorter than what is repeated is scored");
    // The processor's time: others may have it meanwhile.
    expect(std::clock() - begin < CLOCKS_PER_SEC / 10, "a window of 5 steps takes no time");
    expect(session.n_output_steps(n_steps) == n_steps, "as many steps as the window has");
  }
  expect(reconstructions[0] == reconstructions[1], "the steps behind the window change nothing");
}

void refuses_steps_that_a_file_chooses() {
  const auto few = Session::load(bytes_of(repeating_file(1U << 16, bidirectional_decoder)), "by hand");
  expect(static_cast<bool>(few), "65536 repeats are decoded in both directions");
  const auto many = Session::load(bytes_of(repeating_file(1U << 24, bidirectional_decoder)), "by hand");
  expect(!many && many.error().message.find("layers[1]: n_repeats is 16777216; expected at most 65536") != std::string::npos,
         "more steps than that are refused where the last one matters: " + (many ? "loaded" : many.error().message));
}

// A small linear congruential generator: the same files on every machine.
class Dice {
 public:
  std::size_t roll(std::size_t n) {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::size_t>(state_ >> 33) % n;
  }

 private:
  std::uint64_t state_ = 1;
};

void survives_spoilt_files() {
  const std::vector<std::uint8_t> good = recurrent_file();
  const std::vector<float> window(4 * n_features, 1.0F);
  Dice dice;
  int n_refused = 0;
  constexpr int n_trials = 4000;
  for (int trial = 0; trial < n_trials; ++trial) {
    std::vector<std::uint8_t> file = good;
    for (std::size_t change = 0; change <= dice.roll(4); ++change) file[dice.roll(file.size())] = static_cast<std::uint8_t>(dice.roll(256));
    if (trial % 5 == 0) file.resize(dice.roll(file.size()));
    const auto session = Session::load(bytes_of(file), "spoilt");
    if (!session) {
      ++n_refused;
      continue;
    }
    auto workspace = session.value().workspace(4);
    float error = 0;
    Outputs outputs;
    outputs.reconstruction_error = &error;
    if (workspace && session.value().shape().n_features == n_features) {
      static_cast<void>(session.value().score(window.data(), 1, 4, outputs, workspace.value()));
    }
  }
  expect(n_refused > n_trials / 2 && n_refused < n_trials, std::to_string(n_refused) + " of the spoilt files are refused: most, not all");
}

}  // namespace

int main() {
  scores_by_the_formula();
  calls_no_window_normal_whose_arithmetic_fails();
  says_what_it_cannot_do();
  bounds_threads();
  names_the_instruction_sets_there_are();
  survives_moves_and_many_threads();
  decodes_no_more_steps_than_the_window_has();
  refuses_steps_that_a_file_chooses();
  survives_spoilt_files();
  return offbeat_test::exit_code();
}
