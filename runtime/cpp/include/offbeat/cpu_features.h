#pragma once

#include <string_view>
#include <vector>

#include "offbeat/export.h"

namespace offbeat {

/// What this processor, and the operating system it runs, let a kernel use.
///
/// A vector extension counts only where the system also saves its registers: an AVX-512 processor under a
/// kernel that does not switch the zmm registers reports false.
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512dq = false;
  bool avx512vl = false;
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool neon = false;
};

/// Asks the processor. Cheap enough to call once per load, and the same answer every time.
OFFBEAT_API CpuFeatures cpu_features() noexcept;

/// The instruction sets, by the names that SessionOptions takes, that this processor runs; the plainest first.
OFFBEAT_API std::vector<std::string_view> instruction_sets();

}  // namespace offbeat
