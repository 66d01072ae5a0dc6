/*
 * runtime/internal.h - the seams between runtime/'s own files.
 *
 * loop.c owns the loop and its inbox; job.c, irq.c, strand.c, async.c post
 * notes into it. Nobody outside runtime/ includes this.
 */
#ifndef EVSM_RUNTIME_INTERNAL_H
#define EVSM_RUNTIME_INTERNAL_H

#include "arch/arch.h"
#include "runtime/list.h"
#include "runtime/uvx.h"
#include "runtime/wake.h"

/* ---- Handles: handle.c ---- */

/* uv_handle_t.flags */
#define UV__ACTIVE 0x1u
#define UV__REF 0x2u
#define UV__CLOSING 0x4u
#define UV__CLOSED 0x8u

/* The type of a uvx_irq_t: libuv has no number for it. */
#define UV__IRQ ((uv_handle_type) (UV_HANDLE_TYPE_MAX + 1))

/* A new handle: referenced, at rest, the last of its loop. Writes no more than
 * it must: a million new handles cost what their memory costs. */
static inline void uv__handle_init(uv_loop_t* loop,
                                   uv_handle_t* handle,
                                   uv_handle_type type) {
  handle->loop = loop;
  handle->type = type;
  handle->flags = UV__REF;
  uv__list_append(&loop->handle_queue, &handle->handle_queue);
}


/* It is active, or at rest, from here on; nothing if it was so before. */
static inline void uv__handle_start(uv_handle_t* handle) {
  if ((handle->flags & UV__ACTIVE) != 0)
    return;
  handle->flags |= UV__ACTIVE;
  if ((handle->flags & UV__REF) != 0)
    handle->loop->active_handles++;
}


static inline void uv__handle_stop(uv_handle_t* handle) {
  if ((handle->flags & UV__ACTIVE) == 0)
    return;
  handle->flags &= ~UV__ACTIVE;
  if ((handle->flags & UV__REF) != 0)
    handle->loop->active_handles--;
}


/* Run the close callbacks that are due. */
void uv__handles_finish(uv_loop_t* loop);

/* What uv_close() does to each type; irq.c has the last one. A close must see
 * to it that no note of the handle remains with the loop. */
void uv__timer_close(uv_timer_t* handle);
void uv__prepare_close(uv_prepare_t* handle);
void uv__check_close(uv_check_t* handle);
void uv__idle_close(uv_idle_t* handle);
void uv__async_close(uv_async_t* handle);
void uv__irq_close(uvx_irq_t* handle);

/* ---- The loop: loop.c ---- */

/* uv_loop_t.flags */
#define UV__POLLED 0x1u /* the loop has polled before */
#define UV__AGAIN 0x2u  /* something was taken early: the next poll is short */
#define UV__METRICS 0x4u
#define UV__UNSORTED 0x8u /* asyncs_late is not in order of rank */

typedef struct uv__shared_s uv__shared_t;
typedef void (*uv__wait_fn)(uv_loop_t* loop, uint64_t deadline_ns);

/* What other threads and CPUs touch of a loop, on cache lines of its own. Lies
 * in uv_loop_t.shared, where uv.h can't name its types. */
struct uv__shared_s {
  unsigned char apart_before[ARCH_CACHE_LINE_SIZE];
  uv__inbox_t inbox;
  arch_waiter_t waiter;
  uv__note_t poke;           /* uv__loop_wake(): turns the loop, runs nothing */
  _Atomic uint32_t poked;    /* `poke` is in the inbox */
  _Atomic uint32_t idle_seq; /* odd while the two below change (metrics.c) */
  _Atomic uint64_t idle_ns;
  _Atomic uint64_t idle_since_ns; /* 0: not waiting */
  uv__wait_fn wait;
  unsigned char apart_after[ARCH_CACHE_LINE_SIZE];
} __attribute__((may_alias)); /* uv.h declares the storage as numbers */

static inline uv__shared_t* uv__shared(const uv_loop_t* loop) {
  /* const is cast away: these fields change under everybody's eyes */
  return (uv__shared_t*) (uintptr_t) loop->shared;
}


/*
 * One iteration that does not wait, whether or not the loop is alive.
 *
 * Context:  [loop].
 * Returns:  true if there may be more to do at once.
 */
bool uv__loop_turn(uv_loop_t* loop);

/*
 * When the loop must turn again even if nobody posts, on arch_clock_ns(): its
 * first timer (or a little before, if that is far), 0 if at once (idle or
 * closing handles), ARCH_FOREVER if never. Context: [loop].
 */
uint64_t uv__loop_deadline_ns(uv_loop_t* loop);

/* Where the loop sleeps: for arch_wait() between doze and rouse. */
arch_waiter_t* uv__loop_waiter(uv_loop_t* loop);

/*
 * How uv_run() waits on this loop: `wait` returns when uv__loop_pending(), at
 * the deadline, or early for no reason. As made by uv_loop_init() it sleeps in
 * arch_wait(); on a CPU it should run jobs meanwhile.
 */
void uv__loop_wait_set(uv_loop_t* loop, uv__wait_fn wait);

/* Take all notes from the inbox into the loop's lists; true if there was one.
 * Context: [loop]. */
bool uv__loop_take(uv_loop_t* loop);

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

/* Awake again: posters need not interrupt. For CPUs, whose loops are never
 * freed. Context: [loop]. */
void uv__loop_rouse(uv_loop_t* loop);

/* Has something been posted since the last drain? Context: [any], [trap]. */
bool uv__loop_pending(const uv_loop_t* loop);

/* A note that uv__loop_forget() may be asked about begins with this. */
static inline void uv__note_init(uv__note_t* note, void (*run)(uv__note_t*)) {
  note->link.next = NULL;
  note->link.prev = NULL; /* so until the loop has taken it */
  note->run = run;
}


/*
 * A note whose owner's flag says that it is posted will not run any more: for
 * a close. Waits for a poster who is between the flag and the post, which
 * takes a few instructions. Context: [loop].
 */
void uv__loop_forget(uv_loop_t* loop, uv__note_t* note);

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

/*
 * A claimed job that has left its CPU is ready again: before all others of its
 * rank, or after them.
 *
 * Context:  [loop], on a CPU.
 * Returns:  a CPU that had asked for just this one, to be told, or
 *           ARCH_CPU_NONE.
 */
uint32_t uv__job_put_back(uvx_job_t* job, bool first);

/* It has parked: from here on uvx_wait_done() makes it ready. False if that
 * came before: go on with it. Context: [loop], on a CPU. */
bool uv__job_park(uvx_job_t* job);

/* It has ended: its stack is free, its loop is told. Context: [loop]. */
void uv__job_end(uvx_job_t* job);

/* ---- Inside one iteration: timer.c, watcher.c, async.c, metrics.c ---- */

void uv__timers_init(uv_loop_t* loop);
void uv__timers_run(uv_loop_t* loop);

/* Is a timer due at the loop's time? Sorts the wheel up to there. */
bool uv__timers_due(uv_loop_t* loop);

/* When the first timer is due, exactly, in ms; false without timers. */
bool uv__timers_first(uv_loop_t* loop, uint64_t* first);

/* The same or earlier, in bounded time: when to look again, in ms; UINT64_MAX
 * is never. After the loop's time if uv__timers_due() has just said no. */
uint64_t uv__timers_bound(uv_loop_t* loop);

void uv__watchers_init(uv_loop_t* loop);
void uv__prepare_run(uv_loop_t* loop);
void uv__check_run(uv_loop_t* loop);
void uv__idle_run(uv_loop_t* loop);

void uv__asyncs_init(uv_loop_t* loop);

/* Does this note belong to an async? */
bool uv__note_is_async(const uv__note_t* note);

/* Asyncs come from the inbox, the newest first: they are due now, or in the
 * next pass. The first function goes before any number of the second. */
void uv__asyncs_take(uv_loop_t* loop);
void uv__async_take(uv_loop_t* loop, uv__link_t* link);

/* A pass: first the notes, then the asyncs that have been taken. */
void uv__pass_begin(uv_loop_t* loop);
void uv__notes_run(uv_loop_t* loop);
void uv__asyncs_run(uv_loop_t* loop);

void uv__metrics_enter(uv_loop_t* loop);
void uv__metrics_leave(uv_loop_t* loop);

#endif /* EVSM_RUNTIME_INTERNAL_H */
