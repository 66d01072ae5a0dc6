/*
 * sim/futex.h - where a host thread sleeps.
 *
 * The half of arch_wait() and arch_wake() that plain threads need, for
 * sim/thread.c, which has nothing else, and for sim/cpu.c, whose devices and
 * doors have threads and loops of their own beside the CPUs.
 */
#ifndef EVSM_SIM_FUTEX_H
#define EVSM_SIM_FUTEX_H

#include "arch/arch.h"

/* Context: the thread that will sleep. */
void arch_futex_init(arch_waiter_t* waiter);

/*
 * As arch_wait(); true if it has taken a wake, false at the deadline or for no
 * reason. Spins for some microseconds first where that has paid lately.
 */
bool arch_futex_wait(arch_waiter_t* waiter, uint64_t deadline_ns);

/* As arch_wake(); a system call only if the thread really sleeps. Touches the
 * waiter's memory no more once the thread can have seen the wake. */
void arch_futex_wake(arch_waiter_t* waiter);

#endif /* EVSM_SIM_FUTEX_H */
