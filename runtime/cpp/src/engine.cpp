#include "engine.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include "engine_compile.h"
#include "engine_run.h"
#include "engine_threads.h"
#include "offbeat/cpu_features.h"

namespace offbeat {
namespace {

using kernels::Kernels;

/// The kernels of an instruction set that this processor has.
Kernels kernels_of([[maybe_unused]] std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512") {
    Kernels kernels = kernels::avx512_kernels;
    if (cpu_features().avx512_vnni) kernels.bytes = kernels::avx512_vnni_kernels;
    return kernels;
  }
  return isa == "avx2" ? kernels::avx2_kernels : kernels::baseline_kernels;
#elif defined(__aarch64__)
  return kernels::neon_kernels;
#else
  return kernels::baseline_kernels;
#endif
}

/// By name, the best where the name is empty.
Result<Kernels> find_kernels(std::string_view isa) {
  const std::vector<std::string_view> names = instruction_sets();
  if (isa.empty()) return kernels_of(names.back());
  if (std::find(names.begin(), names.end(), isa) != names.end()) return kernels_of(isa);
  std::string message = "this processor has no instruction set \"" + std::string(isa) + "\"; it has";
  for (const std::string_view name : names) message += (name == names.front() ? " " : ", ") + std::string(name);
  return Error{message};
}

/// Numbers of packed weights in each format, by the format's place in Format. Layers of few outputs, always float32, are left out.
std::array<std::size_t, 4> count_weights(const Program& program) noexcept {
  std::array<std::size_t, 4> counts{};
  const auto add = [&](const kernels::Packed& packed) { counts[static_cast<std::size_t>(packed.format)] += packed.n_inputs * packed.n_vectors; };
  const auto add_lstm = [&](const LstmOp& lstm) {
    if (lstm.input != LstmInput::none) add(lstm.weight_input);
    add(lstm.weight_hidden);
  };
  for (const Step& step : program.steps) {
    if (const auto* linear = std::get_if<LinearOp>(&step.operation)) add(linear->weight);
    if (const auto* lstm = std::get_if<LstmOp>(&step.operation)) add_lstm(*lstm);
    if (const auto* group = std::get_if<LstmGroupOp>(&step.operation)) {
      for (const LstmGroupOp::Layer& layer : group->layers) add_lstm(layer.op);
    }
  }
  return counts;
}

/// The precision of most weights, the wider one of equals.
Precision kept_precision(const Program& program) noexcept {
  constexpr Precision of_format[] = {Precision::float32, Precision::bfloat16, Precision::float16, Precision::int8};
  const auto counts = count_weights(program);
  return of_format[std::max_element(counts.begin(), counts.end()) - counts.begin()];
}

class CompiledEngine final : public Engine {
 public:
  CompiledEngine(std::unique_ptr<const Program> program, const Kernels& kernels, const SessionOptions& options)
      : program_(std::move(program)), kernels_(kernels), precision_(kept_precision(*program_)) {
    if (options.n_threads > 1) pool_.emplace(options.n_threads);
  }

  std::size_t n_workspace_bytes(std::size_t time) const noexcept override {
    return n_scratch_bytes(*program_, time) * (pool_ ? pool_->n_threads() : 1);
  }

  bool all_finite(const float* values, std::size_t n_values) const noexcept override { return kernels_.finite(values, n_values); }

  void score(const float* windows, std::size_t n, std::size_t time, const Outputs& outputs, std::byte* workspace) const noexcept override {
    Batch batch{*this, windows, n, time, outputs, workspace, 0, 0};
    const std::size_t largest = tile_size(*program_, time);
    const std::size_t n_threads = pool_ ? pool_->n_threads() : 1;
    // Tiles of one size, so that the last is not a small one, and as many for each thread.
    const std::size_t n_shares = (n + largest * n_threads - 1) / (largest * n_threads) * n_threads;
    const std::size_t n_tiles = std::min(n_shares, (n + 5) / 6);
    batch.tile = n == 0 ? 0 : std::min(largest, (n + n_tiles * 6 - 1) / (n_tiles * 6) * 6);
    const auto job = [](const void* context, std::size_t thread) noexcept { static_cast<const Batch*>(context)->score_tiles(thread); };
    if (pool_ && n > batch.tile && pool_->run(job, &batch)) return;
    for (std::size_t first = 0; first < n; first += batch.tile) {
      score_tile(*program_, kernels_, windows, first, std::min(batch.tile, n - first), time, outputs, workspace);
    }
  }

  std::string_view isa() const noexcept override { return kernels_.isa; }
  Precision precision() const noexcept override { return precision_; }

 private:
  /// One call of score, shared by its threads, each of which takes the next tile until there is none.
  struct Batch {
    const CompiledEngine& engine;
    const float* windows;
    std::size_t n;
    std::size_t time;
    const Outputs& outputs;
    std::byte* workspace;
    std::size_t tile;
    mutable std::atomic<std::size_t> next;

    void score_tiles(std::size_t thread) const noexcept {
      std::byte* scratch = workspace + thread * n_scratch_bytes(*engine.program_, time);
      for (;;) {
        const std::size_t first = next.fetch_add(tile, std::memory_order_relaxed);
        if (first >= n) return;
        score_tile(*engine.program_, engine.kernels_, windows, first, std::min(tile, n - first), time, outputs, scratch);
      }
    }
  };

  std::unique_ptr<const Program> program_;
  Kernels kernels_;
  Precision precision_;
  mutable std::optional<ThreadPool> pool_;
};

}  // namespace

Result<std::unique_ptr<const Engine>> Engine::compile(const Plan& plan, const SessionOptions& options) {
  const Result<Kernels> found = find_kernels(options.isa);
  if (!found) return found.error();
  const Kernels& kernels = found.value();
  try {
    auto program = compile_program(plan, kernels, options.precision);
    return std::unique_ptr<const Engine>(std::make_unique<CompiledEngine>(std::move(program), kernels, options));
  } catch (const std::bad_alloc&) {
    return Error{"there is not enough memory for the weights"};
  } catch (const std::system_error& error) {
    return Error{std::string("the threads could not be started: ") + error.what()};
  }
}

}  // namespace offbeat
