/*
 * runtime/uvx.h - what evsm has and libuv lacks: CPUs, jobs, strands,
 * interrupts.
 *
 * A CPU is always in one of three contexts: its loop, a job, or the guest.
 * The words below say where a function may be called; all headers use them.
 *
 *   [loop]  on the CPU (host thread) whose loop owns the object, interrupts
 *           closed; never waits
 *   [any]   any CPU or thread, any time a loop may run; lock-free
 *   [job]   also inside a preemptible job
 *   [trap]  in an exception or interrupt handler: touches only atomics and
 *           per-CPU memory
 *   [boot]  before the first uv_run, one CPU only
 *
 * A job is not a thread. It computes on a stack of its own, is preempted by
 * any interrupt, and may go on on another CPU; it owns what its request points
 * at until the after callback, and keeps nothing thread-local.
 *
 * In libevsm-uv.a (plain POSIX threads, no CPUs) jobs run to their end on
 * worker threads, as libuv's do; the uvx_cpu_ functions are not for it.
 */
#ifndef EVSM_RUNTIME_UVX_H
#define EVSM_RUNTIME_UVX_H

#include "runtime/base.h"
#include "runtime/bounds.h"
#include "uv.h"

#include <stdatomic.h>

/* ---- Jobs: seconds of computing beside loops that may not wait ---- */

typedef struct uvx_job_s uvx_job_t;
typedef struct uvx_wait_s uvx_wait_t;
typedef void (*uvx_job_cb)(uvx_job_t* job);
typedef void (*uvx_job_done_cb)(uvx_job_t* job, int status);

typedef enum {
  UVX_JOB_NORMAL, /* 0: what somebody waits for */
  UVX_JOB_HIGH,   /* short, and others wait behind it */
  UVX_JOB_IDLE,   /* only when nothing else is to do */
} uvx_job_priority_t;

/* So long a job runs on a CPU that nobody waits for, if another of the same
 * priority is ready. A job of a higher priority takes its place at once. */
#define UVX_SLICE_US 4000u

typedef enum {
  UVX_JOB_REST, /* 0: not submitted, or done and delivered */
  UVX_JOB_QUEUED,
  UVX_JOB_RUNNING, /* on a CPU, now */
  UVX_JOB_PAUSED,  /* preempted; ready to go on */
  UVX_JOB_PARKED,  /* in uvx_job_await() */
  UVX_JOB_DONE,    /* computed; the after callback is on its way */
} uvx_job_state_t;

/* The caller provides the memory and touches only `data`. */
struct uvx_job_s {
  void* data; /* the caller's; never read here */

  /* private */
  uv_loop_t* loop;
  uvx_job_cb work_cb;
  uvx_job_done_cb done_cb;
  uvx_job_priority_t priority;
  _Atomic uint32_t state; /* uvx_job_state_t */
  uint32_t stack_index;   /* which stack, once it has begun */
  int status;
  uvx_job_t* next; /* in a list of ready jobs */
  uvx_job_t* prev;
  uint64_t order;     /* its place among the ready jobs */
  uvx_wait_t* wait;   /* what it parks on */
  uint32_t cpu_last;  /* where it ran last */
  uint32_t cpu_asked; /* who asked for it by name, last */
  uint32_t slice_count;
  uint64_t ran_ns;
  uint64_t trace_id; /* its number */
  void* waiter;      /* of the host thread that it blocks: arch_waiter_t */
  uv__note_t note;
};

/*
 * Queue `job`: work_cb runs as a job, done_cb later on `loop`, with status 0,
 * or UV_ECANCELED if uvx_job_cancel() came first.
 *
 * Context:  [loop] of `loop`.
 * Memory:   `job` is ours from a return of 0 until done_cb.
 * Returns:  0, or UV_EINVAL without a work_cb. Keeps the loop alive until then.
 */
int uvx_job_submit(uv_loop_t* loop,
                   uvx_job_t* job,
                   uvx_job_priority_t priority,
                   uvx_job_cb work_cb,
                   uvx_job_done_cb done_cb);

/*
 * Take a job back that has not begun; its done_cb gets UV_ECANCELED.
 *
 * Context:  [loop] of its loop.
 * Returns:  0, or UV_EBUSY: it runs, or has run.
 */
int uvx_job_cancel(uvx_job_t* job);

/* Give way now to whatever is due or of the same priority. Context: [job]. */
void uvx_job_yield(void);

/* The job that is running here, or NULL. Context: [any], [job]. */
uvx_job_t* uvx_job_self(void);

/* One thing that a job can wait for, once. All zeroes is at rest. */
struct uvx_wait_s {
  uvx_job_t* job; /* private, as all that follows */
  _Atomic uint32_t state;
  int status;
};

/*
 * Park this job until uvx_wait_done(); its CPU does other work meanwhile.
 *
 * Context:  [job] only.
 * Returns:  the status given to uvx_wait_done(), which may have come before.
 */
int uvx_job_await(uvx_wait_t* wait);

/* Context: [any], [job]. Exactly once a wait; then the wait is at rest again as
 * soon as the job has seen it. */
void uvx_wait_done(uvx_wait_t* wait, int status);

/* ---- CPUs: one loop each ---- */

/* How a CPU came back from running a job. */
typedef enum {
  UVX_RAN_NOTHING, /* none is ready, or the one asked for runs elsewhere */
  UVX_RAN_DONE,    /* the job ended */
  UVX_RAN_PARKED,  /* the job waits */
  UVX_RAN_EVENT,   /* an interrupt: the loop has something to do */
  UVX_RAN_DEADLINE /* deadline_ns or the slice is over */
} uvx_ran_t;

/* Make CPU `cpu` ready, on that CPU. Others may kick it and submit jobs that it
 * runs from its return on. Context: [boot] of that CPU. */
void uvx_cpu_init(uint32_t cpu);

/* After its last turn; its loop must have nothing left. Context: [loop]. */
void uvx_cpu_close(uint32_t cpu);

/* Context: [any]. NULL if there is no such CPU. */
uv_loop_t* uvx_cpu_loop(uint32_t cpu);

/*
 * Do everything that is due on this CPU's loop, in bounded batches; never
 * waits.
 *
 * Context:  [loop].
 * Returns:  true if there may be more to do at once.
 */
bool uvx_cpu_turn(void);

/*
 * Run `job`, or the best ready one if NULL, on this CPU until it ends or
 * parks, an event is due here (the loop's next timer included), or
 * `deadline_ns` has come. A job asked for by name is not sliced, nor does it
 * give way to a better one: somebody waits for it here. If it becomes ready
 * elsewhere, this CPU is kicked out of uvx_cpu_halt().
 *
 * Context:  [loop], on a CPU.
 * Returns:  see above. UVX_RAN_NOTHING also when `job` has not begun and all
 *           stacks are taken: run any job (NULL), which frees one.
 */
uvx_ran_t uvx_job_run(uvx_job_t* job, uint64_t deadline_ns);

/* Is any job ready that this CPU could run? Context: [loop]. */
bool uvx_job_ready(void);

/*
 * Halt until an event is due on this CPU's loop (its next timer included), a
 * job becomes ready and `deadline_ns` is ARCH_FOREVER, or `deadline_ns` comes.
 *
 * Context:  [loop], on a CPU.
 */
void uvx_cpu_halt(uint64_t deadline_ns);

/* Make `cpu`'s loop turn soon, whatever it does now. Context: [any], [trap]. */
void uvx_cpu_kick(uint32_t cpu);

/*
 * This CPU is about to enter its guest: ask last, so that no wake is lost.
 * Wakes an idle CPU if a job is ready that nobody will run now.
 *
 * Context:  [loop], on a CPU.
 * Returns:  false if something is due here: turn first.
 */
bool uvx_cpu_guest_enter(void);

/* It is back. Context: [loop], on a CPU, after uvx_cpu_guest_enter(). */
void uvx_cpu_guest_leave(void);

/* What a CPU has done since uvx_cpu_init(). */
typedef struct uvx_cpu_stats_s {
  uint64_t jobs_done;   /* ended here */
  uint64_t slices;      /* times that a job was entered here */
  uint64_t preemptions; /* times that one was left before its end */
  uint64_t migrations;  /* times that one came from another CPU */
  uint64_t interrupts;  /* that found a job here */
  uint64_t ipis_sent;   /* by this CPU */
  uint64_t halts;       /* times that it slept */
  uint64_t job_ns;      /* time in jobs */
  uint64_t loop_ns;     /* in callbacks, and between all others */
  uint64_t halt_ns;     /* asleep */
  uint64_t guest_ns;    /* in the guest */
  uint64_t overruns;    /* jobs that were left at their deadline */
  uint64_t late_ns;     /* by how much after it, in sum */
  uint64_t late_ns_max; /* and at most */
} uvx_cpu_stats_t;

/*
 * Each number by itself is exact; together they are not of one instant.
 *
 * Context:  [any], [job].
 * Returns:  0, or UV_EINVAL if there is no such CPU.
 */
int uvx_cpu_stats(uint32_t cpu, uvx_cpu_stats_t* out);

/* ---- Interrupts: a trap notes, the callback runs in the loop ---- */

typedef struct uvx_irq_s uvx_irq_t;
typedef void (*uvx_irq_cb)(uvx_irq_t* irq);

/* A handle as libuv's are: uv_close() it, uv_ref/uv_unref it. */
struct uvx_irq_s {
  UV_HANDLE_FIELDS
  uvx_irq_cb irq_cb;
  _Atomic uint32_t raised;
  uv__note_t note;
};

/* Active from here on. Context: [loop]. Returns 0. */
int uvx_irq_init(uv_loop_t* loop, uvx_irq_t* irq, uvx_irq_cb cb);

/*
 * Note the interrupt: irq_cb runs soon, once for any number of raises before.
 *
 * Context:  [any], [trap].
 */
void uvx_irq_raise(uvx_irq_t* irq);

/* ---- Strands: one at a time, on whichever CPU drains ---- */

typedef struct uvx_strand_s uvx_strand_t;
typedef struct uvx_task_s uvx_task_t;
typedef void (*uvx_task_cb)(uvx_task_t* task);

/* The caller provides the memory and touches only `data`. */
struct uvx_task_s {
  void* data; /* the caller's */

  /* private */
  uvx_task_cb cb;
  _Atomic(uvx_task_t*) next;
};

/*
 * A queue that any CPU may post to. Its owner is whichever CPU is draining it;
 * tasks run one at a time, in the order of their posts, in the owner's loop.
 * A task keeps the strand until uvx_strand_release(), so it may wait for a job
 * or a disk; the next one then runs on the releasing CPU's loop.
 */
struct uvx_strand_s {
  /* private */
  _Atomic(uvx_task_t*) tail;
  uvx_task_t* head;
  uvx_task_t stub;
  _Atomic uint32_t count; /* posted and not released */
  uint32_t number;        /* tells strands apart in a trace */
  uv__note_t note;
};

/* Context: [boot], or before anybody posts. */
void uvx_strand_init(uvx_strand_t* strand);

/*
 * Post `task`: `cb` runs later, never inside this call, on this CPU's loop if
 * the strand is free, else on the loop of the CPU that releases it.
 *
 * Context:  [loop] of any CPU.
 * Memory:   `task` is the strand's until `cb`.
 */
void uvx_strand_post(uvx_strand_t* strand, uvx_task_t* task, uvx_task_cb cb);

/* The running task is over. Context: [loop] of any CPU, once a task. */
void uvx_strand_release(uvx_strand_t* strand);

#endif /* EVSM_RUNTIME_UVX_H */
