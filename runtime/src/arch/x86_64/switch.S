// Between a scheduler's stack and a goroutine's: the ways on to a goroutine, its bottom frame, and the way to look at one that is parked. The ways off
// are in morestack.S.
#include "arch/x86_64/assembly.h"

    .section stacktide_movable, "ax", @progbits

    // Where a parked goroutine's saved pc points: it has nothing to do but to take its registers and return from the runtime call.
    // One instruction in, so that no debugger takes it for a function's entry.
    .p2align 4
    .globl stacktide_gopark
    .type stacktide_gopark, @function
stacktide_gopark:
    .cfi_startproc
    .cfi_def_cfa %rsp, 56
    .cfi_offset %rbp, -16
    .cfi_offset %rbx, -24
    .cfi_offset %r12, -32
    .cfi_offset %r13, -40
    .cfi_offset %r14, -48
    .cfi_offset %r15, -56
    nop
    .globl stacktide_resume_pc
    .hidden stacktide_resume_pc
stacktide_resume_pc:
    RETURN_WITH_SAVED_REGISTERS
    .cfi_endproc
    .size stacktide_gopark, . - stacktide_gopark

    // void stacktide_schedule(M*): an M's loop, which never ends. A goroutine comes back by a jump to stacktide_back_in_scheduler, with rsp as at
    // T_SYSTEM_SP and rbx the thread's state; so calls and returns are balanced on each stack, and a processor predicts both. The registers are
    // saved once, for unwinders.
    .p2align 4
    .globl stacktide_schedule
    .hidden stacktide_schedule
    .type stacktide_schedule, @function
stacktide_schedule:
    .cfi_startproc
    SAVE_REGISTERS
    subq $8, %rsp
    .cfi_def_cfa_offset 64
    THREAD_STATE %rbx
    movq %rsp, %fs:T_SYSTEM_SP(%rbx)
    .globl stacktide_back_in_scheduler
    .hidden stacktide_back_in_scheduler
stacktide_back_in_scheduler:
    movq %fs:T_M(%rbx), %rdi
    call stacktide_next_goroutine
    movq %rax, %fs:T_GOROUTINE(%rbx)
    TSAN_ENTER_GOROUTINE
    movq %rax, %rdi
    movq G_STACKGUARD0(%rdi), %rax
    movq %rax, %fs:TCB_STACKGUARD
    movq G_RESULT(%rdi), %rax
    movq G_RESULT_OK(%rdi), %rdx
    leaq stacktide_preempted_pc(%rip), %rcx
    cmpq %rcx, G_PC(%rdi)
    je 8f
    .cfi_remember_state
    movq G_SP(%rdi), %rsp
    .cfi_def_cfa_offset 56
    // One that begins, by a jump: a processor expects a return to go back to whoever parked last.
    leaq stacktide_start_pc(%rip), %rcx
    cmpq %rcx, SAVED_CONTEXT-8(%rsp)
    jne stacktide_resume_pc
    movq 16(%rsp), %r13
    movq 24(%rsp), %r12
    addq $SAVED_CONTEXT, %rsp
    .cfi_def_cfa_offset 0
    jmp stacktide_start_pc
    .cfi_restore_state
8:  movq G_BP(%rdi), %rbp
    movq G_SP(%rdi), %rsp
    .cfi_def_cfa %rbp, 16
    .cfi_offset %rbx, -96
    .cfi_offset %r12, -104
    .cfi_offset %r13, -112
    .cfi_offset %r14, -120
    .cfi_offset %r15, -128
    jmp stacktide_preempted_pc
    .cfi_endproc
    .size stacktide_schedule, . - stacktide_schedule

    // The bottom frame of every goroutine. Its return address is what a fresh stack has for stacktide_gopark to return to, with r12 = closure and
    // r13 = function; one instruction in, since unwinders look up a return address less one. Unwinding ends here.
    .p2align 4
    .globl stacktide_goroutine_start
    .type stacktide_goroutine_start, @function
stacktide_goroutine_start:
    .cfi_startproc
    .cfi_undefined %rip
    nop
    .globl stacktide_start_pc
    .hidden stacktide_start_pc
stacktide_start_pc:
    movq %r12, %rdi
    xorl %ebp, %ebp
    call *%r13
    .globl stacktide_start_return
    .hidden stacktide_start_return
stacktide_start_return:
    // As if called, but not by a call: nobody returns, and the next return would be expected to go here.
    leaq 9f(%rip), %r11
    pushq %r11
    leaq stacktide_goexit_impl(%rip), %r11
    jmp stacktide_runtime_call
9:  ud2
    .cfi_endproc
    .size stacktide_goroutine_start, . - stacktide_goroutine_start

    // void stacktide_with_context(Goroutine*, void (*f)(void*), void* arg): calls f(arg) so that an unwinder running in it sees the parked
    // goroutine's frames as its callers. Only for a goroutine whose saved pc is stacktide_resume_pc; stacktide_with_preempted for one at
    // stacktide_preempted_pc. Neither: nothing is known about its registers.
.macro WITH_CONTEXT name, rbp, rbx, r12, r13, r14, r15, cfa:vararg
    .p2align 4
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    .cfi_startproc
    pushq %r12
    .cfi_def_cfa_offset 16
    .cfi_offset %r12, -16
    movq %rdi, %r12
    movq %rdx, %rdi
    .cfi_remember_state
    \cfa
    .cfi_offset %rbp, \rbp
    .cfi_offset %rbx, \rbx
    .cfi_offset %r12, \r12
    .cfi_offset %r13, \r13
    .cfi_offset %r14, \r14
    .cfi_offset %r15, \r15
    call *%rsi
    .cfi_restore_state
    popq %r12
    .cfi_def_cfa_offset 8
    .cfi_restore %r12
    ret
    .cfi_endproc
    .size \name, . - \name
.endm
    WITH_CONTEXT stacktide_with_context, -16, -24, -32, -40, -48, -56, CFA_IS_SAVED_SP_PLUS_56
    WITH_CONTEXT stacktide_with_preempted, -16, -96, -104, -112, -120, -128, CFA_IS_SAVED_BP_PLUS_16

    .section .note.GNU-split-stack, "", @progbits
    .section .note.GNU-no-split-stack, "", @progbits
    .section .note.stacktide.runtime, "", @progbits
    .section .note.GNU-stack, "", @progbits
