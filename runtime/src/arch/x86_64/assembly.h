// What the files of assembly share: offsets from context.h, the context that lies on a stack, and its CFI.
#pragma once

#include "arch/x86_64/context.h"

// SLEB128 of G_BP (64) and G_SP (48) in the CFA expressions below: DW_CFA_def_cfa_expression, DW_OP_breg12 offset,
// DW_OP_deref, DW_OP_plus_uconst n.
#if G_BP != 64 || G_SP != 48 || SAVED_CONTEXT != 56
#error "the CFA expressions encode G_BP, G_SP and SAVED_CONTEXT"
#endif
#define CFA_IS_SAVED_BP_PLUS_16 .cfi_escape 0x0f, 6, 0x7c, 0xc0, 0x00, 0x06, 0x23, 16
#define CFA_IS_SAVED_SP_PLUS_56 .cfi_escape 0x0f, 5, 0x7c, 0x30, 0x06, 0x23, 56

// CFI as at a function's first instruction, wherever this stands. The return address is given its place: to libgcc a
// restored register is an unsaved one.
.macro CFI_ENTRY
    .cfi_def_cfa %rsp, 8
    .cfi_offset %rip, -8
    .cfi_restore %rbp
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
.endm

// The context that a goroutine, or a scheduler, leaves on its stack: callee-saved registers below the return address. CFA: rsp + SAVED_CONTEXT.
.macro SAVE_REGISTERS
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    pushq %rbx
    .cfi_def_cfa_offset 24
    .cfi_offset %rbx, -24
    pushq %r12
    .cfi_def_cfa_offset 32
    .cfi_offset %r12, -32
    pushq %r13
    .cfi_def_cfa_offset 40
    .cfi_offset %r13, -40
    pushq %r14
    .cfi_def_cfa_offset 48
    .cfi_offset %r14, -48
    pushq %r15
    .cfi_def_cfa_offset 56
    .cfi_offset %r15, -56
.endm

.macro RETURN_WITH_SAVED_REGISTERS
    popq %r15
    .cfi_def_cfa_offset 48
    popq %r14
    .cfi_def_cfa_offset 40
    popq %r13
    .cfi_def_cfa_offset 32
    popq %r12
    .cfi_def_cfa_offset 24
    popq %rbx
    .cfi_def_cfa_offset 16
    popq %rbp
    .cfi_def_cfa_offset 8
    ret
.endm

#ifdef STACKTIDE_TSAN
// Around a runtime call, on the system stack (tsan.h): keep its arguments, and its results.
.macro TSAN_ENTER_RUNTIME
    .irp register, rdi, rsi, rdx, rcx, r8, r9, r10, r11
    pushq %\register
    .endr
    call stacktide_tsan_enter_runtime
    .irp register, r11, r10, r9, r8, rcx, rdx, rsi, rdi
    popq %\register
    .endr
.endm
.macro TSAN_ENTER_GOROUTINE
    pushq %rax
    pushq %rdx
    call stacktide_tsan_enter_goroutine
    popq %rdx
    popq %rax
.endm
#else
.macro TSAN_ENTER_RUNTIME
.endm
.macro TSAN_ENTER_GOROUTINE
.endm
#endif

.macro THREAD_STATE reg
    movq stacktide_thread@gottpoff(%rip), \reg
.endm
