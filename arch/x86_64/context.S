/*
 * arch/x86_64/context.S - leave one stack, go on on another.
 *
 * A cooperative switch is a call, so only what the System V ABI says a call
 * keeps is kept: rbx, rbp, r12-r15, the control bits of MXCSR and the x87
 * control word. A preempted job's other registers were saved before by
 * whoever took the interrupt (the kernel's signal frame in the simulator,
 * XSAVE on the bare machine). Layout: arch_x86_frame_t in context.h.
 */
        .text

        .globl  arch_x86_switch
        .type   arch_x86_switch, @function
        .p2align 4
arch_x86_switch:
        .cfi_startproc
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $8, %rsp
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        /* The frame has the same shape on either stack, so that the unwind
         * information below holds before and after. */
        .cfi_def_cfa_offset 64
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        .size   arch_x86_switch, . - arch_x86_switch

        .globl  arch_x86_begin
        .type   arch_x86_begin, @function
        .p2align 4
arch_x86_begin:
        .cfi_startproc
        .cfi_undefined rip /* the first frame of a stack: unwinding ends */
        xorl    %ebp, %ebp
        movq    %r13, %rdi
        call    *%r12
        ud2
        .cfi_endproc
        .size   arch_x86_begin, . - arch_x86_begin

        .section .note.GNU-stack, "", @progbits
