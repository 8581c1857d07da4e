#include "instruction_sets.h"

#include "offbeat/cpu_features.h"

namespace offbeat::edge {

std::vector<std::string_view> instruction_sets() {
  const CpuFeatures cpu = cpu_features();
  if (cpu.neon) return {"neon"};
  std::vector<std::string_view> names{"baseline"};
  const bool has_avx2 = cpu.avx2 && cpu.fma && cpu.f16c;
  const bool has_avx512 = has_avx2 && cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl;
  if (has_avx2) names.push_back("avx2");
  if (has_avx512) names.push_back("avx512");
  return names;
}

}  // namespace offbeat::edge
