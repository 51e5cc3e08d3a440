// The runtime's entry points: each saves the goroutine's context and runs NAME_impl on the system stack (stacktide_runtime_call). The
// compare is a stack check only in looks: it tells the indirect-call thunks that the target minds its stack by itself.
#include "arch/x86_64/context.h"

    .text

.macro ENTRY name
    .globl stacktide_\name
    .type stacktide_\name, @function
    .p2align 4
stacktide_\name:
    .cfi_startproc
    cmpq %fs:TCB_STACKGUARD, %rsp
    leaq stacktide_\name\()_impl(%rip), %r11
    jmp stacktide_runtime_call
    .cfi_endproc
    .size stacktide_\name, . - stacktide_\name
.endm

.irp name, run, go, yield, sleep_until, blocking, on_system_stack, lock_os_thread, unlock_os_thread, set_label, stack_info, shrink_stacks, current_id, check_escape, \
           chan_make, chan_free, chan_send, chan_send_closed, chan_recv, chan_try_send, chan_try_recv, chan_close, \
           chan_len, chan_cap, chan_waiting, select, select_finish, mutex_make, \
           mutex_free, mutex_lock, mutex_unlock, mutex_waiting, wait_group_make, wait_group_free, wait_group_add, wait_group_wait, \
           net_wait, net_close
    ENTRY \name
.endr

    .section .note.GNU-split-stack, "", @progbits
    .section .note.GNU-no-split-stack, "", @progbits
    .section .note.stacktide.runtime, "", @progbits
    .section .note.GNU-stack, "", @progbits
