// One session, many threads, a workspace each: every thread gets the numbers that one alone gets.
#include <string>
#include <thread>
#include <vector>

#include "expect.h"
#include "golden_models.h"

namespace {

using offbeat::Session;
using offbeat_test::expect;

constexpr std::size_t n_threads = 4;
constexpr std::size_t n_windows = 50;
constexpr int n_rounds = 5;

std::vector<float> errors_of(const Session& session, const std::vector<float>& windows) {
  const std::size_t n_steps = offbeat_test::steps_of(session);
  offbeat::Workspace workspace = session.workspace(n_steps).value();
  std::vector<float> errors(n_windows);
  for (int round = 0; round < n_rounds; ++round) {
    if (session.score(windows.data(), n_windows, n_steps, {.reconstruction_error = errors.data()}, workspace) != offbeat::Status::ok) return {};
  }
  return errors;
}

// Threads of the caller's own, and threads of the session among which it splits a batch.
void threads_get_the_numbers_of_one(const std::string& name, std::size_t n_of_session) {
  const Session alone = offbeat_test::load_model(name), shared = offbeat_test::load_model(name, {.n_threads = n_of_session});
  const std::vector<float> windows = offbeat_test::random_rows(n_windows * offbeat_test::steps_of(alone) * alone.shape().n_features);
  const std::vector<float> expected = errors_of(alone, windows);
  std::vector<std::vector<float>> seen(n_threads);
  std::vector<std::thread> threads;
  for (std::vector<float>& errors : seen) threads.emplace_back([&] { errors = errors_of(shared, windows); });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& errors : seen) expect(!errors.empty() && errors == expected, name + ": the same numbers in every thread");
}

}  // namespace

int main() {
  for (const char* name : offbeat_test::model_names) {
    for (const std::size_t n_of_session : {1, 3}) threads_get_the_numbers_of_one(name, n_of_session);
  }
  return offbeat_test::exit_code();
}
