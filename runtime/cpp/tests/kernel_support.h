#pragma once

#include <random>
#include <string>
#include <vector>

#include "engine_pack.h"
#include "expect.h"
#include "kernels/kernels.h"
#include "offbeat/cpu_features.h"

/// What the tests of kernels share: the instruction sets of this machine, and matrices to pack.
namespace offbeat_test {

struct NamedKernels : offbeat::kernels::Kernels {
  std::string name;
};

/// Every instruction set of this machine, and AVX-512 with VNNI as one of its own.
inline std::vector<NamedKernels> kernels_of_this_machine() {
  namespace kernels = offbeat::kernels;
  std::vector<NamedKernels> all;
  const auto add = [&](const kernels::Kernels& each) { all.push_back({each, each.isa}); };
#if defined(__x86_64__)
  const offbeat::CpuFeatures cpu = offbeat::cpu_features();
  add(kernels::baseline_kernels);
  if (cpu.avx2 && cpu.fma && cpu.f16c) add(kernels::avx2_kernels);
  if (cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl) {
    add(kernels::avx512_kernels);
    if (cpu.avx512_vnni) {
      add(kernels::avx512_kernels);
      all.back().bytes = kernels::avx512_vnni_kernels;
      all.back().name = "avx512 with vnni";
    }
  }
#elif defined(__aarch64__)
  add(kernels::neon_kernels);
#else
  add(kernels::baseline_kernels);
#endif
  return all;
}

/// A layer by the kernel of its weights' format.
inline void multiply(const NamedKernels& kernels, const offbeat::kernels::LinearArgs& args) {
  (args.weight.format == offbeat::kernels::Format::i8 ? kernels.bytes.linear : kernels.linear)(args);
}

inline void run(const NamedKernels& kernels, const offbeat::kernels::LstmArgs& args) {
  (args.weight_hidden.format == offbeat::kernels::Format::i8 ? kernels.bytes.lstm : kernels.lstm)(args);
}

inline std::vector<float> random_floats(std::size_t n, unsigned seed, float scale = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> numbers(n);
  for (float& number : numbers) number = normal(generator);
  return numbers;
}

inline offbeat::Matrix matrix_of(const std::vector<float>& numbers, std::size_t n_rows) {
  offbeat::Matrix matrix;
  matrix.data = reinterpret_cast<const std::byte*>(numbers.data());
  matrix.n_rows = n_rows;
  matrix.n_columns = numbers.size() / n_rows;
  return matrix;
}

inline std::size_t padded(std::size_t size) {
  return (size + offbeat::kernels::row_alignment - 1) / offbeat::kernels::row_alignment * offbeat::kernels::row_alignment;
}

/// Rows of `size` numbers, each behind zeros up to a whole row.
inline std::vector<float> padded_rows(const std::vector<float>& numbers, std::size_t size) {
  const std::size_t stride = padded(size);
  std::vector<float> rows(numbers.size() / size * stride + offbeat::kernels::row_alignment);
  for (std::size_t i = 0; i < numbers.size(); ++i) rows[i / size * stride + i % size] = numbers[i];
  return rows;
}

}  // namespace offbeat_test
