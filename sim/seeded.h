/*
 * sim/seeded.h - the seeded machine: what a test sets before it switches the
 * machine on, and asks for afterwards.
 *
 *   seeded_reset(42);
 *   cpu_start(4, main);   makes the CPUs; none runs yet (sim/cpu.h)
 *   cpu_join();           runs them all on this thread, to the end of each main
 *   seeded_hash();        the same again for the same seed
 *
 * The machine also offers arch/arch.h to the code above. It is linked instead
 * of sim/cpu.c and sim/host.c.
 */
#ifndef EVSM_SIM_SEEDED_H
#define EVSM_SIM_SEEDED_H

#include <stdint.h>

/*
 * All of the next run follows from `seed`: order, delays, stalls and entropy.
 * Planted faults are off again.
 *
 * Context:  no CPU runs.
 */
void seeded_reset(uint64_t seed);

/* Plant a bug: one IPI in `one_in` never arrives; 0 is none. For tests of
 * tests. Context: as seeded_reset(). */
void seeded_lose_ipis(uint32_t one_in);

/* A panic or a deadlock says "`program` SEED" replays it; NULL says nothing of
 * it. Context: as seeded_reset(). */
void seeded_replay_with(const char* program);

/*
 * Compute for `ns` of virtual time, or, in a job, for so long in sum: what
 * interrupts it comes in between. Other CPUs run meanwhile.
 *
 * Context:  [loop], [job].
 */
void seeded_compute(uint64_t ns);

/* A number from the run's generator, below `bound`, which is not 0.
 * Context: [any], [job]. */
uint64_t seeded_below(uint64_t bound);

/* Enter `what` in the trace, which seeded_hash() sums up. Context: [any],
 * [job]. */
void seeded_note(uint64_t what);

/* Of every step of the last run: which CPU, where, when, and all notes.
 * Context: no CPU runs. */
uint64_t seeded_hash(void);

#endif /* EVSM_SIM_SEEDED_H */
