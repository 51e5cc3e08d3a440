#include "worker.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cxxabi.h>

#include <utility>

#include "fatal.h"
#include "futex.h"
#include "handoff.h"
#include "metadata.h"
#include "netpoll.h"
#include "scheduler.h"
#include "tsan.h"

constinit thread_local stacktide::runtime::ThreadState stacktide_thread{};

namespace stacktide::runtime {

constinit M* all_ms = nullptr;
constinit std::atomic<std::uint64_t> m_count = 0;

extern "C" [[noreturn]] void stacktide_schedule(M* m);

namespace {

// Half of it may go to demangling one name of a traceback (frame_names.h). Untouched pages cost nothing.
constexpr std::size_t kSignalStack = 256 * 1024;
constexpr std::size_t kSignalGuard = 4096;

// Signal handlers must not run on a goroutine's 2 KiB.
void give_signal_stack() {
  void* memory = mmap(nullptr, kSignalGuard + kSignalStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kSignalGuard, PROT_NONE) != 0) fatal("out of memory for a signal stack");
  stack_t stack{};
  stack.ss_sp = static_cast<char*>(memory) + kSignalGuard;
  stack.ss_size = kSignalStack;
  sigaltstack(&stack, nullptr);
}

void describe_own_stack(M& m) {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* lo = nullptr;
  std::size_t size = 0;
  std::size_t guard = 0;
  pthread_attr_getstack(&attributes, &lo, &size);
  pthread_attr_getguardsize(&attributes, &guard);
  pthread_attr_destroy(&attributes);
  m.stack_lo = reinterpret_cast<std::uint64_t>(lo);
  m.stack_hi = m.stack_lo + size;
  m.guard_size = guard;
}

void* m_main(void* argument) {
  M& m = *static_cast<M*>(argument);
  m.tid = static_cast<std::uint32_t>(syscall(SYS_gettid));
  m.eh_globals = abi::__cxa_get_globals();
  describe_own_stack(m);
  give_signal_stack();
  pthread_sigmask(SIG_SETMASK, &m.start_mask, nullptr);
  stacktide_thread.m = &m;
  m.thread = &stacktide_thread;
  tsan::begin_thread(m);
  asm("movq %%fs:0, %0" : "=r"(m.guard_slot));
  m.guard_slot += TCB_STACKGUARD / sizeof *m.guard_slot;
  attach(m, *std::exchange(m.next_p, nullptr));
  stacktide_schedule(&m);
}

}  // namespace

void reserve_ms() {
  void* memory =
      mmap(nullptr, kMaxMs * sizeof(M), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fatal("out of memory for thread records");
  all_ms = static_cast<M*>(memory);
}

void start_m(P* p, bool spinning) {
  const std::uint64_t index = m_count.fetch_add(1);
  if (index >= kMaxMs) fatal("too many threads");
  M& m = all_ms[index];
  m.id = index;
  m.next_p = p;
  m.spinning = spinning;
  m.wakeup.store(0, std::memory_order_relaxed);
  publish_ms(index + 1);
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &m.start_mask);
  pthread_t thread;
  const int problem = pthread_create(&thread, nullptr, m_main, &m);
  pthread_sigmask(SIG_SETMASK, &m.start_mask, nullptr);
  if (problem != 0) fatal("cannot start a thread (ulimit -u?)");
  pthread_detach(thread);
}

void sleep_m(M& m) {
  while (m.wakeup.load(std::memory_order_acquire) == 0) {
    if (!watch_network(m)) futex(m.wakeup, FUTEX_WAIT, 0);
  }
  m.wakeup.store(0, std::memory_order_relaxed);
}

void wake_m(M& m) {
  // Either it is seen here that m watches, or m sees that it need not.
  m.wakeup.store(1, std::memory_order_seq_cst);
  if (m.watching.load(std::memory_order_seq_cst)) {
    interrupt_watch();
  } else {
    futex(m.wakeup, FUTEX_WAKE, 1);
  }
}

}  // namespace stacktide::runtime
