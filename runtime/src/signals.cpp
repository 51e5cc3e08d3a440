#include "signals.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>

#include "fault.h"
#include "frame_names.h"
#include "futex.h"
#include "recorder.h"
#include "report.h"
#include "scheduler.h"
#include "signal_actions.h"
#include "traceback.h"

namespace stacktide::runtime {
namespace {

using Handler = void (*)(int, siginfo_t*, void*);

pid_t own_tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void set_handler(int signal, Handler handler, int flags) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | flags;
  set_action(signal, &action, nullptr);
}

// Only where nobody has one. SIGQUIT is taken although it was ignored when the program was started, as Go does: a shell
// starts what it runs in the background so, and that is what one asks for its goroutines.
void offer_handler(int signal, Handler handler, int flags) {
  struct sigaction before {};
  if (set_action(signal, nullptr, &before) != 0) return;
  const bool inherited = signal == SIGQUIT && before.sa_handler == SIG_IGN && !is_set_by_program(signal);
  if (before.sa_handler == SIG_DFL || inherited) set_handler(signal, handler, flags);
}

// Where a fault of a thread that is walking stacks continues. One thread does at a time.
struct Recovery {
  sigjmp_buf place;
  pid_t thread;
};
constinit std::atomic<Recovery*> recovery = nullptr;

// The signal's default action, with the interrupted registers, as soon as the handler returns.
void die_on_return(int signal, bool again_by_itself) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  alarm(0);
  if (!again_by_itself) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    syscall(SYS_tgkill, getpid(), own_tid(), signal);
  }
  set_action(signal, &action, nullptr);
}

// A call through a bad pointer leaves a pc that no unwinder knows. While one lives, the context is as it was in the caller.
class CallerOfBadPc {
 public:
  explicit CallerOfBadPc(ucontext_t& context) : context_(context) {
    greg_t* registers = context.uc_mcontext.gregs;
    pc_ = registers[REG_RIP];
    sp_ = registers[REG_RSP];
    if (has_unwind_table(static_cast<std::uint64_t>(pc_))) return;
    const auto pop = [](void* data) {
      greg_t* inside = static_cast<greg_t*>(data);
      // In the call itself, not behind it: the unwinder takes an interrupted pc as it is.
      inside[REG_RIP] = *reinterpret_cast<greg_t*>(inside[REG_RSP]) - 1;
      inside[REG_RSP] += 8;
    };
    survives_faults(pop, registers);
  }
  ~CallerOfBadPc() {
    context_.uc_mcontext.gregs[REG_RIP] = pc_;
    context_.uc_mcontext.gregs[REG_RSP] = sp_;
  }
  CallerOfBadPc(const CallerOfBadPc&) = delete;
  CallerOfBadPc& operator=(const CallerOfBadPc&) = delete;
  // The pc was code all the same.
  bool is_sound() const { return context_.uc_mcontext.gregs[REG_RIP] == pc_; }
  std::uint64_t pc() const { return static_cast<std::uint64_t>(context_.uc_mcontext.gregs[REG_RIP]); }

 private:
  ucontext_t& context_;
  greg_t pc_;
  greg_t sp_;
};

// What a handler shows of the thread that it interrupted.
enum class Shown { goroutine, goroutine_or_thread, frames };

void trace_interrupted(ucontext_t& context, Shown shown) {
  if (traceback_level() == TracebackLevel::none) return;
  const CallerOfBadPc caller(context);
  const TracebackStart start{.pc = caller.pc(), .show_runtime = caller.is_sound() && is_runtime_code(caller.pc())};
  if (shown == Shown::frames) {
    trace_frames(start);
  } else if (current_goroutine() != nullptr) {
    trace_current(start);
  } else if (shown == Shown::goroutine_or_thread) {
    trace_thread(start);
  }
}

void trace_all_others() {
  scheduler.stopping.store(true, std::memory_order_relaxed);
  trace_others(current_goroutine(), UINT64_MAX);
}

// A recording says what the program died of.
void end_by_signal(int signal) {
  char how[16];
  std::snprintf(how, sizeof how, "signal %d", signal);
  end_recording(how);
}

void on_fault(int signal, siginfo_t* info, void* data) {
  auto& context = *static_cast<ucontext_t*>(data);
  if (Recovery* r = recovery.load(std::memory_order_relaxed); r != nullptr && r->thread == own_tid())
    siglongjmp(r->place, 1);
  begin_report(signal);
  say_fault(signal, *info, context);
  end_by_signal(signal);
  trace_interrupted(context, Shown::goroutine_or_thread);
  if (traceback_level() >= TracebackLevel::all) trace_all_others();
  // A fault comes again when its instruction does; one that was sent, or a trap, does not.
  die_on_return(signal, info->si_code > 0 && signal != SIGTRAP);
}

// abort(): a failed assertion, or libc that found the heap broken. What the runtime itself aborts for is told already, and
// what is no goroutine's is not ours to tell.
void on_abort(int signal, siginfo_t* info, void* data) {
  auto& context = *static_cast<ucontext_t*>(data);
  end_by_signal(signal);
  if (current_goroutine() != nullptr && !reporting()) {
    begin_report(signal);
    say_signal(signal, *info, context);
    trace_interrupted(context, Shown::goroutine);
    if (traceback_level() >= TracebackLevel::all) trace_all_others();
  }
  die_on_return(signal, false);
}

void on_quit(int signal, siginfo_t* info, void* data) {
  if (reporting()) return;
  auto& context = *static_cast<ucontext_t*>(data);
  begin_report(signal);
  end_by_signal(signal);
  say_signal(signal, *info, context);
  if (traceback_level() != TracebackLevel::none) {
    trace_interrupted(context, Shown::goroutine);
    trace_all_others();
  }
  say_registers(context);
  end_report();
}

// What the reporting thread asks of another: the frames of the goroutine that it runs.
enum RequestState : std::uint32_t { request_none, request_asked, request_answering, request_done };
constinit std::atomic<std::uint32_t> request = request_none;
constinit Goroutine* requested = nullptr;
constinit bool answered = false;
constexpr timespec kAnswerTime{.tv_sec = 1, .tv_nsec = 0};

void on_request(int, siginfo_t*, void* data) {
  std::uint32_t asked = request_asked;
  // Acquires `requested`. A request that was given up is none.
  if (!request.compare_exchange_strong(asked, request_answering, std::memory_order_acq_rel)) return;
  auto& context = *static_cast<ucontext_t*>(data);
  answered = current_goroutine() == requested;
  if (answered) trace_interrupted(context, Shown::frames);
  request.store(request_done, std::memory_order_release);
  futex(request, FUTEX_WAKE, 1);
}

}  // namespace

void install_handlers() {
  // Not deferred: a fault while one is reported must reach the handler too.
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) offer_handler(signal, on_fault, SA_NODEFER);
  offer_handler(SIGABRT, on_abort, 0);
  offer_handler(SIGQUIT, on_quit, SA_RESTART);
}

bool trace_on_its_thread(Goroutine& g) {
  const M* m = g.m;
  if (m == nullptr || m == stacktide_thread.m) return false;
  set_handler(SIGURG, on_request, SA_RESTART);
  requested = &g;
  request.store(request_asked, std::memory_order_release);
  if (syscall(SYS_tgkill, getpid(), m->tid, SIGURG) != 0) return false;
  while (request.load(std::memory_order_acquire) == request_asked) {
    const long woken = futex(request, FUTEX_WAIT, request_asked, &kAnswerTime);
    std::uint32_t asked = request_asked;
    if (woken != 0 && errno == ETIMEDOUT && request.compare_exchange_strong(asked, request_none, std::memory_order_relaxed))
      return false;
  }
  // It writes: the clock of the report bounds it.
  while (request.load(std::memory_order_acquire) == request_answering) futex(request, FUTEX_WAIT, request_answering);
  return answered;
}

bool survives_faults(void (*f)(void*), void* argument) {
  Recovery here;
  here.thread = own_tid();
  Recovery* const before = recovery.load(std::memory_order_relaxed);
  if (sigsetjmp(here.place, 1) != 0) {
    recovery.store(before, std::memory_order_relaxed);
    return false;
  }
  recovery.store(&here, std::memory_order_relaxed);
  f(argument);
  recovery.store(before, std::memory_order_relaxed);
  return true;
}

}  // namespace stacktide::runtime
