// The stack check's slow path, and every other way off a goroutine's stack.
//
// All calls from a goroutine's stack to the thread's system stack lie inside the extent of the symbol __morestack: GDB stops a backtrace
// where a caller's frame lies below its callee's ("previous frame inner to this frame") unless the function is named so
// (gdb/frame.c, get_prev_frame_always_1). Entry points inside the extent are labels without a size, so that symbol lookups find
// __morestack. For LLDB, which takes the rules of a symbol's first byte for the whole of it, the extent is one FDE. The text is part of
// section stacktide_movable: these frames never keep a stack from moving. Hence one file of more than 400 lines: a symbol cannot span two.
//
// Invariants, each checked by unwinding at every instruction:
//  - CFI is right at every instruction. While a copy may replace the stack, the CFA is computed from the goroutine's saved context
//    in memory (g->bp, g->sp), which the copy updates in the same step as the extents; never from a register that goes stale.
//  - rsp of the goroutine and rsp of the system stack are never mixed: what must be adjusted on a move (general registers) is
//    saved on the goroutine's stack, what must not (vector registers) on the system stack.
//  - No call to a runtime entry uses more than 136 bytes of the goroutine's stack (see kCheckBudget in stack.h).
//
// Frame of __morestack, from rbp (S is rsp at entry):
//    16 caller's return address        8 return address into the function (S): its `ret`; + 1 is its body
//     0 caller's rbp  -8 rax  -16 rcx  -24 rdx  -32 rsi  -40 rdi  -48 r8  -56 r9  -64 r10  -72 r11  -80 rbx  -88..-112 r12..r15
#include "arch/x86_64/assembly.h"

    .section stacktide_movable, "ax", @progbits

// ZF/CF: jae if rsp is outside the arena of goroutine stacks. Clobbers `reg` only. Touches no TLS, so it is right before TLS exists.
.macro IN_ARENA reg
    movq %rsp, \reg
    subq stacktide_arena_lo(%rip), \reg
    cmpq stacktide_arena_size(%rip), \reg
.endm

// On in the function that asked for room, rsp at the return address into it: to return address + 1, past the `leaq 24(%rbp), %r11` (4c 8d 5d 18)
// of a function with variable arguments, whose work it does. By a `ret`, though a processor expects it to go elsewhere: after a jump it would
// expect the wrong one at each of the next dozen of returns.
.macro CONTINUE_IN_BODY
    movq (%rsp), %r10
    leaq 16(%rsp), %r11
    incq %r10
    cmpl $0x185d8d4c, (%r10)
    jne 9f
    addq $4, %r10
9:  movq %r10, (%rsp)
    ret
.endm

// Room on the system stack for the vector state; its header cleared, as XSAVE wants it. Clobbers rdx.
.macro VECTOR_AREA
    subq stacktide_xsave_size(%rip), %rsp
    andq $-64, %rsp
    xorl %edx, %edx
    .irp at, 512, 520, 528, 536, 544, 552, 560, 568
    movq %rdx, \at(%rsp)
    .endr
.endm

// An XSAVE area (Intel SDM 1, 13.4): where xmm0 lies, and the components that are there.
#define XSAVE_XMM 160
#define XSAVE_HEADER 512
#define XSTATE_SSE 2
#define XSTATE_UPPER 0x44 /* AVX, and upper halves of zmm0 to zmm15 */

// All xmm registers to the area at rsp, or from it.
.macro MOVE_XMM to
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .if \to
    movaps %xmm\n, XSAVE_XMM+16*\n(%rsp)
    .else
    movaps XSAVE_XMM+16*\n(%rsp), %xmm\n
    .endif
    .endr
.endm

// A library call (r11: target) begins: rsp is on the system stack, rbx holds the goroutine's. Publishes the call, so that the monitor can tell whether it lasts
// (library_call.h), and brings errno along. Keeps all that may hold arguments. In: r10, the thread's state. Clobbers r10.
.macro ENTER_LIBRARY
    incq %fs:T_SEQUENCE(%r10)
    movq %r11, %fs:T_LIBRARY_CALL(%r10)
    movq %fs:T_GOROUTINE(%r10), %r10
    movq %rbx, G_SP(%r10)
    pushq %rax
    movl G_ERROR_NUMBER(%r10), %eax
    movq stacktide_errno_offset(%rip), %r10
    movl %eax, %fs:(%r10)
    popq %rax
.endm

// It has returned. Keeps what a function may return. Goes to .Llost_p if the monitor may have taken the P.
.macro LEAVE_LIBRARY
    movq stacktide_errno_offset(%rip), %r10
    movl %fs:(%r10), %r10d
    THREAD_STATE %rcx
    movq %fs:T_GOROUTINE(%rcx), %r11
    movl %r10d, G_ERROR_NUMBER(%r11)
    movq $0, %fs:T_LIBRARY_CALL(%rcx)
    cmpl $0, %fs:T_RETAKE(%rcx)
    jne .Llost_p
.endm

    .globl __morestack
    .type __morestack, @function
__morestack:
    .cfi_startproc
    .cfi_personality 0x9b, DW.ref.stacktide_personality
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    // In its other encoding: LLDB takes a symbol that begins with the usual push and mov for a function with a frame pointer throughout,
    // and looks at no CFI. Most of this one has none.
    {load} movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %rax
    IN_ARENA %rax
    jae .Lnot_a_goroutine
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    .cfi_offset %rbx, -96
    pushq %r12
    .cfi_offset %r12, -104
    pushq %r13
    .cfi_offset %r13, -112
    pushq %r14
    .cfi_offset %r14, -120
    pushq %r15
    .cfi_offset %r15, -128
    THREAD_STATE %rbx
    movq %fs:T_GOROUTINE(%rbx), %r12
    movq %rsp, G_SP(%r12)
    movq %rbp, G_BP(%r12)
    leaq stacktide_saved_pc(%rip), %rax
    // The saved pc is one where CFI needs nothing but rsp and rbp.
    .globl stacktide_saved_pc
    .hidden stacktide_saved_pc
stacktide_saved_pc:
    movq %rax, G_PC(%r12)
    CFA_IS_SAVED_BP_PLUS_16
    movq %fs:T_SYSTEM_SP(%rbx), %r13
    movq %r13, %rsp
    // Vector registers may hold arguments. Mostly nothing but xmm0 to xmm15 is in use: then moves to where XSAVE would put them take a fifth of its
    // time. Mask registers and zmm16 to zmm31 hold no arguments; libc's memcpy() leaves the latter in use.
    VECTOR_AREA
    movl $1, %ecx
    xorl %eax, %eax
    cmpl $0, stacktide_xgetbv_in_use(%rip)
    je 3f
    xgetbv
    testl $XSTATE_UPPER, %eax
    jne 3f
    MOVE_XMM to=1
    movl $XSTATE_SSE, XSAVE_HEADER(%rsp)
    jmp 2f
3:  movl stacktide_xsave_mask(%rip), %eax
    xorl %edx, %edx
    cmpl $0, stacktide_xsave_compact(%rip)
    je 1f
    xsavec (%rsp)
    jmp 2f
1:  xsave (%rsp)
2:  movq %r12, %rdi
    movq %r10, %rsi
    movq %r11, %rdx
    leaq 8(%rbp), %rcx
    movq %rsp, %r8
    call stacktide_newstack
    // It was asked to yield: the goroutine belongs to somebody else from here on.
    cmpl $0, %fs:T_PARK(%rbx)
    jne .Lyield
    movq %rax, %r14
.Lvectors_back:
    cmpl $XSTATE_SSE, XSAVE_HEADER(%rsp)
    jne .Lall_vectors_back
    MOVE_XMM to=0
    jmp 5f
.Lall_vectors_back:
    movl stacktide_xsave_mask(%rip), %eax
    xorl %edx, %edx
    xrstor (%rsp)
5:  testq %r14, %r14
    jne .Lrun_on_new_segment

    // The goroutine's stack is where the saved context says, perhaps another one. Take everything from it.
    movq G_BP(%r12), %rbp
    movq G_SP(%r12), %rsp
    .cfi_def_cfa %rbp, 16
    movq -16(%rbp), %rcx
    movq -24(%rbp), %rdx
    movq -32(%rbp), %rsi
    movq -40(%rbp), %rdi
    movq -48(%rbp), %r8
    movq -56(%rbp), %r9
    movq -80(%rbp), %rbx
    movq -88(%rbp), %r12
    movq -96(%rbp), %r13
    movq -104(%rbp), %r14
    movq -112(%rbp), %r15
.Lnot_a_goroutine:
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
    // Leave no frame behind: go on at return address + 1 with rsp at the caller's return address. A function with variable arguments has
    // `leaq 24(%rbp), %r11` there, which takes our frame for one of libgcc's on an old segment; do its work and skip it.
    movq -8(%rbp), %rax
    movq %rbp, %rsp
    .cfi_def_cfa_register %rsp
    popq %rbp
    .cfi_def_cfa_offset 8
    .cfi_restore %rbp
    CONTINUE_IN_BODY

    // Segmented: run the body on the new segment (r14: its stack arguments), with this frame, on the old one, as its caller. The body's frame
    // stands for the function, so the CFA skips the function's `ret`: no language handler may see that address.
.Lrun_on_new_segment:
    .cfi_def_cfa %rbp, 24
    .cfi_offset %rip, -8
    .cfi_offset %rbp, -24
    .cfi_offset %rbx, -104
    .cfi_offset %r12, -112
    .cfi_offset %r13, -120
    .cfi_offset %r14, -128
    .cfi_offset %r15, -136
    movq %r14, %rsp
    movq 8(%rbp), %r10
    incq %r10
    movq -8(%rbp), %rax
    movq -16(%rbp), %rcx
    movq -24(%rbp), %rdx
    movq -32(%rbp), %rsi
    movq -40(%rbp), %rdi
    movq -48(%rbp), %r8
    movq -56(%rbp), %r9
    movq -80(%rbp), %rbx
    movq -88(%rbp), %r12
    movq -96(%rbp), %r13
    movq -104(%rbp), %r14
    movq -112(%rbp), %r15
    call *%r10
    .globl stacktide_segment_return
    .hidden stacktide_segment_return
stacktide_segment_return:
    // Keep what a function may return: rax, rdx, xmm0, xmm1. The releaser uses general registers only.
    movq %rax, -8(%rbp)
    movq %rdx, -24(%rbp)
    movups %xmm0, -40(%rbp)
    movups %xmm1, -56(%rbp)
    THREAD_STATE %rbx
    movq %fs:T_GOROUTINE(%rbx), %rdi
    movq %fs:T_SYSTEM_SP(%rbx), %rsp
    call stacktide_release_segment
    movups -40(%rbp), %xmm0
    movups -56(%rbp), %xmm1
    movq -24(%rbp), %rdx
    movq -8(%rbp), %rax
    movq -80(%rbp), %rbx
    movq %rbp, %rsp
    .cfi_def_cfa_register %rsp
    popq %rbp
    .cfi_def_cfa_offset 16
    .cfi_restore %rbp
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
    ret

    // gold and lld send a function here that calls unchecked code, on every entry. The link-time thunks leave no such call; this is the
    // safety net for one they missed: continue at once when 16 KiB are left, else ask for them.
    CFI_ENTRY
    .globl __morestack_non_split
__morestack_non_split:
    addq $16384, %r10
    pushq %rax
    .cfi_def_cfa_offset 16
    leaq 16(%rsp), %rax
    subq %r10, %rax
    cmpq %fs:TCB_STACKGUARD, %rax
    popq %rax
    .cfi_def_cfa_offset 8
    jb __morestack
    CONTINUE_IN_BODY

    // A library call (r11: target) on the thread's system stack. On any other stack: go straight on. Keeps rax (variable arguments).
    // The CFA hangs on rbx, so exceptions and backtraces pass.
    CFI_ENTRY
    .p2align 4
    .globl stacktide_call_on_system_stack
    .hidden stacktide_call_on_system_stack
stacktide_call_on_system_stack:
    IN_ARENA %r10
    jae 5f
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    movq %rsp, %rbx
    .cfi_def_cfa_register %rbx
    THREAD_STATE %r10
    movq %fs:T_SYSTEM_SP(%r10), %rsp
    ENTER_LIBRARY
    call *%r11
    .globl stacktide_library_return
    .hidden stacktide_library_return
stacktide_library_return:
    LEAVE_LIBRARY
.Lback_from_library:
    movq %rbx, %rsp
    .cfi_def_cfa_register %rsp
    popq %rbx
    .cfi_def_cfa_offset 8
    .cfi_restore %rbx
    ret
5:  jmp *%r11

    // The monitor gave this thread's P to others, or is about to. Waits for one in place: the thread is the goroutine's anyway, and results in
    // x87 and vector registers need not be kept where they might move. rsp: anywhere on the system stack.
.Llost_p:
    .cfi_def_cfa %rbx, 16
    .cfi_offset %rbx, -16
    movq %fs:T_SYSTEM_SP(%rcx), %rsp
    pushq %rax
    pushq %rdx
    VECTOR_AREA
    movl stacktide_xsave_mask(%rip), %eax
    orl $1, %eax
    xsave (%rsp)
    call stacktide_regain_p
    movl stacktide_xsave_mask(%rip), %eax
    orl $1, %eax
    xorl %edx, %edx
    xrstor (%rsp)
    THREAD_STATE %rcx
    movq %fs:T_SYSTEM_SP(%rcx), %rsp
    movq -8(%rsp), %rax
    movq -16(%rsp), %rdx
    jmp .Lback_from_library

    // The same for a callee that may take stack arguments, at most r10d bytes of them (a multiple of 8): copies what may be there, as far as the
    // end of the segment. They lie in the caller's frame, so whoever makes the thunk knows a bound (link/arguments.h).
    CFI_ENTRY
    .p2align 4
    .globl stacktide_call_on_system_stack_wide
    .hidden stacktide_call_on_system_stack_wide
stacktide_call_on_system_stack_wide:
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    IN_ARENA %rbx
    jae 6f
    movq %rsp, %rbx
    .cfi_def_cfa_register %rbx
    pushq %r10
    THREAD_STATE %r10
    movq %fs:T_SYSTEM_SP(%r10), %rsp
    pushq %rdi
    pushq %rsi
    pushq %rcx
    movq %fs:T_GOROUTINE(%r10), %rcx
    movq G_STACK_HI(%rcx), %rcx
    ENTER_LIBRARY
    movq %rsp, %r10
    leaq 16(%rbx), %rsi
    subq %rsi, %rcx
    cmpq -8(%rbx), %rcx
    cmovaq -8(%rbx), %rcx
    subq %rcx, %rsp
    // To where the same address lies in a page: that keeps whatever alignment the arguments have.
    movl %esp, %edi
    subl %esi, %edi
    andl $4095, %edi
    subq %rdi, %rsp
    movq %rsp, %rdi
    shrq $3, %rcx
    rep movsq
    movq (%r10), %rcx
    movq 8(%r10), %rsi
    movq 16(%r10), %rdi
    call *%r11
    .globl stacktide_library_return_wide
    .hidden stacktide_library_return_wide
stacktide_library_return_wide:
    LEAVE_LIBRARY
    jmp .Lback_from_library
    .cfi_def_cfa %rsp, 16
6:  popq %rbx
    .cfi_def_cfa_offset 8
    .cfi_restore %rbx
    jmp *%r11

    // errno of a goroutine lies in its record, since the goroutine may go on on another thread and compilers keep the address.
    // Called in the place of __errno_location, whose address comes in r11 (stacktide-link).
    CFI_ENTRY
    .p2align 4
    .globl stacktide_errno_location
stacktide_errno_location:
    cmpq %fs:TCB_STACKGUARD, %rsp
    IN_ARENA %rax
    jae 7f
    THREAD_STATE %rax
    movq %fs:T_GOROUTINE(%rax), %rax
    addq $G_ERROR_NUMBER, %rax
    ret
7:  jmp *%r11

    // A call into the runtime (r11: implementation) on the system stack, with the goroutine's context saved first, so that the
    // implementation may hand the goroutine to anyone at once. If it asked to park, this thread goes back to its scheduler and the goroutine comes
    // back through stacktide_gopark; else it returns here. On any other stack: go straight on; parking is then refused.
    CFI_ENTRY
    .p2align 4
    .globl stacktide_runtime_call
    .hidden stacktide_runtime_call
stacktide_runtime_call:
    IN_ARENA %r10
    jae 5b
    SAVE_REGISTERS
    THREAD_STATE %rbx
    movq %fs:T_GOROUTINE(%rbx), %r12
    movq %rsp, G_SP(%r12)
    movq %rbp, G_BP(%r12)
    leaq stacktide_resume_pc(%rip), %rax
    movq %rax, G_PC(%r12)
    movq SAVED_CONTEXT-8(%rsp), %rax
    movq %rax, G_CALLER_PC(%r12)
    CFA_IS_SAVED_SP_PLUS_56
    movl $1, %fs:T_CALLING(%rbx)
    movq %fs:T_SYSTEM_SP(%rbx), %rsp
    TSAN_ENTER_RUNTIME
    call *%r11
    movl $0, %fs:T_CALLING(%rbx)
    cmpl $0, %fs:T_PARK(%rbx)
    jne .Lto_scheduler
    TSAN_ENTER_GOROUTINE
    movq G_SP(%r12), %rsp
    .cfi_def_cfa %rsp, 56
    RETURN_WITH_SAVED_REGISTERS
    // rsp is the system stack as the scheduler left it: the goroutine belongs to somebody else from here on. After a failed check it lies below, and r13 is
    // where the scheduler left it.
.Lyield:
    .cfi_def_cfa %r13, 64
    movq %r13, %rsp
.Lto_scheduler:
    .cfi_def_cfa %rsp, 64
    movl $0, %fs:T_PARK(%rbx)
    movq %fs:T_SYSTEM_SP(%rbx), %rsp
    jmp stacktide_back_in_scheduler

    // Where the saved pc of a goroutine points that yielded in a failed check: rbp is its saved one, its registers lie below it as __morestack pushed
    // them, its vector state is in the heap. On as if newstack had returned.
    .cfi_def_cfa %rbp, 16
    .cfi_offset %rip, -8
    .cfi_offset %rbp, -16
    .cfi_offset %rbx, -96
    .cfi_offset %r12, -104
    .cfi_offset %r13, -112
    .cfi_offset %r14, -120
    .cfi_offset %r15, -128
    nop
    .globl stacktide_preempted_pc
    .hidden stacktide_preempted_pc
stacktide_preempted_pc:
    THREAD_STATE %rbx
    movq %fs:T_GOROUTINE(%rbx), %r12
    movq %fs:T_SYSTEM_SP(%rbx), %rsp
    subq stacktide_xsave_size(%rip), %rsp
    andq $-64, %rsp
    movq %r12, %rdi
    movq %rsp, %rsi
    call stacktide_take_vector_state
    xorl %r14d, %r14d
    // Whoever ran meanwhile may have left upper halves in use, and this one's may be arguments that are zero.
    jmp .Lall_vectors_back
    .cfi_endproc
    .size __morestack, . - __morestack

    // The address of the personality routine, for position-independent CFI.
    .section .data.rel.local.DW.ref.stacktide_personality, "awG", @progbits, DW.ref.stacktide_personality, comdat
    .p2align 3
    .hidden DW.ref.stacktide_personality
    .weak DW.ref.stacktide_personality
    .type DW.ref.stacktide_personality, @object
    .size DW.ref.stacktide_personality, 8
DW.ref.stacktide_personality:
    .quad stacktide_personality

    .section .note.GNU-split-stack, "", @progbits
    .section .note.GNU-no-split-stack, "", @progbits
    .section .note.stacktide.runtime, "", @progbits
    .section .note.GNU-stack, "", @progbits
