// From the kernel's register block (ptrace, NT_PRSTATUS) to DWARF numbers.
#pragma once

#include <sys/user.h>

#include "stacktide/core/target.h"

namespace stacktide {

inline Registers from_user_registers(const user_regs_struct& user) {
  Registers result;
  result.set(Register::rax, user.rax);
  result.set(Register::rdx, user.rdx);
  result.set(Register::rcx, user.rcx);
  result.set(Register::rbx, user.rbx);
  result.set(Register::rsi, user.rsi);
  result.set(Register::rdi, user.rdi);
  result.set(Register::rbp, user.rbp);
  result.set(Register::rsp, user.rsp);
  result.set(Register::r8, user.r8);
  result.set(Register::r9, user.r9);
  result.set(Register::r10, user.r10);
  result.set(Register::r11, user.r11);
  result.set(Register::r12, user.r12);
  result.set(Register::r13, user.r13);
  result.set(Register::r14, user.r14);
  result.set(Register::r15, user.r15);
  result.set(Register::rip, user.rip);
  return result;
}

}  // namespace stacktide
