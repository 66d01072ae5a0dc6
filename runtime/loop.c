/*
 * runtime/loop.c - the loop: its phases, its inbox, its waiting.
 *
 *   update time -> timers -> idle -> prepare -> poll -> check -> closing
 *                                                \ wait if nothing is due;
 *                                                  notes, then asyncs
 *
 * The promise: the phases, their order and what uv_run() returns are those of
 * libuv 1.44.2, to the iteration: where there a byte in an eventfd makes the
 * next poll return at once, here UV__AGAIN does. An iteration that does not
 * wait makes no system call.
 *
 * Other threads, CPUs and traps reach a loop only through its inbox (wake.h)
 * and its idle time (metrics.c). All else belongs to whoever runs the loop.
 *
 * Not here: the lists that the phases walk (timer.c, watcher.c, async.c), how
 * a CPU fills its waiting with jobs (cpu.c).
 */
#include "runtime/internal.h"

#include <stdarg.h>

#define UV__SIGPROF 27 /* the one signal UV_LOOP_BLOCK_SIGNAL takes */
#define UV__NS_PER_MS 1000000u
#define UV__TIMEOUT_MAX 0x7fffffff /* ms: what an int holds on all machines */

_Static_assert(sizeof(uv__shared_t) <= sizeof(((uv_loop_t*) 0)->shared),
               "uv.h leaves room for what threads share");
_Static_assert(_Alignof(uv__shared_t) <= _Alignof(uint64_t),
               "and it is aligned there");

static uv_loop_t uv__loop_default;
static bool uv__loop_default_ready;

/* ---- Birth and end ---- */

static void uv__poke_run(uv__note_t* note) {
  uv__shared_t* shared = container_of(note, uv__shared_t, poke);

  /* Release: it is out of the inbox before the next wake may post it. */
  atomic_store_explicit(&shared->poked, 0, memory_order_release);
}


static void uv__wait_here(uv_loop_t* loop, uint64_t deadline_ns) {
  uv__shared_t* shared = uv__shared(loop);

  if (!uv__inbox_doze(&shared->inbox))
    return;
  bool woken = arch_wait(&shared->waiter, deadline_ns);

  /* Who found us dozing owes a wake and touches the loop until then; we may
   * not go on, and perhaps free it, before that has come. */
  if (uv__inbox_rouse(&shared->inbox)) {
    while (!woken)
      woken = arch_wait(&shared->waiter, ARCH_FOREVER);
  }
}


int uv_loop_init(uv_loop_t* loop) {
  void* data = loop->data;

  /* The slots of the wheel need no zeroes: they begin when first used. */
  memset(loop, 0, offsetof(uv_loop_t, wheel));
  loop->data = data;
  uv__list_init(&loop->handle_queue);
  uv__watchers_init(loop);
  uv__asyncs_init(loop);

  uv__shared_t* shared = uv__shared(loop);
  arch_waiter_init(&shared->waiter);
  uv__note_init(&shared->poke, uv__poke_run);
  shared->wait = uv__wait_here;

  uv_update_time(loop);
  uv__timers_init(loop);
  return 0;
}


int uv_loop_close(uv_loop_t* loop) {
  if (loop->active_reqs.count != 0)
    return UV_EBUSY;
  if (!uv__list_empty(&loop->handle_queue))
    return UV_EBUSY;

  if (loop == &uv__loop_default)
    uv__loop_default_ready = false;
  return 0;
}


uv_loop_t* uv_default_loop(void) {
  if (!uv__loop_default_ready) {
    if (uv_loop_init(&uv__loop_default) != 0)
      return NULL;
    uv__loop_default_ready = true;
  }
  return &uv__loop_default;
}


int uv_loop_configure(uv_loop_t* loop, uv_loop_option option, ...) {
  va_list args;
  int signum;

  switch (option) {
    case UV_METRICS_IDLE_TIME:
      loop->flags |= UV__METRICS;
      return 0;

    case UV_LOOP_BLOCK_SIGNAL:
      va_start(args, option);
      signum = va_arg(args, int);
      va_end(args);
      return signum == UV__SIGPROF ? 0 : UV_EINVAL;
  }
  return UV_ENOSYS;
}


size_t uv_loop_size(void) {
  return sizeof(uv_loop_t);
}


void* uv_loop_get_data(const uv_loop_t* loop) {
  return loop->data;
}


void uv_loop_set_data(uv_loop_t* loop, void* data) {
  loop->data = data;
}


/* ---- Time ---- */

uint64_t uv_hrtime(void) {
  return arch_clock_ns();
}


void uv_update_time(uv_loop_t* loop) {
  uint64_t ns = arch_clock_coarse_ns();

  if (ns <= loop->time_ns)
    return; /* the wheel must not be asked to turn back, whatever the clock */
  loop->time_ns = ns;
  loop->time = ns / UV__NS_PER_MS;
}


uint64_t uv_now(const uv_loop_t* loop) {
  return loop->time;
}


/* `from_ns` and the ms until `when_ms`, which may be past or out of reach. */
static uint64_t uv__deadline(const uv_loop_t* loop,
                             uint64_t from_ns,
                             uint64_t when_ms) {
  if (when_ms == UINT64_MAX)
    return ARCH_FOREVER;
  if (when_ms <= loop->time)
    return from_ns;

  uint64_t ms = when_ms - loop->time;
  if (ms > (UINT64_MAX - 1 - from_ns) / UV__NS_PER_MS)
    return ARCH_FOREVER; /* in 500 years: never */
  return from_ns + ms * UV__NS_PER_MS;
}


uint64_t uv__loop_deadline_ns(uv_loop_t* loop) {
  if ((loop->flags & UV__AGAIN) != 0 || loop->closing_handles != NULL ||
      !uv__list_empty(&loop->idle.list))
    return 0;
  return uv__deadline(loop, loop->time_ns, uv__timers_bound(loop));
}


/* ---- The inbox ---- */

void uv__loop_post(uv_loop_t* loop, uv__note_t* note) {
  uv__shared_t* shared = uv__shared(loop);

  if (uv__inbox_push(&shared->inbox, note))
    arch_wake(&shared->waiter); /* last: then the loop may go */
}


void uv__loop_wake(uv_loop_t* loop) {
  uv__shared_t* shared = uv__shared(loop);

  /* Acquire pairs with the release in uv__poke_run: the note is out. */
  if (atomic_exchange_explicit(&shared->poked, 1, memory_order_acq_rel) == 0)
    uv__loop_post(loop, &shared->poke);
}


bool uv__loop_doze(uv_loop_t* loop) {
  return uv__inbox_doze(&uv__shared(loop)->inbox);
}


void uv__loop_rouse(uv_loop_t* loop) {
  (void) uv__inbox_rouse(&uv__shared(loop)->inbox);
}


bool uv__loop_pending(const uv_loop_t* loop) {
  return uv__inbox_pending(&uv__shared(loop)->inbox);
}


arch_waiter_t* uv__loop_waiter(uv_loop_t* loop) {
  return &uv__shared(loop)->waiter;
}


void uv__loop_wait_set(uv_loop_t* loop, uv__wait_fn wait) {
  uv__shared(loop)->wait = wait;
}


/* One pass, from the newest to the oldest, each put before the one that was
 * posted after it: a million asyncs are a million cache misses. */
bool uv__loop_take(uv_loop_t* loop) {
  uv__link_t* link = uv__inbox_take(&uv__shared(loop)->inbox);
  uv__link_t* place = loop->notes.prev;

  if (link == NULL)
    return false;
  uv__asyncs_take(loop);
  while (link != NULL) { /* bounded: by what was posted before the take */
    uv__link_t* older = link->next;

    if (uv__note_is_async(container_of(link, uv__note_t, link)))
      uv__async_take(loop, link);
    else
      uv__list_insert(place, link);
    link = older;
  }
  return true;
}


void uv__loop_forget(uv_loop_t* loop, uv__note_t* note) {
  while (note->link.prev == NULL) {
    /* What is taken here out of turn must turn the loop as it would have. */
    if (uv__loop_take(loop))
      loop->flags |= UV__AGAIN;
    else
      arch_relax();
  }
  uv__list_remove(&note->link);
  note->link.prev = NULL;
}


void uv__notes_run(uv_loop_t* loop) {
  uv__link_t due;
  uv__link_t* link;

  /* Set aside: what is posted meanwhile has its turn in the next poll. */
  uv__list_move(&loop->notes, &due);
  while ((link = uv__list_shift(&due)) != NULL) {
    uv__note_t* note = container_of(link, uv__note_t, link);

    note->link.prev = NULL;
    note->run(note);
  }
}


/* ---- Running ---- */

void uv__req_begin(uv_loop_t* loop) {
  loop->active_reqs.count++;
}


void uv__req_end(uv_loop_t* loop) {
  ASSERT(loop->active_reqs.count > 0);
  loop->active_reqs.count--;
}


void uv_stop(uv_loop_t* loop) {
  loop->stop_flag = 1;
}


int uv_loop_alive(const uv_loop_t* loop) {
  return loop->active_handles > 0 || loop->active_reqs.count > 0 ||
         loop->closing_handles != NULL;
}


/* As libuv sees it, also from a callback of an idle handle: then those that
 * are yet to be called do not count. */
static bool uv__has_idle(const uv_loop_t* loop) {
  const uv__link_t* first = loop->idle.list.next;

  return first != &loop->idle.list && first != loop->idle.next;
}


/* May the loop wait at all? */
static bool uv__may_wait(const uv_loop_t* loop) {
  if (loop->stop_flag != 0)
    return false;
  if (loop->active_handles == 0 && loop->active_reqs.count == 0)
    return false;
  return !uv__has_idle(loop) && loop->closing_handles == NULL;
}


int uv_backend_timeout(const uv_loop_t* loop) {
  uv_loop_t* own = (uv_loop_t*) (uintptr_t) loop; /* to note what was found */

  /* As in libuv, whose first poll has files to register. */
  if ((loop->flags & UV__POLLED) == 0 || !uv__may_wait(loop))
    return 0;

  uint64_t first;
  if (!uv__timers_first(own, &first))
    return -1;
  if (first <= loop->time)
    return 0;
  return first - loop->time > UV__TIMEOUT_MAX ? UV__TIMEOUT_MAX
                                              : (int) (first - loop->time);
}


/* Until a note has come, or the first timer is due. */
static bool uv__wait(uv_loop_t* loop) {
  bool taken = false;

  while (!taken && !uv__timers_due(loop)) {
    uint64_t bound = uv__timers_bound(loop);
    uint64_t deadline = bound == UINT64_MAX
                            ? ARCH_FOREVER
                            /* From now, not from the loop's time: that may be
                             * older, and a timer must not be early. */
                            : uv__deadline(loop, arch_clock_ns(), bound);

    uv__metrics_enter(loop);
    uv__shared(loop)->wait(loop, deadline);
    uv__metrics_leave(loop);
    taken = uv__loop_take(loop);
    uv_update_time(loop);
  }
  return taken;
}


static void uv__poll(uv_loop_t* loop, bool may_wait) {
  bool taken = uv__loop_take(loop) || (loop->flags & UV__AGAIN) != 0;

  loop->flags = (loop->flags | UV__POLLED) & ~UV__AGAIN;
  if (taken || !may_wait)
    uv_update_time(loop);
  else
    taken = uv__wait(loop);

  if (taken) {
    uv__pass_begin(loop);
    uv__notes_run(loop);
    uv__asyncs_run(loop);
  }
}


static void uv__iterate(uv_loop_t* loop, uv_run_mode mode) {
  uv_update_time(loop);
  uv__timers_run(loop);

  bool had_idle = uv__has_idle(loop);
  uv__idle_run(loop);
  uv__prepare_run(loop);

  bool may_wait = mode == UV_RUN_DEFAULT || (mode == UV_RUN_ONCE && !had_idle);
  uv__poll(loop, may_wait && uv__may_wait(loop));

  uv__check_run(loop);
  uv__handles_finish(loop);
}


int uv_run(uv_loop_t* loop, uv_run_mode mode) {
  int alive = uv_loop_alive(loop);

  if (!alive)
    uv_update_time(loop);

  while (alive && loop->stop_flag == 0) {
    uv__iterate(loop, mode);
    if (mode == UV_RUN_ONCE) {
      /* The wait may have ended because a timer became due: it is why the
       * caller asked for one iteration. */
      uv_update_time(loop);
      uv__timers_run(loop);
    }
    alive = uv_loop_alive(loop);
    if (mode != UV_RUN_DEFAULT)
      break;
  }

  loop->stop_flag = 0;
  return alive;
}


bool uv__loop_turn(uv_loop_t* loop) {
  uv__iterate(loop, UV_RUN_NOWAIT);
  return uv__loop_pending(loop) || uv__timers_due(loop) ||
         uv__loop_deadline_ns(loop) == 0;
}
