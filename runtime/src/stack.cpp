#include "stack.h"

#include <bit>
#include <cstdio>
#include <cstring>

#include "fatal.h"
#include "scheduler.h"
#include "spans.h"

namespace stacktide::runtime {
namespace {

constexpr unsigned kFirstClass = std::countr_zero(kStackMin);
constexpr std::uint64_t kCacheBytes = std::uint64_t{256} << 10;  // of each size that a P keeps
constexpr unsigned kMostCached = kCacheBytes / kStackMin;
constexpr unsigned kSameColour = 4;  // fetched at a time: each 64 KiB have but one
constexpr unsigned char kPoison = 0xee;
constexpr std::uint64_t kPoisonWord = 0xeeeeeeeeeeeeeeee;

constinit Freed freed_mode = freed_reuse;

std::uint64_t& word(std::uint64_t address) { return *reinterpret_cast<std::uint64_t*>(address); }

std::uint32_t colour_of(std::uint64_t hi) { return static_cast<std::uint32_t>(hi % kUnit / kStackMin); }

unsigned most_cached(unsigned size_class) { return static_cast<unsigned>(kCacheBytes >> size_class); }

void keep(StackCache& cache, unsigned size_class, std::uint32_t cell) {
  const unsigned index = size_class - kFirstClass;
  const std::uint32_t colour = colour_of(cell_address(cell) + (std::uint64_t{1} << size_class));
  std::uint32_t* link = &cache.lists[index][colour];
  // Poisoned ones go to the end, so that a stale pointer into one is not soon right again by chance.
  if (freed_mode == freed_poison) {
    while (*link != 0) link = &stack_cells[*link].next;
  }
  stack_cells[cell].next = *link;
  *link = cell;
  cache.available[index] |= 1U << colour;
  ++cache.count[index];
}

std::uint32_t pick(StackCache& cache, unsigned index, std::uint32_t colour) {
  std::uint32_t& head = cache.lists[index][colour];
  const std::uint32_t cell = head;
  head = stack_cells[cell].next;
  if (head == 0) cache.available[index] &= ~(1U << colour);
  --cache.count[index];
  stack_cells[cell].next = kInUse;
  return cell;
}

// Rare, and large: apart from what each spawn goes through.
[[gnu::noinline]] void fetch(StackCache& cache, unsigned size_class, std::uint32_t colour) {
  std::uint32_t cells[kMostCached];
  const unsigned n =
      take_stacks(size_class, colour, cells, colour == kAnyColour ? most_cached(size_class) / 2 : kSameColour);
  for (unsigned i = n; i-- > 0;) keep(cache, size_class, cells[i]);
}

std::uint32_t allocate_cached(StackCache& cache, unsigned size_class, std::uint32_t colour) {
  const unsigned index = size_class - kFirstClass;
  const std::uint32_t wanted = colour == kAnyColour ? ~std::uint32_t{0} : 1U << colour;
  if ((cache.available[index] & wanted) == 0) [[unlikely]]
    fetch(cache, size_class, colour);
  return pick(cache, index, static_cast<std::uint32_t>(std::countr_zero(cache.available[index] & wanted)));
}

// Half of them, evenly by colour.
[[gnu::noinline]] void flush(StackCache& cache, unsigned size_class) {
  const unsigned index = size_class - kFirstClass;
  std::uint32_t cells[kMostCached];
  unsigned n = 0;
  while (n < most_cached(size_class) / 2) {
    for (std::uint32_t left = cache.available[index]; left != 0 && n < most_cached(size_class) / 2; left &= left - 1) {
      cells[n++] = pick(cache, index, static_cast<std::uint32_t>(std::countr_zero(left)));
    }
  }
  give_stacks(size_class, cells, n);
}

// What a stale pointer wrote into a freed stack shows when the stack is used again.
void check_poison(std::uint64_t lo, std::uint64_t size, std::uint64_t freed_by) {
  const char* bytes = reinterpret_cast<const char*>(lo);
  if (word(lo) == kPoisonWord && std::memcmp(bytes, bytes + 8, size - 8) == 0) return;
  for (std::uint64_t at = lo; at < lo + size; at += 8) {
    if (word(at) == kPoisonWord) continue;
    char text[160];
    std::snprintf(text, sizeof text, "a stack that goroutine %lu gave back was written to at %#lx: it is %#lx", freed_by, at,
                  word(at));
    fatal(text);
  }
}

}  // namespace

void set_freed_stacks(Freed freed) { freed_mode = freed; }
Freed freed_stacks() { return freed_mode; }

std::uint64_t allocate_stack(std::uint64_t size, std::uint64_t like_hi) {
  const unsigned size_class = static_cast<unsigned>(std::countr_zero(size));
  const std::uint32_t colour = like_hi == 0 ? kAnyColour : colour_of(like_hi);
  std::uint32_t cell = 0;
  P* p = own_p();
  if (p != nullptr && size_class < kFirstClass + StackCache::kSizes && freed_mode != freed_unmap) {
    cell = allocate_cached(p->stacks, size_class, colour);
  } else {
    take_stacks(size_class, colour, &cell, 1);
  }
  const std::uint64_t lo = cell_address(cell);
  if (freed_mode == freed_poison && stack_cells[cell].freed_by != 0) check_poison(lo, size, stack_cells[cell].freed_by);
  word(lo) = kCanary;
  return lo;
}

void free_stack(std::uint64_t lo, std::uint64_t size, std::uint64_t goroutine) {
  check_canary(lo, goroutine);
  if (freed_mode == freed_poison) std::memset(reinterpret_cast<void*>(lo), kPoison, size);
  const unsigned size_class = static_cast<unsigned>(std::countr_zero(size));
  const std::uint32_t cell = cell_of(lo);
  stack_cells[cell].freed_by = goroutine;
  P* p = own_p();
  if (p == nullptr || size_class >= kFirstClass + StackCache::kSizes || freed_mode == freed_unmap) {
    give_stacks(size_class, &cell, 1);
    return;
  }
  keep(p->stacks, size_class, cell);
  if (p->stacks.count[size_class - kFirstClass] > most_cached(size_class)) flush(p->stacks, size_class);
}

void fatal_canary(std::uint64_t lo, std::uint64_t goroutine) {
  char text[160];
  std::snprintf(text, sizeof text, "goroutine %lu overran its stack: the canary at %#lx is broken", goroutine, lo);
  fatal(text);
}

StackPlace describe_stack_address(std::uint64_t address) {
  if (address - stacktide_arena_lo >= stacktide_arena_size) return {StackPlace::outside, 0, 0, 0};
  const Span* span = find_span(address);
  if (span == nullptr || span->stack_size == 0 || address < span->lo + span->first) return {StackPlace::unused, 0, 0, 0};
  const std::uint64_t lo = span->lo + span->first + (address - span->lo - span->first) / span->stack_size * span->stack_size;
  const StackCell& cell = stack_cells[cell_of(lo)];
  if (span->state == span_state_unmapped) return {StackPlace::unmapped, lo, lo + span->stack_size, cell.freed_by};
  if (span->state != span_state_stacks || lo + span->stack_size > span->lo + span->size)
    return {StackPlace::unused, 0, 0, 0};
  return {cell.next == kInUse ? StackPlace::in_use : StackPlace::freed, lo, lo + span->stack_size, cell.freed_by};
}

}  // namespace stacktide::runtime
