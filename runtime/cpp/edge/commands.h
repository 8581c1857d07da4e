#pragma once

#include <span>

#include "exit_code.h"

namespace offbeat::edge {

/// The commands of offbeat-edge: each takes the words behind its name. A failure is told on standard error before they return.
ExitCode score(std::span<char* const> words);
ExitCode inspect(std::span<char* const> words);
ExitCode verify(std::span<char* const> words);
ExitCode bench(std::span<char* const> words);

}  // namespace offbeat::edge
