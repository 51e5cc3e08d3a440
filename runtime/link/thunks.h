// The thunks that carry direct library calls to the thread's system stack.
//
// Concept. `--wrap=SYM` turns each call of SYM into one of __wrap_SYM, the thunk, which loads the real function's address
// and jumps to the runtime. The thunk reaches it through the GOT, with -z now: the lazy resolver would want kilobytes of a
// small stack. The thunk object carries both split-stack notes, without which gold tries to rewrite prologues that are not
// there. The text depends on the symbols only, so an unchanged program keeps its thunk object.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "calls.h"

namespace stacktide::link {

// Output section of the thunks.
inline constexpr std::string_view kThunkSection = "stacktide_thunks";

// Assembly of one thunk for each direct call, of the bound of indirect calls' arguments, and of stacktide_linked.
std::string thunk_assembly(const Calls& calls);

// One `-Wl,--wrap=SYM` a line, for the driver's @file.
std::string wrap_options(const CallMap& calls);

// Writes `text` to `path` unless it holds just that. True: it was written.
Result<bool> write_if_changed(const std::filesystem::path& path, std::string_view text);

// Assembles `assembly` with `driver` to `directory`/NAME.o, unless that is up to date and `anew` is false (files that the
// text includes have changed). Returns its path, and whether it was made.
Result<std::pair<std::filesystem::path, bool>> assemble(const std::string& driver, const std::filesystem::path& directory,
                                                        const std::string& name, std::string_view assembly,
                                                        bool anew = false);

}  // namespace stacktide::link
