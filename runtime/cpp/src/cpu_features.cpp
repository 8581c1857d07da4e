#include "offbeat/cpu_features.h"

namespace offbeat {

#if defined(__x86_64__)

// The compiler's own query reads CPUID and, for the vector extensions, XGETBV as well.
CpuFeatures cpu_features() noexcept {
  __builtin_cpu_init();
  CpuFeatures features;
  features.avx2 = __builtin_cpu_supports("avx2") != 0;
  features.fma = __builtin_cpu_supports("fma") != 0;
  features.f16c = __builtin_cpu_supports("f16c") != 0;
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

}  // namespace offbeat
