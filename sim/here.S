/*
 * sim/here.S - what a thread knows about itself, read and written by single
 * instructions.
 *
 * A job can go on on another thread after any instruction. C gives no promise
 * that a thread-local variable is not reached by an address computed before;
 * each access here is one instruction relative to %fs, so it happens wholly on
 * one thread. Meant for programs, not shared libraries (local-exec TLS).
 *
 *   cpu       which CPU this thread is, -1 if none
 *   closed    interrupts are closed: a handler only sets `pending`
 *   blocked   the signals are blocked, too (loop, guest, handler)
 *   pending   a signal came while closed
 *   job       for runtime/job.c
 */
        .section .tdata, "awT", @progbits
        .p2align 3
here_job:     .quad 0
here_cpu:     .long -1
here_closed:  .long 1
here_blocked: .long 1
here_pending: .long 0
here_spins:   .long 0
        .long 0

        .text

        .macro  function name
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .endm

        function sim_here_cpu
        movl    %fs:here_cpu@tpoff, %eax
        ret

        function sim_here_cpu_set
        movl    %edi, %fs:here_cpu@tpoff
        ret

        /* Returns what it was before. No XCHG: where it was open we may be on
         * another thread at the second instruction, and that is open too. */
        function sim_here_closed_set
        movl    %fs:here_closed@tpoff, %eax
        movl    %edi, %fs:here_closed@tpoff
        ret

        function sim_here_closed
        movl    %fs:here_closed@tpoff, %eax
        ret

        function sim_here_blocked
        movl    %fs:here_blocked@tpoff, %eax
        ret

        function sim_here_blocked_set
        movl    %edi, %fs:here_blocked@tpoff
        ret

        function sim_here_pending
        movl    %fs:here_pending@tpoff, %eax
        ret

        function sim_here_pending_set
        movl    %edi, %fs:here_pending@tpoff
        ret

        function sim_here_job
        movq    %fs:here_job@tpoff, %rax
        ret

        function sim_here_job_set
        movq    %rdi, %fs:here_job@tpoff
        ret

        /* How often this thread has spun: for arch_relax(). */
        function sim_here_spin
        movl    $1, %eax
        xaddl   %eax, %fs:here_spins@tpoff
        ret

        .section .note.GNU-stack, "", @progbits
