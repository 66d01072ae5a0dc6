/*
 * runtime/cpu.c - CPUs: a loop each, and jobs while the loop has nothing to do.
 *
 *   loop ----- uvx_job_run() -----> job
 *    | ^ ^                           |  ends, parks, yields, or an interrupt
 *    | | +------ cpu_leave() --------+  finds a reason (cpu_reason)
 *    | +-- uvx_cpu_halt(): a wake
 *    v
 *   guest (the house above enters and leaves it)
 *
 * The promise: while a job runs here, whatever is posted to this CPU's loop
 * interrupts it; a timer interrupts it only if somebody waits for the CPU: a
 * deadline, the loop's next timer, or another job of the same rank (tickless).
 * Where nothing interrupts, the same question is asked at checkpoints.
 *
 * A job is in nobody's hands between two CPUs: it is put back among the ready
 * ones by the loop that it left to, when its registers are saved, never by
 * itself.
 *
 * Waking others. A CPU that halts and would run any job stands in `idle_mask`.
 * Whoever leaves a ready job behind takes one bit out of it and wakes that CPU
 * alone; that one does the same if there is more. A CPU in its loop leaves the
 * job where it is at first, for it will mostly run it at once: it wakes
 * somebody when it goes on to something else (cpu_share).
 *
 * Not here: which jobs there are (job.c), how loops sleep (loop.c, wake.h).
 */
#include "runtime/internal.h"

#include <stdatomic.h>

#include "runtime/trace.h"

/* What a CPU would give up for a better job, for others to see: twice the rank
 * of the job that it runs, plus one if it gives way to equals by itself. */
#define PLACE_NONE 0u               /* nothing */
#define PLACE_TOLD (UINT32_MAX - 1) /* something, and it has been told */

/* A counter: written by its CPU alone, read by any. */
typedef _Atomic uint64_t count_t;

typedef struct {
  count_t jobs_done;
  count_t slices;
  count_t preemptions;
  count_t migrations;
  count_t interrupts;
  count_t ipis_sent;
  count_t halts;
  count_t job_ns;
  count_t loop_ns;
  count_t halt_ns;
  count_t guest_ns;
  count_t overruns;
  count_t late_ns;
  count_t late_ns_max;
} counts_t;

typedef struct {
  _Alignas(ARCH_CACHE_LINE_SIZE) uv_loop_t loop;
  uint32_t index;
  arch_context_t context; /* the loop's, while a job runs */
  uint64_t since_ns;      /* when this CPU began what it does now */

  /* The job that runs here; only with interrupts closed. */
  uvx_job_t* job;
  uv__leave_t why;      /* it left */
  bool asked;           /* for by name: not sliced */
  uint64_t deadline_ns; /* when it must leave */
  uint64_t due_ns;      /* when the loop's next timer is due */
  uint64_t slice_ns;    /* when it leaves if others of its rank are ready */
  uint64_t timer_ns;    /* what the machine's timer is set to */

  _Alignas(ARCH_CACHE_LINE_SIZE) _Atomic uint32_t place; /* PLACE_ */
  _Atomic bool online;
  arch_waiter_t waiter; /* as good as the loop's own: it is the same CPU */
  counts_t counts;
  trace_ring_t trace;
} cpu_t;

/* A stack for jobs, one after the other. */
typedef struct {
  arch_context_t context;
  uvx_job_t* job;
} stack_t;

static cpu_t cpus[CPUS_MAX];
static _Atomic uint32_t cpu_count; /* the highest index so far, plus one */
static stack_t stacks[JOBS_RUNNING_MAX];
static _Atomic uint32_t stacks_state; /* 0, 1: being made, 2: made */
static _Atomic uint64_t idle_mask;    /* halted, and would run any job */

_Static_assert(CPUS_MAX <= 64, "one bit each");


/* ---- Small things ---- */

/* This CPU. Only good with interrupts closed. */
static cpu_t* cpu_here(void) {
  uint32_t index = arch_cpu();

  ASSERT(index < CPUS_MAX);
  return &cpus[index];
}


static void count_add(count_t* count, uint64_t more) {
  uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

  atomic_store_explicit(count, now + more, memory_order_relaxed);
}


/* What this CPU did until now is over. Returns the time. */
static uint64_t cpu_account(cpu_t* cpu, count_t* what) {
  uint64_t now_ns = arch_clock_ns();

  count_add(what, now_ns - cpu->since_ns);
  cpu->since_ns = now_ns;
  return now_ns;
}


static uint64_t min_u64(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}


/* Is it time? Reads the clock only where that says something. */
static bool cpu_is_due(uint64_t due_ns) {
  return due_ns == 0 || (due_ns != ARCH_FOREVER && due_ns <= arch_clock_ns());
}


/*
 * Interrupt the job no later than `deadline_ns`. A timer that is set to come
 * sooner stays as it is: setting one costs microseconds (an exit to the host),
 * and when it comes the job's deadline is looked at again. For the same reason
 * it is not taken back when a job leaves, but only before a halt.
 */
static void cpu_timer(cpu_t* cpu, uint64_t now_ns, uint64_t deadline_ns) {
  if (now_ns >= cpu->timer_ns)
    cpu->timer_ns = ARCH_FOREVER; /* it has fired */
  if (cpu->timer_ns <= deadline_ns)
    return;
  cpu->timer_ns = deadline_ns;
  arch_timer_arm(deadline_ns);
}


/* ---- Waking other CPUs ---- */

/* One halted CPU is enough: if there is more to do, it wakes another. */
static bool cpu_wake_idle(void) {
  uint64_t mask = atomic_load(&idle_mask);

  while (mask != 0) {
    uint64_t bit = mask & (0 - mask);
    if (atomic_compare_exchange_weak(&idle_mask, &mask, mask & ~bit)) {
      uvx_cpu_kick((uint32_t) __builtin_ctzll(bit));
      return true;
    }
  }
  return false;
}


/* All are busy: interrupt whoever runs the least important job, for it to give
 * way to a better one, or to begin slicing for its equal. */
static void cpu_displace(uint32_t rank) {
  uint32_t count = atomic_load(&cpu_count);
  uint32_t worst = 2 * rank + 1;
  uint32_t victim = ARCH_CPU_NONE;

  for (uint32_t i = 0; i < count; i++) {
    uint32_t place = atomic_load(&cpus[i].place);
    if (place != PLACE_NONE && place < worst) {
      worst = place;
      victim = i;
    }
  }
  if (victim != ARCH_CPU_NONE &&
      atomic_compare_exchange_strong(&cpus[victim].place, &worst, PLACE_TOLD))
    arch_wake(&cpus[victim].waiter);
}


/* This CPU leaves ready jobs behind: somebody else should know. */
static void cpu_share(void) {
  uint32_t rank = uv__job_rank_ready();

  if (rank != 0 && !cpu_wake_idle())
    cpu_displace(rank);
}


/* uv__job_host_t: a job has become ready. */
static void cpu_on_ready(uint32_t cpu_asked) {
  bool opened = arch_interrupts_close();

  if (cpu_asked != ARCH_CPU_NONE && cpu_asked != arch_cpu())
    uvx_cpu_kick(cpu_asked); /* but it may be in its guest by now */
  if (arch_cpu() == ARCH_CPU_NONE || arch_here() != NULL)
    cpu_share(); /* not in a loop: nobody here looks for jobs soon */
  if (opened)
    arch_interrupts_open();
}


void arch_on_ipi_sent(uint32_t to) {
  bool opened = arch_interrupts_close();
  uint32_t index = arch_cpu();

  if (index != ARCH_CPU_NONE)
    count_add(&cpus[index].counts.ipis_sent, 1);
  trace_ipi_sent(0, to);
  if (opened)
    arch_interrupts_open();
}


/* ---- In a job ---- */

/* Set the timer for whatever comes first while the job goes on. */
static void cpu_stay(cpu_t* cpu, uint64_t now_ns) {
  uint64_t timer_ns = min_u64(cpu->deadline_ns, cpu->due_ns);
  uint32_t rank = uv__job_rank(cpu->job);

  if (!cpu->asked) {
    /* First our place, then the question: see job_unlock(). */
    atomic_store(&cpu->place, 2 * rank);
    uint32_t ready = uv__job_rank_ready();
    if (ready >= rank) {
      atomic_store(&cpu->place, 2 * rank + 1);
      /* A better one came since this one was chosen: whoever announced it did
       * not find our place, so we interrupt ourselves. */
      timer_ns = min_u64(timer_ns, ready > rank ? now_ns : cpu->slice_ns);
    }
  }
  cpu_timer(cpu, now_ns, timer_ns);
}


/* Should the job that runs here leave, and why? */
static uv__leave_t cpu_reason(cpu_t* cpu, uint64_t now_ns) {
  if (uv__loop_pending(&cpu->loop))
    return UV__LEAVE_EVENT;
  if (now_ns >= cpu->deadline_ns)
    return UV__LEAVE_DEADLINE;
  if (now_ns >= cpu->due_ns)
    return UV__LEAVE_EVENT;
  if (cpu->asked)
    return UV__STAY;

  uint32_t ready = uv__job_rank_ready();
  uint32_t rank = uv__job_rank(cpu->job);
  if (ready > rank || (ready == rank && now_ns >= cpu->slice_ns))
    return UV__LEAVE_SLICE;
  return UV__STAY;
}


/* uv__job_host_t. */
static uv__leave_t cpu_poll(void) {
  return cpu_reason(cpu_here(), arch_clock_ns());
}


/* uv__job_host_t: back into the loop of this CPU. */
static void cpu_leave(uv__leave_t why) {
  cpu_t* cpu = cpu_here();
  stack_t* stack = &stacks[cpu->job->stack_index];

  cpu->why = why;
  arch_context_switch(&stack->context, &cpu->context);
  /* Here the job goes on, maybe on another CPU: `cpu` is stale. */
}


void arch_on_job_interrupt(void) {
  cpu_t* cpu = cpu_here();

  if (cpu->job == NULL)
    return; /* it came when the job had just left */
  count_add(&cpu->counts.interrupts, 1);
  trace_ipi_taken(cpu->job->trace_id);
  uint64_t now_ns = arch_clock_ns();
  uv__leave_t why = cpu_reason(cpu, now_ns);
  if (why == UV__STAY)
    cpu_stay(cpu, now_ns);
  else
    cpu_leave(why);
}


/* The bottom of every stack for jobs: one job after the other. */
static void cpu_stack_main(void* arg) {
  stack_t* stack = arg;

  for (;;) {
    uvx_job_t* job = stack->job;
    arch_interrupts_open();
    job->work_cb(job);
    ASSERT(arch_interrupts_close());
    cpu_leave(UV__LEAVE_DONE);
  }
}


/* ---- Running jobs ---- */

/* Into the job, and back here when it leaves. */
static void cpu_enter(cpu_t* cpu, uvx_job_t* job) {
  stack_t* stack = &stacks[job->stack_index];

  if (job->cpu_last != cpu->index && job->cpu_last != ARCH_CPU_NONE) {
    count_add(&cpu->counts.migrations, 1);
    trace_job_migrate(job->trace_id, job->cpu_last);
  }
  job->cpu_last = cpu->index;
  if (job->slice_count++ == 0)
    trace_job_start(job->trace_id);
  else
    trace_job_slice(job->trace_id, job->slice_count);
  count_add(&cpu->counts.slices, 1);

  stack->job = job;
  cpu->job = job;
  arch_here_set(job);
  uint64_t began_ns = cpu_account(cpu, &cpu->counts.loop_ns);
  cpu->slice_ns = began_ns + UVX_SLICE_US * 1000u;
  cpu_stay(cpu, began_ns);
  arch_context_switch(&cpu->context, &stack->context);

  arch_here_set(NULL);
  atomic_store(&cpu->place, PLACE_NONE);
  cpu->job = NULL;
  job->ran_ns += cpu_account(cpu, &cpu->counts.job_ns) - began_ns;
}


/* It came back at `since_ns` because of its deadline: how late was that? */
static void cpu_note_late(cpu_t* cpu) {
  uint64_t late_ns = cpu->since_ns - cpu->deadline_ns;

  count_add(&cpu->counts.overruns, 1);
  count_add(&cpu->counts.late_ns, late_ns);
  if (late_ns > atomic_load(&cpu->counts.late_ns_max))
    atomic_store(&cpu->counts.late_ns_max, late_ns);
  trace_timer_late(0, late_ns);
}


/* The job has left, its registers are saved: put it where it belongs. */
static uvx_ran_t cpu_left(cpu_t* cpu, uvx_job_t* job) {
  switch (cpu->why) {
    case UV__LEAVE_DONE:
      trace_job_end(job->trace_id, job->ran_ns);
      count_add(&cpu->counts.jobs_done, 1);
      uv__job_end(job);
      return UVX_RAN_DONE;
    case UV__LEAVE_PARK:
      return UVX_RAN_PARKED;
    case UV__LEAVE_EVENT:
    case UV__LEAVE_DEADLINE:
    case UV__LEAVE_SLICE:
      break;
    case UV__STAY:
      ASSERT(false);
  }

  trace_job_preempt(job->trace_id, (uint64_t) cpu->why);
  count_add(&cpu->counts.preemptions, 1);
  if (cpu->why == UV__LEAVE_DEADLINE)
    cpu_note_late(cpu);
  else if (cpu->since_ns >= cpu->due_ns)
    trace_timer_due(0, cpu->since_ns - cpu->due_ns);
  /* We look for jobs ourselves; but another CPU may be halted with a call that
   * waits for just this one. */
  uint32_t asked = uv__job_put_back(job, cpu->why != UV__LEAVE_SLICE);
  if (asked != ARCH_CPU_NONE && asked != cpu->index)
    uvx_cpu_kick(asked);
  return cpu->why == UV__LEAVE_EVENT ? UVX_RAN_EVENT : UVX_RAN_DEADLINE;
}


uvx_ran_t uvx_job_run(uvx_job_t* wanted, uint64_t deadline_ns) {
  cpu_t* cpu = cpu_here();
  ASSERT(cpu->job == NULL);

  cpu->due_ns = uv__loop_deadline_ns(&cpu->loop);
  if (cpu_is_due(cpu->due_ns) || !uv__loop_doze(&cpu->loop))
    return UVX_RAN_EVENT;
  uvx_job_t* job = uv__job_claim(wanted, cpu->index);
  if (job == NULL) {
    uv__loop_rouse(&cpu->loop);
    return UVX_RAN_NOTHING;
  }

  cpu->deadline_ns = deadline_ns;
  cpu->asked = wanted != NULL;
  cpu_share();
  do {
    cpu_enter(cpu, job);
    if (cpu->why == UV__LEAVE_PARK)
      trace_job_park(job->trace_id);
  } while (cpu->why == UV__LEAVE_PARK && !uv__job_park(job));

  /* If it has parked, it is no longer ours to touch. */
  uv__loop_rouse(&cpu->loop);
  return cpu_left(cpu, job);
}


/* ---- The loop's CPU ---- */

bool uvx_cpu_turn(void) {
  cpu_t* cpu = cpu_here();

  return uv__loop_turn(&cpu->loop);
}


void uvx_cpu_halt(uint64_t deadline_ns) {
  cpu_t* cpu = cpu_here();
  uint64_t bit = (uint64_t) 1 << cpu->index;
  bool any = deadline_ns == ARCH_FOREVER;
  uint64_t due_ns = uv__loop_deadline_ns(&cpu->loop);

  if (cpu_is_due(due_ns) || !uv__loop_doze(&cpu->loop))
    return;
  if (any)
    atomic_fetch_or(&idle_mask, bit);
  else
    cpu_share();

  /* First the mask, then the question: see job_unlock(). */
  if (!any || uv__job_rank_ready() == 0) {
    uint64_t now_ns = cpu_account(cpu, &cpu->counts.loop_ns);
    if (cpu->timer_ns > now_ns && cpu->timer_ns != ARCH_FOREVER)
      arch_timer_arm(ARCH_FOREVER); /* or it would wake us for nothing */
    cpu->timer_ns = ARCH_FOREVER;
    arch_wait(&cpu->waiter, min_u64(due_ns, deadline_ns));
    cpu_account(cpu, &cpu->counts.halt_ns);
    count_add(&cpu->counts.halts, 1);
  }
  if (any)
    atomic_fetch_and(&idle_mask, ~bit);
  uv__loop_rouse(&cpu->loop);
}


/* How uv_run() waits on a CPU: jobs first. */
static void cpu_wait(uv_loop_t* loop, uint64_t deadline_ns) {
  (void) loop; /* it is this CPU's */
  if (uvx_job_run(NULL, deadline_ns) == UVX_RAN_NOTHING)
    uvx_cpu_halt(ARCH_FOREVER); /* its own timers count in any case */
}


void uvx_cpu_kick(uint32_t index) {
  ASSERT(index < CPUS_MAX);

  if (atomic_load(&cpus[index].online))
    uv__loop_wake(&cpus[index].loop);
}


bool uvx_cpu_guest_enter(void) {
  cpu_t* cpu = cpu_here();

  if (uv__loop_pending(&cpu->loop) ||
      cpu_is_due(uv__loop_deadline_ns(&cpu->loop)))
    return false;
  cpu_share();
  cpu_account(cpu, &cpu->counts.loop_ns);
  return true;
}


void uvx_cpu_guest_leave(void) {
  cpu_t* cpu = cpu_here();

  cpu_account(cpu, &cpu->counts.guest_ns);
}


/* ---- Beginning and end ---- */

static const uv__job_host_t cpu_preempts = {cpu_on_ready, cpu_leave, NULL};
static const uv__job_host_t cpu_polls = {cpu_on_ready, cpu_leave, cpu_poll};


/* The first CPU makes the stacks, the others wait for it. */
static void cpu_make_stacks(void) {
  uint32_t none = 0;

  if (!atomic_compare_exchange_strong(&stacks_state, &none, 1)) {
    while (atomic_load(&stacks_state) != 2)
      arch_relax();
    return;
  }
  for (uint32_t i = 0; i < JOBS_RUNNING_MAX; i++) {
    size_t size;
    void* low = arch_stack(i, &size);
    ASSERT(size >= ARCH_STACK_SIZE_MIN);
    arch_context_init(&stacks[i].context, low, size, cpu_stack_main,
                      &stacks[i]);
  }
  uv__job_host_set(arch_can_preempt() ? &cpu_preempts : &cpu_polls);
  atomic_store(&stacks_state, 2);
}


void uvx_cpu_init(uint32_t index) {
  ASSERT(index < CPUS_MAX);
  ASSERT(index == arch_cpu());
  cpu_t* cpu = &cpus[index];
  ASSERT(!atomic_load(&cpu->online));

  memset(&cpu->counts, 0, sizeof(cpu->counts));
  memset(&cpu->context, 0, sizeof(cpu->context));
  cpu->index = index;
  cpu->since_ns = arch_clock_ns();
  cpu->timer_ns = ARCH_FOREVER;
  cpu->job = NULL;
  atomic_store(&cpu->place, PLACE_NONE);
  arch_waiter_init(&cpu->waiter);
  trace_use(index, &cpu->trace);
  int err = uv_loop_init(&cpu->loop);
  ASSERT(err == 0);
  uv__loop_wait_set(&cpu->loop, cpu_wait);
  cpu_make_stacks();

  uint32_t count = atomic_load(&cpu_count);
  while (count <= index &&
         !atomic_compare_exchange_weak(&cpu_count, &count, index + 1))
    MAYBE(count > index);
  atomic_store(&cpu->online, true);
}


void uvx_cpu_close(uint32_t index) {
  ASSERT(index == arch_cpu());
  cpu_t* cpu = &cpus[index];
  ASSERT(cpu->job == NULL);

  atomic_store(&cpu->online, false);
  arch_timer_arm(ARCH_FOREVER);
  trace_use(index, NULL);
  int err = uv_loop_close(&cpu->loop);
  ASSERT(err == 0);
}


uv_loop_t* uvx_cpu_loop(uint32_t index) {
  if (index >= CPUS_MAX || !atomic_load(&cpus[index].online))
    return NULL;
  return &cpus[index].loop;
}


int uvx_cpu_stats(uint32_t index, uvx_cpu_stats_t* out) {
  if (index >= CPUS_MAX || !atomic_load(&cpus[index].online))
    return UV_EINVAL;

  counts_t* counts = &cpus[index].counts;
  _Static_assert(sizeof(*counts) == sizeof(*out),
                 "the same, in the same order");
  const count_t* from = (const count_t*) counts;
  uint64_t* to = (uint64_t*) out;
  for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
    to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
  return 0;
}
