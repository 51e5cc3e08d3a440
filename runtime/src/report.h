// What a dying program writes, and which of its threads may.
//
// Concept. Whoever finds that the program cannot go on calls begin_report(), says what it has to say, and ends the process.
// One thread reports; any other that comes here meanwhile sleeps until the process is gone, so that two errors at once do
// not mix. All of this also runs in signal handlers: no allocation, no locks.
//
// A report may itself get stuck or fail: whoever corrupted a stack may have corrupted what names it. A second error of the
// reporting thread ends the process with one line, and so does a report that makes no progress for kPatience seconds (an
// unwinder that runs in circles, a lock of the dynamic loader held by a thread that never gives it back). Time spent in
// write() does not count: a pager may keep it waiting.
#pragma once

#include <cstdint>

namespace stacktide::runtime {

inline constexpr unsigned kPatience = 20;

// Writes to standard error, at most 1023 bytes a call.
__attribute__((format(printf, 1, 2))) void say(const char* format, ...);

// From here on this thread reports, and the process ends by `signal` should the report fail. Returns only in the first
// thread that comes here.
void begin_report(int signal);
// Is a report going on, whoever makes it?
bool reporting();
// Ends the process as begin_report() was told: SIGABRT by abort(), another signal by its default action, SIGQUIT with exit
// code 2 as in Go.
[[noreturn]] void end_report();
// The report of this thread has met another error: says so in a line and ends the process.
[[noreturn]] void fail_report(const char* what);

}  // namespace stacktide::runtime
