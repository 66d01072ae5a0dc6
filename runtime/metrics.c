/*
 * runtime/metrics.c - how long a loop has been waiting.
 *
 * The promise: uv_metrics_idle_time() may be asked by any thread at any time,
 * also while the loop waits, and never counts a wait twice. The two figures
 * change together under a sequence number that is odd meanwhile; a reader who
 * saw it odd, or changed, reads again. Only the loop writes.
 */
#include "runtime/internal.h"

static void uv__metrics_set(uv_loop_t* loop, uint64_t idle, uint64_t since) {
  uv__shared_t* shared = uv__shared(loop);

  /* Sequentially consistent all of them: twice a wait is rare enough, and a
   * fence, which ThreadSanitizer does not know, is not needed. */
  atomic_fetch_add(&shared->idle_seq, 1);
  atomic_store(&shared->idle_ns, idle);
  atomic_store(&shared->idle_since_ns, since);
  atomic_fetch_add(&shared->idle_seq, 1);
}


void uv__metrics_enter(uv_loop_t* loop) {
  if ((loop->flags & UV__METRICS) == 0)
    return;
  uv__metrics_set(loop, atomic_load(&uv__shared(loop)->idle_ns),
                  arch_clock_ns());
}


void uv__metrics_leave(uv_loop_t* loop) {
  uv__shared_t* shared = uv__shared(loop);
  uint64_t since = atomic_load(&shared->idle_since_ns);

  if (since != 0)
    uv__metrics_set(loop,
                    atomic_load(&shared->idle_ns) + arch_clock_ns() - since, 0);
}


uint64_t uv_metrics_idle_time(uv_loop_t* loop) {
  uv__shared_t* shared = uv__shared(loop);
  uint32_t seq;
  uint64_t idle;
  uint64_t since;

  do { /* bounded: the loop changes it for a few instructions, twice a wait */
    seq = atomic_load(&shared->idle_seq);
    idle = atomic_load(&shared->idle_ns);
    since = atomic_load(&shared->idle_since_ns);
  } while ((seq & 1u) != 0 || seq != atomic_load(&shared->idle_seq));

  return since == 0 ? idle : idle + arch_clock_ns() - since;
}
