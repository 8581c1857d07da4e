// Exits 1 and says why where the version or the CPU features are not what this machine should report.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "expect.h"
#include "offbeat/cpu_features.h"
#include "offbeat/version.h"

using offbeat_test::expect;

namespace {

// The words of the first "flags" line of /proc/cpuinfo, with a blank at both ends; empty where there is none.
std::string kernel_flags() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("flags", 0) == 0) return line.substr(line.find(':') + 1) + " ";
  }
  return {};
}

}  // namespace

int main() {
  expect(offbeat::version() == EXPECTED_VERSION, "the version is the project's");

  const offbeat::CpuFeatures features = offbeat::cpu_features();
  const std::string flags = kernel_flags();
#if defined(__x86_64__)
  const std::pair<const char*, bool> seen[] = {
      {"avx2", features.avx2},         {"fma", features.fma},           {"f16c", features.f16c},
      {"avx512f", features.avx512f},   {"avx512bw", features.avx512bw}, {"avx512dq", features.avx512dq},
      {"avx512vl", features.avx512vl}, {"avx512_vnni", features.avx512_vnni},
      {"avx512_bf16", features.avx512_bf16}};
  for (const auto& [name, value] : seen) {
    const bool expected = flags.find(std::string(" ") + name + " ") != std::string::npos;
    if (!flags.empty()) expect(value == expected, std::string(name) + " is what the kernel reports");
  }
  expect(!features.neon, "no NEON on x86-64");
#elif defined(__aarch64__)
  expect(features.neon && !features.avx2, "NEON and nothing of x86-64 on AArch64");
#endif
  const std::vector<std::string_view> sets = offbeat::instruction_sets();
  const auto has = [&](std::string_view name) { return std::find(sets.begin(), sets.end(), name) != sets.end(); };
#if defined(__x86_64__)
  expect(sets.front() == "baseline" && !has("neon"), "every x86-64 runs the baseline");
  expect(!has("avx2") || (features.avx2 && features.fma && features.f16c), "avx2 only where all of it is there");
  expect(!has("avx512") || (has("avx2") && features.avx512f && features.avx512bw && features.avx512dq && features.avx512vl), "avx512 likewise");
#elif defined(__aarch64__)
  expect(sets == std::vector<std::string_view>{"neon"}, "AArch64 runs neon");
#endif
  return offbeat_test::exit_code();
}
