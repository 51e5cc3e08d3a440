// Signals that end the program: faults, abort() in a goroutine, and SIGQUIT; and signals that threads of a dying program
// send each other.
//
// Concept. Handlers are installed when the runtime starts, each only where the action is still the default: a program's or a
// sanitizer's own stays, and one installed later replaces ours. They run on the thread's signal stack (worker.cpp), since a
// goroutine's may be the very one that ran over. A fault is reported in Go's words, with the goroutine's frames, found
// through the signal's frame; then the action is the default again and the handler returns, so that the same instruction
// faults again and a core has the registers as they were. SIGQUIT shows all goroutines and exits with 2.
//
// A goroutine that runs on another thread can only be walked there: the reporting thread asks by SIGURG, which harms no
// thread that does not know it, and waits a bounded time for the answer.
//
// Rejected: throwing from the handler as Go's panics do (a C++ frame has clean-ups only for its calls, so a fault elsewhere
// would skip destructors).
#pragma once

#include "goroutine.h"

namespace stacktide::runtime {

// Once, at start.
void install_handlers();

// Shows the frames of a goroutine that another thread runs, on that thread. False: that thread does not run it, or does not
// answer.
bool trace_on_its_thread(Goroutine& g);

// Runs f(argument). False: a fault ended it. For the reporting thread, and the one that it asked.
bool survives_faults(void (*f)(void*), void* argument);

}  // namespace stacktide::runtime
