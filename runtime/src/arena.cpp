#include "arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "fatal.h"
#include "goroutine.h"
#include "metadata.h"

constinit std::uint64_t stacktide_arena_lo = 0;
constinit std::uint64_t stacktide_arena_size = 0;

namespace stacktide::runtime {

constinit std::mutex arena_lock;
constinit Span* span_table = nullptr;
constinit StackCell* stack_cells = nullptr;

namespace {

constexpr std::uint64_t kArenaSize = std::uint64_t{256} << 30;
// 0x1d.. to 0x2d..: byte pairs like 5a 1d in the middle of six significant bytes, unlike UTF-8 text, small integers or
// doubles. A 32-bit variable may share its word with the upper half of a stale pointer, so the lower half must not look like
// one in use either: from 0x9d5a0000 on, half a GiB is unlike small integers, and floats below 1e-20.
#ifdef STACKTIDE_TSAN
constexpr std::uint64_t kArenaHints[] = {0x1d5a9d0000};  // the sanitizer has shadows for a few ranges only
#else
constexpr std::uint64_t kArenaHints[] = {0x1d5a9d5a0000, 0x2d5a9d5a0000, 0x1f5a9d5a0000, 0x0d5a9d5a0000};
#endif
constexpr std::uint64_t kCommitStep = std::uint64_t{4} << 20;
constexpr std::uint64_t kUnits = kArenaSize / kUnit;
constexpr std::uint64_t kCells = kArenaSize / kStackMin + 1;
// An eighth of the mappings that a process may have by default, twice: a free span between two others makes two more.
constexpr std::uint32_t kMaxUndumped = 65530 / 8;
constexpr unsigned kBins = std::bit_width(kUnits);
constexpr int kTries = 8;  // spans of a bin that are looked at before the next one, whose spans all fit

// Accessible up to here. Raised under the lock, after the tables are accessible as far: find_span() reads it without.
constinit std::atomic<std::uint64_t> committed = 0;
constinit SpanList bins[kBins] = {};  // free spans of 2^n units and more
constinit std::uint32_t undumped_spans = 0;

std::uint32_t unit_of(std::uint64_t address) { return static_cast<std::uint32_t>((address - stacktide_arena_lo) / kUnit); }
std::uint32_t number_of(const Span& span) { return static_cast<std::uint32_t>(&span - span_table) + 1; }
Span& span_at(std::uint32_t number) { return span_table[number - 1]; }
unsigned bin_of(std::uint64_t size) { return static_cast<unsigned>(std::bit_width(size / kUnit)) - 1; }
void* at(std::uint64_t address) { return reinterpret_cast<void*>(address); }

void* reserve(std::uint64_t hint, std::uint64_t size) {
  void* memory = mmap(at(hint), size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (hint != 0 ? MAP_FIXED_NOREPLACE : 0), -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  // Two goroutines share a page; huge pages would make a parked one cost 2 MiB.
  madvise(memory, size, MADV_NOHUGEPAGE);
  // gcore would write even what is not accessible: 256 GiB of nothing.
  madvise(memory, size, MADV_DONTDUMP);
  return memory;
}

// Makes the part of a table that belongs to the arena up to `end` accessible; what is accessible already stays as it is.
void commit_table(void* table, std::uint64_t entry, std::uint64_t entries) {
  const std::uint64_t size = (entry * entries + 4095) & ~std::uint64_t{4095};
  if (mprotect(table, size, PROT_READ | PROT_WRITE) != 0) fatal("out of memory for goroutine stacks");
  madvise(table, size, MADV_DODUMP);
}

void insert_free(Span& span, bool undumped) {
  span.state = span_state_free;
  span.stack_size = span.first = span.stacks = span.free = 0;
  span.undumped = undumped;
  undumped_spans += undumped;
  const std::uint32_t last = unit_of(span.lo + span.size) - 1;
  if (&span_table[last] != &span) {
    span_table[last].lo = span.lo;
    span_table[last].size = 0;
  }
  append(bins[bin_of(span.size)], span);
}

void remove_free(Span& span) {
  remove(bins[bin_of(span.size)], span);
  undumped_spans -= span.undumped;
}

// Makes more of the arena accessible, at least `size` bytes.
void commit(std::uint64_t size) {
  const std::uint64_t start = committed.load(std::memory_order_relaxed);
  const std::uint64_t left = stacktide_arena_lo + stacktide_arena_size - start;
  if (size > left) fatal("out of address space for goroutine stacks");
  const std::uint64_t step = std::min((size + kCommitStep - 1) & ~(kCommitStep - 1), left);
  if (mprotect(at(start), step, PROT_READ | PROT_WRITE) != 0) fatal("out of memory for goroutine stacks");
  const std::uint64_t end = start + step;
  const std::uint64_t units = (end - stacktide_arena_lo) / kUnit;
  const std::uint64_t cells = (end - stacktide_arena_lo) / kStackMin + 1;
  commit_table(span_table, sizeof(Span), units);
  commit_table(stack_cells, sizeof(StackCell), cells);
  Span& span = span_table[unit_of(start)];
  span.lo = start;
  span.size = step;
  committed.store(end, std::memory_order_release);
  publish_arena(stacktide_arena_lo, end);
  publish_spans(span_table, units, stack_cells, cells);
  give_span(span);
}

Span* find_free(std::uint64_t size) {
  const unsigned first = bin_of(size);
  int tries = kTries;
  for (std::uint32_t n = bins[first].head; n != 0 && tries > 0; n = span_at(n).next, --tries) {
    if (span_at(n).size >= size) return &span_at(n);
  }
  for (unsigned bin = first + 1; bin < kBins; ++bin) {
    if (Span* span = front(bins[bin])) return span;
  }
  return nullptr;
}

// The free span that ends where this one begins, or nullptr.
Span* free_before(const Span& span) {
  if (span.lo == stacktide_arena_lo) return nullptr;
  Span& before = span_of(span.lo - kUnit);
  return before.state == span_state_free ? &before : nullptr;
}

Span* free_after(const Span& span) {
  const std::uint64_t end = span.lo + span.size;
  if (end == committed.load(std::memory_order_relaxed)) return nullptr;
  Span& after = span_table[unit_of(end)];
  return after.state == span_state_free ? &after : nullptr;
}

// `part` becomes the end of `whole`.
void join(Span& whole, Span& part) {
  const std::uint64_t size = part.size;
  part.lo = whole.lo;
  part.size = 0;
  part.state = span_state_none;
  whole.size += size;
}

}  // namespace

void append(SpanList& list, Span& span) {
  span.next = 0;
  span.previous = list.tail;
  (list.tail == 0 ? list.head : span_at(list.tail).next) = number_of(span);
  list.tail = number_of(span);
}

void remove(SpanList& list, Span& span) {
  (span.previous == 0 ? list.head : span_at(span.previous).next) = span.next;
  (span.next == 0 ? list.tail : span_at(span.next).previous) = span.previous;
  span.next = span.previous = 0;
}

Span* front(const SpanList& list) { return list.head == 0 ? nullptr : &span_at(list.head); }

void reserve_arena() {
  if (stacktide_arena_size != 0) return;
  span_table = static_cast<Span*>(reserve(0, kUnits * sizeof(Span)));
  stack_cells = static_cast<StackCell*>(reserve(0, kCells * sizeof(StackCell)));
  void* memory = nullptr;
  for (const std::uint64_t hint : kArenaHints) {
    if (memory == nullptr) memory = reserve(hint, kArenaSize);
  }
  if (span_table == nullptr || stack_cells == nullptr || memory == nullptr) {
    fatal("cannot reserve 256 GiB of address space for goroutine stacks (ulimit -v?)");
  }
  stacktide_arena_lo = reinterpret_cast<std::uint64_t>(memory);
  committed.store(stacktide_arena_lo, std::memory_order_relaxed);
  stacktide_arena_size = kArenaSize;
}

Span& span_of(std::uint64_t address) {
  Span& span = span_table[unit_of(address)];
  return span.size != 0 ? span : span_table[unit_of(span.lo)];
}

const Span* find_span(std::uint64_t address) {
  // Without the lock every step is checked; the tables themselves never go away.
  // Pairs with the store in commit().
  const std::uint64_t accessible = committed.load(std::memory_order_acquire) - stacktide_arena_lo;
  if (address - stacktide_arena_lo >= accessible) return nullptr;
  const Span* span = &span_table[unit_of(address)];
  if (span->size == 0) {
    if (span->lo - stacktide_arena_lo >= accessible) return nullptr;
    span = &span_table[unit_of(span->lo)];
  }
  return span->lo <= address && address - span->lo < span->size ? span : nullptr;
}

Span& take_span(std::uint64_t size) {
  size = (size + kUnit - 1) & ~(kUnit - 1);
  Span* span = find_free(size);
  if (span == nullptr) {
    commit(size);
    span = find_free(size);
  }
  const bool undumped = span->undumped;
  remove_free(*span);
  span->undumped = false;
  if (span->size > size) {
    Span& rest = span_table[unit_of(span->lo + size)];
    rest.lo = span->lo + size;
    rest.size = span->size - size;
    span->size = size;
    insert_free(rest, undumped);
  }
  // Also when it is said to be dumped: parts of it may not be.
  madvise(at(span->lo), size, MADV_DODUMP);
  span->state = span_state_stacks;
  for (std::uint32_t unit = unit_of(span->lo) + 1; unit < unit_of(span->lo + size); ++unit) {
    span_table[unit].lo = span->lo;
    span_table[unit].size = 0;
  }
  return *span;
}

void give_span(Span& span) {
  Span* before = free_before(span);
  Span* after = free_after(span);
  bool undumped = undumped_spans < kMaxUndumped;
  for (Span* neighbour : {before, after}) {
    if (neighbour == nullptr) continue;
    undumped |= neighbour->undumped;
    remove_free(*neighbour);
  }
  Span& whole = before != nullptr ? *before : span;
  if (before != nullptr) join(whole, span);
  if (after != nullptr) join(whole, *after);
  if (undumped) madvise(at(whole.lo), whole.size, MADV_DONTDUMP);
  insert_free(whole, undumped);
}

}  // namespace stacktide::runtime
