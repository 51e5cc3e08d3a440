// Offsets that assembly shares with C++. Every number here is checked by a static_assert in goroutine.h and worker.h.
//
// Read by the assembler too: only macros.
#pragma once

// Goroutine
#define G_STACK_LO 0
#define G_STACK_HI 8
#define G_STACKGUARD0 16
#define G_SP 48
#define G_PC 56
#define G_BP 64
#define G_RESULT 216
#define G_RESULT_OK 224
#define G_ERROR_NUMBER 240
#define G_CALLER_PC 248

// ThreadState, in the thread's static TLS block
#define T_SYSTEM_SP 0
#define T_GOROUTINE 8
#define T_M 16
#define T_CALLING 24
#define T_PARK 28
#define T_LIBRARY_CALL 32
#define T_SEQUENCE 40
#define T_RETAKE 48

// Where glibc's thread control block keeps the stackguard of split stacks (tcbhead_t.__private_ss).
#define TCB_STACKGUARD 0x70

// Bytes of the six callee-saved registers and the return address that a runtime call leaves on the goroutine's stack.
#define SAVED_CONTEXT 56

// Most bytes of stack arguments that a library call of unknown signature may have.
#define WIDE_ARGUMENTS 1024
