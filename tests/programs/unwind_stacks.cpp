// A program with more stacks than threads, for the unwinder's tests: hand-written switches with full CFI, as a runtime has
// them.
//
// usage: unwind_stacks low|high|trap|null
// It prints facts about itself ("parked RIP RSP RBP", "cfa FUNCTION ADDRESS" of the frames that stand), then "ready", and
// waits for the end of input. low, high: one parked context, and a running one that calls the library on the system stack,
// which lies above or below it. trap: waits in the handler of a signal that hit the very first instruction of a function.
// null: of a call through a null pointer.
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

constexpr std::size_t kStackSize = 64 * 1024;
alignas(16) char parked_stack[kStackSize];
alignas(16) char low_stack[kStackSize];

struct Context {
  void* sp = nullptr;
};
Context main_context;
Context goroutine_context;

}  // namespace

extern "C" {
void switch_to(Context* from, Context* to);
void on_other_stack(void (*function)(), void* top);
void goroutine_entry();
void fault_at_entry();
extern const char switch_resume;
}

asm(R"(
  .text
  .globl switch_to
  .type switch_to, @function
switch_to:
  .cfi_startproc
  pushq %rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %rbp, 0
  pushq %rbx
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %rbx, 0
  pushq %r12
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset %r12, 0
  movq %rsp, (%rdi)
  movq (%rsi), %rsp
  .globl switch_resume
switch_resume:
  popq %r12
  .cfi_adjust_cfa_offset -8
  .cfi_restore %r12
  popq %rbx
  .cfi_adjust_cfa_offset -8
  .cfi_restore %rbx
  popq %rbp
  .cfi_adjust_cfa_offset -8
  .cfi_restore %rbp
  ret
  .cfi_endproc
  .size switch_to, . - switch_to

  # The first frame of a stack: calls the function in rbx; nothing called it.
  .globl goroutine_entry
  .type goroutine_entry, @function
goroutine_entry:
  .cfi_startproc
  .cfi_undefined %rip
  .cfi_def_cfa %rsp, 0
  callq *%rbx
  ud2
  .cfi_endproc
  .size goroutine_entry, . - goroutine_entry

  .globl on_other_stack
  .type on_other_stack, @function
on_other_stack:
  .cfi_startproc
  pushq %rbx
  .cfi_def_cfa_offset 16
  .cfi_offset %rbx, -16
  movq %rsp, %rbx
  .cfi_def_cfa_register %rbx
  movq %rsi, %rsp
  callq *%rdi
  movq %rbx, %rsp
  .cfi_def_cfa_register %rsp
  popq %rbx
  .cfi_def_cfa_offset 8
  ret
  .cfi_endproc
  .size on_other_stack, . - on_other_stack

  .globl fault_at_entry
  .type fault_at_entry, @function
fault_at_entry:
  .cfi_startproc
  ud2
  ret
  .cfi_endproc
  .size fault_at_entry, . - fault_at_entry
)");

namespace {

void note(const char* function, void* cfa) { std::printf("cfa %s %p\n", function, cfa); }

// Puts a new context's first registers on its stack, so that switching to it enters `function` from goroutine_entry.
void prepare(Context& context, char* stack, void (*function)()) {
  auto* words = reinterpret_cast<std::uint64_t*>(stack + kStackSize);
  *--words = 0;  // keeps rsp + 8 aligned to 16 in `function`
  *--words = 0;
  note("goroutine_entry", words);
  *--words = reinterpret_cast<std::uint64_t>(&goroutine_entry);
  *--words = 0;                                          // rbp
  *--words = reinterpret_cast<std::uint64_t>(function);  // rbx
  *--words = 0;                                          // r12
  context.sp = words;
}

void wait_for_end() {
  std::puts("ready");
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  _exit(0);
}

[[gnu::noinline]] void park() {
  note("park", __builtin_dwarf_cfa());
  switch_to(&goroutine_context, &main_context);
  asm volatile("");
}

[[gnu::noinline]] void descend(int depth) {
  note("descend", __builtin_dwarf_cfa());
  if (depth == 0) park();
  else descend(depth - 1);
  asm volatile("");
}

void parked_body() {
  note("parked_body", __builtin_dwarf_cfa());
  descend(3);
  asm volatile("");
}

void library() {
  note("library", __builtin_dwarf_cfa());
  wait_for_end();
  asm volatile("");
}

void* system_top = nullptr;

[[gnu::noinline]] void call_library() {
  note("call_library", __builtin_dwarf_cfa());
  on_other_stack(library, system_top);
  asm volatile("");
}

void running_body() {
  note("running_body", __builtin_dwarf_cfa());
  call_library();
  asm volatile("");
}

void run_contexts(char* goroutine_stack, char* system_stack) {
  prepare(goroutine_context, parked_stack, parked_body);
  switch_to(&main_context, &goroutine_context);
  std::uint64_t saved[2];  // what a runtime's record of it would hold
  std::memcpy(saved, static_cast<char*>(goroutine_context.sp) + 8, sizeof(saved));
  std::printf("parked %p %p 0x%lx\n", static_cast<const void*>(&switch_resume), goroutine_context.sp, saved[1]);
  Context running;
  prepare(running, goroutine_stack, running_body);
  system_top = system_stack + kStackSize;
  switch_to(&main_context, &running);
}

void handler(int) {
  wait_for_end();
  asm volatile("");
}

[[gnu::noinline]] void trapped() {
  note("trapped", __builtin_dwarf_cfa());
  fault_at_entry();
  asm volatile("");
}

[[gnu::noinline]] void jumps_to_null() {
  void (*volatile function)() = nullptr;
  note("jumps_to_null", __builtin_dwarf_cfa());
  function();
  asm volatile("");
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view mode = argc > 1 ? argv[1] : "";
  std::signal(SIGILL, handler);
  std::signal(SIGSEGV, handler);
  alignas(16) char high_stack[kStackSize];
  if (mode == "low") run_contexts(low_stack, high_stack);
  if (mode == "high") run_contexts(high_stack, low_stack);
  if (mode == "trap") trapped();
  if (mode == "null") jumps_to_null();
  std::fputs("usage: unwind_stacks low|high|trap|null\n", stderr);
  return 2;
}
