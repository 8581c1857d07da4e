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

inline std::vector<const offbeat::kernels::Kernels*> kernels_of_this_machine() {
  namespace kernels = offbeat::kernels;
#if defined(__x86_64__)
  const offbeat::CpuFeatures cpu = offbeat::cpu_features();
  std::vector<const kernels::Kernels*> all{&kernels::baseline_kernels};
  if (cpu.avx2 && cpu.fma && cpu.f16c) all.push_back(&kernels::avx2_kernels);
  if (cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl) all.push_back(&kernels::avx512_kernels);
  if (cpu.avx512_vnni && all.size() == 3) all.push_back(&kernels::avx512_vnni_kernels);
  return all;
#elif defined(__aarch64__)
  return {&kernels::neon_kernels};
#else
  return {&kernels::baseline_kernels};
#endif
}

inline std::string name_of(const offbeat::kernels::Kernels& kernels) {
#if defined(__x86_64__)
  if (&kernels == &offbeat::kernels::avx512_vnni_kernels) return "avx512 with vnni";
#endif
  return kernels.isa;
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
