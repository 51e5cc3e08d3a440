// The goroutine record, and the slabs that hold all of them.
//
// Invariants. A record is never freed: dead ones (id 0) are reused, so a reader may follow a stale address. It starts with
// {lo, hi, stackguard0}, so that 16(g) is the guard, as in Go. `sequence` is odd while extents, sp or status change: a
// reader that sees the same even number before and after has a consistent record without stopping the process. Who may
// write: the thread that runs the goroutine; while it waits, whoever moved its status from waiting to copystack.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arch/x86_64/context.h"
#include "stacktide/abi.h"
#include "timers.h"
#include "wait_queue.h"

namespace stacktide::runtime {

#define STACKTIDE_ENUMERATOR(enumeration, enumerator, value, text) enumeration##_##enumerator = value,
enum Enumerators : std::uint8_t { STACKTIDE_ENUMS(STACKTIDE_ENUMERATOR) };
#undef STACKTIDE_ENUMERATOR

struct M;
struct Select;

// An older segment of a chain. Allocated with malloc, kept as `spare` with its stretch of stack.
struct Segment {
  std::uint64_t lo;
  std::uint64_t hi;
  std::uint64_t sp;  // where the goroutine left this segment
  std::uint64_t pc;  // return address in the function that needed more
  Segment* previous;
};

// What no reader needs to know of a goroutine: beside its record, which is at most 256 bytes.
struct Private {
  void* eh_caught;  // __cxa_eh_globals of this goroutine while it does not run
  std::uint32_t eh_uncaught;
  std::uint32_t locks;  // how often lock_os_thread() was called
  M* locked_m;          // the thread that it chose
  Segment* spare;       // the last segment released, still with its stack
  void* vector_state;   // of a goroutine that yielded in a failed check; from the heap
#ifdef STACKTIDE_TSAN
  void* fiber;  // tsan.h
#endif
  // A goroutine waits in one way at a time.
  union {
    Waiter waiter;   // for one thing
    Timer timer;     // a sleep, or a wait for a file descriptor with a deadline
    Select* select;  // for one of several things
  };
};

struct alignas(64) Goroutine {
  std::uint64_t stack_lo;
  std::uint64_t stack_hi;
  std::uint64_t stackguard0;
  std::uint64_t stackguard;
  std::uint64_t id;
  std::atomic<std::uint32_t> sequence;
  std::atomic<std::uint8_t> status;
  std::uint8_t wait_reason;
  std::uint16_t flags;
  std::uint64_t sp;
  std::uint64_t pc;
  std::uint64_t bp;
  M* m;
  const void* wait_object;
  std::int64_t wait_since;
  std::uint64_t parent;
  std::uint64_t creation_pc;
  std::uint64_t entry_pc;
  Segment* segments;
  std::uint64_t high_water;
  std::uint64_t moving_from;
  std::uint64_t moving_to;
  std::uint32_t grows;
  std::uint32_t links;
  std::uint32_t shrinks;
  std::uint32_t hot_splits;
  std::uint64_t bytes_copied;
  std::uint64_t pinned_pc;
  char label[24];
  Goroutine* next;  // in a run queue or the free list: a goroutine is in at most one
  // Private from here on.
  std::uint64_t result;       // what the runtime call that parked returns
  std::uint64_t result_ok;    // and its second value
  Private* own;               // never null, and never another one: records are reused together
  std::int32_t error_number;  // errno, of the goroutine and not of a thread
  std::uint32_t excepting;    // 1: eh_caught or eh_uncaught of its Private is in use
  std::uint64_t caller_pc;    // exported; set with pc
};

static_assert(sizeof(Goroutine) <= 256);
static_assert(offsetof(Goroutine, stack_lo) == G_STACK_LO && offsetof(Goroutine, stack_hi) == G_STACK_HI);
static_assert(offsetof(Goroutine, stackguard0) == G_STACKGUARD0);
static_assert(offsetof(Goroutine, sp) == G_SP && offsetof(Goroutine, pc) == G_PC && offsetof(Goroutine, bp) == G_BP);
static_assert(offsetof(Goroutine, error_number) == G_ERROR_NUMBER && offsetof(Goroutine, caller_pc) == G_CALLER_PC);
static_assert(offsetof(Goroutine, result) == G_RESULT && offsetof(Goroutine, result_ok) == G_RESULT_OK);

// One block of records, followed by a Private for each. The table of slabs is a root of the descriptor.
struct Slab {
  Goroutine* address;
  std::uint64_t capacity;
  std::atomic<std::uint64_t> used;
};

inline constexpr std::size_t kMaxSlabs = 8192;
inline constexpr std::size_t kSlabRecords = 4096;  // 1 MiB

// Free records that a P keeps, linked by `next`. Only the thread that has the P uses it.
struct RecordCache {
  Goroutine* head;
  std::uint32_t count;
};

// A record with a new id, parent and everything else zero. Ends the program when there is no memory.
Goroutine* allocate_goroutine();
// Makes the record free. Its stack is gone already.
void free_goroutine(Goroutine* g);
// Calls visit(Goroutine&) for every record that was ever used, free ones included.
template <class Visit>
void for_each_goroutine(Visit visit);

struct SlabTable {
  Slab slabs[kMaxSlabs];
  std::atomic<std::uint64_t> count;
};
extern SlabTable slab_table;

template <class Visit>
void for_each_goroutine(Visit visit) {
  const std::uint64_t slabs = slab_table.count.load(std::memory_order_acquire);
  for (std::uint64_t i = 0; i < slabs; ++i) {
    const std::uint64_t used = slab_table.slabs[i].used.load(std::memory_order_acquire);
    for (std::uint64_t j = 0; j < used; ++j) visit(slab_table.slabs[i].address[j]);
  }
}

// While one lives, the record's sequence is odd.
class Changing {
 public:
  explicit Changing(Goroutine& g) : g_(g), before_(g.sequence.load(std::memory_order_relaxed)) { set(before_ + 1); }
  ~Changing() { set(before_ + 2); }
  Changing(const Changing&) = delete;
  Changing& operator=(const Changing&) = delete;

 private:
  void set(std::uint32_t sequence) {
    g_.sequence.store(sequence, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  Goroutine& g_;
  const std::uint32_t before_;  // nobody else changes it meanwhile
};

}  // namespace stacktide::runtime
