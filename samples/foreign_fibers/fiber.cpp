#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "descriptor.h"

namespace fibers {

Fiber records[kFibers];
Table tables[1] = {{records, kFibers, 0}};

namespace {

ucontext_t main_context;  // of run()
Fiber* current = nullptr;
std::uint64_t next_id = 1;

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

char* new_stack() {
  const std::size_t guard = page_size();
  void* memory = mmap(nullptr, kStack + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("foreign_fibers: a stack");
    std::abort();
  }
  mprotect(memory, guard, PROT_NONE);
  return static_cast<char*>(memory) + guard;
}

// Back to run(). noinline: its frame is the one that a parked fiber's backtrace begins below.
[[gnu::noinline]] void leave(State state) {
  Fiber* self = current;
  self->state = state;
  swapcontext(&self->context, &main_context);
}

// Runs on the fiber's stack; its caller is fibers_begin, which is the outermost frame.
extern "C" [[noreturn, gnu::used]] void fibers_body() {
  Fiber* self = current;
  self->entry(self->argument);
  self->id = 0;
  leave(State::ready);
  std::abort();  // nobody runs a free record
}

// Where a fiber begins. Its return address is undefined from the first instruction on: unwinders end here, also in a fiber that
// has not run yet.
extern "C" void fibers_begin();
__asm__(".pushsection .text\n.type fibers_begin, @function\nfibers_begin: .cfi_startproc\n.cfi_undefined rip\n"
        "subq $8, %rsp\n.cfi_adjust_cfa_offset 8\ncall fibers_body\nhlt\n.cfi_endproc\n.size fibers_begin, . - fibers_begin\n.popsection\n");

void resume(Fiber& fiber) {
  current = &fiber;
  fiber.state = State::running;
  fiber.wait = Wait::none;
  fiber.object = nullptr;
  swapcontext(&main_context, &fiber.context);
  current = nullptr;
}

void park(Wait wait, const void* object) {
  current->wait = wait;
  current->object = object;
  leave(State::waiting);
}

bool may_run(const Fiber& fiber) {
  if (fiber.id == 0) return false;
  if (fiber.state == State::ready) return true;
  if (fiber.wait == Wait::event) return static_cast<const Event*>(fiber.object)->happened;
  // A record whose fiber ended may have been taken by another one; join() looks again.
  return fiber.wait == Wait::join;
}

// A context that begins in fibers_begin() on the fiber's stack.
void prepare(Fiber& fiber) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = kStack;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fibers_begin, 0);
}

}  // namespace

Fiber* start(const char* name, void (*entry)(void*), void* argument) {
  publish();
  for (Fiber& fiber : records) {
    if (fiber.id != 0) continue;
    if (fiber.stack == nullptr) {
      fiber.stack = new_stack();
      fiber.stack_end = fiber.stack + kStack;
    }
    std::snprintf(fiber.name, sizeof fiber.name, "%s", name);
    fiber.state = State::ready;
    fiber.wait = Wait::none;
    fiber.entry = entry;
    fiber.argument = argument;
    prepare(fiber);
    fiber.id = next_id++;
    const auto used = static_cast<std::uint64_t>(&fiber - records) + 1;
    if (used > tables[0].used) tables[0].used = used;
    return &fiber;
  }
  return nullptr;
}

bool run() {
  for (;;) {
    bool left = false, ran = false;
    for (Fiber& fiber : records) {
      left = left || fiber.id != 0;
      if (!may_run(fiber)) continue;
      ran = ran || fiber.wait != Wait::join;
      resume(fiber);
    }
    if (!left) return true;
    if (!ran) return false;
  }
}

void yield() { leave(State::ready); }

void wait(Event& event) {
  while (!event.happened) park(Wait::event, &event);
}

void signal(Event& event) { event.happened = true; }

void join(const Fiber* fiber, std::uint64_t id) {
  while (fiber->id == id) park(Wait::join, fiber);
}

}  // namespace fibers
