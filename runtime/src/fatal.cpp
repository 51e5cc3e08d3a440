#include "fatal.h"

#include <backtrace.h>
#include <cxxabi.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>
#include <typeinfo>

#include "scheduler.h"

extern "C" {
extern const char stacktide_resume_pc[];
void stacktide_with_context(stacktide::runtime::Goroutine* g, void (*function)(void*), void* argument);
}

namespace stacktide::runtime {
namespace {

// What std::terminate() did before.
constinit std::terminate_handler previous_terminate = nullptr;

constexpr int kMaxFrames = 100;
constexpr int kMaxGoroutines = 1000;

__attribute__((format(printf, 1, 2))) void say(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int n = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (n > static_cast<int>(sizeof text) - 1) n = sizeof text - 1;
  if (n > 0 && write(STDERR_FILENO, text, static_cast<std::size_t>(n)) < 0) return;
}

const char* wait_text(std::uint8_t reason) {
#define STACKTIDE_TEXT(enumeration, enumerator, value, text) \
  if (std::strcmp(#enumeration, "wait_reason") == 0 && reason == (value)) return text;
  STACKTIDE_ENUMS(STACKTIDE_TEXT)
#undef STACKTIDE_TEXT
  return "waiting";
}

const char* status_text(std::uint8_t status) {
#define STACKTIDE_TEXT(enumeration, enumerator, value, text) \
  if (std::strcmp(#enumeration, "status") == 0 && status == (value)) return text;
  STACKTIDE_ENUMS(STACKTIDE_TEXT)
#undef STACKTIDE_TEXT
  return "?";
}

// goroutine 7 [chan receive, 5 minutes]:
void say_header(const Goroutine& g) {
  const std::uint8_t status = g.status.load(std::memory_order_relaxed);
  const bool waiting = status == status_waiting;
  say("\ngoroutine %lu [%s", g.id, waiting ? wait_text(g.wait_reason) : status_text(status));
  const std::int64_t minutes = waiting ? (clock_now() - g.wait_since) / 60'000'000'000 : 0;
  if (minutes >= 1) say(", %ld minutes", minutes);
  say("]:\n");
}

struct Traceback {
  backtrace_state* symbols;
  int frames = 0;
};

bool is_runtime(const char* function) {
  return std::strncmp(function, "stacktide_", 10) == 0 || std::strcmp(function, "__morestack") == 0 ||
         std::strncmp(function, "_ZN9stacktide7runtime", 21) == 0 || std::strncmp(function, "_ZN9stacktide6detail", 20) == 0;
}

// Inlined functions have no linkage name, so the runtime's own are told by their files, which lie beside this one.
bool is_runtime_file(const char* file) {
  constexpr std::string_view kThis = __FILE__;
  constexpr std::string_view kFolder = kThis.substr(0, kThis.rfind('/') + 1);
  return std::string_view(file).starts_with(kFolder);
}

int say_frame(void* data, std::uintptr_t, const char* file, int line, const char* function) {
  auto& traceback = *static_cast<Traceback*>(data);
  // The runtime's own frames and the glue between a goroutine and its function are not what went wrong.
  if (function == nullptr || is_runtime(function) || (file != nullptr && is_runtime_file(file))) return 0;
  if (const std::size_t n = file != nullptr ? std::strlen(file) : 0; n > 20 && std::strcmp(file + n - 20, "/stacktide/runtime.h") == 0) {
    return 0;
  }
  int status = 0;
  char* plain = abi::__cxa_demangle(function, nullptr, nullptr, &status);
  say("%.400s\n\t%.400s:%d\n", plain != nullptr ? plain : function, file != nullptr ? file : "?", line);
  std::free(plain);
  ++traceback.frames;
  return 0;
}

void ignore_problem(void*, const char*, int) {}

_Unwind_Reason_Code step(_Unwind_Context* context, void* data) {
  auto& traceback = *static_cast<Traceback*>(data);
  int before = 0;
  std::uintptr_t pc = _Unwind_GetIPInfo(context, &before);
  if (pc == 0) return _URC_END_OF_STACK;
  if (before == 0) --pc;
  backtrace_pcinfo(traceback.symbols, pc, say_frame, ignore_problem, &traceback);
  return traceback.frames < kMaxFrames ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void say_frames(void* data) { _Unwind_Backtrace(step, data); }

void say_parked(backtrace_state* symbols, Goroutine& g) {
  say_header(g);
  Traceback traceback{symbols};
  if (g.pc == reinterpret_cast<std::uint64_t>(stacktide_resume_pc)) stacktide_with_context(&g, say_frames, &traceback);
}

backtrace_state* open_symbols() { return backtrace_create_state(nullptr, 1, ignore_problem, nullptr); }

void say_current(backtrace_state* symbols) {
  Goroutine* g = current_goroutine();
  if (g == nullptr) return;
  say_header(*g);
  Traceback traceback{symbols};
  say_frames(&traceback);
}

}  // namespace

void fatal(const char* text) {
  say("fatal error: %s\n", text);
  say_current(open_symbols());
  std::abort();
}

void fatal_deadlock() {
  scheduler.stopping.store(true, std::memory_order_relaxed);
  say("fatal error: all goroutines are asleep - deadlock!\n");
  backtrace_state* symbols = open_symbols();
  int shown = 0;
  int more = 0;
  for_each_goroutine([&](Goroutine& g) {
    if (g.id == 0) return;
    if (shown == kMaxGoroutines) {
      ++more;
      return;
    }
    ++shown;
    say_parked(symbols, g);
  });
  if (more != 0) say("\n...additional goroutines elided: %d\n", more);
  std::abort();
}

void fatal_stack_limit(Goroutine& g, std::uint64_t limit) {
  say("runtime: goroutine stack exceeds %lu-byte limit\n", limit);
  say("runtime: sp=%#lx stack=[%#lx, %#lx]\n", g.sp, g.stack_lo, g.stack_hi);
  say("fatal error: stack overflow\n");
  say_current(open_symbols());
  std::abort();
}

namespace {

// Nothing has been unwound yet: the traceback shows who threw.
void on_terminate() {
  if (current_goroutine() == nullptr) previous_terminate();
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) {
    say("fatal error: std::terminate()\n");
  } else {
    int status = 0;
    char* plain = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    say("fatal error: uncaught exception of type %.400s", plain != nullptr ? plain : type->name());
    try {
      throw;
    } catch (const std::exception& problem) {
      say(": %.400s", problem.what());
    } catch (...) {
    }
    say("\n");
  }
  say_current(open_symbols());
  std::abort();
}

}  // namespace

void speak_when_terminated() { previous_terminate = std::set_terminate(on_terminate); }

void fatal_not_parkable(const char* what) {
  if (stacktide_thread.m == nullptr) {
    say("fatal error: %s outside a goroutine: call it from a function started with run() or go()\n", what);
  } else {
    const Goroutine* g = current_goroutine();
    const bool blocking = g != nullptr && g->status.load(std::memory_order_relaxed) == status_syscall;
    say("fatal error: %s in %s, which runs on the thread's system stack and cannot park\n", what,
        blocking ? "the function given to blocking()" : "a callback from library code");
    say_current(open_symbols());
  }
  std::abort();
}

}  // namespace stacktide::runtime
