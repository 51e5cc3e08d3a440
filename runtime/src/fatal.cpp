#include "fatal.h"

#include <cxxabi.h>
#include <signal.h>

#include <exception>
#include <typeinfo>

#include "frame_names.h"
#include "recorder.h"
#include "report.h"
#include "scheduler.h"
#include "traceback.h"

namespace stacktide::runtime {
namespace {

// What std::terminate() did before.
constinit std::terminate_handler previous_terminate = nullptr;

// A deadlock shows so many goroutines; STACKTIDE_TRACEBACK=all lifts the limit.
constexpr std::uint64_t kMaxGoroutines = 1000;

bool on_signal_stack() {
  stack_t now{};
  return sigaltstack(nullptr, &now) == 0 && (now.ss_flags & SS_ONSTACK) != 0;
}

// The current goroutine, the others when asked for, and the end.
[[noreturn]] void trace_and_end() {
  if (traceback_level() != TracebackLevel::none) trace_current();
  if (traceback_level() >= TracebackLevel::all) {
    scheduler.stopping.store(true, std::memory_order_relaxed);
    trace_others(current_goroutine(), UINT64_MAX);
  }
  end_report();
}

}  // namespace

void fatal(const char* text) {
  begin_report(SIGABRT);
  say("fatal error: %s\n", text);
  end_recording(text);
  trace_and_end();
}

void panic(const char* text) {
  begin_report(SIGABRT);
  say("panic: %s\n", text);
  end_recording(text);
  trace_and_end();
}

void fatal_deadlock() {
  begin_report(SIGABRT);
  scheduler.stopping.store(true, std::memory_order_relaxed);
  say("fatal error: all goroutines are asleep - deadlock!\n");
  end_recording("deadlock");
  if (traceback_level() != TracebackLevel::none) {
    trace_others(nullptr, traceback_level() >= TracebackLevel::all ? UINT64_MAX : kMaxGoroutines);
  }
  end_report();
}

void fatal_stack_limit(Goroutine& g, std::uint64_t limit) {
  begin_report(SIGABRT);
  say("runtime: goroutine stack exceeds %lu-byte limit\n", limit);
  say("runtime: sp=0x%lx stack=[0x%lx, 0x%lx]\n", g.sp, g.stack_lo, g.stack_hi);
  say("fatal error: stack overflow\n");
  end_recording("stack overflow");
  trace_and_end();
}

namespace {

// Nothing has been unwound yet: the traceback shows who threw.
void on_terminate() {
  if (current_goroutine() == nullptr) previous_terminate();
  begin_report(SIGABRT);
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) {
    say("fatal error: std::terminate()\n");
  } else {
    say("fatal error: uncaught exception of type %s", PlainName(type->name(), true).text());
    try {
      throw;
    } catch (const std::exception& problem) {
      say(": %.400s", problem.what());
    } catch (...) {
    }
    say("\n");
  }
  end_recording("uncaught exception");
  trace_and_end();
}

}  // namespace

void speak_when_terminated() { previous_terminate = std::set_terminate(on_terminate); }

void fatal_not_parkable(const char* what) {
  begin_report(SIGABRT);
  if (stacktide_thread.m == nullptr) {
    say("fatal error: %s outside a goroutine: call it from a function started with run() or go()\n", what);
    end_report();
  }
  const Goroutine* g = current_goroutine();
  if (on_signal_stack()) {
    say("fatal error: %s in a signal handler, which cannot park\n", what);
  } else {
    const bool blocking =
        g != nullptr && g->status.load(std::memory_order_relaxed) == status_syscall && g->wait_object == nullptr;
    say("fatal error: %s in %s, which runs on the thread's system stack and cannot park\n", what,
        blocking ? "the function given to blocking()" : "a callback from library code");
  }
  end_recording("parked where it cannot");
  trace_and_end();
}

}  // namespace stacktide::runtime
