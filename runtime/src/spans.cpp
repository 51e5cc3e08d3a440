#include "spans.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "fatal.h"
#include "goroutine.h"
#include "metadata.h"
#include "monitor.h"

namespace stacktide::runtime {
namespace {

constexpr std::uint64_t kSharedSpan = 4 * kUnit;
constexpr std::uint64_t kKeptEmpty = std::uint64_t{16} << 20;
constexpr std::uint32_t kKeptUnmapped = 4096;

// All under arena_lock.
constinit std::uint32_t lists[kSizeClasses][kColours] = {};  // first cell of each
constinit std::uint32_t available[kSizeClasses] = {};        // bit n: colour n has some
constinit SpanList empty_spans{};                            // the longest unused first
constinit std::uint64_t empty_bytes = 0;
constinit std::uint32_t looks = 0;  // of the monitor, at empty spans
constinit SpanList unmapped_spans{};
constinit std::uint32_t unmapped_count = 0;

void* at(std::uint64_t address) { return reinterpret_cast<void*>(address); }

std::uint32_t colour_of_cell(std::uint32_t cell, unsigned size_class) {
  return static_cast<std::uint32_t>((cell_address(cell) + (std::uint64_t{1} << size_class)) % kUnit / kStackMin);
}

void push(std::uint32_t cell, unsigned size_class) {
  const std::uint32_t colour = colour_of_cell(cell, size_class);
  std::uint32_t& head = lists[size_class][colour];
  stack_cells[cell].next = head;
  stack_cells[cell].previous = 0;
  if (head != 0) stack_cells[head].previous = cell;
  head = cell;
  available[size_class] |= 1U << colour;
}

void unlink(std::uint32_t cell, unsigned size_class) {
  const std::uint32_t colour = colour_of_cell(cell, size_class);
  StackCell& free = stack_cells[cell];
  std::uint32_t& head = lists[size_class][colour];
  (free.previous == 0 ? head : stack_cells[free.previous].next) = free.next;
  if (free.next != 0) stack_cells[free.next].previous = free.previous;
  if (head == 0) available[size_class] &= ~(1U << colour);
  free.next = kInUse;
  free.previous = kOut;
}

void note_empty(Span& span) {
  append(empty_spans, span);
  empty_bytes += span.size;
  span.since = looks;
}

void take(std::uint32_t cell, unsigned size_class, Span& span) {
  if (span.free == span.stacks) {
    remove(empty_spans, span);
    empty_bytes -= span.size;
  }
  --span.free;
  unlink(cell, size_class);
}

std::uint32_t first_cell(const Span& span) { return cell_of(span.lo + span.first); }
std::uint32_t cells_per_stack(const Span& span) { return static_cast<std::uint32_t>(span.stack_size / kStackMin); }

// A new span with at least one stack of this colour, all its stacks in the lists. `alone`: of that one stack.
Span& cut(unsigned size_class, std::uint32_t colour, bool alone) {
  const std::uint64_t size = std::uint64_t{1} << size_class;
  const bool shared = size < kUnit && !alone;
  const std::uint64_t first = (colour * kStackMin - size) % (shared ? size : kUnit);
  Span& span = take_span(shared ? kSharedSpan : first + size);
  span.stack_size = static_cast<std::uint32_t>(size);
  span.first = static_cast<std::uint32_t>(first);
  span.stacks = static_cast<std::uint32_t>(shared ? (kSharedSpan - first) / size : 1);
  span.free = span.stacks;
  note_empty(span);
  // Backwards, so that the lowest are taken first.
  for (std::uint32_t i = span.stacks; i-- > 0;) push(first_cell(span) + i * cells_per_stack(span), size_class);
  return span;
}

// Takes up to n stacks of one span, lowest first.
unsigned take_neighbours(Span& span, unsigned size_class, std::uint32_t* cells, unsigned n) {
  unsigned taken = 0;
  std::uint32_t cell = first_cell(span);
  for (std::uint32_t i = 0; i < span.stacks && taken < n && span.free != 0; ++i, cell += cells_per_stack(span)) {
    if (stack_cells[cell].previous == kOut) continue;
    take(cell, size_class, span);
    cells[taken++] = cell;
  }
  return taken;
}

// Takes an empty span that is to go out of the lists. nullptr: there is none.
Span* surplus_span(bool at_once) {
  if (empty_bytes <= kKeptEmpty) return nullptr;
  Span& span = *front(empty_spans);
  if (!at_once && span.since == looks) return nullptr;
  const unsigned size_class = static_cast<unsigned>(std::countr_zero(span.stack_size));
  for (std::uint32_t i = 0; i < span.stacks; ++i) {
    const std::uint32_t cell = first_cell(span) + i * cells_per_stack(span);
    unlink(cell, size_class);
    stack_cells[cell].next = 0;
  }
  remove(empty_spans, span);
  empty_bytes -= span.size;
  span.stacks = span.free = 0;
  span.state = span_state_returning;
  return &span;
}

// The stack's span of its own becomes inaccessible; the one that has been so for longest becomes free.
void unmap(std::uint32_t cell) {
  std::lock_guard guard(arena_lock);
  Span& span = span_of(cell_address(cell));
  stack_cells[cell].next = 0;
  madvise(at(span.lo), span.size, MADV_DONTNEED);
  if (mprotect(at(span.lo), span.size, PROT_NONE) != 0) fatal("cannot unmap a freed goroutine stack (vm.max_map_count?)");
  span.state = span_state_unmapped;
  append(unmapped_spans, span);
  if (++unmapped_count <= kKeptUnmapped) return;
  Span& oldest = *front(unmapped_spans);
  remove(unmapped_spans, oldest);
  --unmapped_count;
  if (mprotect(at(oldest.lo), oldest.size, PROT_READ | PROT_WRITE) != 0) fatal("out of memory for goroutine stacks");
  give_span(oldest);
}

}  // namespace

unsigned take_stacks(unsigned size_class, std::uint32_t colour, std::uint32_t* cells, unsigned n) {
  std::lock_guard guard(arena_lock);
  unsigned taken = 0;
  if (freed_stacks() == freed_unmap) {
    Span& span = cut(size_class, colour % kColours, true);
    taken = take_neighbours(span, size_class, cells, 1);
  } else if (colour == kAnyColour) {
    if (available[size_class] == 0) cut(size_class, 0, false);
    // Of a few spans at most: this is under the lock.
    for (int tries = 4; tries > 0 && taken < n && available[size_class] != 0; --tries) {
      const std::uint32_t some = lists[size_class][std::countr_zero(available[size_class])];
      taken += take_neighbours(span_of(cell_address(some)), size_class, cells + taken, n - taken);
    }
  } else {
    if ((available[size_class] >> colour & 1) == 0) cut(size_class, colour, false);
    while (taken < n && (available[size_class] >> colour & 1) != 0) {
      const std::uint32_t cell = lists[size_class][colour];
      take(cell, size_class, span_of(cell_address(cell)));
      cells[taken++] = cell;
    }
  }
  add_stack_bytes(static_cast<std::int64_t>(taken) << size_class);
  return taken;
}

void give_stacks(unsigned size_class, const std::uint32_t* cells, unsigned n) {
  add_stack_bytes(-(static_cast<std::int64_t>(n) << size_class));
  if (freed_stacks() == freed_unmap) {
    for (unsigned i = 0; i < n; ++i) unmap(cells[i]);
    return;
  }
  bool surplus = false;
  {
    std::lock_guard guard(arena_lock);
    for (unsigned i = 0; i < n; ++i) {
      push(cells[i], size_class);
      Span& span = span_of(cell_address(cells[i]));
      if (++span.free != span.stacks) continue;
      note_empty(span);
    }
    surplus = empty_bytes > kKeptEmpty && freed_stacks() != freed_poison;
  }
  if (surplus) expect_trim();
}

bool return_empty_spans(bool at_once) {
  if (freed_stacks() == freed_poison) return false;
  for (;;) {
    Span* span = nullptr;
    {
      std::lock_guard guard(arena_lock);
      span = surplus_span(at_once);
      if (span == nullptr) {
        if (!at_once) ++looks;
        return empty_bytes > kKeptEmpty;
      }
    }
    // The system has better things to do under a lock than to take a gigabyte back.
    madvise(at(span->lo), span->size, MADV_DONTNEED);
    std::lock_guard guard(arena_lock);
    give_span(*span);
  }
}

}  // namespace stacktide::runtime
