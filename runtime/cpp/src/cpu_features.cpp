#include "offbeat/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace offbeat {

#if defined(__x86_64__)

// Bit 29 of ECX of leaf 1. Clang's query does not know it; the registers that it needs are those of AVX.
static bool has_f16c() noexcept {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __builtin_cpu_supports("avx") != 0 && __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> 29 & 1) != 0;
}

// The compiler's own query reads CPUID and, for the vector extensions, XGETBV as well.
CpuFeatures cpu_features() noexcept {
  __builtin_cpu_init();
  CpuFeatures features;
  features.avx2 = __builtin_cpu_supports("avx2") != 0;
  features.fma = __builtin_cpu_supports("fma") != 0;
  features.f16c = has_f16c();
  features.avx512f = __builtin_cpu_supports("avx512f") != 0;
  features.avx512bw = __builtin_cpu_supports("avx512bw") != 0;
  features.avx512dq = __builtin_cpu_supports("avx512dq") != 0;
  features.avx512vl = __builtin_cpu_supports("avx512vl") != 0;
  features.avx512_vnni = __builtin_cpu_supports("avx512vnni") != 0;
  features.avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
  return features;
}

#elif defined(__aarch64__)

// Advanced SIMD is part of every AArch64 processor that runs a general-purpose system.
CpuFeatures cpu_features() noexcept {
  CpuFeatures features;
  features.neon = true;
  return features;
}

#else

CpuFeatures cpu_features() noexcept { return {}; }

#endif

std::vector<std::string_view> instruction_sets() {
  const CpuFeatures cpu = cpu_features();
  if (cpu.neon) return {"neon"};
  std::vector<std::string_view> names{"baseline"};
  const bool has_avx2 = cpu.avx2 && cpu.fma && cpu.f16c;
  if (has_avx2) names.push_back("avx2");
  if (has_avx2 && cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl) names.push_back("avx512");
  return names;
}

}  // namespace offbeat
