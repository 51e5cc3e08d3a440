/* The exported descriptor: the one contract between a runtime and whoever looks into it.
 *
 * Concept. A runtime exports a descriptor of itself: the names, offsets, widths and sizes of its structures,
 * the texts of its enumerations, its constants, and the addresses of its live roots. A reader knows none of the
 * runtime's structures; it looks fields up by name. Adding a field, moving one or growing a structure
 * breaks no reader. This header therefore holds (1) the layout of the descriptor block and (2) the vocabulary: the one
 * list of names that the runtime exports and core resolves. Field names are spelled the same in the runtime's
 * structures, in core's snapshot, in Python and in JSON.
 *
 * The block. One contiguous block in section .stacktide, symbol `stacktide_descriptor`, also reachable from an ELF note
 * (owner "stacktide", type STACKTIDE_NOTE_TYPE) whose payload is one signed 64-bit value: the distance
 * from the payload to the block. So a stripped binary works, and so does a core whose executable is gone, because the
 * kernel dumps the first page of each mapped ELF file. The block lies in a writable page that the runtime dirties at
 * start: a default core leaves out clean pages of files.
 *
 *   header | types | fields | enums | constants | contracts | names | roots
 *          |<------------- constant part, CRC-32 ------------>|
 *
 * All offsets in the block are bytes from its start. Each table carries its own stride, so that entries may grow at their
 * end. The constant part is fixed at compile time (or before magic is written), so it is valid at any instant; roots change.
 *
 * Readers treat everything as hostile: check magic, self_address and checksum once, then every offset, index and name
 * against the block's size before use, and cap each walk. A name that a reader doesn't know is ignored; one that it misses
 * turns off the feature that needs it, and only that. A contract's version says how an algorithm works (not which fields
 * exist); a reader that does not know a contract's version turns that feature off, and says so.
 *
 * Versions. abi_major changes when the block's own layout does. Do not bump anything when adding types, fields,
 * enumerators, constants or roots. Bump a contract's version when the meaning of existing fields changes.
 *
 * One file, though it has more than 400 lines: whoever exports a descriptor copies this header alone.
 *
 * Rejected: one global symbol per fact (strip kills them, a missing one reads as a silent default); tables of pointers to C strings
 * (scattered reads, .rodata is missing from cores); JSON (a parser in the crash path); positional offsets (every addition breaks
 * every reader).
 */
#ifndef STACKTIDE_ABI_H
#define STACKTIDE_ABI_H

#include <stdint.h>

/* "stktide" and 0x01. A reader of the other byte order sees it reversed, which tells it so. */
#define STACKTIDE_MAGIC UINT64_C(0x01656469746b7473)
#define STACKTIDE_ABI_MAJOR 1
#define STACKTIDE_ABI_MINOR 0
#define STACKTIDE_NOTE_NAME "stacktide"
#define STACKTIDE_NOTE_TYPE 1
#define STACKTIDE_SECTION ".stacktide"
#define STACKTIDE_SYMBOL "stacktide_descriptor"
/* The function that the runtime calls with (const event*, caller pc) after each stack event. It is empty: break on it. */
#define STACKTIDE_EVENT_HOOK "stacktide_stack_event"
/* The function that the runtime calls with (const event_ring*), after it raised count, when count has become a multiple of capacity / 2, now and then
 * while there are new events, and before the program may end with some. Empty. Whoever stops all threads there and reads all rings misses no event, at two stops per
 * capacity (runtime/src/events.h has the proof). */
#define STACKTIDE_PENDING_HOOK "stacktide_events_pending"
/* A reader refuses blocks beyond this many bytes. */
#define STACKTIDE_MAX_DESCRIPTOR 65536

typedef struct {
  uint32_t offset; /* bytes from the start of the block */
  uint32_t count;  /* entries; for names: bytes */
  uint32_t stride; /* bytes per entry; for names: 1 */
} stacktide_table;

typedef struct {
  uint64_t magic;
  uint16_t abi_major;
  uint16_t abi_minor;
  uint16_t pointer_size; /* bytes */
  uint16_t header_size;  /* bytes of this structure */
  uint32_t total_size;   /* bytes of the whole block */
  uint32_t checksum;     /* CRC-32 (IEEE 802.3, as zlib's) of the constant part */
  uint64_t self_address; /* where the block lies in the process; equal to where it was read */
  uint32_t constant_offset;
  uint32_t constant_size;
  stacktide_table types;
  stacktide_table fields;
  stacktide_table enums;
  stacktide_table constants;
  stacktide_table contracts;
  stacktide_table names;
  stacktide_table roots;
  uint32_t reserved;
} stacktide_header;

/* Names are offsets into the name pool; each name there ends with a zero byte. */
typedef struct {
  uint32_t name;
  uint32_t size; /* bytes of one such structure */
} stacktide_type;

enum {
  STACKTIDE_KIND_UNSIGNED = 1,
  STACKTIDE_KIND_SIGNED = 2,
  STACKTIDE_KIND_ADDRESS = 3,
  STACKTIDE_KIND_TEXT = 4,     /* width bytes, ends at the first zero byte or at width */
  STACKTIDE_KIND_ENUM = 5,     /* its texts: the enumeration named "type_field", else the one named as the field */
  STACKTIDE_KIND_ADDRESSES = 6, /* width / pointer_size addresses in a row */
  STACKTIDE_KIND_RECORD = 7     /* a structure in place, of the type that the vocabulary says */
};

typedef struct {
  uint32_t type; /* index into types */
  uint32_t name;
  uint32_t offset; /* bytes from the start of the structure */
  uint32_t width;  /* bytes */
  uint32_t kind;
} stacktide_field;

typedef struct {
  uint32_t name; /* of the enumeration */
  uint32_t text; /* what to show a person */
  int64_t value;
} stacktide_enum;

typedef struct {
  uint32_t name;
  uint32_t reserved;
  int64_t value;
} stacktide_constant;

typedef struct {
  uint32_t name;
  uint32_t version;
} stacktide_contract;

/* A live root: `count` elements of `type`, each `stride` bytes after the last, from `address`. Address 0 or count 0: none yet.
 * Type index STACKTIDE_NO_TYPE: plain bytes (text of `count` bytes). */
#define STACKTIDE_NO_TYPE UINT32_C(0xffffffff)
typedef struct {
  uint32_t name;
  uint32_t type;
  uint64_t address;
  uint32_t stride;
  uint32_t reserved;
  uint64_t count;
} stacktide_root;

/* ---- Vocabulary ------------------------------------------------------------------------------------------------------
 * F(type, field, kind). Sizes are bytes, times nanoseconds of CLOCK_MONOTONIC, addresses the target's own. */

#define STACKTIDE_TYPES(T) T(goroutine) T(segment) T(m) T(p) T(scheduler) T(slab) T(event) T(event_ring) T(hot_split)   \
  T(span) T(stack_cell) T(stack_maps) T(channel) T(mutex) T(wait_group) T(wait_queue) T(waiter) T(poll_descriptor)

/* stack_*: extents of the current (newest) segment. stackguard0: the guard, or a sentinel. stackguard: the true guard.
 * sequence is odd while extents, sp or status change. sp, pc, bp: saved context, valid unless running or syscall (then the
 * registers of m's thread hold it, and sp is where the goroutine left its own stack, if not 0). caller_pc: the return address of the frame
 * that the saved context is in, when that frame is the runtime's own, so that a list of many needs no unwinding; 0: not known.
 * segments: newest of the older segments (type segment), 0 when the stack is one segment.
 * wait_object: the channel, mutex or the like it waits for; in status syscall the library function it is in, 0 in blocking().
 * high_water: most bytes used, seen at failed checks, parks and shrinks. moving_from/to: lo of both stacks during a copy.
 * pinned_pc: return address of the frame that last forced a link, 0 when none did. next: link in a run queue. */
#define STACKTIDE_FIELDS_goroutine(F)                                                                                       \
  F(goroutine, stack_lo, ADDRESS)                                                                                           \
  F(goroutine, stack_hi, ADDRESS)                                                                                           \
  F(goroutine, stackguard0, ADDRESS)                                                                                        \
  F(goroutine, stackguard, ADDRESS)                                                                                         \
  F(goroutine, id, UNSIGNED)                                                                                                \
  F(goroutine, sequence, UNSIGNED)                                                                                          \
  F(goroutine, status, ENUM)                                                                                                \
  F(goroutine, wait_reason, ENUM)                                                                                           \
  F(goroutine, flags, UNSIGNED)                                                                                             \
  F(goroutine, sp, ADDRESS)                                                                                                 \
  F(goroutine, pc, ADDRESS)                                                                                                 \
  F(goroutine, bp, ADDRESS)                                                                                                 \
  F(goroutine, caller_pc, ADDRESS)                                                                                          \
  F(goroutine, m, ADDRESS)                                                                                                  \
  F(goroutine, wait_object, ADDRESS)                                                                                        \
  F(goroutine, wait_since, SIGNED)                                                                                          \
  F(goroutine, parent, UNSIGNED)                                                                                            \
  F(goroutine, creation_pc, ADDRESS)                                                                                        \
  F(goroutine, entry_pc, ADDRESS)                                                                                           \
  F(goroutine, segments, ADDRESS)                                                                                           \
  F(goroutine, high_water, UNSIGNED)                                                                                        \
  F(goroutine, moving_from, ADDRESS)                                                                                        \
  F(goroutine, moving_to, ADDRESS)                                                                                          \
  F(goroutine, grows, UNSIGNED)                                                                                             \
  F(goroutine, links, UNSIGNED)                                                                                             \
  F(goroutine, shrinks, UNSIGNED)                                                                                           \
  F(goroutine, hot_splits, UNSIGNED)                                                                                        \
  F(goroutine, bytes_copied, UNSIGNED)                                                                                      \
  F(goroutine, pinned_pc, ADDRESS)                                                                                          \
  F(goroutine, label, TEXT)                                                                                                 \
  F(goroutine, next, ADDRESS)

/* An older segment of a chain. sp: where the goroutine left it. pc: return address in the function that needed more.
 * previous: the next older one, 0 at the end. */
#define STACKTIDE_FIELDS_segment(F)                                                                                         \
  F(segment, lo, ADDRESS)                                                                                                   \
  F(segment, hi, ADDRESS)                                                                                                   \
  F(segment, sp, ADDRESS)                                                                                                   \
  F(segment, pc, ADDRESS)                                                                                                   \
  F(segment, previous, ADDRESS)

/* An OS thread. goroutine, p: what it holds now, 0 when nothing. stack_*: its system stack; guard_size: bytes of guard
 * page below stack_lo. */
#define STACKTIDE_FIELDS_m(F)                                                                                               \
  F(m, id, UNSIGNED)                                                                                                        \
  F(m, tid, UNSIGNED)                                                                                                       \
  F(m, status, ENUM)                                                                                                        \
  F(m, goroutine, ADDRESS)                                                                                                  \
  F(m, p, ADDRESS)                                                                                                          \
  F(m, stack_lo, ADDRESS)                                                                                                   \
  F(m, stack_hi, ADDRESS)                                                                                                   \
  F(m, guard_size, UNSIGNED)

/* A processor: the right to run goroutines. run_queue is a ring of goroutine addresses between run_head and run_tail (both
 * count up and wrap at 2^32; the index is the remainder by the ring's length). run_next runs first. */
#define STACKTIDE_FIELDS_p(F)                                                                                               \
  F(p, id, UNSIGNED)                                                                                                        \
  F(p, status, ENUM)                                                                                                        \
  F(p, m, ADDRESS)                                                                                                          \
  F(p, run_head, UNSIGNED)                                                                                                  \
  F(p, run_tail, UNSIGNED)                                                                                                  \
  F(p, run_queue, ADDRESSES)                                                                                                \
  F(p, run_next, ADDRESS)                                                                                                   \
  F(p, ticks, UNSIGNED)

/* global_head: first goroutine of the global run queue, linked by goroutine.next. now: the clock when the runtime last looked,
 * for cores, which do not record when they were taken. stack_bytes: of stacks that goroutines have, or Ps keep for those to come. */
#define STACKTIDE_FIELDS_scheduler(F)                                                                                       \
  F(scheduler, max_procs, UNSIGNED)                                                                                         \
  F(scheduler, policy, ENUM)                                                                                                \
  F(scheduler, stress_move, UNSIGNED)                                                                                       \
  F(scheduler, shrink, UNSIGNED)                                                                                            \
  F(scheduler, min_stack, UNSIGNED)                                                                                         \
  F(scheduler, segment_size, UNSIGNED)                                                                                      \
  F(scheduler, max_stack, UNSIGNED)                                                                                         \
  F(scheduler, global_head, ADDRESS)                                                                                        \
  F(scheduler, global_size, UNSIGNED)                                                                                       \
  F(scheduler, idle_ps, UNSIGNED)                                                                                           \
  F(scheduler, idle_ms, UNSIGNED)                                                                                           \
  F(scheduler, spinning_ms, UNSIGNED)                                                                                       \
  F(scheduler, blocking, UNSIGNED)                                                                                          \
  F(scheduler, timers, UNSIGNED)                                                                                            \
  F(scheduler, live, UNSIGNED)                                                                                              \
  F(scheduler, created, UNSIGNED)                                                                                           \
  F(scheduler, arena_lo, ADDRESS)                                                                                           \
  F(scheduler, arena_hi, ADDRESS)                                                                                           \
  F(scheduler, stack_bytes, UNSIGNED)                                                                                       \
  F(scheduler, start, SIGNED)                                                                                               \
  F(scheduler, now, SIGNED)

/* `used` goroutine records are initialised, from `address`; a record with id 0 is free. */
#define STACKTIDE_FIELDS_slab(F)                                                                                            \
  F(slab, address, ADDRESS)                                                                                                 \
  F(slab, capacity, UNSIGNED)                                                                                               \
  F(slab, used, UNSIGNED)

/* One stack event. used: bytes in use in the old segment. pc: return address in the function that needed room, 0 for
 * a shrink. adjusted: words changed; scanned: those of them that no stack map spoke of. duration: nanoseconds, saturating; 0 for a release, and for a link that found a segment kept.
 * ring: index of the ring. caller: return address in the caller of the function at pc, 0 when not known. */
#define STACKTIDE_FIELDS_event(F)                                                                                           \
  F(event, time, SIGNED)                                                                                                    \
  F(event, goroutine, UNSIGNED)                                                                                             \
  F(event, old_lo, ADDRESS)                                                                                                 \
  F(event, new_lo, ADDRESS)                                                                                                 \
  F(event, pc, ADDRESS)                                                                                                     \
  F(event, old_size, UNSIGNED)                                                                                              \
  F(event, new_size, UNSIGNED)                                                                                              \
  F(event, used, UNSIGNED)                                                                                                  \
  F(event, adjusted, UNSIGNED)                                                                                              \
  F(event, scanned, UNSIGNED)                                                                                               \
  F(event, duration, UNSIGNED)                                                                                              \
  F(event, kind, ENUM)                                                                                                      \
  F(event, ring, UNSIGNED)                                                                                                  \
  F(event, caller, ADDRESS)

/* A ring of the last `capacity` (a power of two) events from `records`; `count` were ever written. The slot of event n is
 * n % capacity. The writer raises count after the record is complete. */
#define STACKTIDE_FIELDS_event_ring(F)                                                                                      \
  F(event_ring, records, ADDRESS)                                                                                           \
  F(event_ring, capacity, UNSIGNED)                                                                                         \
  F(event_ring, count, UNSIGNED)

/* A boundary that calls crossed from one segment to another. pc: return address in the function that needed room, caller: that in its caller.
 * count: links; allocated: those of them that had to allocate a segment; bytes: most that the function asked for, frame and stack arguments. A record
 * with pc 0 is free, but with a count it stands for all boundaries that found no place. */
#define STACKTIDE_FIELDS_hot_split(F)                                                                                       \
  F(hot_split, pc, ADDRESS)                                                                                                 \
  F(hot_split, caller, ADDRESS)                                                                                             \
  F(hot_split, count, UNSIGNED)                                                                                             \
  F(hot_split, allocated, UNSIGNED)                                                                                         \
  F(hot_split, bytes, UNSIGNED)

/* A run of the arena's units, from arena_lo: record n is of unit n. lo 0: never used; size 0: the unit is a part of the span at lo (for a free
 * span, only its last unit's record says so). A span is cut in `stacks` stacks of stack_size bytes, the first at lo + first; nobody has `free` of them:
 * a P keeps some of the others for goroutines to come. */
#define STACKTIDE_FIELDS_span(F)                                                                                            \
  F(span, lo, ADDRESS)                                                                                                      \
  F(span, size, UNSIGNED)                                                                                                   \
  F(span, stack_size, UNSIGNED)                                                                                             \
  F(span, first, UNSIGNED)                                                                                                  \
  F(span, stacks, UNSIGNED)                                                                                                 \
  F(span, free, UNSIGNED)                                                                                                   \
  F(span, state, ENUM)

/* A place where a stack may begin: record n is of arena_lo + (n - 1) * stack_min. freed_by: id of the goroutine that last gave a stack that begins there
 * back, 0 when none did. next: the constant stack_in_use while a goroutine has that stack. */
#define STACKTIDE_FIELDS_stack_cell(F)                                                                                      \
  F(stack_cell, freed_by, UNSIGNED)                                                                                         \
  F(stack_cell, next, UNSIGNED)

/* The program's stack maps and what they were good for. address, size: the block that stack_map.h describes; size 0: the program has none. walks: stacks
 * that were walked by their records to be copied; complete: those of them in which every frame had one; frames: by record. words_*: skipped as scalars for
 * certain, checked (a record says that they may be pointers), scanned (no record). lookalikes: of the skipped ones, those whose value lay in the stack that
 * moved; in long stretches of numbers counted under STACKTIDE_STRESS=move alone. */
#define STACKTIDE_FIELDS_stack_maps(F)                                                                                      \
  F(stack_maps, address, ADDRESS)                                                                                           \
  F(stack_maps, size, UNSIGNED)                                                                                             \
  F(stack_maps, adjust, ENUM)                                                                                               \
  F(stack_maps, walks, UNSIGNED)                                                                                            \
  F(stack_maps, complete, UNSIGNED)                                                                                         \
  F(stack_maps, frames, UNSIGNED)                                                                                           \
  F(stack_maps, words_skipped, UNSIGNED)                                                                                    \
  F(stack_maps, words_checked, UNSIGNED)                                                                                    \
  F(stack_maps, words_scanned, UNSIGNED)                                                                                    \
  F(stack_maps, lookalikes, UNSIGNED)

/* What goroutines wait for (contract wait_objects); the enumeration wait_object says which of these a waiting goroutine's wait_object is. A handle
 * in the program's variables is one word, the address of such a structure, 0 for a nil channel.
 *
 * A channel holds `length` values of at most `capacity`: words, from ring[head], which wraps at capacity. A word is a small value itself, from its first
 * byte on, or the address of the value. receivers, senders: of type wait_queue. closed: not 0 when it is. */
#define STACKTIDE_FIELDS_channel(F)                                                                                         \
  F(channel, capacity, UNSIGNED)                                                                                            \
  F(channel, length, UNSIGNED)                                                                                              \
  F(channel, head, UNSIGNED)                                                                                                \
  F(channel, ring, ADDRESS)                                                                                                 \
  F(channel, receivers, RECORD)                                                                                             \
  F(channel, senders, RECORD)                                                                                               \
  F(channel, closed, UNSIGNED)

/* word: the bit mutex_locked is set while somebody has it; who has it is not recorded. waiters: of type wait_queue. starving: not 0 when it is handed to
 * the first waiter, and nobody else may take it. */
#define STACKTIDE_FIELDS_mutex(F)                                                                                           \
  F(mutex, word, UNSIGNED)                                                                                                  \
  F(mutex, waiters, RECORD)                                                                                                 \
  F(mutex, starving, UNSIGNED)

/* count: what add() and done() left. waiters: of type wait_queue. */
#define STACKTIDE_FIELDS_wait_group(F)                                                                                      \
  F(wait_group, count, SIGNED)                                                                                              \
  F(wait_group, waiters, RECORD)

/* `length` waiters, linked by waiter.next from `first`, which is served first. */
#define STACKTIDE_FIELDS_wait_queue(F)                                                                                      \
  F(wait_queue, first, ADDRESS)                                                                                             \
  F(wait_queue, length, UNSIGNED)

/* A goroutine in a queue; one that selects is in a queue for each of its cases. goroutine: its record. decided: 0, or the address of a byte that is not 0
 * when another case of the same select has been chosen, and this waiter counts no more. */
#define STACKTIDE_FIELDS_waiter(F)                                                                                          \
  F(waiter, goroutine, ADDRESS)                                                                                             \
  F(waiter, decided, ADDRESS)                                                                                               \
  F(waiter, next, ADDRESS)

/* A file descriptor that goroutines wait for: its number. */
#define STACKTIDE_FIELDS_poll_descriptor(F)                                                                                 \
  F(poll_descriptor, fd, SIGNED)

#define STACKTIDE_FIELDS(F)                                                                                                 \
  STACKTIDE_FIELDS_goroutine(F) STACKTIDE_FIELDS_segment(F) STACKTIDE_FIELDS_m(F) STACKTIDE_FIELDS_p(F)                     \
  STACKTIDE_FIELDS_scheduler(F) STACKTIDE_FIELDS_slab(F) STACKTIDE_FIELDS_event(F) STACKTIDE_FIELDS_event_ring(F)        \
  STACKTIDE_FIELDS_hot_split(F) STACKTIDE_FIELDS_span(F) STACKTIDE_FIELDS_stack_cell(F)                                \
  STACKTIDE_FIELDS_stack_maps(F) STACKTIDE_FIELDS_channel(F) STACKTIDE_FIELDS_mutex(F)                                  \
  STACKTIDE_FIELDS_wait_group(F) STACKTIDE_FIELDS_wait_queue(F) STACKTIDE_FIELDS_waiter(F) \
  STACKTIDE_FIELDS_poll_descriptor(F)

/* E(enumeration, enumerator, value, text). Statuses and wait reasons use Go's words (runtime2.go, Go 1.24), statuses Go's numbers.
 * A reader goes by the texts: those of statuses are vocabulary, their values and all wait reasons are the runtime's own.
 * runtime_symbol: what the linkage names of the runtime's own functions and data begin with (the readable name of an inlined function that has
 * none): the function shown for a goroutine is the innermost that is not one of them.
 * wait_object: of which type a waiting goroutine's wait_object is, by the value of its wait_reason.
 * m_status, watching: idle, and asleep in the system's call that says which file descriptors are ready. */
#define STACKTIDE_ENUMS(E)                                                                                                  \
  E(status, idle, 0, "idle")                                                                                                \
  E(status, runnable, 1, "runnable")                                                                                        \
  E(status, running, 2, "running")                                                                                          \
  E(status, syscall, 3, "syscall")                                                                                          \
  E(status, waiting, 4, "waiting")                                                                                          \
  E(status, dead, 6, "dead")                                                                                                \
  E(status, copystack, 8, "copystack")                                                                                      \
  E(status, copystack_woken, 136, "copystack")                                                                              \
  E(wait_reason, none, 0, "")                                                                                               \
  E(wait_reason, chan_receive, 1, "chan receive")                                                                           \
  E(wait_reason, chan_send, 2, "chan send")                                                                                 \
  E(wait_reason, select, 3, "select")                                                                                       \
  E(wait_reason, sleep, 4, "sleep")                                                                                         \
  E(wait_reason, wait_group, 5, "sync.WaitGroup.Wait")                                                                      \
  E(wait_reason, mutex, 6, "sync.Mutex.Lock")                                                                               \
  E(wait_reason, chan_receive_nil, 7, "chan receive (nil chan)")                                                            \
  E(wait_reason, chan_send_nil, 8, "chan send (nil chan)")                                                                  \
  E(wait_reason, select_no_cases, 9, "select (no cases)")                                                                   \
  E(wait_reason, io, 10, "IO wait")                                                                                         \
  E(wait_object, chan_receive, 1, "channel")                                                                                \
  E(wait_object, chan_send, 2, "channel")                                                                                   \
  E(wait_object, wait_group, 5, "wait_group")                                                                               \
  E(wait_object, mutex, 6, "mutex")                                                                                         \
  E(wait_object, io, 10, "poll_descriptor")                                                                                 \
  E(event_kind, none, 0, "none")                                                                                            \
  E(event_kind, grow, 1, "grow")                                                                                            \
  E(event_kind, shrink, 2, "shrink")                                                                                        \
  E(event_kind, link, 3, "link")                                                                                            \
  E(event_kind, release, 4, "release")                                                                                      \
  E(policy, automatic, 0, "auto")                                                                                           \
  E(policy, contiguous, 1, "contiguous")                                                                                    \
  E(policy, segmented, 2, "segmented")                                                                                      \
  E(m_status, idle, 0, "idle")                                                                                              \
  E(m_status, spinning, 1, "spinning")                                                                                      \
  E(m_status, running, 2, "running")                                                                                        \
  E(m_status, blocking, 3, "blocking")                                                                                      \
  E(m_status, watching, 4, "watching")                                                                                      \
  E(span_state, none, 0, "")                                                                                                \
  E(span_state, stacks, 1, "stacks")                                                                                        \
  E(span_state, free, 2, "free")                                                                                            \
  E(span_state, returning, 3, "returning")                                                                                  \
  E(span_state, unmapped, 4, "unmapped")                                                                                    \
  E(p_status, idle, 0, "idle")                                                                                              \
  E(p_status, running, 1, "running")                                                                                        \
  E(adjust, maps, 0, "maps")                                                                                                \
  E(adjust, scan, 1, "scan")                                                                                                \
  E(runtime_symbol, entry, 0, "stacktide_")                                                                                 \
  E(runtime_symbol, member, 1, "_ZN9stacktide")                                                                             \
  E(runtime_symbol, const_member, 2, "_ZNK9stacktide")                                                                      \
  E(runtime_symbol, local, 3, "_ZZN9stacktide")                                                                             \
  E(runtime_symbol, const_local, 4, "_ZZNK9stacktide")                                                                      \
  E(runtime_symbol, readable, 5, "stacktide::")                                                                             \
  E(runtime_symbol, morestack, 6, "__morestack")

/* C(name, value). stack_guard: bytes between stack_lo and the guard. stack_small: a frame below this many bytes compares rsp
 * itself with the guard, so it may reach that far below. stack_big: frames from here on size the new stack by themselves.
 * guard_*: sentinels in stackguard0, Go's values. flag_*: bits of goroutine.flags: the runtime's own; locked to its thread. mutex_locked: a bit of
 * mutex.word. */
#define STACKTIDE_CONSTANTS(C)                                                                                              \
  C(stack_min, 2048)                                                                                                        \
  C(stack_guard, 928)                                                                                                       \
  C(stack_small, 256)                                                                                                       \
  C(stack_big, 4096)                                                                                                        \
  C(stack_max, 1073741824)                                                                                                  \
  C(guard_preempt, -1314)                                                                                                   \
  C(guard_force_move, -275)                                                                                                 \
  C(stack_in_use, 4294967295)                                                                                               \
  C(flag_system, 1)                                                                                                         \
  C(flag_locked, 2)                                                                                                         \
  C(mutex_locked, 1)                                                                                                        \
  C(canary, INT64_C(0x57ac71de0ddba115))

/* K(name, version). goroutines: slabs of records. saved_context: a goroutine that is not running resumes at pc with sp and bp;
 * unwinding starts there by CFI, taking pc as it is. segments, scheduler, events, wait_objects: as described above.
 * stack_maps: stack_map.h. */
#define STACKTIDE_CONTRACTS(K)                                                                                              \
  K(goroutines, 1) K(saved_context, 1) K(segments, 1) K(scheduler, 1) K(events, 1) K(stack_maps, 1)   \
  K(wait_objects, 1)

/* R(name, type). runtime_version is text. The two hooks (above) are roots without a type, too, for programs without symbols: address is the function's
 * first instruction, count 1. */
#define STACKTIDE_ROOTS(R)                                                                                                  \
  R(goroutine_slabs, slab) R(ms, m) R(ps, p) R(scheduler, scheduler) R(event_rings, event_ring) R(hot_splits, hot_split) \
  R(spans, span) R(stack_cells, stack_cell) R(stack_maps, stack_maps)
#define STACKTIDE_ROOT_VERSION "runtime_version"
#define STACKTIDE_ROOT_EVENT_HOOK "event_hook"
#define STACKTIDE_ROOT_PENDING_HOOK "pending_hook"

/* ---- For other runtimes (README.md) ----------------------------------------------------------------------------------
 * What stacktide's own runtime has no use for, and a reader knows. All of it may be left out.
 *
 * Registers of the saved context that a callee must preserve, where they lie in the record and not on the goroutine's stack: without
 * them unwinding starts with sp, pc and bp, and arguments that optimised code keeps in the others are lost. */
#define STACKTIDE_FIELDS_OPTIONAL(F)                                                                                        \
  F(goroutine, rbx, UNSIGNED)                                                                                               \
  F(goroutine, r12, UNSIGNED)                                                                                               \
  F(goroutine, r13, UNSIGNED)                                                                                               \
  F(goroutine, r14, UNSIGNED)                                                                                               \
  F(goroutine, r15, UNSIGNED)

/* Constant: not 0 when a stack never grows, shrinks or moves. */
#define STACKTIDE_CONSTANT_FIXED "stacks_fixed"

/* The note by which a descriptor is found without symbols: once, at file scope. `symbol`: the descriptor's linkage name. */
#define STACKTIDE_NOTE(symbol)                                                                                              \
  __asm__(".pushsection .note.stacktide, \"a\", @note\n.p2align 2\n.long 2f - 1f, 4f - 3f, 1\n1: .asciz \"stacktide\"\n"      \
          "2: .p2align 2\n3: .quad " #symbol " - 3b\n4: .p2align 2\n.popsection\n")

/* The checksum of a header: CRC-32 of the constant part. */
static inline uint32_t stacktide_checksum(const void *part, uint32_t size) {
  const unsigned char *byte = (const unsigned char *)part;
  uint32_t crc = UINT32_C(0xffffffff);
  for (; size != 0; --size, ++byte) {
    crc ^= *byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0xedb88320) : 0);
  }
  return ~crc;
}

/* Completes a block that is filled in at start: its tables, sizes and constant part must be in place. magic is written last, so that
 * whoever looks earlier finds no descriptor instead of a part of one. */
static inline void stacktide_publish(stacktide_header *header) {
  header->abi_major = STACKTIDE_ABI_MAJOR;
  header->abi_minor = STACKTIDE_ABI_MINOR;
  header->pointer_size = sizeof(void *);
  header->header_size = sizeof *header;
  header->checksum = stacktide_checksum((const char *)header + header->constant_offset, header->constant_size);
  header->self_address = (uint64_t)(uintptr_t)header;
  __atomic_store_n(&header->magic, STACKTIDE_MAGIC, __ATOMIC_RELEASE);
}

#endif
