/*
 * arch/arch.h - what a machine must offer to the runtime.
 *
 *   sim/cpu.c      CPUs as threads, IPIs and timers as signals
 *   sim/seeded.c   CPUs on one thread, all that happens from a seed
 *   sim/thread.c   no CPUs at all: plain POSIX threads (libevsm-uv.a)
 *   arch/x86_64/   the bare machine (its own issue)
 *
 * Exactly one of them is linked; nobody above knows which. Time, entropy,
 * interrupts and preemption reach the code above only through this file.
 *
 * Interrupts. A loop runs with interrupts closed: what arrives stays pending.
 * They are open in three places only: in a job, in arch_wait(), and in the
 * guest where the host delivers them. So a trap always finds the CPU in a
 * state from which the loop can be entered, and it needs no lock.
 *
 * Context words ([loop], [any], [job], [trap], [boot]): runtime/uvx.h.
 * Not here: what a confidential platform offers (arch/platform.h).
 */
#ifndef EVSM_ARCH_ARCH_H
#define EVSM_ARCH_ARCH_H

#include "runtime/base.h"

#include <stdatomic.h>

#define ARCH_CACHE_LINE_SIZE 64u /* bytes */
#define ARCH_FOREVER UINT64_MAX  /* a deadline that never comes */
#define ARCH_CPU_NONE UINT32_MAX /* a host thread that is no CPU */

/* ---- Time ---- */

/*
 * Nanoseconds of a clock that never goes back; its zero is arbitrary.
 *
 * Context:  [any], [job], [trap].
 */
uint64_t arch_clock_ns(void);

/* The same clock as cheap as the machine has it: at most 1 ms behind
 * arch_clock_ns(), never ahead of it. */
uint64_t arch_clock_coarse_ns(void);

/*
 * A stamp for trace records: the TSC. Context: [any], [job], [trap].
 */
uint64_t arch_stamp(void);

/*
 * How long the host has kept this CPU from running when it would have run,
 * since a moment in the past; always 0 where the host doesn't tell. What it
 * took in a span is the difference.
 *
 * Context:  [loop], on a CPU.
 */
uint64_t arch_stolen_ns(void);

/* ---- This CPU ---- */

/*
 * The index of this CPU, 0 to CPUS_MAX - 1, or ARCH_CPU_NONE. Never inlined:
 * a job may go on on another CPU after any instruction, so the answer is only
 * good while interrupts are closed.
 *
 * Context:  [any], [job], [trap].
 */
uint32_t arch_cpu(void);

/*
 * One pointer that belongs to this CPU or host thread, NULL at first:
 * runtime/job.c keeps there which job runs here. The read is one instruction,
 * so a job that reads it finds itself, wherever it is.
 *
 * Context:  [any], [job]; setting with interrupts closed.
 */
void* arch_here(void);
void arch_here_set(void* what);

/* Tell the core that we spin: PAUSE. Context: [any]. */
void arch_relax(void);

/*
 * Fill `buf` with entropy from the platform (RDSEED, getrandom).
 *
 * Context:  [any], not from a trap.
 * Returns:  0, or UV_EIO if the source is broken: the caller halts.
 */
int arch_entropy(void* buf, size_t size);

/* ---- Sleeping and waking ---- */

/* Where one CPU or host thread sleeps. A loop has one. */
typedef struct arch_waiter_s {
  _Atomic uint32_t word; /* private to the machine */
  uint32_t cpu;          /* private to the machine */
} arch_waiter_t;

/* For the calling CPU or thread. Context: [loop]. */
void arch_waiter_init(arch_waiter_t* waiter);

/*
 * Sleep until arch_wake(), an interrupt of this CPU, or `deadline_ns` on
 * arch_clock_ns(); may also return early for no reason. A wake that came since
 * the last return from arch_wait() is never lost: it returns at once.
 *
 * Context:  [loop], only by the CPU or thread that runs this waiter's loop.
 * Returns:  true if a wake has come. Where loops may be freed (host threads)
 *           each arch_wake() is answered so exactly once; a CPU, whose loop is
 *           always there, may say true to anything.
 */
bool arch_wait(arch_waiter_t* waiter, uint64_t deadline_ns);

/*
 * Wake the waiter: an IPI, or a futex. Costs a system call or an APIC write;
 * the flag protocol of runtime/wake.h says when it can be left out.
 *
 * Context:  [any], [trap].
 */
void arch_wake(arch_waiter_t* waiter);

/* ---- Interrupts and preemption, of CPUs only ---- */

/*
 * Close this CPU's interrupts; true if they were open. Costs one load where
 * they are closed already.
 *
 * Context:  [any], [job].
 */
bool arch_interrupts_close(void);

/* Open them. What is pending arrives now. Context: [job]. */
void arch_interrupts_open(void);

/*
 * Have this CPU interrupted at `deadline_ns`; ARCH_FOREVER disarms. One-shot,
 * one a CPU: a second call replaces the first.
 *
 * Context:  [loop], [trap].
 */
void arch_timer_arm(uint64_t deadline_ns);

/*
 * Does an interrupt preempt a job here? If not (ThreadSanitizer, valgrind),
 * jobs give way in uvx_job_checkpoint().
 */
bool arch_can_preempt(void);

/*
 * What the machine calls when an interrupt has found this CPU in a job, with
 * interrupts closed. It returns when the job goes on, maybe on another CPU.
 * Provided by runtime/cpu.c. Context: [trap].
 */
void arch_on_job_interrupt(void);

/*
 * What the machine calls when this CPU (or a host thread) sends `cpu` an IPI:
 * for the counters and the trace. Provided by runtime/cpu.c.
 *
 * Context:  [any], [trap].
 */
void arch_on_ipi_sent(uint32_t cpu);

/* ---- Contexts: a stack and where to go on ---- */

#define ARCH_STACK_SIZE_MIN 65536u /* bytes */

typedef struct arch_context_s {
  void* sp; /* private, as all that follows */
  void* stack;
  size_t stack_size; /* bytes */
  void* fiber;       /* the sanitizers' idea of this context */
} arch_context_t;

/*
 * The stack number `index` (below JOBS_RUNNING_MAX for jobs), with a guard
 * page under it. Context: [boot].
 *
 * Returns:  the lowest byte; its size in *size, at least ARCH_STACK_SIZE_MIN.
 */
void* arch_stack(uint32_t index, size_t* size);

/* The first switch to `context` calls entry(arg), which never returns. */
void arch_context_init(arch_context_t* context,
                       void* stack,
                       size_t stack_size,
                       void (*entry)(void*),
                       void* arg);

/*
 * Leave `from`, to go on where `to` was left. Returns when somebody switches
 * to `from`: maybe on another CPU.
 *
 * Context:  interrupts closed.
 */
void arch_context_switch(arch_context_t* from, arch_context_t* to);

/* Forget a context that will never run again. Context: not in it. */
void arch_context_destroy(arch_context_t* context);

/* ---- Host threads as workers (sim/thread.c) ---- */

/*
 * A job has become ready. Where CPUs look for jobs themselves this does
 * nothing; where there are none, it starts or wakes a worker thread, which
 * calls the two functions below.
 *
 * Context:  [any].
 */
void arch_job_ready(void);

/*
 * The best ready job, taken from the queue, or NULL; and running one to its
 * end on the calling thread's own stack. Provided by runtime/job.c.
 *
 * Context:  a worker thread.
 */
struct uvx_job_s* uv__job_take(void);
void uv__job_run_here(struct uvx_job_s* job);

/*
 * Forget all that is queued, whoever holds the lock. Provided by runtime/job.c.
 *
 * Context:  the only thread of a forked child.
 */
void uv__jobs_forget(void);

#endif /* EVSM_ARCH_ARCH_H */
