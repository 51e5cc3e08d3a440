// What a signal says about itself, in Go's words (runtime/signal_unix.go, os_linux.go): its name, where it struck, and what
// can be known of the address.
#pragma once

#include <signal.h>
#include <ucontext.h>

namespace stacktide::runtime {

// "fatal error: ...", "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x...]", and lines about the address and
// the stack.
void say_fault(int signal, const siginfo_t& info, const ucontext_t& context);
// "SIGQUIT: quit", "PC=0x... m=0 sigcode=0".
void say_signal(int signal, const siginfo_t& info, const ucontext_t& context);
// One line for each register.
void say_registers(const ucontext_t& context);

}  // namespace stacktide::runtime
