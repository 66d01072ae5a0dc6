/*
 * arch/x86_64/context.h - the stack switch of this processor.
 *
 * Both the simulator (sim/context.c) and the bare machine put
 * arch_context_switch() on top of it; nobody else includes this.
 */
#ifndef EVSM_ARCH_X86_64_CONTEXT_H
#define EVSM_ARCH_X86_64_CONTEXT_H

/* What arch_x86_switch() leaves on a stack, lowest address first. */
typedef struct arch_x86_frame_s {
  unsigned mxcsr;
  unsigned short fcw; /* the x87 control word */
  unsigned short pad;
  void* r15;
  void* r14;
  void* r13;
  void* r12;
  void* rbx;
  void* rbp;
  void* rip;
} arch_x86_frame_t;

/* MXCSR and FCW as the ABI wants them on entry to a program. */
#define ARCH_X86_MXCSR 0x1f80u
#define ARCH_X86_FCW 0x037fu

/*
 * Keep what a call must keep on this stack, write the stack pointer to
 * *from_sp, and return where `to_sp` was left.
 *
 * Context:  interrupts closed.
 */
void arch_x86_switch(void** from_sp, void* to_sp);

/* Where a new stack begins: calls r12 with r13, which must not return. */
void arch_x86_begin(void);

#endif /* EVSM_ARCH_X86_64_CONTEXT_H */
