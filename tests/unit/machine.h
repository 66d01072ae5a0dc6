/*
 * tests/unit/machine.h - a few CPUs for a test, each with a loop that runs jobs
 * when it has nothing else to do, as the simulator's root does.
 *
 *   machine_run(4, boot);   boot(cpu) runs once on each CPU, in its loop;
 *                           returns when somebody has called machine_stop()
 *
 * A test checks results after machine_run(): cmocka's asserts jump, which only
 * the test's own thread may do. On CPUs use ASSERT.
 */
#ifndef EVSM_TESTS_UNIT_MACHINE_H
#define EVSM_TESTS_UNIT_MACHINE_H

#include "arch/arch.h"
#include "runtime/uvx.h"
#include "sim/cpu.h"

#include <pthread.h>

static struct {
  void (*boot)(uint32_t cpu);
  uint32_t cpu_count;
  _Atomic bool stop;
  uint64_t slice_ns; /* each run of a job has this deadline; 0: none */
  uvx_cpu_stats_t stats[CPUS_MAX];
} machine;


/* End it. Context: [any], [job] with interrupts closed. */
static inline void machine_stop(void) {
  atomic_store(&machine.stop, true);
  for (uint32_t i = 0; i < machine.cpu_count; i++)
    uvx_cpu_kick(i);
}


static inline void machine_main(uint32_t cpu) {
  uvx_cpu_init(cpu);
  machine.boot(cpu);
  while (!atomic_load(&machine.stop)) {
    if (uvx_cpu_turn())
      continue;
    uint64_t deadline_ns = ARCH_FOREVER;
    if (machine.slice_ns != 0)
      deadline_ns = arch_clock_ns() + machine.slice_ns;
    if (uvx_job_run(NULL, deadline_ns) == UVX_RAN_NOTHING &&
        !atomic_load(&machine.stop))
      uvx_cpu_halt(ARCH_FOREVER);
  }
  while (uvx_cpu_turn()) /* the end of what was on its way */
    MAYBE(atomic_load(&machine.stop));
  uvx_cpu_stats(cpu, &machine.stats[cpu]);
  uvx_cpu_close(cpu);
}


static inline void machine_run(uint32_t cpu_count, void (*boot)(uint32_t cpu)) {
  machine.boot = boot;
  machine.cpu_count = cpu_count;
  atomic_store(&machine.stop, false);
  int err = cpu_start(cpu_count, machine_main);
  ASSERT(err == 0);
  cpu_join();
}


/* What all CPUs together have counted in the field at `offset`. */
#define MACHINE_SUM(field) machine_sum(offsetof(uvx_cpu_stats_t, field))

static inline uint64_t machine_sum(size_t offset) {
  uint64_t sum = 0;

  for (uint32_t i = 0; i < machine.cpu_count; i++) {
    uint64_t one;
    memcpy(&one, (const char*) &machine.stats[i] + offset, sizeof(one));
    sum += one;
  }
  return sum;
}

#endif /* EVSM_TESTS_UNIT_MACHINE_H */
