/*
 * sim/here.h - what a thread knows about itself (sim/here.S says why so).
 *
 * Each function reads or writes one word of the calling thread, in one
 * instruction. Context of all: [any], [job], [trap].
 */
#ifndef EVSM_SIM_HERE_H
#define EVSM_SIM_HERE_H

#include <stdint.h>

/* Which CPU this is; ARCH_CPU_NONE in a thread that is none. */
uint32_t sim_here_cpu(void);
void sim_here_cpu_set(uint32_t cpu);

/* Interrupts are closed, as the code above sees it. */
uint32_t sim_here_closed(void);
uint32_t sim_here_closed_set(uint32_t closed); /* returns the old value */

/* The signals are blocked, too: in loops, guests and handlers. */
uint32_t sim_here_blocked(void);
void sim_here_blocked_set(uint32_t blocked);

/* A signal came while closed but not blocked. */
uint32_t sim_here_pending(void);
void sim_here_pending_set(uint32_t pending);

/* The word of arch_here(). */
void* sim_here_job(void);
void sim_here_job_set(void* job);

/* How often it was called before. */
uint32_t sim_here_spin(void);

#endif /* EVSM_SIM_HERE_H */
