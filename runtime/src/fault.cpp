#include "fault.h"

#include <array>
#include <cstdint>

#include "frame_names.h"
#include "report.h"
#include "scheduler.h"
#include "stack.h"
#include "stack_history.h"

namespace stacktide::runtime {
namespace {

// Go's sigtable.
const char* name_of(int signal) {
  switch (signal) {
    case SIGABRT:
      return "SIGABRT: abort";
    case SIGBUS:
      return "SIGBUS: bus error";
    case SIGFPE:
      return "SIGFPE: floating-point exception";
    case SIGILL:
      return "SIGILL: illegal instruction";
    case SIGQUIT:
      return "SIGQUIT: quit";
    case SIGSEGV:
      return "SIGSEGV: segmentation violation";
    case SIGTRAP:
      return "SIGTRAP: trace trap";
    default:
      return "signal";
  }
}

struct Register {
  const char* name;
  int index;
};
// In Go's order (runtime/signal_amd64.go, dumpregs).
constexpr std::array<Register, 18> kRegisters = {{{"rax", REG_RAX},
                                                  {"rbx", REG_RBX},
                                                  {"rcx", REG_RCX},
                                                  {"rdx", REG_RDX},
                                                  {"rdi", REG_RDI},
                                                  {"rsi", REG_RSI},
                                                  {"rbp", REG_RBP},
                                                  {"rsp", REG_RSP},
                                                  {"r8", REG_R8},
                                                  {"r9", REG_R9},
                                                  {"r10", REG_R10},
                                                  {"r11", REG_R11},
                                                  {"r12", REG_R12},
                                                  {"r13", REG_R13},
                                                  {"r14", REG_R14},
                                                  {"r15", REG_R15},
                                                  {"rip", REG_RIP},
                                                  {"rflags", REG_EFL}}};

std::uint64_t register_of(const ucontext_t& context, int index) {
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[index]);
}

bool in_arena(std::uint64_t address) { return address - stacktide_arena_lo < stacktide_arena_size; }

// What Go calls the error. Only code on a goroutine's own stack is what Go would call Go code; any other is a library or the
// runtime.
void say_error(int signal, const siginfo_t& info, const ucontext_t& context) {
  constexpr std::uint64_t kNearNull = 0x1000;
  const auto address = reinterpret_cast<std::uint64_t>(info.si_addr);
  const bool sent = info.si_code <= 0;
  if (sent || !in_arena(register_of(context, REG_RSP))) {
    say("fatal error: unexpected signal during runtime execution\n");
  } else if (signal == SIGFPE) {
    say("panic: runtime error: %s\n", info.si_code == FPE_INTDIV   ? "integer divide by zero"
                                      : info.si_code == FPE_INTOVF ? "integer overflow"
                                                                   : "floating point error");
  } else if (address < kNearNull && info.si_code != SI_KERNEL) {
    say("panic: runtime error: invalid memory address or nil pointer dereference\n");
  } else {
    say("unexpected fault address 0x%lx\nfatal error: fault\n", address);
  }
}

// The pages below a thread's system stack: every library call runs there.
bool say_system_stack(std::uint64_t address) {
  const std::uint64_t count = m_count.load(std::memory_order_acquire);
  for (std::uint64_t i = 0; i < count; ++i) {
    const M& m = all_ms[i];
    if (m.stack_lo - address - 1 >= m.guard_size) continue;
    say("runtime: the system stack of thread %u overflowed", m.tid);
    const std::uint64_t call = &m == stacktide_thread.m ? stacktide_thread.library_call.load(std::memory_order_relaxed) : 0;
    if (call != 0) {
      say(" in a call of ");
      say_name(call);
    }
    say(": stack=[0x%lx, 0x%lx]\n", m.stack_lo, m.stack_hi);
    return true;
  }
  return false;
}

// The goroutine went on below its stack, as code without checks does.
void say_overrun(const Goroutine& g, std::uint64_t sp) {
  constexpr std::uint64_t kNear = std::uint64_t{1} << 20;  // it may have left the arena
  const bool outside = g.stack_lo - sp - 1 < kNear || (in_arena(sp) && sp - g.stack_lo > g.stack_hi - g.stack_lo);
  const bool broken = *reinterpret_cast<const std::uint64_t*>(g.stack_lo) != kCanary;
  if (!outside && !broken) return;
  say("runtime: goroutine %lu overran its stack: sp=0x%lx stack=[0x%lx, 0x%lx]%s\n", g.id, sp, g.stack_lo, g.stack_hi,
      broken ? ", canary broken" : "");
}

void say_about(std::uint64_t address, const ucontext_t& context) {
  if (say_system_stack(address)) return;
  if (const Goroutine* g = current_goroutine()) say_overrun(*g, register_of(context, REG_RSP));
  if (in_arena(address) && say_stack_of("address", address)) return;
  // What was read from a poisoned stack is no address; the pointer into it may still be in a register.
  for (const Register& r : kRegisters) {
    const std::uint64_t value = register_of(context, r.index);
    if (r.index != REG_RSP && in_arena(value) && say_stack_of(r.name, value)) return;
  }
}

// As many bytes as an instruction can have, as far as they are in its page, which was executed.
void say_instruction(std::uint64_t pc) {
  constexpr std::uint64_t kPage = 4096;
  say("instruction bytes:");
  const auto* bytes = reinterpret_cast<const unsigned char*>(pc);
  for (std::uint64_t i = 0; i < 16 && (pc + i) / kPage == pc / kPage; ++i) say(" 0x%x", bytes[i]);
  say("\n");
}

}  // namespace

void say_fault(int signal, const siginfo_t& info, const ucontext_t& context) {
  if (signal == SIGILL || signal == SIGTRAP) {
    say_signal(signal, info, context);
    return;
  }
  say_error(signal, info, context);
  const auto address = info.si_code > 0 ? reinterpret_cast<std::uint64_t>(info.si_addr) : 0;
  say("[signal %s code=0x%x addr=0x%lx pc=0x%lx]\n", name_of(signal), static_cast<unsigned>(info.si_code), address,
      register_of(context, REG_RIP));
  if (signal == SIGSEGV || signal == SIGBUS) say_about(address, context);
}

void say_signal(int signal, const siginfo_t& info, const ucontext_t& context) {
  say("%s\nPC=0x%lx ", name_of(signal), register_of(context, REG_RIP));
  // run()'s thread, to which the kernel gives most signals, is no M.
  if (const M* m = stacktide_thread.m) {
    say("m=%lu", m->id);
  } else {
    say("m=-");
  }
  say(" sigcode=%d\n", info.si_code);
  if (signal == SIGILL) say_instruction(register_of(context, REG_RIP));
}

void say_registers(const ucontext_t& context) {
  say("\n");
  for (const Register& r : kRegisters) say("%-6s 0x%lx\n", r.name, register_of(context, r.index));
}

}  // namespace stacktide::runtime
