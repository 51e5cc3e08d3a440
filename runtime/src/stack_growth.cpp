#include "stack_growth.h"

#include <errno.h>
#include <unwind.h>

#include <cstdlib>
#include <cstring>

#include "adjust_words.h"
#include "event_clock.h"
#include "events.h"
#include "fatal.h"
#include "handoff.h"
#include "library_call.h"
#include "metadata.h"
#include "monitor.h"
#include "recorder.h"
#include "scheduler.h"
#include "segments.h"
#include "stack.h"
#include "stack_map.h"
#include "tsan.h"

extern "C" {
// Where stacktide-link has the linker put goroutine code that may not move. Absent when all may.
extern const char __start_stacktide_pinned[] __attribute__((weak, visibility("hidden")));
extern const char __stop_stacktide_pinned[] __attribute__((weak, visibility("hidden")));
extern const char stacktide_resume_pc[];
extern const char stacktide_start_pc[];
extern const char stacktide_segment_return[];
extern const char stacktide_library_return[];
extern const char stacktide_library_return_wide[];
extern const char stacktide_preempted_pc[];
extern const std::uint64_t stacktide_xsave_size;
}

namespace stacktide::runtime {
namespace {

struct Range {
  std::uint64_t lo;
  std::uint64_t hi;
  bool contains(std::uint64_t word) const { return word - lo < hi - lo; }
};
constinit Range pinned_code{};  // goroutine code that is not movable; empty when there is none

std::uint64_t* words(std::uint64_t address) { return reinterpret_cast<std::uint64_t*>(address); }

bool is_pinned_record(std::uint64_t pc) { return site_record(pc).pinned(); }

// Do the bytes before `pc` end a call? E8 rel32, or FF /2 in any of its lengths. Code before pc is mapped: it lies in the
// same section.
bool follows_call(std::uint64_t pc) {
  if (pc - pinned_code.lo < 8) return false;
  const auto* code = reinterpret_cast<const unsigned char*>(pc);
  if (code[-5] == 0xe8) return true;
  for (int length = 2; length <= 7; ++length) {
    if (code[-length] == 0xff && (code[-length + 1] & 0x38) == 0x10) return true;
  }
  return false;
}

// The first word in [from, to) that could be the return address of a pinned frame, or 0.
std::uint64_t scan_for_pinned(std::uint64_t from, std::uint64_t to) {
  const bool records = has_pinned_records();
  if (!has_pinned_code() && !records) return 0;
  for (std::uint64_t at = from; at < to; at += 8) {
    const std::uint64_t word = *words(at);
    if (pinned_code.contains(word) && follows_call(word)) return word;
    if (records && is_pinned_record(word)) return word;
  }
  return 0;
}

// The return address of the youngest pinned frame of the current segment, or 0.
std::uint64_t find_pinned(const Goroutine& g) {
  if (!has_pinned_code() && !has_pinned_records()) return 0;
  std::uint64_t pinned = 0;
  std::uint64_t rest = 0;
  const WalkEnd end = walk_frames(g, rest, [&](const MappedFrame& frame, const SiteRecord& record) {
    if (!record.pinned()) return true;
    pinned = frame.pc;
    return false;
  });
  if (pinned != 0 || end == WalkEnd::bottom) return pinned;
  // Its own return address lies below the frame that was not walked.
  return scan_for_pinned(rest > g.sp ? rest - 8 : rest, g.stack_hi);
}

bool may_copy(Goroutine& g, bool note) {
  if (scheduler.policy == policy_segmented) return false;
  if (scheduler.policy == policy_contiguous) return true;
  const std::uint64_t pinned = find_pinned(g);
  if (note) g.pinned_pc = pinned;
  return pinned == 0;
}

// Copies a segment, and adjusts the copy and what older segments hold, word by word.
std::uint32_t copy_all(const Goroutine& g, const Move& move) {
  const Shift shift{move.lo, move.hi - move.lo, move.delta};
  std::uint32_t adjusted = adjust_words(words(g.sp + move.delta), words(g.sp), (move.hi - g.sp) / 8, shift);
  for (const Segment* segment = g.segments; segment != nullptr; segment = segment->previous)
    adjusted += adjust_words(words(segment->sp), words(segment->sp), (segment->hi - segment->sp) / 8, shift);
  return adjusted;
}

// Moves the current segment to one of new_size bytes. Callers count what was copied: the goroutine's own, without the
// registers that a failed check saves below it. Moves that stress provokes do not count.
Adjusted copystack(Goroutine& g, std::uint64_t new_size) {
  const std::uint64_t old_lo = g.stack_lo;
  const std::uint64_t old_hi = g.stack_hi;
  const std::uint64_t old_size = old_hi - old_lo;
  const std::uint64_t new_lo = allocate_stack(new_size, old_hi);
  const std::uint64_t new_hi = new_lo + new_size;
  const std::uint64_t delta = new_hi - old_hi;
  Adjusted adjusted;
  FrameAudit audit;
  if (scheduler.stress_move) audit.before(g);
  {
    Changing changing(g);
    g.moving_from = old_lo;
    g.moving_to = new_lo;
    const Move move{old_lo, old_hi, delta};
    if (stack_maps.adjust == adjust_maps && has_stack_maps()) {
      adjusted = copy_by_maps(g, move);
    } else {
      adjusted.words = adjusted.scanned = copy_all(g, move);
    }
    if (g.bp - old_lo <= old_size) g.bp += delta;
    set_extents(g, new_lo, new_hi);
    g.sp += delta;
    g.moving_from = g.moving_to = 0;
  }
  if (scheduler.stress_move) audit.after(g);
  free_stack(old_lo, old_size, g.id);
  return adjusted;
}

void set_thread_guard(std::uint64_t guard) { asm volatile("movq %0, %%fs:0x70" : : "r"(guard) : "memory"); }
static_assert(TCB_STACKGUARD == 0x70);

// Rearms the guard of the running goroutine; under stress the next check fails again.
void rearm(Goroutine& g) {
  g.stackguard0 = scheduler.stress_move ? static_cast<std::uint64_t>(k_guard_force_move) : g.stackguard;
  set_thread_guard(g.stackguard0);
}

bool fits(const Goroutine& g, const Demand& demand) {
  // Small frames compare rsp itself (stack.h).
  const std::uint64_t reach = demand.frame < kStackSmall ? 0 : demand.frame;
  return demand.sp - g.stack_lo >= kStackGuard + reach;
}

void grow(Goroutine& g, const Demand& demand) {
  const std::int64_t start = EventClock::now();
  const std::uint64_t old_lo = g.stack_lo;
  const std::uint64_t old_size = g.stack_hi - g.stack_lo;
  const std::uint64_t used = g.stack_hi - demand.sp;
  std::uint64_t size = old_size * 2;
  while (size < used + demand.frame + kStackGuard) size *= 2;
  if (total_size(g) - old_size + size > scheduler.max_stack) fatal_stack_limit(g, scheduler.max_stack);
  g.status.store(status_copystack, std::memory_order_relaxed);
  const Adjusted adjusted = copystack(g, size);
  g.status.store(status_running, std::memory_order_relaxed);
  ++g.grows;
  g.bytes_copied += used;
  expect_shrinks();
  const std::int64_t end = EventClock::now();
  record_event({end, g.id, old_lo, g.stack_lo, demand.pc, clamp32(old_size), clamp32(size), clamp32(used), adjusted.words,
                adjusted.scanned, elapsed32(start, end), event_kind_grow, 0},
               demand.caller, stack_chain(g, demand.pc, demand.caller));
}

// Moves to another stack of the same size, to provoke what a move could break.
void stress_move(Goroutine& g) {
  const std::uint64_t old_lo = g.stack_lo;
  const std::uint32_t size = clamp32(g.stack_hi - g.stack_lo);
  const std::uint32_t used = clamp32(g.stack_hi - g.sp);
  g.status.store(status_copystack, std::memory_order_relaxed);
  const Adjusted adjusted = copystack(g, g.stack_hi - g.stack_lo);
  g.status.store(status_running, std::memory_order_relaxed);
  record_stress_move({EventClock::now(), g.id, old_lo, g.stack_lo, 0, size, size, used, adjusted.words, adjusted.scanned, 0,
                      event_kind_none, 0});
}

std::uint32_t& eh_uncaught() {
  // __cxa_eh_globals: { void* caught; unsigned uncaught; } (Itanium C++ ABI 2.2.2).
  return *reinterpret_cast<std::uint32_t*>(static_cast<char*>(stacktide_thread.m->eh_globals) + 8);
}

}  // namespace

void first_stack(Goroutine& g, void (*function)(void*), void* closure, std::uint64_t bytes) {
  const std::uint64_t size = scheduler.min_stack;
  const std::uint64_t lo = allocate_stack(size);
  set_extents(g, lo, lo + size);
  // What stacktide_gopark pops: r15 r14 r13 r12 rbx rbp, then it returns to the bottom frame with rsp a multiple of 16.
  if (bytes != 0) closure = std::memcpy(words(g.stack_hi - bytes), closure, bytes);
  const std::uint64_t top = g.stack_hi - bytes - 16;
  words(top)[0] = words(top)[1] = 0;
  g.sp = top - SAVED_CONTEXT;
  std::uint64_t* context = words(g.sp);
  context[0] = context[1] = context[4] = context[5] = 0;
  context[2] = reinterpret_cast<std::uint64_t>(function);  // r13
  context[3] = reinterpret_cast<std::uint64_t>(closure);   // r12
  context[6] = reinterpret_cast<std::uint64_t>(stacktide_start_pc);
  g.pc = reinterpret_cast<std::uint64_t>(stacktide_resume_pc);
  g.bp = 0;
  g.caller_pc = 0;
}

bool shrink_if_idle(Goroutine& g, bool self) {
  if (!self) {
    std::uint8_t expected = status_waiting;
    if (!g.status.compare_exchange_strong(expected, status_copystack, std::memory_order_acq_rel)) return false;
  }
  const std::uint64_t old_lo = g.stack_lo;
  const std::uint64_t size = g.stack_hi - g.stack_lo;
  const std::uint64_t used = g.stack_hi - g.sp;
  const bool excepting = self ? eh_uncaught() != 0 : g.own->eh_uncaught != 0;
  const bool possible = size / 2 >= scheduler.min_stack && used * 4 < size && !excepting && may_copy(g, false);
  if (possible) {
    const std::int64_t start = EventClock::now();
    note_high_water(g, g.sp);
    const Adjusted adjusted = copystack(g, size / 2);
    ++g.shrinks;
    g.bytes_copied += used;
    if (self) rearm(g);
    const std::int64_t end = EventClock::now();
    record_event({end, g.id, old_lo, g.stack_lo, 0, clamp32(size), clamp32(size / 2), clamp32(used), adjusted.words,
                  adjusted.scanned, elapsed32(start, end), event_kind_shrink, 0},
                 0);
  }
  if (!self) {
    std::uint8_t expected = status_copystack;
    if (!g.status.compare_exchange_strong(expected, status_waiting, std::memory_order_acq_rel)) {
      g.status.store(status_runnable, std::memory_order_relaxed);
      enqueue(&g, false);
    }
  }
  return possible;
}

bool has_pinned_code() { return pinned_code.lo != pinned_code.hi; }
bool is_pinned_frame(std::uint64_t pc) { return pinned_code.contains(pc) || is_pinned_record(pc); }

void find_code_ranges() {
  pinned_code = {reinterpret_cast<std::uint64_t>(__start_stacktide_pinned),
                 reinterpret_cast<std::uint64_t>(__stop_stacktide_pinned)};
}

namespace {

// The goroutine was asked to yield: it goes on at the end of the queue, with its vector state, which may hold arguments,
// from the heap. False: it did not.
bool yield_in_check(Goroutine* g, const void* vectors) {
  g->own->vector_state = std::malloc(stacktide_xsave_size);
  if (g->own->vector_state == nullptr) return false;
  std::memcpy(g->own->vector_state, vectors, stacktide_xsave_size);
  // Not there when registers alone were saved, but XRSTOR takes it from there (Intel SDM 1, 13.8.1).
  asm("stmxcsr %0" : "=m"(static_cast<std::uint32_t*>(g->own->vector_state)[6]));
  g->pc = reinterpret_cast<std::uint64_t>(stacktide_preempted_pc);
  g->caller_pc = 0;
  begin_park(g, status_runnable, wait_reason_none, nullptr);
  global_put(&g, 1);
  wake_one();
  return true;
}

}  // namespace

// The goroutine that yielded in a check runs again: its vector state to `out`, on the system stack.
extern "C" __attribute__((visibility("hidden"))) void stacktide_take_vector_state(Goroutine* g, void* out) {
  std::memcpy(out, g->own->vector_state, stacktide_xsave_size);
  std::free(g->own->vector_state);
  g->own->vector_state = nullptr;
}

// From __morestack. entry_sp: the address of the return address into the function; vectors: the saved vector state. Returns
// 0: go on where g's saved context says; else the stack pointer of a new segment. Unless it parked the goroutine.
extern "C" __attribute__((visibility("hidden"))) std::uint64_t stacktide_newstack(Goroutine* g, std::uint64_t frame,
                                                                                  std::uint64_t args, std::uint64_t entry_sp,
                                                                                  const void* vectors) {
  tsan::enter_runtime();
  const Demand demand{entry_sp + 8, frame, args, words(entry_sp)[0], words(entry_sp)[1]};
  check_canary(g->stack_lo, g->id);
  note_high_water(*g, demand.sp);
  const bool copyable = eh_uncaught() == 0 && may_copy(*g, false);
  std::uint64_t body_sp = 0;
  if (fits(*g, demand)) {
    if (scheduler.stress_move && copyable) stress_move(*g);
  } else if (copyable) {
    grow(*g, demand);
  } else {
    may_copy(*g, true);
    body_sp = link_segment(*g, demand);
  }
  rearm(*g);
  M& m = *stacktide_thread.m;
  if (body_sp == 0 && m.preempt.load(std::memory_order_relaxed) != 0) {
    m.preempt.store(0, std::memory_order_relaxed);
    if (yield_in_check(g, vectors)) return 0;
  }
  tsan::enter_goroutine(*g);
  return body_sp;
}

// Called between a body's return and its caller: xmm0 and xmm1 are saved around it, and nothing here may use what else can
// hold a result.
extern "C" __attribute__((visibility("hidden"))) void stacktide_release_segment(Goroutine* g) {
  unlink_segment(*g);
  rearm(*g);
}

// The personality of __morestack: an exception that passes a segment boundary releases the segment. By then every frame on
// it has been unwound; its memory stays, since the unwinder may still read registers saved there. One that passes a library
// call ends the call.
extern "C" __attribute__((visibility("hidden"))) _Unwind_Reason_Code stacktide_personality(int, _Unwind_Action actions,
                                                                                           std::uint64_t, _Unwind_Exception*,
                                                                                           _Unwind_Context* context) {
  if ((actions & _UA_CLEANUP_PHASE) == 0) return _URC_CONTINUE_UNWIND;
  Goroutine& g = *stacktide_thread.goroutine;
  const auto* pc = reinterpret_cast<const char*>(_Unwind_GetIP(context));
  if (pc == stacktide_segment_return) {
    unlink_segment(g);
    rearm(g);
  } else if (pc == stacktide_library_return || pc == stacktide_library_return_wide) {
    g.error_number = errno;
    leave_library_call();
  }
  return _URC_CONTINUE_UNWIND;
}

}  // namespace stacktide::runtime
