#include <cstdio>
#include <exception>
#include <span>
#include <string_view>

#include "commands.h"
#include "help.h"
#include "offbeat/version.h"

#if defined(__GLIBCXX__)
// The library's own handler prints the exception's type, and brings 50 KiB of demangler along.
namespace __gnu_cxx {
void __verbose_terminate_handler() { __builtin_abort(); }
}  // namespace __gnu_cxx
#endif

namespace {

using offbeat::edge::ExitCode;

struct Command {
  std::string_view name;
  ExitCode (*run)(std::span<char* const>);
  const char* help;
};

constexpr Command commands[] = {{"score", offbeat::edge::score, offbeat::edge::score_help},
                                {"inspect", offbeat::edge::inspect, offbeat::edge::inspect_help},
                                {"verify", offbeat::edge::verify, offbeat::edge::verify_help},
                                {"bench", offbeat::edge::bench, offbeat::edge::bench_help}};

bool asks_for_help(std::span<char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

ExitCode run(std::span<char* const> words) {
  const std::string_view name = words.empty() ? "" : words.front();
  for (const Command& command : commands) {
    if (command.name != name) continue;
    if (!asks_for_help(words)) return command.run(words.subspan(1));
    std::fputs(command.help, stdout);
    return ExitCode::ok;
  }
  if (name == "--version") {
    std::printf("offbeat-edge %.*s\n", static_cast<int>(offbeat::version().size()), offbeat::version().data());
    return ExitCode::ok;
  }
  const bool is_asked = asks_for_help(words);
  std::fputs(offbeat::edge::general_help, is_asked ? stdout : stderr);
  return is_asked ? ExitCode::ok : ExitCode::usage;
}

}  // namespace

int main(int n_words, char** words) {
  try {
    return static_cast<int>(run(std::span(words, static_cast<std::size_t>(n_words)).subspan(1)));
  } catch (const std::exception&) {
    // Only a failed allocation of the standard library's containers comes here.
    return static_cast<int>(offbeat::edge::fail(ExitCode::model, "no memory"));
  }
}
