/*
 * runtime/internal.h - the seams between runtime/'s own files.
 *
 * loop.c owns the loop and its inbox; job.c, irq.c, strand.c, async.c post
 * notes into it. Nobody outside runtime/ (and the machines, for the two worker
 * functions) includes this.
 */
#ifndef EVSM_RUNTIME_INTERNAL_H
#define EVSM_RUNTIME_INTERNAL_H

#include "arch/arch.h"
#include "runtime/uvx.h"

/*
 * Post `note` to the loop's inbox and wake it if it dozes. note->run(note)
 * runs once, in the loop's poll phase, in order of posting, before the async
 * callbacks of the same phase. The note must not be posted again before it
 * runs: its owner keeps a flag.
 *
 * Context:  [any], [trap], and jobs with interrupts closed.
 */
void uv__loop_post(uv_loop_t* loop, uv__note_t* note);

/* Have the loop turn: as a post, with nothing to run. Context: [any], [trap].
 */
void uv__loop_wake(uv_loop_t* loop);

/*
 * From here on whoever posts must interrupt us (we are about to halt or to run
 * a job). False, and nothing changed, if something is in the inbox already:
 * then don't. The protocol is modelled in tests/models/wake.pml.
 *
 * Context:  [loop].
 */
bool uv__loop_doze(uv_loop_t* loop);

/* Awake again: posters need not interrupt. Context: [loop]. */
void uv__loop_rouse(uv_loop_t* loop);

/* Has something been posted since the last drain? Context: [any], [trap]. */
bool uv__loop_pending(const uv_loop_t* loop);

/* A request begins or ends: it keeps the loop alive. Context: [loop]. */
void uv__req_begin(uv_loop_t* loop);
void uv__req_end(uv_loop_t* loop);

/* ---- Jobs: job.c keeps them, cpu.c runs them on stacks of their own ---- */

/* Why a job leaves the CPU that it is on. */
typedef enum {
  UV__STAY,       /* it doesn't */
  UV__LEAVE_DONE, /* it has ended */
  UV__LEAVE_PARK,
  UV__LEAVE_EVENT,    /* the loop here has something to do */
  UV__LEAVE_DEADLINE, /* whoever runs it wants it back */
  UV__LEAVE_SLICE     /* others of its rank, or better ones, are ready */
} uv__leave_t;

/* How CPUs run jobs. In a program without CPUs there is none. */
typedef struct uv__job_host_s {
  /* One more is ready, which that CPU has asked for. Context: [any], [job]. */
  void (*ready)(uint32_t cpu_asked);

  /* Leave the CPU; returns when the job goes on. Context: [job], closed. */
  void (*leave)(uv__leave_t why);

  /* Should the job leave? Only asked where interrupts can't. As above. */
  uv__leave_t (*poll)(void);
} uv__job_host_t;

/* Context: [boot]. The same at each call. */
void uv__job_host_set(const uv__job_host_t* host);

/* Ranks: 0 is no job; then UVX_JOB_IDLE, _NORMAL, _HIGH. */
#define UV__RANKS_MAX (JOB_PRIORITIES_MAX + 1u)
uint32_t uv__job_rank(const uvx_job_t* job);

/* The best rank that a CPU could run now. Context: [any], [trap]. */
uint32_t uv__job_rank_ready(void);

/*
 * Take `wanted`, or the best one if NULL, from the queue, with a stack for it.
 * `cpu` asks; the caller runs what it gets. NULL if there is none.
 *
 * Context:  [loop], on a CPU.
 */
uvx_job_t* uv__job_claim(uvx_job_t* wanted, uint32_t cpu);

/* A claimed job that has left its CPU is ready again: before all others of its
 * rank, or after them. Context: [loop], on a CPU. */
void uv__job_put_back(uvx_job_t* job, bool first);

/* It has parked: from here on uvx_wait_done() makes it ready. False if that
 * came before: go on with it. Context: [loop], on a CPU. */
bool uv__job_park(uvx_job_t* job);

/* It has ended: its stack is free, its loop is told. Context: [loop]. */
void uv__job_end(uvx_job_t* job);

/*
 * The best ready job, taken from the queue, or NULL; and running one to its
 * end on the calling thread's own stack. For sim/thread.c's workers.
 *
 * Context:  a worker thread.
 */
uvx_job_t* uv__job_take(void);
void uv__job_run_here(uvx_job_t* job);

#endif /* EVSM_RUNTIME_INTERNAL_H */
