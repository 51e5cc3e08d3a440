#include "handoff.h"

#include "monitor.h"
#include "netpoll.h"
#include "scheduler.h"

namespace stacktide::runtime {
namespace {

// Under scheduler.lock. False: no thread waits for a P.
bool hand_to_waiting_m(P& p) {
  M* m = scheduler.waiting_m_head;
  if (m == nullptr) return false;
  scheduler.waiting_m_head = m->next_idle;
  if (scheduler.waiting_m_head == nullptr) scheduler.waiting_m_tail = nullptr;
  scheduler.waiting_ms.fetch_sub(1, std::memory_order_relaxed);
  p.m.store(nullptr, std::memory_order_relaxed);
  m->next_p = &p;
  wake_m(*m);
  return true;
}

// An idle M, or a new one, takes p and schedules.
void run_p(P* p, bool spinning) {
  M* m = nullptr;
  {
    std::lock_guard guard(scheduler.lock);
    m = scheduler.idle_m_list;
    if (m != nullptr) {
      scheduler.idle_m_list = m->next_idle;
      --scheduler.idle_ms;
    }
  }
  if (m == nullptr) {
    start_m(p, spinning);
    return;
  }
  m->next_p = p;
  m->spinning = spinning;
  wake_m(*m);
}

}  // namespace

void put_idle_p(P& p) {
  if (hand_to_waiting_m(p)) return;
  p.status.store(p_status_idle, std::memory_order_relaxed);
  p.m.store(nullptr, std::memory_order_relaxed);
  p.next_idle = scheduler.idle_p_list;
  scheduler.idle_p_list = &p;
  scheduler.idle_ps.fetch_add(1, std::memory_order_seq_cst);
}

void put_idle_m(M& m) {
  m.status.store(m_status_idle, std::memory_order_relaxed);
  m.next_idle = scheduler.idle_m_list;
  scheduler.idle_m_list = &m;
  ++scheduler.idle_ms;
}

P* take_idle_p() {
  P* p = scheduler.idle_p_list;
  if (p == nullptr) return nullptr;
  scheduler.idle_p_list = p->next_idle;
  scheduler.idle_ps.fetch_sub(1, std::memory_order_seq_cst);
  return p;
}

void attach(M& m, P& p) {
  m.p = &p;
  // For the monitor, which looks at the thread's state through it.
  p.m.store(&m, std::memory_order_release);
  p.status.store(p_status_running, std::memory_order_relaxed);
  watch_ps();
}

void sleep_for_p(M& m) {
  sleep_m(m);
  P* p = m.next_p;
  m.next_p = nullptr;
  attach(m, *p);
}

void wake_one() {
  // What was made ready is seen by an M that goes idle after this, or its idle P is seen here.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (scheduler.idle_ps.load(std::memory_order_seq_cst) == 0) return;
  std::uint32_t none = 0;
  if (!scheduler.spinning_ms.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) return;
  P* p = nullptr;
  {
    std::lock_guard guard(scheduler.lock);
    p = take_idle_p();
  }
  if (p == nullptr) {
    scheduler.spinning_ms.fetch_sub(1, std::memory_order_seq_cst);
    return;
  }
  run_p(p, true);
}

void wake_self(M& m) {
  std::uint32_t none = 0;
  if (scheduler.idle_ps.load(std::memory_order_seq_cst) == 0 ||
      !scheduler.spinning_ms.compare_exchange_strong(none, 1, std::memory_order_seq_cst))
    return;
  {
    std::lock_guard guard(scheduler.lock);
    M** at = &scheduler.idle_m_list;
    while (*at != nullptr && *at != &m) at = &(*at)->next_idle;
    // Not there: somebody has woken it meanwhile, or it sleeps for something else.
    P* p = *at == nullptr ? nullptr : take_idle_p();
    if (p != nullptr) {
      *at = m.next_idle;
      --scheduler.idle_ms;
      m.next_p = p;
      m.spinning = true;
      m.wakeup.store(1, std::memory_order_relaxed);
      return;
    }
  }
  scheduler.spinning_ms.fetch_sub(1, std::memory_order_seq_cst);
}

bool yield_waited_p(M& m) {
  std::lock_guard guard(scheduler.lock);
  if (!hand_to_waiting_m(*m.p)) return false;
  m.p = nullptr;
  return true;
}

void hand_p(M& m, M& chosen) {
  P& p = *m.p;
  m.p = nullptr;
  p.m.store(nullptr, std::memory_order_relaxed);
  chosen.next_p = &p;
  wake_m(chosen);
}

void release_p(M& m) {
  P& p = *m.p;
  m.p = nullptr;
  give_p(p);
}

void give_p(P& p) {
  {
    std::lock_guard guard(scheduler.lock);
    p.m.store(nullptr, std::memory_order_relaxed);
    if (hand_to_waiting_m(p)) return;
    // This M does not go to sleep. Another one that finds nothing does, and watches.
    const bool needed = network_unwatched();
    if (!needed && run_queue_empty(p) && scheduler.global_size.load(std::memory_order_relaxed) == 0) {
      put_idle_p(p);
      return;
    }
  }
  run_p(&p, false);
}

void wait_for_p(M& m) {
  {
    std::lock_guard guard(scheduler.lock);
    if (P* p = take_idle_p()) {
      attach(m, *p);
      return;
    }
    m.next_idle = nullptr;
    (scheduler.waiting_m_tail == nullptr ? scheduler.waiting_m_head : scheduler.waiting_m_tail->next_idle) = &m;
    scheduler.waiting_m_tail = &m;
    scheduler.waiting_ms.fetch_add(1, std::memory_order_relaxed);
  }
  sleep_for_p(m);
}

bool acquire_p(M& m) {
  std::lock_guard guard(scheduler.lock);
  P* p = take_idle_p();
  if (p == nullptr) return false;
  attach(m, *p);
  return true;
}

}  // namespace stacktide::runtime
