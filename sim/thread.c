/*
 * sim/thread.c - arch/arch.h for a program without CPUs: libevsm-uv.a.
 *
 * Loops run on whatever threads the program has; there are no interrupts and
 * no preemption. Jobs run to their end on worker threads, UV_THREADPOOL_SIZE
 * of them (4 unless set, at most 1024), which start with the first job.
 *
 *   worker:  RUNS -> SEARCHES -> ASLEEP
 *             ^--------/  ^--------/ taken from the list and woken
 *
 * The promise: no job waits while a worker sleeps, and yet few jobs cost a
 * wake. Whoever makes a job ready wakes a sleeper only if nobody searches; a
 * searcher who finds a job, being the last one, wakes another if there is
 * more. The last to fall asleep is woken first: it may still be spinning, and
 * then costs no system call either (sim/futex.c).
 *
 * At exit the workers finish what is queued and are joined, as libuv's are.
 * After fork() the child has no workers and forgets what was queued, as with
 * libuv; loops that it opens itself get new workers with their first job.
 *
 * Not here: which jobs there are (runtime/job.c), clocks (sim/host.c).
 */
#include "arch/arch.h"
#include "runtime/uvx.h"
#include "sim/futex.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_DEFAULT 4u
#define THREADS_MAX 1024u /* libuv's */
#define THREAD_SPINS_TO_YIELD                    \
  1000u /* then who we spin for may need our CPU \
         */

typedef struct worker_s {
  pthread_t thread;
  arch_waiter_t waiter;
  struct worker_s* next; /* among the sleepers */
} worker_t;

/* Changed only under `lock`, but read without it: in one order (seq_cst) with
 * the word behind uvx_job_ready(). Who makes a job ready writes that, then
 * reads these; who falls asleep writes these, then reads that. So one of the
 * two sees the other. */
static struct {
  _Atomic uint32_t searching;
  _Atomic uint32_t asleep;
  pthread_mutex_t lock;
  worker_t* sleepers;
  bool ends;
  worker_t* workers;
  uint32_t count;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static _Thread_local void* thread_here;
static _Thread_local uint32_t thread_spins;


/* ---- Workers ---- */

/* Under the lock: the last sleeper searches from here on. */
static worker_t* thread_rouse(void) {
  worker_t* worker = pool.sleepers;

  ASSERT(worker != NULL);
  pool.sleepers = worker->next;
  atomic_fetch_add(&pool.searching, 1);
  atomic_fetch_sub(&pool.asleep, 1);
  return worker;
}


/* A job is ready: see to it that somebody searches. */
static void thread_notify(void) {
  worker_t* worker = NULL;

  if (atomic_load(&pool.searching) != 0 || atomic_load(&pool.asleep) == 0)
    return;
  pthread_mutex_lock(&pool.lock);
  if (atomic_load(&pool.searching) == 0 && atomic_load(&pool.asleep) != 0)
    worker = thread_rouse();
  pthread_mutex_unlock(&pool.lock);
  if (worker != NULL)
    arch_futex_wake(&worker->waiter);
}


/* From searching to asleep and, woken, to searching again; or straight back if
 * there is a job after all. False if it is time to end. */
static bool thread_sleep(worker_t* self) {
  pthread_mutex_lock(&pool.lock);
  atomic_fetch_add(&pool.asleep, 1);
  atomic_fetch_sub(&pool.searching, 1);
  bool ends = pool.ends;
  bool stays = ends || uvx_job_ready();

  if (stays) {
    atomic_fetch_add(&pool.searching, 1);
    atomic_fetch_sub(&pool.asleep, 1);
  } else {
    self->next = pool.sleepers;
    pool.sleepers = self;
  }
  pthread_mutex_unlock(&pool.lock);

  if (stays)
    return !ends || uvx_job_ready();
  while (!arch_futex_wait(&self->waiter, ARCH_FOREVER))
    MAYBE(self->next == NULL); /* a signal came, or nothing at all */
  return true;
}


static void* thread_main(void* arg) {
  worker_t* self = arg;

  arch_futex_init(&self->waiter);
  atomic_fetch_add(&pool.searching, 1);
  for (;;) {
    uvx_job_t* job = uv__job_take();

    if (job == NULL) {
      if (thread_sleep(self))
        continue;
      break;
    }
    if (atomic_fetch_sub(&pool.searching, 1) == 1 && uvx_job_ready())
      thread_notify();
    uv__job_run_here(job);
    atomic_fetch_add(&pool.searching, 1);
  }
  atomic_fetch_sub(&pool.searching, 1);
  return NULL;
}


/* ---- Beginning and end ---- */

static uint32_t thread_count_wanted(void) {
  const char* text = getenv("UV_THREADPOOL_SIZE");

  if (text == NULL)
    return THREADS_DEFAULT;
  long count = strtol(text, NULL, 10);
  if (count == 0)
    return 1; /* as libuv takes it; what is no number is 0, too */
  return count < 0 || count > THREADS_MAX ? THREADS_MAX : (uint32_t) count;
}


/* In the child of a fork there is no thread but ours, and what the others held
 * or were changing stays as it was: begin anew. If a job has forked, we are a
 * worker, whose memory must stay. */
static void thread_forked(void) {
  if (thread_here == NULL)
    free(pool.workers);
  uv__jobs_forget();
  atomic_store(&pool.searching, 0);
  atomic_store(&pool.asleep, 0);
  pool.lock = (pthread_mutex_t) PTHREAD_MUTEX_INITIALIZER;
  pool.sleepers = NULL;
  pool.workers = NULL;
  pool.count = 0;
  pool_once = (pthread_once_t) PTHREAD_ONCE_INIT;
}


static void thread_start(void) {
  static bool watches_forks;

  if (!watches_forks)
    watches_forks = pthread_atfork(NULL, NULL, thread_forked) == 0;
  uint32_t count = thread_count_wanted();

  pool.workers = calloc(count, sizeof(*pool.workers));
  ASSERT(pool.workers != NULL);
  while (pool.count < count &&
         pthread_create(&pool.workers[pool.count].thread, NULL, thread_main,
                        &pool.workers[pool.count]) == 0)
    pool.count++;
  ASSERT(pool.count > 0); /* no thread at all: jobs would wait for ever */
}


__attribute__((destructor)) static void thread_end(void) {
  pthread_mutex_lock(&pool.lock);
  pool.ends = true;
  while (pool.sleepers != NULL)
    arch_futex_wake(&thread_rouse()->waiter);
  pthread_mutex_unlock(&pool.lock);

  for (uint32_t i = 0; i < pool.count; i++) {
    if (pthread_equal(pool.workers[i].thread, pthread_self()))
      return; /* a job has called exit() */
    pthread_join(pool.workers[i].thread, NULL);
  }
  free(pool.workers);
  pool.workers = NULL;
  pool.count = 0;
}


void arch_job_ready(void) {
  pthread_once(&pool_once, thread_start);
  thread_notify();
}


/* ---- A thread in place of a CPU ---- */

uint32_t arch_cpu(void) {
  return ARCH_CPU_NONE;
}


void* arch_here(void) {
  return thread_here;
}


void arch_here_set(void* what) {
  thread_here = what;
}


void arch_relax(void) {
  if (++thread_spins % THREAD_SPINS_TO_YIELD == 0)
    sched_yield();
  __builtin_ia32_pause();
}


void arch_waiter_init(arch_waiter_t* waiter) {
  arch_futex_init(waiter);
}


bool arch_wait(arch_waiter_t* waiter, uint64_t deadline_ns) {
  return arch_futex_wait(waiter, deadline_ns);
}


void arch_wake(arch_waiter_t* waiter) {
  arch_futex_wake(waiter);
}


bool arch_interrupts_close(void) {
  return false; /* there are none: closed for ever */
}


void arch_interrupts_open(void) {
}


bool arch_can_preempt(void) {
  return false;
}


_Noreturn void base_panic(const char* file, int line, const char* what) {
  char text[512];
  int size =
      snprintf(text, sizeof(text), "libevsm-uv: %s:%d: %s\n", file, line, what);

  if (size > 0 && write(STDERR_FILENO, text, strlen(text)) < 0)
    abort(); /* nobody to tell */
  abort();
}


/* ---- What only CPUs have, and nobody asks for here ---- */

uint64_t arch_stolen_ns(void) {
  ASSERT(false);
  return 0;
}


void arch_timer_arm(uint64_t deadline_ns) {
  (void) deadline_ns;
  ASSERT(false);
}


void* arch_stack(uint32_t index, size_t* size) {
  (void) index;
  (void) size;
  ASSERT(false);
  return NULL;
}


void arch_context_init(arch_context_t* context,
                       void* stack,
                       size_t stack_size,
                       void (*entry)(void*),
                       void* arg) {
  (void) context;
  (void) stack;
  (void) stack_size;
  (void) entry;
  (void) arg;
  ASSERT(false);
}


void arch_context_switch(arch_context_t* from, arch_context_t* to) {
  (void) from;
  (void) to;
  ASSERT(false);
}
