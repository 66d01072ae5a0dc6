/*
 * runtime/job.c - work that may take seconds, beside loops that may not wait.
 *
 *   REST -> QUEUED -> RUNNING <-> PAUSED      (another CPU, or the same)
 *             |        |   ^
 *             |        v   |
 *             |       PARKED                  (uvx_job_await)
 *             v        v
 *            DONE <----+  -> REST, then done_cb in the loop that submitted
 *
 * The promise: a job that was taken is called back exactly once, in its own
 * loop. Ready jobs run by priority; of one priority, in the order in which
 * they became ready, and one that had to leave for an event goes on first. A
 * job that has no stack yet never holds back one that has.
 *
 * JOBS_RUNNING_MAX stacks are shared by all CPUs, and jobs that have begun
 * keep theirs until they end, parked ones too. A few are kept for the higher
 * priorities, so that a crowd below can't lock those out.
 *
 * The queue is one per machine, behind a spinlock: it is taken for a few dozen
 * instructions, with interrupts closed, so a job that holds it is not
 * preempted.
 *
 * Not here: how a CPU runs a job (cpu.c), nor a thread (sim/thread.c); the
 * switch of stacks (sim/context.c).
 */
#include "runtime/internal.h"

#include <stdatomic.h>

#include "runtime/trace.h"

/* What a wait's state says. */
typedef enum {
  WAIT_REST,
  WAIT_PARKED, /* the job is parked, or its thread blocked */
  WAIT_DONE,   /* the status is there */
  WAIT_WOKEN   /* and nobody touches the wait any more (threads only) */
} wait_state_t;

typedef struct {
  uvx_job_t* head;
  uvx_job_t* tail;
} job_list_t;

/* So many stacks a rank leaves to those above it. */
static const uint32_t stacks_kept[UV__RANKS_MAX] = {0, 2, 1, 0};

_Static_assert(JOBS_RUNNING_MAX > 2 && JOBS_RUNNING_MAX <= 32, "one bit each");

static struct {
  _Atomic uint32_t lock;
  job_list_t fresh[UV__RANKS_MAX]; /* QUEUED: have no stack yet */
  job_list_t begun[UV__RANKS_MAX]; /* PAUSED */
  uint64_t order;                  /* grows with each that becomes ready */
  uint64_t number;                 /* of jobs so far */
  uint32_t stacks;                 /* a bit for each that is taken */
  _Atomic uint32_t rank_ready;     /* the best that a CPU could run */
} jobs;

static const uv__job_host_t* job_host;


void uv__job_host_set(const uv__job_host_t* host) {
  job_host = host;
}


/* Relaxed, for nothing is handed over by it, but by the lock, the exchange of
 * a wait or the post of the note; whoever reads it without these only guesses.
 */
static void job_state_set(uvx_job_t* job, uvx_job_state_t state) {
  atomic_store_explicit(&job->state, state, memory_order_relaxed);
}


/* ---- The queue, under its lock ---- */

/* Returns what job_unlock() wants back. */
static bool job_lock(void) {
  bool opened = arch_interrupts_close();

  while (atomic_exchange_explicit(&jobs.lock, 1, memory_order_acquire) != 0)
    while (atomic_load_explicit(&jobs.lock, memory_order_relaxed) != 0)
      arch_relax();
  return opened;
}


uint32_t uv__job_rank(const uvx_job_t* job) {
  static const uint32_t ranks[JOB_PRIORITIES_MAX] = {
      [UVX_JOB_NORMAL] = 2, [UVX_JOB_HIGH] = 3, [UVX_JOB_IDLE] = 1};

  return ranks[job->priority];
}


static bool job_stack_free(uint32_t rank) {
  uint32_t taken = (uint32_t) __builtin_popcount(jobs.stacks);

  return taken + stacks_kept[rank] < JOBS_RUNNING_MAX;
}


/* Of one rank: the job that is to run next, or NULL. */
static uvx_job_t* job_next_of(uint32_t rank) {
  uvx_job_t* begun = jobs.begun[rank].head;
  uvx_job_t* fresh = jobs.fresh[rank].head;

  if (fresh == NULL || (job_host != NULL && !job_stack_free(rank)))
    return begun;
  if (begun != NULL && begun->order < fresh->order)
    return begun;
  return fresh;
}


static uvx_job_t* job_next(void) {
  for (uint32_t rank = UV__RANKS_MAX - 1; rank > 0; rank--) {
    uvx_job_t* job = job_next_of(rank);
    if (job != NULL)
      return job;
  }
  return NULL;
}


static void job_unlock(bool opened) {
  const uvx_job_t* next = job_next();

  uint32_t rank = next == NULL ? 0 : uv__job_rank(next);

  /* In one order with what cpu.c says of CPUs that halt or begin a job: either
   * they see this job, or whoever announces it sees them. That order needs a
   * locked store; if the rank stays, the store that set it is part of the
   * order, and came before us by the lock. */
  if (atomic_load_explicit(&jobs.rank_ready, memory_order_relaxed) != rank)
    atomic_store(&jobs.rank_ready, rank);
  atomic_store_explicit(&jobs.lock, 0, memory_order_release);
  if (opened)
    arch_interrupts_open();
}


static job_list_t* job_list_of(const uvx_job_t* job) {
  uint32_t rank = uv__job_rank(job);

  if (job->state == UVX_JOB_QUEUED)
    return &jobs.fresh[rank];
  ASSERT(job->state == UVX_JOB_PAUSED);
  return &jobs.begun[rank];
}


static void job_push(uvx_job_t* job, bool first) {
  job_list_t* list = job_list_of(job);

  job->next = first ? list->head : NULL;
  job->prev = first ? NULL : list->tail;
  if (job->next != NULL)
    job->next->prev = job;
  else
    list->tail = job;
  if (job->prev != NULL)
    job->prev->next = job;
  else
    list->head = job;
  if (!first)
    job->order = ++jobs.order;
}


static void job_remove(uvx_job_t* job) {
  job_list_t* list = job_list_of(job);

  if (job->next != NULL)
    job->next->prev = job->prev;
  else
    list->tail = job->prev;
  if (job->prev != NULL)
    job->prev->next = job->next;
  else
    list->head = job->next;
  job->next = NULL;
  job->prev = NULL;
}


/* Who asked for it is told once: it asks again if it still wants it. */
static uint32_t job_forget_asked(uvx_job_t* job) {
  uint32_t cpu = job->cpu_asked;

  job->cpu_asked = ARCH_CPU_NONE;
  return cpu;
}


static void job_stack_take(uvx_job_t* job) {
  uint32_t index = (uint32_t) __builtin_ctz(~jobs.stacks);

  ASSERT(index < JOBS_RUNNING_MAX);
  jobs.stacks |= 1u << index;
  job->stack_index = index;
}


/* Somebody must come to know of a job that has become ready. */
static void job_announce(uint32_t cpu_asked) {
  if (job_host != NULL)
    job_host->ready(cpu_asked);
  else
    arch_job_ready();
}


/* ---- From submit to done ---- */

/* In the loop of the job: the end of its way. */
static void job_delivered(uv__note_t* note) {
  uvx_job_t* job = container_of(note, uvx_job_t, note);

  ASSERT(job->state == UVX_JOB_DONE);
  job_state_set(job, UVX_JOB_REST);
  uv__req_end(job->loop);
  if (job->done_cb != NULL)
    job->done_cb(job, job->status);
}


int uvx_job_submit(uv_loop_t* loop,
                   uvx_job_t* job,
                   uvx_job_priority_t priority,
                   uvx_job_cb work_cb,
                   uvx_job_done_cb done_cb) {
  if (work_cb == NULL)
    return UV_EINVAL;
  ASSERT(priority < JOB_PRIORITIES_MAX);

  job->loop = loop;
  job->work_cb = work_cb;
  job->done_cb = done_cb;
  job->priority = priority;
  job->status = 0;
  job->wait = NULL;
  job->waiter = NULL;
  job->cpu_last = ARCH_CPU_NONE;
  job->cpu_asked = ARCH_CPU_NONE;
  job->slice_count = 0;
  job->ran_ns = 0;
  uv__note_init(&job->note, job_delivered);
  uv__req_begin(loop);

  bool opened = job_lock();
  job->trace_id = ++jobs.number;
  job_state_set(job, UVX_JOB_QUEUED);
  job_push(job, false);
  uint64_t trace_id = job->trace_id;
  job_unlock(opened);
  trace_job_queue(trace_id, (uint64_t) priority);
  job_announce(ARCH_CPU_NONE);
  return 0;
}


int uvx_job_cancel(uvx_job_t* job) {
  bool opened = job_lock();
  bool taken = job->state == UVX_JOB_QUEUED;

  if (taken) {
    job_remove(job);
    job_state_set(job, UVX_JOB_DONE);
    job->status = UV_ECANCELED;
  }
  job_unlock(opened);

  if (!taken)
    return UV_EBUSY;
  uv__loop_post(job->loop, &job->note);
  return 0;
}


uvx_job_t* uv__job_claim(uvx_job_t* wanted, uint32_t cpu) {
  bool opened = job_lock();
  uvx_job_t* job = wanted == NULL ? job_next() : wanted;

  if (wanted != NULL) {
    wanted->cpu_asked = cpu;
    if (wanted->state == UVX_JOB_QUEUED) {
      if (!job_stack_free(uv__job_rank(wanted)))
        job = NULL;
    } else if (wanted->state != UVX_JOB_PAUSED) {
      job = NULL; /* it runs elsewhere, is parked, or has ended */
    }
  }
  if (job != NULL) {
    job_remove(job);
    if (job->state == UVX_JOB_QUEUED)
      job_stack_take(job);
    job_state_set(job, UVX_JOB_RUNNING);
  }
  job_unlock(opened);
  return job;
}


uint32_t uv__job_put_back(uvx_job_t* job, bool first) {
  bool opened = job_lock();
  uint32_t cpu_asked = job_forget_asked(job);

  ASSERT(job->state == UVX_JOB_RUNNING);
  job_state_set(job, UVX_JOB_PAUSED);
  job_push(job, first);
  job_unlock(opened);
  return cpu_asked;
}


void uv__job_end(uvx_job_t* job) {
  ASSERT(job->state == UVX_JOB_RUNNING);

  job_state_set(job, UVX_JOB_DONE);
  if (job_host != NULL) {
    bool opened = job_lock();
    jobs.stacks &= ~(1u << job->stack_index);
    job_unlock(opened); /* there may be a job that wants it */
  }
  uv__loop_post(job->loop, &job->note);
}


uint32_t uv__job_rank_ready(void) {
  return atomic_load(&jobs.rank_ready);
}


bool uvx_job_ready(void) {
  return uv__job_rank_ready() != 0;
}


/* ---- Parking ---- */

bool uv__job_park(uvx_job_t* job) {
  uint32_t rest = WAIT_REST;

  /* First the state: from the exchange on the job may be ready, run and end
   * before we have gone on. */
  job_state_set(job, UVX_JOB_PARKED);
  if (atomic_compare_exchange_strong(&job->wait->state, &rest, WAIT_PARKED))
    return true;
  ASSERT(rest == WAIT_DONE);
  job_state_set(job, UVX_JOB_RUNNING);
  return false;
}


void uvx_wait_done(uvx_wait_t* wait, int status) {
  bool opened = arch_interrupts_close();
  wait->status = status;
  uint32_t before = atomic_exchange(&wait->state, WAIT_DONE);
  ASSERT(before == WAIT_REST || before == WAIT_PARKED);

  if (before == WAIT_PARKED) {
    uvx_job_t* job = wait->job; /* still parked: it is ours to wake */
    if (job_host == NULL) {
      arch_wake(job->waiter);
      atomic_store(&wait->state, WAIT_WOKEN);
    } else {
      job_lock();
      ASSERT(job->state == UVX_JOB_PARKED);
      job_state_set(job, UVX_JOB_PAUSED);
      uint32_t cpu_asked = job_forget_asked(job);
      job_push(job, false);
      job_unlock(false);
      job_announce(cpu_asked);
    }
  }
  if (opened)
    arch_interrupts_open();
}


/* On a worker thread: block it. The waiter lies on this stack, so we stay
 * until whoever woke us has said that it is done with it. */
static void job_block(uvx_job_t* job, uvx_wait_t* wait) {
  arch_waiter_t waiter;
  uint32_t rest = WAIT_REST;

  arch_waiter_init(&waiter);
  job->waiter = &waiter;
  job_state_set(job, UVX_JOB_PARKED);
  if (atomic_compare_exchange_strong(&wait->state, &rest, WAIT_PARKED)) {
    while (atomic_load(&wait->state) == WAIT_PARKED)
      arch_wait(&waiter, ARCH_FOREVER);
    while (atomic_load(&wait->state) != WAIT_WOKEN)
      arch_relax();
  }
  job_state_set(job, UVX_JOB_RUNNING);
  job->waiter = NULL;
}


int uvx_job_await(uvx_wait_t* wait) {
  uvx_job_t* job = uvx_job_self();
  ASSERT(job != NULL);

  wait->job = job;
  if (atomic_load(&wait->state) != WAIT_DONE) {
    if (job_host == NULL) {
      job_block(job, wait);
    } else {
      job->wait = wait;
      ASSERT(arch_interrupts_close());
      job_host->leave(UV__LEAVE_PARK);
      arch_interrupts_open();
    }
  }

  int status = wait->status;
  atomic_store(&wait->state, WAIT_REST);
  return status;
}


/* ---- Inside a job ---- */

uvx_job_t* uvx_job_self(void) {
  return arch_here();
}


void uvx_job_yield(void) {
  if (job_host == NULL || uvx_job_self() == NULL)
    return;

  if (!arch_interrupts_close())
    return; /* whoever closed them may hold what others need */
  job_host->leave(UV__LEAVE_SLICE);
  arch_interrupts_open();
}


void uvx_job_checkpoint(void) {
  if (job_host == NULL || job_host->poll == NULL || uvx_job_self() == NULL)
    return;

  if (!arch_interrupts_close())
    return; /* as above */
  uv__leave_t why = job_host->poll();
  if (why != UV__STAY)
    job_host->leave(why);
  arch_interrupts_open();
}


/* ---- Without CPUs ---- */

void uv__jobs_forget(void) {
  memset(&jobs, 0, sizeof(jobs)); /* 0 in the lock, too: nobody holds it */
}


uvx_job_t* uv__job_take(void) {
  bool opened = job_lock();
  uvx_job_t* job = job_next();

  if (job != NULL) {
    job_remove(job);
    job_state_set(job, UVX_JOB_RUNNING);
  }
  job_unlock(opened);
  return job;
}


void uv__job_run_here(uvx_job_t* job) {
  ASSERT(job->state == UVX_JOB_RUNNING);

  arch_here_set(job);
  job->work_cb(job);
  arch_here_set(NULL);
  uv__job_end(job);
}
