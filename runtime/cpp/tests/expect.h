#pragma once

#include <cstdio>
#include <string>

/// What the test programs need of a framework: say what failed, go on, exit 1 in the end.
namespace offbeat_test {

inline int failures = 0;

inline void expect(bool condition, const std::string& what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what.c_str());
  ++failures;
}

inline int exit_code() { return failures == 0 ? 0 : 1; }

}  // namespace offbeat_test
