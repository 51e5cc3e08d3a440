// Calls through pointers and virtual functions from checked code: GCC routes them through these with -mindirect-branch=thunk-extern.
//
// A target in the sections of goroutine code minds its stack: either it has a check, or it uses none, as the functions that adjust `this` for
// a call through a second base (stacktide-link verifies that there is nothing else). So do the runtime's entries, which begin like a check to be
// told by it (entries.S); what begins so is found without a look at the ranges. Any other target may need any amount of stack, so it runs on the
// system stack. The target's first four bytes are code, so they can be read.
//
// Rejected: telling the check of a large frame by its bytes too (leaq -N(%rsp), %r11). Unchecked code begins with them as well: so does
// -fstack-clash-protection where a frame is large.
#include "arch/x86_64/context.h"

    .text

.macro INDIRECT reg
    .globl __x86_indirect_thunk_\reg
    .type __x86_indirect_thunk_\reg, @function
    .p2align 4
__x86_indirect_thunk_\reg:
    .cfi_startproc
    cmpl $0x243b4864, (%\reg)
    je 1f
    cmpq .Lpinned(%rip), %\reg
    jb 2f
    cmpq .Lpinned+8(%rip), %\reg
    jb 1f
2:  cmpq .Lmovable(%rip), %\reg
    jb 3f
    cmpq .Lmovable+8(%rip), %\reg
    jb 1f
3:  movq %\reg, %r11
    movl stacktide_indirect_arguments(%rip), %r10d
    jmp stacktide_call_on_system_stack_wide
1:  jmp *%\reg
    .cfi_endproc
    .size __x86_indirect_thunk_\reg, . - __x86_indirect_thunk_\reg
.endm

.irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    INDIRECT \reg
.endr

    // Where stacktide-link has the linker put goroutine code. Both zero where there is none of a kind.
    .irp name, movable, pinned
    .weak __start_stacktide_\name, __stop_stacktide_\name
    .hidden __start_stacktide_\name, __stop_stacktide_\name
    .endr
    .section .data.rel.ro.local, "aw", @progbits
    .p2align 3
.Lmovable:
    .quad __start_stacktide_movable, __stop_stacktide_movable
.Lpinned:
    .quad __start_stacktide_pinned, __stop_stacktide_pinned

    // Most bytes of stack arguments of an indirect call. stacktide-link defines it for the program at hand.
    .section .rodata
    .weak stacktide_indirect_arguments
    .hidden stacktide_indirect_arguments
    .type stacktide_indirect_arguments, @object
    .size stacktide_indirect_arguments, 4
    .p2align 2
stacktide_indirect_arguments:
    .long WIDE_ARGUMENTS

    .section .note.GNU-split-stack, "", @progbits
    .section .note.GNU-no-split-stack, "", @progbits
    .section .note.stacktide.runtime, "", @progbits
    .section .note.GNU-stack, "", @progbits
