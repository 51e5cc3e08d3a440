// Every signal handler of the process runs on a signal stack: a goroutine's 2 KiB do not hold one.
//
// Concept. The program's executable defines sigaction(), signal() and their like, which add SA_ONSTACK and go on to libc's.
// A definition in an executable comes before one in a shared library for all callers, so handlers that shared libraries
// install are reached too. Threads that run no goroutines have no signal stack; for them the flag means nothing.
//
// Not reached: who calls __sigaction() or the system call. libc does for its own two signals, and sets the flag itself
// (since 2.34).
//
// Built without the runtime's mark: for stacktide-link these are library functions, and calls from goroutines go through
// thunks.
#pragma once

#include <signal.h>

namespace stacktide::runtime {

// Has the program, or a library of it, set an action for this signal? What it inherited it has not set.
bool is_set_by_program(int signal);
// sigaction() as it is.
int set_action(int signal, const struct sigaction* action, struct sigaction* before);

}  // namespace stacktide::runtime
