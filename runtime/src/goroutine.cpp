#include "goroutine.h"

#include <sys/mman.h>

#include <mutex>

#include "fatal.h"
#include "metadata.h"
#include "scheduler.h"
#include "solo.h"

namespace stacktide::runtime {

constinit SlabTable slab_table{};

namespace {
constexpr std::uint32_t kMostKept = 256;  // free records that a P keeps; it takes and gives half as many at a time

// Guards the common free list and the growth of the slab table; leaf lock.
constinit std::mutex records_lock;
constinit Goroutine* free_records = nullptr;

Goroutine* carve() {
  std::uint64_t count = slab_table.count.load(std::memory_order_relaxed);
  if (count == 0 ||
      slab_table.slabs[count - 1].used.load(std::memory_order_relaxed) == slab_table.slabs[count - 1].capacity) {
    if (count == kMaxSlabs) fatal("too many goroutines");
    void* memory = mmap(nullptr, kSlabRecords * (sizeof(Goroutine) + sizeof(Private)), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fatal("out of memory for goroutine records");
    slab_table.slabs[count].address = static_cast<Goroutine*>(memory);
    slab_table.slabs[count].capacity = kSlabRecords;
    slab_table.count.store(++count, std::memory_order_release);
    publish_slabs(count);
  }
  Slab& slab = slab_table.slabs[count - 1];
  const std::uint64_t index = slab.used.load(std::memory_order_relaxed);
  Goroutine* g = slab.address + index;
  g->own = reinterpret_cast<Private*>(slab.address + kSlabRecords) + index;
  slab.used.store(index + 1, std::memory_order_release);
  return g;
}

// A record from the common list, or one that was never used. Under records_lock.
Goroutine* take_record() {
  Goroutine* g = free_records;
  if (g == nullptr) return carve();
  free_records = g->next;
  return g;
}

[[gnu::noinline]] void fill(RecordCache& cache) {
  std::lock_guard guard(records_lock);
  // What was never used stays so: a reader looks at every record that was.
  do {
    Goroutine* g = take_record();
    g->next = cache.head;
    cache.head = g;
  } while (++cache.count < kMostKept / 2 && free_records != nullptr);
}

Goroutine* pop(RecordCache& cache) {
  if (cache.head == nullptr) [[unlikely]]
    fill(cache);
  Goroutine* g = cache.head;
  cache.head = g->next;
  --cache.count;
  return g;
}

[[gnu::noinline]] void empty_half(RecordCache& cache) {
  std::lock_guard guard(records_lock);
  while (cache.count > kMostKept / 2) {
    Goroutine* extra = cache.head;
    cache.head = extra->next;
    --cache.count;
    extra->next = free_records;
    free_records = extra;
  }
}

void push(RecordCache& cache, Goroutine* g) {
  g->next = cache.head;
  cache.head = g;
  if (++cache.count > kMostKept) [[unlikely]]
    empty_half(cache);
}

}  // namespace

Goroutine* allocate_goroutine() {
  Goroutine* g = nullptr;
  if (P* p = own_p()) {
    g = pop(p->records);
  } else {
    std::lock_guard guard(records_lock);
    g = take_record();
  }
  g->next = nullptr;
  const SoloSection section;
  section.add(scheduler.live, std::uint64_t{1});
  g->id = section.add(scheduler.created, std::uint64_t{1}) + 1;
  return g;
}

void free_goroutine(Goroutine* g) {
  {
    Changing changing(*g);
    g->status.store(status_dead, std::memory_order_relaxed);
    g->id = 0;
    // Most have never used their Private, and it need not come into the cache. What else is in it was taken out by whoever
    // had put it there.
    if ((g->flags & k_flag_locked) != 0) {
      g->own->locked_m = nullptr;
      g->own->locks = 0;
    }
    if (g->excepting != 0) g->excepting = g->own->eh_uncaught = 0;
    g->stack_lo = g->stack_hi = g->stackguard0 = g->stackguard = g->sp = g->pc = g->bp = g->caller_pc = 0;
    g->wait_reason = wait_reason_none;
    g->flags = 0;
    g->m = nullptr;
    g->wait_object = nullptr;
    g->wait_since = 0;
    g->parent = g->creation_pc = g->entry_pc = 0;
    g->segments = nullptr;
    g->high_water = g->moving_from = g->moving_to = g->bytes_copied = g->pinned_pc = 0;
    g->grows = g->links = g->shrinks = g->hot_splits = 0;
    g->label[0] = 0;
    g->result = g->result_ok = 0;
    g->error_number = 0;
  }
  if (P* p = own_p()) {
    push(p->records, g);
    return;
  }
  std::lock_guard guard(records_lock);
  g->next = free_records;
  free_records = g;
}

}  // namespace stacktide::runtime
