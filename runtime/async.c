/*
 * runtime/async.c - asyncs: any thread, CPU or trap wakes a loop.
 *
 *   state:   IDLE --send--> PENDING --the loop calls back--> IDLE
 *   place:   -              inbox, then asyncs_due           -
 *   close:   any of them -> CLOSED -send-> CLOSED_SENT
 *
 * The promise: a send is never lost, costs one relaxed load while an earlier
 * one is pending, and never wakes a loop that is awake. A pass over the asyncs
 * visits only those that are due, in the order in which libuv would come to
 * them: that of the loop's list, which is the order of init, except that what
 * a callback inits comes right after the async (or before all, if it is the
 * callback of a finished work) that is being visited. `rank` grows along that
 * list, so an order costs a comparison.
 *
 * What a callback sends goes out in the same pass if its rank is still ahead,
 * else in the next poll, which then does not wait.
 *
 * Not here: the inbox (wake.h), who sleeps (arch/arch.h).
 */
#include "runtime/internal.h"

#define UV__RANK_STEP (UINT64_C(1) << 32) /* between neighbours, at first */
#define UV__RANK_NEAR (UINT64_C(1) << 10) /* for those put in between */

/* How far a send from a callback is looked for a place among those due, from
 * either end. If that fails it goes out in the next poll: a bound is worth
 * more than libuv's order among more than so many at once. */
#define UV__ASYNC_LOOK_MAX 1024u

typedef enum {
  UV__ASYNC_IDLE,
  UV__ASYNC_PENDING,
  UV__ASYNC_CLOSED,
  UV__ASYNC_CLOSED_SENT
} uv__async_state_t;

/* uv.h, which C++ reads too, declares it as a plain number. */
typedef struct {
  _Atomic uint32_t value;
} __attribute__((may_alias)) uv__state_t;

_Static_assert(sizeof(uv__state_t) == sizeof(((uv_async_t*) 0)->state),
               "an async's state is one atomic word");

static uv__state_t* uv__async_state(uv_async_t* async) {
  return (uv__state_t*) &async->state;
}


static uv_async_t* uv__async_of(uv__link_t* link) {
  return container_of(link, uv_async_t, note.link);
}


/* Marks the note of an async: never called, for asyncs are called in order of
 * rank and not of sending. */
static void uv__async_run(uv__note_t* note) {
  (void) note;
  ASSERT(false);
}


bool uv__note_is_async(const uv__note_t* note) {
  return note->run == uv__async_run;
}


void uv__asyncs_init(uv_loop_t* loop) {
  uv__list_init(&loop->notes);
  uv__list_init(&loop->asyncs);
  uv__list_init(&loop->asyncs_due);
  uv__list_init(&loop->asyncs_late);
}


/* ---- Ranks ---- */

static uint64_t uv__rank_at(const uv_loop_t* loop, const uv__link_t* place) {
  return place == &loop->asyncs ? 0
                                : container_of(place, uv_async_t, link)->rank;
}


/* All anew, in order, as wide apart as at first. */
static void uv__ranks_spread(uv_loop_t* loop) {
  uint64_t rank = 0;

  for (uv__link_t* link = loop->asyncs.next; link != &loop->asyncs;
       link = link->next)
    container_of(link, uv_async_t, link)->rank = rank += UV__RANK_STEP;
}


/* Give `async`, which is in the list already, a rank between its neighbours'.
 * Only after a billion inits, or a thousand in one narrow place, is there no
 * room; then all are spread. */
static void uv__rank_give(uv_loop_t* loop, uv_async_t* async) {
  uint64_t before = uv__rank_at(loop, async->link.prev);

  if (async->link.next == &loop->asyncs) {
    if (before < UINT64_MAX - UV__RANK_STEP)
      async->rank = before + UV__RANK_STEP;
    else
      uv__ranks_spread(loop);
    return;
  }

  uint64_t room = uv__rank_at(loop, async->link.next) - before;
  uint64_t step = room / 2 < UV__RANK_NEAR ? room / 2 : UV__RANK_NEAR;
  if (step != 0)
    async->rank = before + step;
  else
    uv__ranks_spread(loop);
}


/* ---- Init, send, close ---- */

int uv_async_init(uv_loop_t* loop, uv_async_t* async, uv_async_cb async_cb) {
  uv__handle_init(loop, (uv_handle_t*) async, UV_ASYNC);
  uv__handle_start((uv_handle_t*) async);
  async->async_cb = async_cb;
  uv__note_init(&async->note, uv__async_run);
  /* Relaxed: nobody else knows it yet. */
  atomic_store_explicit(&uv__async_state(async)->value, UV__ASYNC_IDLE,
                        memory_order_relaxed);

  if (loop->async_cursor == NULL) {
    uv__list_append(&loop->asyncs, &async->link);
  } else {
    uv__list_insert(loop->async_cursor, &async->link);
    loop->async_cursor = &async->link;
  }
  uv__rank_give(loop, async);
  return 0;
}


/* The first send since the callback, or one after the close. */
static void uv__async_send_first(uv_async_t* async, uint32_t seen) {
  uv_loop_t* loop = async->loop; /* once posted, `async` is not ours */
  uint32_t next =
      seen == UV__ASYNC_IDLE ? UV__ASYNC_PENDING : UV__ASYNC_CLOSED_SENT;
  bool open = arch_interrupts_close(); /* a job must not stop in between */

  /* Release: what the sender did before, to the callback; the post that
   * follows releases it as well, but a coalesced send relies on this. */
  if (atomic_compare_exchange_strong_explicit(&uv__async_state(async)->value,
                                              &seen, next, memory_order_acq_rel,
                                              memory_order_relaxed)) {
    if (next == UV__ASYNC_PENDING)
      uv__loop_post(loop, &async->note);
    else
      uv__loop_wake(loop); /* as libuv: nobody is called, the loop turns */
  }
  if (open)
    arch_interrupts_open();
}


int uv_async_send(uv_async_t* async) {
  /* Relaxed: if it is pending, its callback is yet to come. */
  uint32_t seen = atomic_load_explicit(&uv__async_state(async)->value,
                                       memory_order_relaxed);

  if (seen == UV__ASYNC_IDLE || seen == UV__ASYNC_CLOSED)
    uv__async_send_first(async, seen);
  return 0;
}


void uv__async_close(uv_async_t* async) {
  uv_loop_t* loop = async->loop;

  /* Acquire: whoever sets PENDING before posts, and the post is waited for. */
  if (atomic_exchange_explicit(&uv__async_state(async)->value, UV__ASYNC_CLOSED,
                               memory_order_acq_rel) == UV__ASYNC_PENDING)
    uv__loop_forget(loop, &async->note);

  if (loop->async_cursor == &async->link)
    loop->async_cursor = async->link.prev;
  uv__list_remove(&async->link);
  uv__handle_stop((uv_handle_t*) async);
}


/* ---- Taking and calling back ---- */

/* Merge two runs that are sorted by rank; `a` and `b` end with NULL. */
static uv__link_t* uv__asyncs_merge(uv__link_t* a, uv__link_t* b) {
  uv__link_t* first = NULL;
  uv__link_t** last = &first;

  while (a != NULL && b != NULL) {
    uv__link_t** least =
        uv__async_of(a)->rank < uv__async_of(b)->rank ? &a : &b;

    *last = *least;
    last = &(*least)->next;
    *least = (*least)->next;
  }
  *last = a != NULL ? a : b;
  return first;
}


/* Sort a list of notes by rank: a merge sort over the runs that are sorted
 * already, so what was sent in order of init costs one pass. */
static void uv__asyncs_sort(uv__link_t* list) {
  uv__link_t* runs[64] = {NULL}; /* runs[i]: 2^i runs merged */
  uv__link_t* link = list->next;

  list->prev->next = NULL;
  while (link != NULL) {
    uv__link_t* run = link;
    uv__link_t* end = link;

    while (end->next != NULL &&
           uv__async_of(end)->rank < uv__async_of(end->next)->rank)
      end = end->next;
    link = end->next;
    end->next = NULL;

    unsigned i = 0;
    for (; runs[i] != NULL; i++) {
      run = uv__asyncs_merge(runs[i], run);
      runs[i] = NULL;
    }
    runs[i] = run;
  }

  for (unsigned i = 0; i < ARRAY_SIZE(runs); i++)
    link = uv__asyncs_merge(runs[i], link);
  uv__list_init(list);
  while (link != NULL) {
    uv__link_t* next = link->next;

    uv__list_append(list, link);
    link = next;
  }
}


/* Before a pass: after those that were taken earlier, before those that were
 * sent later. Mostly that is the order of ranks. */
static void uv__async_late(uv_loop_t* loop, uv__link_t* link) {
  uv__link_t* head = &loop->asyncs_late;
  uv__link_t* place = loop->async_place;
  uint64_t rank = uv__async_of(link)->rank;

  if ((place != head && uv__async_of(place)->rank > rank) ||
      (place->next != head && uv__async_of(place->next)->rank < rank))
    loop->flags |= UV__UNSORTED;
  uv__list_insert(place, link);
}


/* Put one that was sent in a pass among those still due in it. */
static void uv__async_place(uv_loop_t* loop, uv__link_t* link) {
  uint64_t rank = uv__async_of(link)->rank;
  uv__link_t* head = &loop->asyncs_due;
  uv__link_t* front = head;
  uv__link_t* back = head->prev;

  /* Its turn in this pass is over: it waits for the next poll. */
  if (rank <= uv__rank_at(loop, loop->async_cursor)) {
    uv__async_late(loop, link);
    return;
  }
  for (unsigned i = 0; i < UV__ASYNC_LOOK_MAX; i++) {
    if (back == head || uv__async_of(back)->rank < rank) {
      uv__list_insert(back, link);
      return;
    }
    if (uv__async_of(front->next)->rank > rank) {
      uv__list_insert(front, link);
      return;
    }
    back = back->prev;
    front = front->next; /* not past the end: `back` would have met it */
  }
  uv__async_late(loop, link);
}


void uv__asyncs_take(uv_loop_t* loop) {
  loop->async_place = loop->asyncs_late.prev;
}


void uv__async_take(uv_loop_t* loop, uv__link_t* link) {
  if (loop->async_cursor != NULL)
    uv__async_place(loop, link);
  else
    uv__async_late(loop, link);
}


/* What has been taken before a pass is due in it. */
static void uv__asyncs_ready(uv_loop_t* loop) {
  ASSERT(uv__list_empty(&loop->asyncs_due));

  uv__list_move(&loop->asyncs_late, &loop->asyncs_due);
  /* Those that were out of order may have been closed meanwhile, all of them.
   */
  if ((loop->flags & UV__UNSORTED) != 0 && !uv__list_empty(&loop->asyncs_due))
    uv__asyncs_sort(&loop->asyncs_due);
  loop->flags &= ~UV__UNSORTED;
}


void uv__pass_begin(uv_loop_t* loop) {
  loop->async_cursor = &loop->asyncs; /* a new async goes first for now */
  uv__asyncs_ready(loop);
}


/* What was sent meanwhile may be due in this pass. The next poll is then short,
 * as it would be if it found that itself. */
static uv__link_t* uv__asyncs_next(uv_loop_t* loop) {
  if (uv__inbox_pending(&uv__shared(loop)->inbox)) {
    uv__loop_take(loop);
    loop->flags |= UV__AGAIN;
  }
  return uv__list_shift(&loop->asyncs_due);
}


void uv__asyncs_run(uv_loop_t* loop) {
  uv__link_t* link;

  while ((link = uv__asyncs_next(loop)) != NULL) {
    uv_async_t* async = uv__async_of(link);

    link->prev = NULL;
    loop->async_cursor = &async->link;
    /* Acquire: what each sender did before its send. From here on a send
     * posts anew. */
    atomic_exchange_explicit(&uv__async_state(async)->value, UV__ASYNC_IDLE,
                             memory_order_acq_rel);
    if (async->async_cb != NULL)
      async->async_cb(async); /* `async` may be closed after this */
  }
  loop->async_cursor = NULL;
}
