// The runtime's entry points, as the templates of the public headers call them. Not for direct use.
//
// Each is a few instructions of assembly that save the goroutine's context and continue on the thread's system stack, so
// they may be called with as little stack as the compiler's check leaves.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stacktide::detail {

struct two_words {
  std::uint64_t first;
  std::uint64_t second;
};

struct stack_numbers {
  std::uint64_t goroutine;   // id of the caller; 0 outside a goroutine, then all else is 0 too
  std::uint64_t size;        // bytes of stack, over all segments
  std::uint64_t used;        // bytes in use, over all segments, as if the goroutine waited here
  std::uint64_t headroom;    // bytes between the stack pointer and the guard
  std::uint64_t high_water;  // most bytes in use seen so far
  std::uint64_t segments;
  std::uint64_t lo;  // extents of the current segment
  std::uint64_t hi;
  std::uint64_t grows;
  std::uint64_t links;
  std::uint64_t shrinks;
  std::uint64_t hot_splits;
  std::uint64_t bytes_copied;
};

// One case of a select. word: what to send; when `after` is due, in nanoseconds of steady_clock.
enum class select_kind : std::uint64_t { send, receive, after, otherwise };
struct select_case {
  select_kind kind;
  void* channel;
  std::uint64_t word;
};

// The second word of what a select returns: the chosen case, whether stacktide_select_finish must be called, and whether a
// value was sent or received (else the channel was closed).
struct select_outcome {
  static constexpr std::uint64_t kOk = 1;
  static constexpr std::uint64_t kWaited = 2;
  static constexpr std::uint64_t of(std::uint64_t index, bool waited) { return index << 2 | (waited ? kWaited : 0); }
  static constexpr std::uint64_t index(std::uint64_t outcome) { return outcome >> 2; }
};

struct mutex_state;
struct shared_core;

using function = void (*)(void*);
struct escape_subject;

extern "C" {
void stacktide_run(function f, void* closure, const void* entry);
// bytes: the closure lies on the caller's stack, and that many bytes of it are copied to the end of the new goroutine's, a
// multiple of 16, at most 64; 0: it is the goroutine's already.
std::uint64_t stacktide_go(function f, void* closure, const void* entry, std::uint64_t bytes);
void stacktide_yield();
void stacktide_sleep_until(std::int64_t when);
void stacktide_blocking(function f, void* closure);
void stacktide_on_system_stack(function f, void* closure);
void stacktide_lock_os_thread();
void stacktide_unlock_os_thread();
void stacktide_set_label(const char* text, std::size_t length);
void stacktide_stack_info(stack_numbers* out);
std::uint64_t stacktide_shrink_stacks();
std::uint64_t stacktide_current_id();
// An object that is given away holds words in the range of goroutine stacks. Reports those that may become wrong (escape.h).
void stacktide_check_escape(const void* object, const escape_subject* subject);
// The range of goroutine stacks; empty before the first run().
extern std::uint64_t stacktide_arena_lo;
extern std::uint64_t stacktide_arena_size;

void* stacktide_chan_make(std::uint64_t capacity);
void stacktide_chan_free(void* channel);
std::uint64_t stacktide_chan_send(void* channel, std::uint64_t value);
void stacktide_chan_send_closed();
two_words stacktide_chan_recv(void* channel);
std::uint64_t stacktide_chan_try_send(void* channel, std::uint64_t value);
std::uint64_t stacktide_chan_try_recv(void* channel, std::uint64_t* value);
void stacktide_chan_close(void* channel);
std::uint64_t stacktide_chan_len(void* channel);
std::uint64_t stacktide_chan_cap(void* channel);
std::uint64_t stacktide_chan_waiting(void* channel);

two_words stacktide_select(const select_case* cases, std::uint64_t count);
void stacktide_select_finish(std::uint64_t outcome);

mutex_state* stacktide_mutex_make();
void stacktide_mutex_free(mutex_state* mutex);
std::uint64_t stacktide_mutex_lock(mutex_state* mutex, std::uint64_t woken);
void stacktide_mutex_unlock(mutex_state* mutex);
std::uint64_t stacktide_mutex_waiting(mutex_state* mutex);

shared_core* stacktide_wait_group_make();
void stacktide_wait_group_free(shared_core* group);
void stacktide_wait_group_add(shared_core* group, std::int64_t n);
void stacktide_wait_group_wait(shared_core* group);

// net.h. direction: 0 to read, 1 to write; deadline: as of deadline_after(). Returns a wait_status.
std::uint64_t stacktide_net_wait(std::int64_t fd, std::uint64_t direction, std::int64_t deadline);
// What close(2) made of errno, 0 when it was done.
std::uint64_t stacktide_net_close(std::int64_t fd);
}

}  // namespace stacktide::detail
