// Times Session::score: engine_bench <model.safetensors> [--batch n] [--time steps] [--isa name] [--precision name] [--threads n]
// [--seconds s]. Prints one JSON object; the outputs are those of a server: error, score and decision.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/session.h"

namespace {

struct Arguments {
  const char* path = nullptr;
  std::size_t batch = 1;
  std::size_t time = 1;
  std::size_t n_threads = 1;
  double seconds = 1;
  std::string isa;
  std::string precision = "stored";
};

bool parse(int n, char** words, Arguments& arguments) {
  if (n < 2) return false;
  arguments.path = words[1];
  for (int i = 2; i + 1 < n; i += 2) {
    const std::string_view flag = words[i];
    const char* value = words[i + 1];
    if (flag == "--batch") arguments.batch = std::strtoul(value, nullptr, 10);
    else if (flag == "--time") arguments.time = std::strtoul(value, nullptr, 10);
    else if (flag == "--threads") arguments.n_threads = std::strtoul(value, nullptr, 10);
    else if (flag == "--seconds") arguments.seconds = std::strtod(value, nullptr);
    else if (flag == "--isa") arguments.isa = value;
    else if (flag == "--precision") arguments.precision = value;
    else return false;
  }
  return arguments.batch > 0 && arguments.time > 0;
}

offbeat::Precision precision_of(std::string_view name) {
  if (name == "float32") return offbeat::Precision::float32;
  if (name == "float16") return offbeat::Precision::float16;
  if (name == "bfloat16") return offbeat::Precision::bfloat16;
  if (name == "int8") return offbeat::Precision::int8;
  return offbeat::Precision::stored;
}

std::vector<double> measure(const offbeat::Session& session, offbeat::Workspace& workspace, const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> windows(arguments.batch * arguments.time * session.shape().n_features);
  std::mt19937 generator(7);
  std::normal_distribution<float> normal;
  std::generate(windows.begin(), windows.end(), [&] { return normal(generator); });
  std::vector<float> error(arguments.batch);
  std::vector<float> score(arguments.batch);
  const auto decision = std::make_unique<bool[]>(arguments.batch);
  offbeat::Outputs outputs;
  outputs.reconstruction_error = error.data();
  outputs.anomaly_score = score.data();
  outputs.is_anomaly = decision.get();
  std::vector<double> times_us;
  const auto end = Clock::now() + std::chrono::duration<double>(arguments.seconds);
  while (times_us.size() < 3 || Clock::now() < end) {
    const auto begin = Clock::now();
    if (session.score(windows.data(), arguments.batch, arguments.time, outputs, workspace) != offbeat::Status::ok) return {};
    times_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  return times_us;
}

}  // namespace

int main(int n, char** words) {
  Arguments arguments;
  if (!parse(n, words, arguments)) {
    std::fprintf(stderr, "engine_bench <model.safetensors> [--batch n] [--time steps] [--isa name] [--precision name] [--threads n] [--seconds s]\n");
    return 2;
  }
  offbeat::SessionOptions options;
  options.isa = arguments.isa;
  options.precision = precision_of(arguments.precision);
  options.n_threads = arguments.n_threads;
  auto session = offbeat::Session::load(arguments.path, options);
  if (!session) {
    std::fprintf(stderr, "%s\n", session.error().message.c_str());
    return 1;
  }
  auto workspace = session.value().workspace(arguments.time);
  if (!workspace) {
    std::fprintf(stderr, "%s\n", workspace.error().message.c_str());
    return 1;
  }
  std::vector<double> times_us = measure(session.value(), workspace.value(), arguments);
  if (times_us.empty()) {
    std::fprintf(stderr, "%s does not score %zu steps\n", arguments.path, arguments.time);
    return 1;
  }
  std::sort(times_us.begin(), times_us.end());
  std::printf("{\"isa\": \"%s\", \"batch\": %zu, \"time\": %zu, \"n_calls\": %zu, \"median_us\": %.3f, \"least_us\": %.3f}\n",
              std::string(session.value().isa()).c_str(), arguments.batch, arguments.time, times_us.size(), times_us[times_us.size() / 2],
              times_us.front());
  return 0;
}
