#include "scheduler.h"

#include <cxxabi.h>
#include <time.h>

#include <cstring>
#include <utility>

#include "event_clock.h"
#include "fatal.h"
#include "handoff.h"
#include "metadata.h"
#include "netpoll.h"
#include "recorder.h"
#include "stack.h"
#include "stack_growth.h"
#include "tsan.h"

namespace stacktide::runtime {

constinit Scheduler scheduler{};

namespace {

// What __cxa_get_globals() points to (Itanium C++ ABI 2.2.2).
struct EhGlobals {
  void* caught;
  unsigned int uncaught;
};

// Most goroutines that park handle no exception, and their Private need not come into the cache.
void put_back_eh(M& m, Goroutine& g) {
  if (g.excepting == 0) [[likely]]
    return;
  auto& globals = *static_cast<EhGlobals*>(m.eh_globals);
  globals.caught = std::exchange(g.own->eh_caught, nullptr);
  globals.uncaught = std::exchange(g.own->eh_uncaught, 0);
  g.excepting = 0;
}

void take_eh(M& m, Goroutine& g) {
  auto& globals = *static_cast<EhGlobals*>(m.eh_globals);
  if (globals.caught == nullptr && globals.uncaught == 0) [[likely]]
    return;
  g.excepting = 1;
  g.own->eh_caught = globals.caught;
  g.own->eh_uncaught = globals.uncaught;
  globals.caught = nullptr;
  globals.uncaught = 0;
}

// Under scheduler.lock.
Goroutine* global_take_one() {
  Goroutine* g = scheduler.global_head;
  if (g == nullptr) return nullptr;
  scheduler.global_head = g->next;
  if (scheduler.global_head == nullptr) scheduler.global_tail = nullptr;
  scheduler.global_size.fetch_sub(1, std::memory_order_relaxed);
  g->next = nullptr;
  return g;
}

// Takes a fair share of the global queue: one to run, the others to p's ring.
Goroutine* global_get(P& p) {
  if (scheduler.global_size.load(std::memory_order_relaxed) == 0) return nullptr;
  std::lock_guard guard(scheduler.lock);
  std::uint64_t n = scheduler.global_size.load(std::memory_order_relaxed) / scheduler.max_procs + 1;
  if (n > kRunQueue / 2) n = kRunQueue / 2;
  Goroutine* first = global_take_one();
  for (; first != nullptr && n > 1; --n) {
    // A full ring would spill into the global queue, whose lock is held.
    if (p.run_tail.load(std::memory_order_relaxed) - p.run_head.load(std::memory_order_acquire) >= kRunQueue / 2) break;
    Goroutine* g = global_take_one();
    if (g == nullptr) break;
    run_queue_put_last(p, g);
  }
  return first;
}

void stop_spinning(M& m) {
  m.spinning = false;
  const std::uint32_t before = scheduler.spinning_ms.fetch_sub(1, std::memory_order_seq_cst);
  // The last one to find work wakes another: there may be more.
  if (before == 1) wake_one();
}

Goroutine* steal(P& p) {
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    p.random = p.random * 1664525 + 1013904223;
    const std::uint32_t from = p.random >> 8;
    for (std::uint32_t i = 0; i < scheduler.max_procs; ++i) {
      P& victim = scheduler.ps[(from + i) % scheduler.max_procs];
      if (&victim == &p || run_queue_empty(victim)) continue;
      if (Goroutine* g = run_queue_steal(p, victim, round == kRounds - 1)) return g;
    }
  }
  return nullptr;
}

bool work_anywhere() {
  if (scheduler.global_size.load(std::memory_order_seq_cst) != 0) return true;
  for (std::uint32_t i = 0; i < scheduler.max_procs; ++i) {
    if (!run_queue_empty(scheduler.ps[i])) return true;
  }
  return false;
}

// Under scheduler.lock, after this M's P went idle: nobody is left who could make anything ready.
bool everyone_asleep() {
  return scheduler.idle_ps.load(std::memory_order_relaxed) == scheduler.max_procs &&
         scheduler.blocking.load(std::memory_order_relaxed) == 0 && scheduler.timers.load(std::memory_order_relaxed) == 0 &&
         scheduler.io_waiters.load(std::memory_order_relaxed) == 0 &&
         scheduler.wakers.load(std::memory_order_seq_cst) == 0 && scheduler.live.load(std::memory_order_relaxed) != 0 &&
         !scheduler.stopping.load(std::memory_order_relaxed) && !work_anywhere();
}

// Gives the P back and sleeps until handed another. False: look for work again at once.
void rest(M& m) {
  bool deadlock = false;
  {
    std::unique_lock guard(scheduler.lock);
    if (m.p != nullptr) {
      if (scheduler.global_size.load(std::memory_order_relaxed) != 0) return;
      P& p = *m.p;
      m.p = nullptr;
      put_idle_p(p);
    }
    if (m.spinning) {
      m.spinning = false;
      scheduler.spinning_ms.fetch_sub(1, std::memory_order_seq_cst);
      // Between this M's last look and now, somebody may have made work ready and woken nobody, because this one was
      // spinning.
      if (work_anywhere()) {
        if (P* p = take_idle_p()) {
          attach(m, *p);
          m.spinning = true;
          scheduler.spinning_ms.fetch_add(1, std::memory_order_seq_cst);
          return;
        }
      }
    }
    deadlock = everyone_asleep();
    put_idle_m(m);
  }
  if (deadlock) fatal_deadlock();
  sleep_for_p(m);
}

// Main has returned: gives the P back whatever waits in its queue, and sleeps until the next run(), if there is one.
void pause(M& m) {
  {
    std::lock_guard guard(scheduler.lock);
    // The next run() has begun meanwhile; it saw this P busy, and woke nobody for its goroutine.
    if (!scheduler.stopping.load(std::memory_order_relaxed)) return;
    P* p = m.p;
    m.p = nullptr;
    if (p != nullptr) put_idle_p(*p);
    if (m.spinning) scheduler.spinning_ms.fetch_sub(1, std::memory_order_seq_cst);
    m.spinning = false;
    put_idle_m(m);
  }
  sleep_for_p(m);
}

// Waits for the P that the M which dequeues m's locked goroutine hands over.
void await_locked(M& m) {
  m.status.store(m_status_idle, std::memory_order_relaxed);
  if (m.p != nullptr) release_p(m);
  check_deadlock();
  sleep_for_p(m);
}

Goroutine* find_runnable(M& m) {
  for (;;) {
    while (scheduler.stopping.load(std::memory_order_acquire)) pause(m);
    if (m.p != nullptr && !yield_p(m)) {
      P& p = *m.p;
      // Now and then the global queue first, then the ring before run_next, so that two goroutines that keep waking each
      // other starve neither.
      const bool fair = p.ticks % 61 == 0;
      if (fair) {
        if (Goroutine* g = global_get(p)) return g;
      }
      if (Goroutine* g = run_queue_get(p, fair)) return g;
      if (Goroutine* g = global_get(p)) return g;
      if (m.spinning || 2 * scheduler.spinning_ms.load(std::memory_order_relaxed) <
                            scheduler.max_procs - scheduler.idle_ps.load(std::memory_order_relaxed)) {
        if (!m.spinning) {
          m.spinning = true;
          scheduler.spinning_ms.fetch_add(1, std::memory_order_seq_cst);
        }
        m.status.store(m_status_spinning, std::memory_order_relaxed);
        if (Goroutine* g = steal(p)) return g;
      }
      if (poll_network()) continue;
    }
    rest(m);
  }
}

}  // namespace

void check_deadlock() {
  bool deadlock = false;
  {
    std::lock_guard guard(scheduler.lock);
    deadlock = everyone_asleep();
  }
  if (deadlock) fatal_deadlock();
}

void done_waking() {
  scheduler.wakers.fetch_sub(1, std::memory_order_seq_cst);
  check_deadlock();
}

#ifdef STACKTIDE_TSAN
// From morestack.S.
extern "C" __attribute__((visibility("hidden"))) void stacktide_tsan_enter_runtime() { tsan::enter_runtime(); }
extern "C" __attribute__((visibility("hidden"))) void stacktide_tsan_enter_goroutine() {
  tsan::enter_goroutine(*stacktide_thread.goroutine);
}
#endif

namespace {
std::int64_t read_clock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * std::int64_t{1000000000} + now.tv_nsec;
}
}  // namespace

std::int64_t clock_now() { return read_clock(CLOCK_MONOTONIC); }
std::int64_t coarse_clock() { return read_clock(CLOCK_MONOTONIC_COARSE); }

// What an M goes on with; called by its loop (switch.S). Returns it as running, on m.
extern "C" __attribute__((visibility("hidden"))) Goroutine* stacktide_next_goroutine(M* self) {
  M& m = *self;
  Goroutine* g = m.locked;
  if (g != nullptr) [[unlikely]] {
    await_locked(m);
  } else {
    for (;;) {
      g = find_runnable(m);
      if (m.spinning) stop_spinning(m);
      if ((g->flags & k_flag_locked) == 0) [[likely]]
        break;
      M& chosen = *g->own->locked_m;
      hand_p(m, chosen);
    }
  }
  m.status.store(m_status_running, std::memory_order_relaxed);
  m.preempt.store(0, std::memory_order_relaxed);
  // This thread alone writes it while it has the P.
  m.p->ticks.store(m.p->ticks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  check_canary(g->stack_lo, g->id);
  {
    Changing changing(*g);
    g->m = &m;
    g->wait_reason = wait_reason_none;
    g->wait_object = nullptr;
    g->status.store(status_running, std::memory_order_relaxed);
    g->stackguard0 = scheduler.stress_move ? static_cast<std::uint64_t>(k_guard_force_move) : g->stackguard;
  }
  put_back_eh(m, *g);
  m.goroutine = g;
  return g;
}

bool work_waits() { return scheduler.waiting_ms.load(std::memory_order_relaxed) != 0 || work_anywhere(); }

void global_put(Goroutine* const* batch, std::size_t n) {
  std::lock_guard guard(scheduler.lock);
  for (std::size_t i = 0; i < n; ++i) {
    batch[i]->next = nullptr;
    if (scheduler.global_tail == nullptr) {
      scheduler.global_head = batch[i];
    } else {
      scheduler.global_tail->next = batch[i];
    }
    scheduler.global_tail = batch[i];
  }
  scheduler.global_size.fetch_add(n, std::memory_order_seq_cst);
}

void enqueue(Goroutine* g, bool next) {
  if (P* p = own_p()) {
    next ? run_queue_put_next(*p, g) : run_queue_put_last(*p, g);
    // The only P: nobody else could take it.
    if (single_p) return;
  } else {
    global_put(&g, 1);
  }
  wake_one();
}

void ready(Goroutine* g, std::uint64_t result, std::uint64_t ok) {
  g->result = result;
  g->result_ok = ok;
  if (is_recording()) [[unlikely]]
    record_ready(*g);
  for (std::uint8_t status = g->status.load(std::memory_order_acquire);;) {
    // A shrink holds it: leave a mark, and the shrink enqueues it.
    const std::uint8_t next = status == status_copystack ? status_copystack_woken : status_runnable;
    if (status != status_copystack && status != status_waiting) fatal("a goroutine was made ready that does not wait");
    if (!g->status.compare_exchange_weak(status, next, std::memory_order_acq_rel)) continue;
    if (next == status_copystack_woken) return;
    break;
  }
  enqueue(g, true);
}

Goroutine* current_goroutine() {
  M* m = stacktide_thread.m;
  return m == nullptr ? nullptr : m->goroutine;
}

void begin_park(Goroutine* g, std::uint8_t status, std::uint8_t reason, const void* object) {
  M& m = *stacktide_thread.m;
  check_canary(g->stack_lo, g->id);
  take_eh(m, *g);
  m.goroutine = nullptr;
  stacktide_thread.park = 1;
  {
    Changing changing(*g);
    note_high_water(*g, g->sp);
    g->m = nullptr;
    g->wait_reason = reason;
    g->wait_object = object;
    if (status == status_waiting) {
      // A sleep and a mutex go by it; for the others it is for people, unless it is recorded.
      const bool exact = reason == wait_reason_sleep || reason == wait_reason_mutex;
      g->wait_since = is_recording() ? EventClock::now() : exact ? clock_now() : coarse_clock();
      // For most waits it has not changed since the last one.
      if (scheduler.now.load(std::memory_order_relaxed) < g->wait_since)
        scheduler.now.store(g->wait_since, std::memory_order_relaxed);
    }
  }
  if (status == status_waiting && is_recording()) [[unlikely]]
    record_park(*g);
  // From here on a shrink may claim it.
  g->status.store(status, std::memory_order_release);
}

}  // namespace stacktide::runtime
