// Mutexes: what the handle of sync.h cannot do by itself, waiting and waking.
//
// Concept, as Go's sync.Mutex. In the normal mode an unlock lets go of the mutex and wakes the first waiter, which then
// tries for it again: a goroutine that runs and comes by may be faster. That is what makes short critical sections fast; to
// hand the mutex over each time would cost a switch for each unlock as soon as two goroutines contend. At most one waiter,
// the candidate, is awake at a time, and it goes back to the head of the queue when it fails, so waiters are served in the
// order they came. A candidate that fails after kStarving makes the mutex starving: from then on each unlock hands it to the
// first waiter, without ever being free, until a waiter gets it that has waited less, or is the last.
//
// Invariants. Under the lock: kContended is set if and only if the queue has waiters (but for the moment before the first is
// put there); a starving mutex is locked and has waiters. Without it, kLocked changes only: 0 to kLocked and back, and set
// beside kContended by try_lock().
#include <mutex>
#include <new>

#include "fatal.h"
#include "scheduler.h"
#include "stacktide/detail/entries.h"
#include "sync_cores.h"

namespace stacktide::runtime {
namespace {

using detail::mutex_state;

constexpr std::int64_t kStarving = 1'000'000;  // nanoseconds, Go's

Mutex& of(mutex_state* core) { return static_cast<Mutex&>(*core); }

// Since when a waiter waits: first time, not since it was last woken in vain.
std::int64_t since(const Waiter& w) { return static_cast<std::int64_t>(w.value); }

// Under the lock. False: it is taken, and marked so that whoever has it comes to wake.
bool take_or_mark(Mutex& m) {
  for (std::uint32_t now = m.word.load(std::memory_order_relaxed);;) {
    const bool free = (now & Mutex::kLocked) == 0;
    const std::uint32_t next = Mutex::kLocked | (free ? m.contended() : Mutex::kContended);
    if (m.word.compare_exchange_weak(now, next, std::memory_order_acquire, std::memory_order_relaxed)) return free;
  }
}

}  // namespace

extern "C" {

mutex_state* stacktide_mutex_make_impl() {
  auto* m = new (std::nothrow) Mutex;
  if (m == nullptr) fatal("out of memory for a mutex");
  return m;
}

void stacktide_mutex_free_impl(mutex_state* core) { delete &of(core); }

// 1: the caller has it; 0: it was woken to try again, with woken = 1.
std::uint64_t stacktide_mutex_lock_impl(mutex_state* core, std::uint64_t woken) {
  Mutex& m = of(core);
  std::lock_guard guard(m.lock);
  if (woken != 0) m.candidate = false;
  if (take_or_mark(m)) return 1;
  Goroutine* g = parking_goroutine("mutex::lock()");
  // Since the waiter that woke in vain began; a first try has none.
  const std::int64_t first = woken == 0 ? 0 : since(g->own->waiter);
  begin_park(g, status_waiting, wait_reason_mutex, core);
  Waiter& waiter = plain_waiter(*g);
  if (woken == 0) {
    waiter.value = static_cast<std::uint64_t>(g->wait_since);
    m.waiters.put(waiter);
  } else {
    waiter.value = static_cast<std::uint64_t>(first);
    m.waiters.put_first(waiter);
    m.starving = m.starving || g->wait_since - first > kStarving;
  }
  return 0;
}

void stacktide_mutex_unlock_impl(mutex_state* core) {
  Mutex& m = of(core);
  std::lock_guard guard(m.lock);
  if ((m.word.load(std::memory_order_relaxed) & Mutex::kLocked) == 0) fatal("sync: unlock of unlocked mutex");
  if (m.starving) {
    Waiter& next = *m.waiters.take();
    m.starving = !m.waiters.empty() && clock_now() - since(next) > kStarving;
    m.word.store(Mutex::kLocked | m.contended(), std::memory_order_relaxed);
    wake(next, 1, true);
    return;
  }
  Waiter* candidate = m.candidate ? nullptr : m.waiters.take();
  // Pairs with the acquire of whoever locks it next.
  m.word.store(m.contended(), std::memory_order_release);
  if (candidate == nullptr) return;
  m.candidate = true;
  wake(*candidate, 0, true);
}

std::uint64_t stacktide_mutex_waiting_impl(mutex_state* core) {
  std::lock_guard guard(of(core).lock);
  return of(core).waiters.length;
}

}  // extern "C"

}  // namespace stacktide::runtime
