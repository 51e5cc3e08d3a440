// The command line of `stacktide`: which target, how to print, and the words of one command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/result.h"

namespace stacktide::cli {

enum class ColourMode : std::uint8_t { automatic, always, never };

struct Options {
  std::optional<std::uint64_t> pid;
  std::string core;
  std::string executable;
  ColourMode colour = ColourMode::automatic;
  bool help = false;
  bool version = false;
  std::vector<std::string> words;  // the command, its arguments and its options, as typed
};

// Error: usage.
Result<Options> parse(int argc, const char* const* argv);
// What --help prints.
std::string usage();
// A bash script that completes commands and options.
std::string bash_completion();

}  // namespace stacktide::cli
