// Questions that only the linker can answer: which archive members a link takes, and whether a weak symbol is defined.
//
// Concept. The command is run once as it was given, to a throw-away output, with the linker's own tracing (-t twice and -y
// SYM, which BFD, gold and lld all have). Needed only if an archive holds goroutine code or a call goes to a weak symbol: a
// thunk for a member that isn't taken would make the link want symbols that nobody needs, and __wrap_SYM of an absent weak
// SYM has an address, so that `if (SYM) SYM();` would call nothing.
//
// Rejected: doing the linker's archive search here (groups, order, -l paths, shared libraries and linker scripts decide it).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "command_line.h"

namespace stacktide::link {

struct ProbeAnswer {
  std::map<std::filesystem::path, std::set<std::string>> members;  // taken, by canonical path of the archive
  std::set<std::string> files;                                     // other files taken, canonical (members of thin archives)
  std::set<std::string, std::less<>> defined;                      // of the symbols asked for
};

// Understands the three linkers' traces: "(lib.a)m.o", "lib.a(m.o)" and "file: [shared ]definition of SYM".
ProbeAnswer read_trace(std::string_view trace);

// nullopt in place of an answer: the link itself fails, which the caller shows by running it as it is.
Result<std::optional<ProbeAnswer>> probe(const CommandLine& line, const std::vector<std::string>& weak_symbols,
                                         const std::filesystem::path& directory);

}  // namespace stacktide::link
