// The link command that stacktide-link was given: which of its words are inputs, where the output goes, who is the driver.
//
// Only what the launcher needs is understood; every other word is passed on untouched and in its place. Response files are
// expanded, since CMake puts long lists of objects into them. A file named inside -Wl,...  becomes a word of its own,
// because the driver keeps the order of both.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "object.h"

namespace stacktide::link {

struct Word {
  enum class Kind {
    option,   // anything that is not one of the following
    object,   // a relocatable object file
    archive,  // a static library, given by path or found for -lNAME
  };
  Kind kind = Kind::option;
  std::string text;            // as the linker shall see it
  std::filesystem::path path;  // of an object or archive
  bool whole_archive = false;  // lies in a --whole-archive region
};

struct CommandLine {
  bool verbose = false;     // --stacktide-verbose
  bool help = false;        // --help before the command
  std::string driver;       // the command's first word
  std::vector<Word> words;  // the rest
  std::filesystem::path output = "a.out";
  bool links = true;                 // false for -c, -S, -E and -r: nothing for us to do
  bool shared = false;               // -shared
  std::vector<std::string> wrapped;  // --wrap=SYM that the user gave
  std::vector<std::string> strip;    // options of strip(1) for what the linker was told to leave out; not among `words`
};

// arguments: argv without the program itself.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace stacktide::link
