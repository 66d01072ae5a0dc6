/*
 * runtime/wake.h - how anybody leaves a note for a loop, and when it must be
 * woken for it.
 *
 *   head:  empty --doze--> dozing --post--> note -> note -> ... --take--> empty
 *             \------------post-----------/
 *
 * One atomic word says both what waits (a stack of notes, the newest first)
 * and whether the loop dozes. A post and a doze are both read-modify-writes of
 * this word, so one comes before the other: either the doze finds the note and
 * fails, or the post finds the doze and its poster wakes the loop. A wake-up
 * can thus not be lost, and of all posters only the first one after a doze
 * pays for a wake. tests/models/wake.pml is this protocol as a model.
 *
 * A note is in at most one inbox, once: its owner keeps a flag. After a push
 * that needs no wake the poster touches neither note nor loop again.
 *
 * Not here: who sleeps and how (arch/arch.h), what notes do (async.c, job.c).
 */
#ifndef EVSM_RUNTIME_WAKE_H
#define EVSM_RUNTIME_WAKE_H

#include "runtime/base.h"
#include "runtime/uv.h"

#include <stdatomic.h>

/* All zeroes is empty and awake. */
typedef struct {
  _Atomic(uv__link_t*) head;
} uv__inbox_t;

/* Stands for "empty, and the loop dozes"; never a note's address. */
#define UV__INBOX_DOZING ((uv__link_t*) 1)

/*
 * Context:  [any], [trap]. Lock-free.
 * Returns:  true if the loop dozed: the caller, and nobody else, must wake it.
 */
static inline bool uv__inbox_push(uv__inbox_t* inbox, uv__note_t* note) {
  uv__link_t* head =
      atomic_load_explicit(&inbox->head, memory_order_relaxed); /* a guess */

  do {
    note->link.next = head == UV__INBOX_DOZING ? NULL : head;
    /* Release: the note, and all that came before it, to whoever takes it. */
  } while (!atomic_compare_exchange_weak_explicit(
      &inbox->head, &head, &note->link, memory_order_release,
      memory_order_relaxed));
  return head == UV__INBOX_DOZING;
}


/* Is there a note? Context: [any], [trap]. */
static inline bool uv__inbox_pending(const uv__inbox_t* inbox) {
  /* Relaxed: only a hint; who then takes it acquires. */
  uv__link_t* head = atomic_load_explicit(&inbox->head, memory_order_relaxed);

  return head != NULL && head != UV__INBOX_DOZING;
}


/*
 * Take all notes, the newest first, linked by `next` up to NULL.
 *
 * Context:  [loop], awake.
 */
static inline uv__link_t* uv__inbox_take(uv__inbox_t* inbox) {
  if (!uv__inbox_pending(inbox))
    return NULL; /* saves the locked exchange in a quiet iteration */
  /* Acquire: pairs with the pushes' release. */
  return atomic_exchange_explicit(&inbox->head, NULL, memory_order_acquire);
}


/* From empty to dozing; false, and nothing changed, if there is a note.
 * Context: [loop]. */
static inline bool uv__inbox_doze(uv__inbox_t* inbox) {
  uv__link_t* empty = NULL;

  /* Release, so that who wakes us finds all that we did before; nothing is
   * taken, so nothing need be acquired. */
  return atomic_compare_exchange_strong_explicit(
      &inbox->head, &empty, UV__INBOX_DOZING, memory_order_release,
      memory_order_relaxed);
}


/* Awake again. True if somebody posted since the doze, and so wakes, or will
 * wake, us. Context: [loop]. */
static inline bool uv__inbox_rouse(uv__inbox_t* inbox) {
  uv__link_t* dozing = UV__INBOX_DOZING;

  /* Relaxed: taking the notes is another step, and acquires. */
  return !atomic_compare_exchange_strong_explicit(
      &inbox->head, &dozing, NULL, memory_order_relaxed, memory_order_relaxed);
}

#endif /* EVSM_RUNTIME_WAKE_H */
