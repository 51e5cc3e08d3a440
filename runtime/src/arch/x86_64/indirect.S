// Calls through pointers and virtual functions from checked code: GCC routes them through these with -mindirect-branch=thunk-extern.
//
// A target that begins with a stack check (cmpq %fs:112, %rsp or leaq -N(%rsp), %r11) runs where it is; any other may need any amount
// of stack, so it runs on the system stack. Runtime entries begin with a check for this reason (entries.S). The target's first four
// bytes are code, so they can be read.
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
    cmpl $0x249c8d4c, (%\reg)
    je 1f
    movq %\reg, %r11
    movl stacktide_indirect_arguments(%rip), %r10d
    jmp stacktide_call_on_system_stack_wide
1:  jmp *%\reg
    .cfi_endproc
    .size __x86_indirect_thunk_\reg, . - __x86_indirect_thunk_\reg
.endm

.irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    INDIRECT \reg
.endr

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
