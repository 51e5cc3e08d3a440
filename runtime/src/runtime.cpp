// The runtime's entry points but for channels and wait groups: NAME_impl runs on the system stack with the goroutine's
// context saved (entries.S, stacktide_runtime_call). What is declared in the public headers is stacktide_NAME.
#include <cxxabi.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <new>

#include "adjust_words.h"
#include "escape.h"
#include "events.h"
#include "fatal.h"
#include "handoff.h"
#include "library_call.h"
#include "metadata.h"
#include "monitor.h"
#include "process_barrier.h"
#include "recorder.h"
#include "scheduler.h"
#include "signals.h"
#include "solo.h"
#include "spans.h"
#include "stack.h"
#include "stack_growth.h"
#include "stack_map.h"
#include "stacktide/detail/entries.h"
#include "timers.h"
#include "traceback.h"
#include "tsan.h"

// Defined by stacktide-link beside the thunks it makes.
extern "C" [[gnu::weak]] const int stacktide_linked;

namespace stacktide::runtime {
namespace {

// What run() waits for.
struct MainDone {
  std::mutex lock;
  std::condition_variable changed;
  std::atomic<std::uint64_t> main_id = 0;
  bool done = false;
};
constinit MainDone* main_done = nullptr;

// bytes of the closure go with it to its stack; 0: none.
Goroutine* spawn(Function function, void* closure, std::uint64_t bytes, std::uint64_t entry_pc, std::uint64_t creation_pc,
                 bool main = false) {
  Goroutine* g = allocate_goroutine();
  {
    Changing changing(*g);
    g->creation_pc = creation_pc;
    g->entry_pc = entry_pc;
    if (Goroutine* parent = current_goroutine()) g->parent = parent->id;
    first_stack(*g, function, closure, bytes);
    tsan::begin_goroutine(*g);
    g->status.store(status_runnable, std::memory_order_relaxed);
  }
  if (is_recording()) [[unlikely]]
    record_spawn(*g, main);
  return g;
}

void start_runtime() {
  const Options options = read_options();
  prepare_tracebacks(options.traceback);
  publish_descriptor();
  scheduler.max_procs = options.max_procs;
  single_p = options.max_procs == 1;
  scheduler.policy = options.policy;
  scheduler.stress_move = options.stress_move;
  scheduler.shrink = options.shrink;
  scheduler.min_stack = options.min_stack;
  scheduler.segment_size = options.segment_size;
  scheduler.max_stack = options.max_stack;
  scheduler.start = clock_now();
  scheduler.now.store(scheduler.start, std::memory_order_relaxed);
  find_code_ranges();
  find_stack_maps(options.adjust);
  prepare_escape_check(options.strict);
  find_vector_state();
  find_adjust_words();
  prepare_process_barrier();
  prepare_library_calls();
  Solo::turn_on();
  speak_when_terminated();
  install_handlers();
  set_freed_stacks(options.freed);
  reserve_arena();
  reserve_ms();
  make_event_rings(options.max_procs, options.events, options.stress_move);
  scheduler.ps = new P[options.max_procs]{};
  for (std::uint32_t i = 0; i < options.max_procs; ++i) {
    P& p = scheduler.ps[i];
    p.id = i;
    p.random = i * 2654435761U + 1;
  }
  publish_ps(scheduler.ps, options.max_procs);
  for (std::uint32_t i = options.max_procs; i-- > 0;) {
    P& p = scheduler.ps[i];
    p.next_idle = scheduler.idle_p_list;
    scheduler.idle_p_list = &p;
  }
  scheduler.idle_ps.store(options.max_procs, std::memory_order_seq_cst);
  start_recording(options.trace);
  start_monitor();
}

}  // namespace

std::uint64_t caller_pc(const void* direct) {
  if (stacktide_thread.calling == 0) return reinterpret_cast<std::uint64_t>(direct);
  return *reinterpret_cast<const std::uint64_t*>(stacktide_thread.goroutine->sp + SAVED_CONTEXT - 8);
}

extern "C" {

void stacktide_run_impl(Function function, void* closure, const void* entry) {
  // Library calls would run on goroutine stacks, which are too small for them.
  if (&stacktide_linked == nullptr)
    fatal("linked without stacktide-link: call stacktide_goroutines() for this executable's target");
  static std::mutex lock;
  {
    std::lock_guard guard(lock);
    if (scheduler.running || stacktide_thread.m != nullptr) fatal("run() is already active");
    scheduler.running = true;
    if (main_done == nullptr) {
      main_done = new MainDone;
      start_runtime();
    }
    main_done->done = false;
  }
  // A thread that falls asleep now must not take the first goroutine, which is in no queue yet, for one that waits for ever.
  scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
  scheduler.stopping.store(false, std::memory_order_relaxed);
  Goroutine* g = spawn(function, closure, 0, reinterpret_cast<std::uint64_t>(entry),
                       reinterpret_cast<std::uint64_t>(__builtin_return_address(0)), true);
  std::unique_lock guard(main_done->lock);
  main_done->main_id.store(g->id, std::memory_order_relaxed);
  enqueue(g, false);
  done_waking();
  main_done->changed.wait(guard, [] { return main_done->done; });
  announce_events();
  scheduler.running = false;
}

std::uint64_t stacktide_go_impl(Function function, void* closure, const void* entry, std::uint64_t bytes) {
  // Not `running`: main may return while this goroutine still runs.
  if (scheduler.ps == nullptr) fatal("go() before run()");
  const std::uint64_t from = caller_pc(__builtin_return_address(0));
  Goroutine* g = spawn(function, closure, bytes, reinterpret_cast<std::uint64_t>(entry), from);
  const std::uint64_t id = g->id;
  enqueue(g, true);
  return id;
}

void stacktide_goexit_impl() {
  Goroutine* g = stacktide_thread.goroutine;
  M& m = *stacktide_thread.m;
  const std::uint64_t id = g->id;
  begin_park(g, status_dead, wait_reason_none, nullptr);
  m.goroutine = nullptr;
  m.locked = nullptr;
  tsan::end_goroutine(*g);
  if (is_recording()) [[unlikely]]
    record_exit(*g);
  free_stacks(*g);
  free_goroutine(g);
  SoloSection().add(scheduler.live, ~std::uint64_t{0});
  if (id != main_done->main_id.load(std::memory_order_relaxed)) return;
  scheduler.stopping.store(true, std::memory_order_relaxed);
  std::lock_guard guard(main_done->lock);
  main_done->done = true;
  main_done->changed.notify_all();
}

void stacktide_yield_impl() {
  Goroutine* g = parking_goroutine("yield()");
  begin_park(g, status_runnable, wait_reason_none, nullptr);
  // There is no more to do than before: whoever made the others in the queue ready has woken a thread for them.
  if (P* p = own_p()) run_queue_put_last(*p, g);
  else enqueue(g, false);
}

void stacktide_sleep_until_impl(std::int64_t when) {
  Goroutine* g = parking_goroutine("sleep_for()");
  begin_park(g, status_waiting, wait_reason_sleep, nullptr);
  wake_at(g, when);
}

// The goroutine keeps its thread and gives its P away; fn runs on the system stack. Afterwards it needs a P again: an idle
// one, else it queues and this thread rests.
void stacktide_blocking_impl(Function function, void* closure) {
  Goroutine* g = parking_goroutine("blocking()");
  M& m = *stacktide_thread.m;
  note_high_water(*g, g->sp);
  {
    Changing changing(*g);
    g->status.store(status_syscall, std::memory_order_relaxed);
    g->wait_since = clock_now();
  }
  scheduler.blocking.fetch_add(1, std::memory_order_seq_cst);
  m.status.store(m_status_blocking, std::memory_order_relaxed);
  release_p(m);
  stacktide_thread.calling = 0;
  function(closure);
  stacktide_thread.calling = 1;
  const bool resumed = acquire_p(m);
  {
    Changing changing(*g);
    g->status.store(status_running, std::memory_order_relaxed);
  }
  if (resumed) {
    m.status.store(m_status_running, std::memory_order_relaxed);
  } else {
    begin_park(g, status_runnable, wait_reason_none, nullptr);
    global_put(&g, 1);
  }
  scheduler.blocking.fetch_sub(1, std::memory_order_seq_cst);
  if (!resumed) wake_one();
}

void stacktide_on_system_stack_impl(Function function, void* closure) {
  const std::uint32_t calling = stacktide_thread.calling;
  stacktide_thread.calling = 0;
  if (calling != 0) {
    const LibraryCall lasting(reinterpret_cast<std::uint64_t>(function));
    function(closure);
  } else {
    function(closure);
  }
  stacktide_thread.calling = calling;
}

// Nested calls count, as Go's do. A goroutine that ends gives its thread back, with whatever it has changed of it.
void stacktide_lock_os_thread_impl() {
  Goroutine* g = parking_goroutine("lock_os_thread()");
  ++g->own->locks;
  g->flags |= k_flag_locked;
  g->own->locked_m = stacktide_thread.m;
  stacktide_thread.m->locked = g;
}

void stacktide_unlock_os_thread_impl() {
  Goroutine* g = parking_goroutine("unlock_os_thread()");
  if (g->own->locks == 0 || --g->own->locks != 0) return;
  g->flags &= static_cast<std::uint16_t>(~k_flag_locked);
  g->own->locked_m = nullptr;
  stacktide_thread.m->locked = nullptr;
}

void stacktide_set_label_impl(const char* text, std::size_t length) {
  Goroutine* g = current_goroutine();
  if (g == nullptr) return;
  if (length > sizeof g->label - 1) length = sizeof g->label - 1;
  Changing changing(*g);
  std::memcpy(g->label, text, length);
  g->label[length] = 0;
  if (is_recording()) [[unlikely]]
    record_label(*g);
}

void stacktide_stack_info_impl(detail::stack_numbers* out) {
  Goroutine* g = current_goroutine();
  if (g == nullptr) {
    *out = {};
    return;
  }
  // `out` may lie on the goroutine's own stack, which does not move during this call.
  // As deep as a wait in the same place is: with the context that a runtime call saves.
  const std::uint64_t sp = stacktide_thread.calling != 0 ? g->sp : g->stack_hi;
  std::uint64_t size = g->stack_hi - g->stack_lo;
  std::uint64_t segments = 1;
  for (const Segment* s = g->segments; s != nullptr; s = s->previous) size += s->hi - s->lo, ++segments;
  *out = {g->id,       size,     used_bytes(*g, sp), sp - g->stackguard, g->high_water, segments,       g->stack_lo,
          g->stack_hi, g->grows, g->links,           g->shrinks,         g->hot_splits, g->bytes_copied};
}

std::uint64_t stacktide_shrink_stacks_impl() {
  std::uint64_t shrunk = 0;
  Goroutine* self = stacktide_thread.calling != 0 ? stacktide_thread.goroutine : nullptr;
  if (self != nullptr && shrink_if_idle(*self, true)) ++shrunk;
  for_each_goroutine([&](Goroutine& g) {
    if (g.status.load(std::memory_order_relaxed) == status_waiting && shrink_if_idle(g, false)) ++shrunk;
  });
  return_empty_spans(true);
  return shrunk;
}

std::uint64_t stacktide_current_id_impl() {
  const Goroutine* g = current_goroutine();
  return g == nullptr ? 0 : g->id;
}

}  // extern "C"

}  // namespace stacktide::runtime
