/*
 * sim/cpu.h - the machine's power switch: CPUs that are threads.
 *
 * Besides what is below, sim/cpu.c offers arch/arch.h to the code above. So
 * does sim/seeded.c, where CPUs are contexts on one thread (sim/seeded.h).
 */
#ifndef EVSM_SIM_CPU_H
#define EVSM_SIM_CPU_H

#include <stdint.h>

/*
 * Start `count` CPUs: each is a thread that runs main(cpu) and ends with it.
 * None of them runs main before all of them can be interrupted. All signals
 * but the fatal ones are blocked in them; SIGUSR1 and SIGUSR2 are the
 * machine's own.
 *
 * Context:  a host thread, while no CPU runs.
 * Returns:  0, UV_EINVAL for a count of 0 or above CPUS_MAX, or UV_EAGAIN if
 *           the host has no thread or timer left; nothing runs then.
 */
int cpu_start(uint32_t count, void (*main)(uint32_t cpu));

/* How many there are; 0 while none runs. Context: a CPU, or as cpu_start(). */
uint32_t cpu_started_count(void);

/* Wait until each CPU's main has returned. Context: as cpu_start(). */
void cpu_join(void);

/*
 * Closed interrupts may still have a handler run, which leaves a note and
 * returns. Where stacks are switched, and in a loop, not even that may be.
 *
 * Context:  interrupts closed.
 */
void cpu_interrupts_block(void);

#endif /* EVSM_SIM_CPU_H */
