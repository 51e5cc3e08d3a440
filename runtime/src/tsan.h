// What ThreadSanitizer must be told: that threads change stacks. Nothing in other builds.
//
// Each goroutine is a fiber of its own. The runtime's code runs on the thread's fiber: it is left for the goroutine's when a
// goroutine goes on, and entered again at each runtime call and each failed check, before anybody else may take the
// goroutine over. A switch orders what was done before it and after it, as it does in the machine. Library calls stay on the
// goroutine's fiber, since they may not park.
//
// Only tests are built so (target stacktide_runtime_tsan): stacks must not move, because the sanitizer's shadow does not,
// and must be large, because its calls run on them.
#pragma once

#include "goroutine.h"
#include "worker.h"

#ifdef STACKTIDE_TSAN
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace stacktide::runtime::tsan {

#ifdef STACKTIDE_TSAN

inline void begin_thread(M& m) { m.fiber = __tsan_get_current_fiber(); }
inline void begin_goroutine(Goroutine& g) { g.own->fiber = __tsan_create_fiber(0); }
inline void end_goroutine(Goroutine& g) { __tsan_destroy_fiber(g.own->fiber); }
// On in the goroutine; the monitor sees what this thread has written of it (library_call.h).
inline void enter_goroutine(Goroutine& g) {
  __tsan_release(&stacktide_thread.library_call);
  __tsan_switch_to_fiber(g.own->fiber, 0);
}
// On in the runtime.
inline void enter_runtime() { __tsan_switch_to_fiber(stacktide_thread.m->fiber, 0); }
// The membarrier of retake_p() is over.
inline void see_thread(ThreadState& thread) { __tsan_acquire(&thread.library_call); }

#else

inline void begin_thread(M&) {}
inline void begin_goroutine(Goroutine&) {}
inline void end_goroutine(Goroutine&) {}
inline void enter_goroutine(Goroutine&) {}
inline void enter_runtime() {}
inline void see_thread(ThreadState&) {}

#endif

}  // namespace stacktide::runtime::tsan
