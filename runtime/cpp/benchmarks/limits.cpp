// What this core can do at most, in one short run: fused multiply-adds, reads from each cache, activations. Prints one JSON object.
// The loops are assembly, so that what is measured is the processor and not a compiler.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "offbeat/cpu_features.h"

namespace {

using offbeat::kernels::Kernels;
using offbeat::kernels::Unary;

/// Nanoseconds of one of many short runs, the median: at the speed that the core has now, without what interrupted some of them.
template <class Run>
double median_ns(Run run) {
  std::vector<double> times;
  for (int i = 0; i < 41; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    times.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(times.begin(), times.begin() + 20, times.end());
  return times[20];
}

#if defined(__x86_64__)

constexpr long n_rounds = 20000;

// Ten chains: enough for two at a time of four cycles each.
#define OFFBEAT_TEN(line) line("0") line("1") line("2") line("3") line("4") line("5") line("6") line("7") line("8") line("9")
#define OFFBEAT_FMA_512(i) "vfmadd231ps %%zmm15, %%zmm15, %%zmm" i "\n"
#define OFFBEAT_FMA_256(i) "vfmadd231ps %%ymm15, %%ymm15, %%ymm" i "\n"
#define OFFBEAT_CLEAR_512(i) "vpxorq %%zmm" i ", %%zmm" i ", %%zmm" i "\n"
#define OFFBEAT_CLEAR_256(i) "vxorps %%ymm" i ", %%ymm" i ", %%ymm" i "\n"
#define OFFBEAT_CLOBBERED \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm15", "memory"

__attribute__((target("avx512f"))) void add_512() {
  asm volatile(OFFBEAT_TEN(OFFBEAT_CLEAR_512) OFFBEAT_CLEAR_512("15")::: OFFBEAT_CLOBBERED);
  for (long i = 0; i < n_rounds; ++i) asm volatile(OFFBEAT_TEN(OFFBEAT_FMA_512)::: OFFBEAT_CLOBBERED);
}

__attribute__((target("avx2,fma"))) void add_256() {
  asm volatile(OFFBEAT_TEN(OFFBEAT_CLEAR_256) OFFBEAT_CLEAR_256("15")::: OFFBEAT_CLOBBERED);
  for (long i = 0; i < n_rounds; ++i) asm volatile(OFFBEAT_TEN(OFFBEAT_FMA_256)::: OFFBEAT_CLOBBERED);
}

__attribute__((target("avx512f"))) void read_512(const char* from, std::size_t n_bytes) {
  for (std::size_t at = 0; at < n_bytes; at += 256) {
    asm volatile("vmovups (%0), %%zmm0\nvmovups 64(%0), %%zmm1\nvmovups 128(%0), %%zmm2\nvmovups 192(%0), %%zmm3\n" ::"r"(from + at)
                 : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
  }
}

__attribute__((target("avx2"))) void read_256(const char* from, std::size_t n_bytes) {
  for (std::size_t at = 0; at < n_bytes; at += 128) {
    asm volatile("vmovups (%0), %%ymm0\nvmovups 32(%0), %%ymm1\nvmovups 64(%0), %%ymm2\nvmovups 96(%0), %%ymm3\n" ::"r"(from + at)
                 : "xmm0", "xmm1", "xmm2", "xmm3", "memory");
  }
}

double fma_per_ns(bool is_wide) { return 10.0 * n_rounds * (is_wide ? 16 : 8) / median_ns(is_wide ? add_512 : add_256); }

double bytes_per_ns(bool is_wide, std::size_t n_bytes) {
  const std::vector<char> memory(n_bytes + 64, 1);
  const char* from = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64);  // no read of two cache lines
  const std::size_t n_repeats = std::max<std::size_t>(1, (std::size_t{1} << 20) / n_bytes);
  const double ns = median_ns([&] {
    for (std::size_t i = 0; i < n_repeats; ++i) is_wide ? read_512(from, n_bytes) : read_256(from, n_bytes);
  });
  return static_cast<double>(n_bytes * n_repeats) / ns;
}

const Kernels& best_kernels(bool is_wide) { return is_wide ? offbeat::kernels::avx512_kernels : offbeat::kernels::avx2_kernels; }

/// Nanoseconds of one of many: the mean of a sigmoid and a tanh.
double activation_ns(const Kernels& kernels) {
  std::vector<float> numbers(2048, 0.5f);
  const double ns = median_ns([&] {
    for (int i = 0; i < 4; ++i) {
      kernels.unary(numbers.data(), numbers.size(), Unary::sigmoid);
      kernels.unary(numbers.data(), numbers.size(), Unary::tanh);
    }
  });
  return ns / 8 / static_cast<double>(numbers.size());
}

#endif

}  // namespace

int main() {
#if defined(__x86_64__)
  const offbeat::CpuFeatures cpu = offbeat::cpu_features();
  const bool is_wide = cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl;
  if (is_wide || (cpu.avx2 && cpu.fma)) {
    std::printf("{\"isa\": \"%s\", \"fma_per_ns\": %.2f, \"l1_bytes_per_ns\": %.1f, \"l2_bytes_per_ns\": %.1f, \"l3_bytes_per_ns\": %.1f, \"activation_ns\": %.5f}\n",
                is_wide ? "avx512" : "avx2", fma_per_ns(is_wide), bytes_per_ns(is_wide, 24 << 10), bytes_per_ns(is_wide, 512 << 10),
                bytes_per_ns(is_wide, 8 << 20), activation_ns(best_kernels(is_wide)));
    return 0;
  }
#endif
  std::fprintf(stderr, "limits are measured with AVX2 or AVX-512 only\n");
  return 1;
}
