/*
 * runtime/strand.c - what is one per machine: one task at a time, on whichever
 * CPU drains.
 *
 *   tail -> [newest] <- ... <- [next] <- head     posts go in at the tail
 *
 *   count   tasks that were posted and not released. Who makes it 1 by a post,
 *           or leaves it above 0 by a release, has the strand run in its own
 *           loop: so there is one owner at a time, and never none.
 *
 * The promise: tasks run one at a time and none is lost; those of one poster
 * in the order of its posts. What a task did is seen by the next.
 *
 * A post is one exchange and one store (an intrusive queue with a stub, after
 * D. Vyukov); between the two the queue has a gap, and who finds one comes
 * back in its next turn instead of waiting.
 *
 * Of tasks that release at once STRAND_BATCH_MAX run in a row, then the loop's
 * other work comes.
 */
#include "runtime/internal.h"

#include <stdatomic.h>

#include "runtime/trace.h"

#define STRAND_BATCH_MAX 16u /* tasks in one go */

/* What a CPU drains now: a release inside the task's callback, on the same
 * CPU, is only noted here, and the drain goes on. */
typedef struct {
  _Alignas(ARCH_CACHE_LINE_SIZE) uvx_strand_t* strand;
  bool released;
} strand_drain_t;

static strand_drain_t drains[CPUS_MAX];
static _Atomic uint32_t strand_count;


static void strand_drain(uv__note_t* note);


/* Have it run in this CPU's loop. Context: we own the strand. */
static void strand_schedule(uvx_strand_t* strand) {
  uint32_t cpu = arch_cpu();

  ASSERT(cpu < CPUS_MAX);
  uv__loop_post(uvx_cpu_loop(cpu), &strand->note);
}


static void strand_push(uvx_strand_t* strand, uvx_task_t* task) {
  atomic_store_explicit(&task->next, NULL, memory_order_relaxed);
  uvx_task_t* before =
      atomic_exchange_explicit(&strand->tail, task, memory_order_acq_rel);
  /* Release: the task's words, to whoever follows the link. */
  atomic_store_explicit(&before->next, task, memory_order_release);
}


/* The oldest task, or NULL where somebody is between exchange and store. */
static uvx_task_t* strand_pop(uvx_strand_t* strand) {
  uvx_task_t* task = strand->head;
  uvx_task_t* next = atomic_load_explicit(&task->next, memory_order_acquire);

  if (task == &strand->stub) {
    if (next == NULL)
      return NULL;
    strand->head = task = next;
    next = atomic_load_explicit(&task->next, memory_order_acquire);
  }
  if (next == NULL) {
    /* It may be the last one: with the stub behind it, it can be taken out. */
    if (task == atomic_load_explicit(&strand->tail, memory_order_acquire))
      strand_push(strand, &strand->stub);
    next = atomic_load_explicit(&task->next, memory_order_acquire);
    if (next == NULL)
      return NULL;
  }
  strand->head = next;
  return task;
}


/* One task less; true if there are more, and we own the strand for them. */
static bool strand_less(uvx_strand_t* strand) {
  /* Release what this task did to the next owner; acquire what the last did. */
  uint32_t before =
      atomic_fetch_sub_explicit(&strand->count, 1, memory_order_acq_rel);

  ASSERT(before > 0);
  return before > 1;
}


static void strand_drain(uv__note_t* note) {
  uvx_strand_t* strand = container_of(note, uvx_strand_t, note);
  strand_drain_t* drain = &drains[arch_cpu()];

  for (uint32_t i = 0; i < STRAND_BATCH_MAX; i++) {
    uvx_task_t* task = strand_pop(strand);
    if (task == NULL)
      break;

    trace_strand_run(strand->number, strand->count);
    drain->strand = strand;
    drain->released = false;
    task->cb(task);
    drain->strand = NULL;
    if (!drain->released || !strand_less(strand))
      return; /* its release comes later or was elsewhere; or all is done */
  }
  strand_schedule(strand);
}


void uvx_strand_init(uvx_strand_t* strand) {
  memset(strand, 0, sizeof(*strand));
  atomic_init(&strand->tail, &strand->stub);
  strand->head = &strand->stub;
  strand->note.run = strand_drain;
  strand->number = atomic_fetch_add(&strand_count, 1) + 1;
}


void uvx_strand_post(uvx_strand_t* strand, uvx_task_t* task, uvx_task_cb cb) {
  ASSERT(cb != NULL);

  task->cb = cb;
  strand_push(strand, task);
  uint32_t before =
      atomic_fetch_add_explicit(&strand->count, 1, memory_order_acq_rel);
  trace_strand_post(strand->number, before);
  if (before == 0)
    strand_schedule(strand);
}


void uvx_strand_release(uvx_strand_t* strand) {
  uint32_t cpu = arch_cpu();
  ASSERT(cpu < CPUS_MAX);
  strand_drain_t* drain = &drains[cpu];

  if (drain->strand == strand) {
    ASSERT(!drain->released);
    drain->released = true;
    return;
  }
  if (strand_less(strand))
    strand_schedule(strand);
}
