/*
 * sim/seeded.c - a machine whose every run follows from one number.
 *
 *   scheduler (this thread) <--> CPU 0, CPU 1, ...     contexts, one runs
 *
 *   ready_ns   when a CPU can go on: at once, after a stall, or, in
 *              arch_wait(), at its IPI, its timer or its deadline
 *
 * Each call of arch.h that takes part in an order is a point: the clock moves
 * a few ns, and by the generator's will this CPU gives way to any other that is
 * ready. So CPUs interleave between any two such calls, closed interrupts or
 * not, as those of a real machine do. When none is ready the clock jumps to
 * the first ready_ns; when that is never, this is a deadlock.
 *
 * IPIs and timers arrive after a seeded delay: in arch_wait(), or at a point
 * in a job with interrupts open. That is no preemption at any instruction
 * (arch_can_preempt() says so), so jobs also ask at their checkpoints.
 *
 * The promise: no real time, no thread, no signal, no address decides
 * anything; two runs of a seed are the same, step for step.
 *
 * What one thread can't show: reordered memory accesses, and races between
 * two points. For those there are sim/cpu.c and tests/models/.
 *
 * Not here: stacks (sim/context.c), what a test sets (sim/seeded.h).
 */
#include "sim/seeded.h"

#include "arch/arch.h"
#include "runtime/bounds.h"
#include "sim/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/uv.h"

#define SEEDED_POINTS_MAX 50000000u /* a run that goes on longer is stuck */
#define SEEDED_BEGIN_NS 1000000000u /* the clock's zero is arbitrary */
#define SEEDED_STEP_NS_MAX 256u     /* from one point to the next */
#define SEEDED_STALL_ONE_IN 512u    /* times that a CPU gives way */
#define SEEDED_STALL_NS_MAX 200000u /* the host keeps the CPU from running */
#define SEEDED_EARLY_ONE_IN 64u     /* waits that end for no reason */

/* Where a CPU was when it gave way; goes into the trace. */
typedef enum {
  POINT_OFF,
  POINT_CLOCK,
  POINT_CLOSE,
  POINT_OPEN,
  POINT_WAKE,
  POINT_RELAX,
  POINT_WAIT,
  POINT_COMPUTE,
  POINT_NOTE,
} point_t;

typedef struct {
  arch_context_t context; /* where it gave way: loop or job */
  void* fiber;            /* of its own stack */
  bool on;
  bool rests;        /* an interrupt ends what it does now */
  bool closed;       /* interrupts */
  void* here;        /* arch_here() */
  uint64_t ready_ns; /* these three: ARCH_FOREVER is never */
  uint64_t ipi_ns;   /* when the first IPI on its way arrives */
  uint64_t timer_ns;
} cpu_t;

static cpu_t cpus[CPUS_MAX];
static uint32_t cpu_count;
static uint32_t cpu_now = ARCH_CPU_NONE; /* who runs */
static void (*cpu_main)(uint32_t cpu);
static arch_context_t scheduler;

static struct {
  uint64_t seed;
  uint64_t random; /* the generator's state */
  uint64_t clock_ns;
  uint64_t hash;
  uint64_t point_count;
  uint32_t turn_one_in; /* how often a CPU gives way unasked */
  uint32_t lose_one_in;
  const char* program;
} run = {.turn_one_in = 1};


/* ---- The generator, the trace, and the end of a run that went wrong ---- */

/* splitmix64, after S. Vigna. */
static uint64_t seeded_mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}


static uint64_t seeded_random(void) {
  run.random += 0x9e3779b97f4a7c15u;
  return seeded_mix(run.random);
}


uint64_t seeded_below(uint64_t bound) {
  ASSERT(bound > 0);
  return seeded_random() % bound;
}


static bool seeded_one_in(uint32_t count) {
  return seeded_below(count) == 0;
}


/* Mostly short, rarely long: what a real machine shows, and then some. */
static uint64_t seeded_delay_ns(void) {
  static const uint64_t bounds_ns[] = {500, 2000, 2000, 10000, 100000};

  return 1 + seeded_below(bounds_ns[seeded_below(ARRAY_SIZE(bounds_ns))]);
}


static void seeded_trace(point_t point, uint64_t what) {
  run.hash = seeded_mix(run.hash ^ run.clock_ns);
  run.hash = seeded_mix(run.hash + what + (uint64_t) point * CPUS_MAX);
}


void seeded_note(uint64_t what) {
  seeded_trace(POINT_NOTE, what);
}


uint64_t seeded_hash(void) {
  return run.hash;
}


static void seeded_tell_replay(void) {
  if (run.program != NULL)
    fprintf(stderr, "evsm: again with: %s %llu\n", run.program,
            (unsigned long long) run.seed);
}


_Noreturn void base_panic(const char* file, int line, const char* what) {
  fprintf(stderr, "evsm: %s:%d: %s (seed %llu, CPU %d, at %llu ns)\n", file,
          line, what, (unsigned long long) run.seed, (int) cpu_now,
          (unsigned long long) run.clock_ns);
  seeded_tell_replay();
  abort();
}


/* Where each CPU stands, before the end. */
static _Noreturn void seeded_stuck(const char* what) {
  for (uint32_t i = 0; i < cpu_count; i++) {
    const char* state = cpus[i].rests ? "waits for ever" : "runs";
    if (cpus[i].rests && cpus[i].ready_ns != ARCH_FOREVER)
      state = "waits for a time";
    fprintf(stderr, "evsm: CPU %u %s, %s\n", i, cpus[i].on ? state : "is off",
            cpus[i].here != NULL ? "in a job" : "in its loop");
  }
  cpu_now = ARCH_CPU_NONE;
  base_panic(__FILE__, __LINE__, what);
}


void seeded_reset(uint64_t seed) {
  static const uint32_t turns[] = {1, 2, 4, 16, 64};

  ASSERT(cpu_count == 0);
  run.seed = seed;
  run.random = seeded_mix(seed);
  run.clock_ns = SEEDED_BEGIN_NS;
  run.hash = 0;
  run.point_count = 0;
  run.lose_one_in = 0;
  run.turn_one_in = turns[seeded_below(ARRAY_SIZE(turns))];
}


void seeded_lose_ipis(uint32_t one_in) {
  run.lose_one_in = one_in;
}


void seeded_replay_with(const char* program) {
  run.program = program;
}


/* ---- Points ---- */

static cpu_t* cpu_here(void) {
  ASSERT(cpu_now < cpu_count);
  return &cpus[cpu_now];
}


/* To the scheduler; returns when it is this CPU's turn again. The stack may be
 * the loop's or a job's, so context.c is to find out which. */
static void cpu_give_way(cpu_t* cpu) {
  cpu->context.stack = NULL;
  cpu->context.fiber = NULL;
  arch_context_switch(&cpu->context, &scheduler);
}


static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}


/* What has arrived is taken: true if there was anything. */
static bool cpu_take_interrupts(cpu_t* cpu) {
  bool any = false;

  if (cpu->ipi_ns <= run.clock_ns) {
    cpu->ipi_ns = ARCH_FOREVER;
    any = true;
  }
  if (cpu->timer_ns <= run.clock_ns) {
    cpu->timer_ns = ARCH_FOREVER;
    any = true;
  }
  return any;
}


/* In a job with interrupts open: what has arrived interrupts it. Afterwards
 * this may be another CPU. */
static void cpu_deliver(void) {
  cpu_t* cpu = cpu_here();

  if (cpu->closed || cpu->here == NULL || !cpu_take_interrupts(cpu))
    return;
  cpu->closed = true;
  arch_on_job_interrupt();
  cpu_here()->closed = false;
}


/* The clock moves on, and others may run. Outside of the CPUs this is nothing.
 */
static void cpu_point(point_t point, bool give_way) {
  if (cpu_now == ARCH_CPU_NONE)
    return;
  run.point_count++;
  run.clock_ns += 1 + seeded_below(SEEDED_STEP_NS_MAX);
  seeded_trace(point, cpu_now);
  if (run.point_count > SEEDED_POINTS_MAX)
    seeded_stuck("the run does not end");

  if (give_way || seeded_one_in(run.turn_one_in)) {
    cpu_t* cpu = cpu_here();
    cpu->ready_ns = run.clock_ns;
    if (seeded_one_in(SEEDED_STALL_ONE_IN))
      cpu->ready_ns += seeded_below(SEEDED_STALL_NS_MAX);
    cpu_give_way(cpu);
  }
  cpu_deliver();
}


void seeded_compute(uint64_t ns) {
  while (ns > 0) {
    cpu_t* cpu = cpu_here();
    uint64_t began_ns = run.clock_ns;
    cpu->ready_ns = began_ns + ns;
    cpu->rests = !cpu->closed;
    if (cpu->rests)
      cpu->ready_ns =
          earlier(cpu->ready_ns, earlier(cpu->ipi_ns, cpu->timer_ns));
    seeded_trace(POINT_COMPUTE, cpu_now);
    cpu_give_way(cpu);
    cpu->rests = false;
    uint64_t done_ns = run.clock_ns - began_ns;
    ns -= earlier(ns, done_ns);
    cpu_point(POINT_COMPUTE, false);
  }
}


/* ---- arch.h: time, this CPU ---- */

uint64_t arch_clock_ns(void) {
  cpu_point(POINT_CLOCK, false);
  return run.clock_ns;
}


uint64_t arch_clock_coarse_ns(void) {
  return arch_clock_ns();
}


uint64_t arch_stamp(void) {
  return arch_clock_ns();
}


uint64_t arch_stolen_ns(void) {
  return 0; /* a stall is slow work here, and belongs to whoever did it */
}


uint32_t arch_cpu(void) {
  return cpu_now;
}


void* arch_here(void) {
  return cpu_now == ARCH_CPU_NONE ? NULL : cpus[cpu_now].here;
}


void arch_here_set(void* what) {
  cpu_here()->here = what;
}


void arch_relax(void) {
  cpu_point(POINT_RELAX, true);
}


int arch_entropy(void* buf, size_t size) {
  unsigned char* at = buf;

  for (size_t i = 0; i < size; i++)
    at[i] = (unsigned char) seeded_random();
  return 0;
}


/* ---- arch.h: sleeping, waking, interrupts ---- */

void arch_waiter_init(arch_waiter_t* waiter) {
  waiter->cpu = cpu_now;
}


bool arch_wait(arch_waiter_t* waiter, uint64_t deadline_ns) {
  ASSERT(waiter->cpu == cpu_now);
  ASSERT(cpu_here()->closed);
  cpu_point(POINT_WAIT, false);
  cpu_t* cpu = cpu_here();

  if (seeded_one_in(SEEDED_EARLY_ONE_IN))
    deadline_ns = earlier(deadline_ns, run.clock_ns + seeded_delay_ns());
  uint64_t wake_ns = earlier(cpu->ipi_ns, cpu->timer_ns);
  cpu->ready_ns = earlier(deadline_ns, wake_ns);
  cpu->rests = true;
  cpu_give_way(cpu);
  cpu->rests = false;
  cpu_take_interrupts(cpu);
  seeded_trace(POINT_WAIT, cpu_now);
  return true;
}


void arch_wake(arch_waiter_t* waiter) {
  cpu_point(POINT_WAKE, false);
  ASSERT(waiter->cpu < cpu_count);
  cpu_t* to = &cpus[waiter->cpu];

  if (!to->on)
    return;
  arch_on_ipi_sent(waiter->cpu);
  if (run.lose_one_in != 0 && seeded_one_in(run.lose_one_in))
    return; /* the planted bug */
  to->ipi_ns = earlier(to->ipi_ns, run.clock_ns + seeded_delay_ns());
  if (to->rests)
    to->ready_ns = earlier(to->ready_ns, to->ipi_ns);
  cpu_point(POINT_WAKE, false);
}


bool arch_interrupts_close(void) {
  if (cpu_now == ARCH_CPU_NONE || cpu_here()->closed)
    return false;
  cpu_point(POINT_CLOSE, false); /* may go on on another CPU, open as well */
  cpu_here()->closed = true;
  return true;
}


void arch_interrupts_open(void) {
  ASSERT(cpu_here()->closed);
  cpu_here()->closed = false;
  cpu_point(POINT_OPEN, false);
}


void arch_timer_arm(uint64_t deadline_ns) {
  cpu_t* cpu = cpu_here();

  cpu->timer_ns = ARCH_FOREVER;
  if (deadline_ns != ARCH_FOREVER)
    cpu->timer_ns = deadline_ns + seeded_delay_ns();
}


bool arch_can_preempt(void) {
  return false;
}


void arch_job_ready(void) {
  /* CPUs look for jobs themselves: runtime/cpu.c wakes an idle one. */
}


void cpu_interrupts_block(void) {
  /* Nothing to do: no handler runs while they are closed. */
}


/* ---- Power, and whose turn it is ---- */

static void cpu_stack_main(void* arg) {
  cpu_t* cpu = arg;

  cpu_main(cpu_now);
  ASSERT(cpu == cpu_here());
  ASSERT(cpu->closed);
  cpu->on = false;
  cpu_give_way(cpu);
  ASSERT(false); /* an ended CPU was given a turn */
}


uint32_t cpu_started_count(void) {
  return cpu_count;
}


int cpu_start(uint32_t count, void (*main)(uint32_t cpu)) {
  ASSERT(cpu_count == 0);
  if (count == 0 || count > CPUS_MAX)
    return UV_EINVAL;

  cpu_main = main;
  cpu_count = count;
  for (uint32_t i = 0; i < count; i++) {
    cpu_t* cpu = &cpus[i];
    memset(cpu, 0, sizeof(*cpu));
    cpu->on = true;
    cpu->closed = true;
    cpu->ready_ns = run.clock_ns;
    cpu->ipi_ns = ARCH_FOREVER;
    cpu->timer_ns = ARCH_FOREVER;
    size_t size;
    void* low = arch_stack(JOBS_RUNNING_MAX + i, &size);
    arch_context_init(&cpu->context, low, size, cpu_stack_main, cpu);
    cpu->fiber = cpu->context.fiber;
  }
  return 0;
}


/* Any of those that are ready; when there is none the clock jumps. */
static uint32_t cpu_next(void) {
  uint32_t ready[CPUS_MAX];
  uint32_t ready_count = 0;
  uint64_t first_ns = ARCH_FOREVER;

  for (uint32_t i = 0; i < cpu_count; i++)
    if (cpus[i].on)
      first_ns = earlier(first_ns, cpus[i].ready_ns);
  if (first_ns == ARCH_FOREVER)
    seeded_stuck("deadlock: each CPU waits for another");
  if (run.clock_ns < first_ns)
    run.clock_ns = first_ns;
  for (uint32_t i = 0; i < cpu_count; i++)
    if (cpus[i].on && cpus[i].ready_ns <= run.clock_ns)
      ready[ready_count++] = i;
  return ready[seeded_below(ready_count)];
}


void cpu_join(void) {
  for (uint32_t on_count = cpu_count; on_count > 0;) {
    uint32_t next = cpu_next();
    cpu_now = next;
    arch_context_switch(&scheduler, &cpus[next].context);
    cpu_now = ARCH_CPU_NONE;
    if (!cpus[next].on) {
      on_count--;
      cpus[next].context.fiber = cpus[next].fiber;
      arch_context_destroy(&cpus[next].context);
      seeded_trace(POINT_OFF, next);
    }
  }
  cpu_count = 0;
}
