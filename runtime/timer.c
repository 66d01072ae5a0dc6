/*
 * runtime/timer.c - timers: libuv's rules over a hierarchical timing wheel.
 *
 *   level 0:   64 slots of 1 ms          slot of a timer that is due at E,
 *   level 1:   64 slots of 64 ms         seen from `now`: the level is the
 *   ...                                  highest 6-bit digit in which E and
 *   level 10:  16 slots of 2^60 ms       now differ, the slot E's digit there
 *
 * Start, stop and restart are O(1), whatever the number of timers. When `now`
 * reaches the first slot of a higher level, that slot is dealt out to the
 * levels below, in order.
 *
 * The promise: timers run in order of (due, start), exact to the millisecond,
 * however far the clock jumps. A timer's slot is a function of (E, now) alone,
 * so all timers of one E are always in the same list, each start appends, and
 * dealing out keeps order: the list order *is* the start order, and no number
 * of the start is kept.
 *
 * `now` is a lower bound of all E. It goes forward only up to the first slot
 * in use, at most to the loop's time, so no slot of any timer changes by it.
 *
 * Left: a heap (libuv's), which costs log n cache misses a start.
 */
#include "runtime/internal.h"

#define UV__WHEEL_BITS 6u
#define UV__WHEEL_MASK (UV__WHEEL_SLOTS - 1u)
#define UV__WHEEL_LOOK_MAX 64u /* timers that uv__timers_bound() looks at */

_Static_assert(1u << UV__WHEEL_BITS == UV__WHEEL_SLOTS, "a digit is a slot");
_Static_assert(UV__WHEEL_BITS* UV__WHEEL_LEVELS >= 64,
               "all times have a place");

/* ---- The wheel ---- */

static void uv__wheel_add(uv__wheel_t* wheel, uv_timer_t* timer) {
  ASSERT(timer->timeout >= wheel->now);

  uint64_t differ = timer->timeout ^ wheel->now;
  unsigned level =
      differ == 0 ? 0
                  : (63u - (unsigned) __builtin_clzll(differ)) / UV__WHEEL_BITS;
  unsigned slot =
      (unsigned) (timer->timeout >> (level * UV__WHEEL_BITS)) & UV__WHEEL_MASK;
  uv__link_t* head = &wheel->slots[level][slot];

  if ((wheel->used[level] >> slot & 1u) == 0) {
    wheel->used[level] |= UINT64_C(1) << slot;
    wheel->levels |= 1u << level;
    uv__list_init(head); /* an unused slot holds nothing, not even itself */
  }
  uv__list_append(head, &timer->link);
}


static void uv__wheel_clear(uv__wheel_t* wheel, unsigned level, unsigned slot) {
  wheel->used[level] &= ~(UINT64_C(1) << slot);
  if (wheel->used[level] == 0)
    wheel->levels &= ~(1u << level);
}


static void uv__wheel_remove(uv__wheel_t* wheel, uv_timer_t* timer) {
  uv__link_t* next = timer->link.next;

  uv__list_remove(&timer->link);
  if (next == timer->link.prev) { /* it was alone: this is the head */
    unsigned index = (unsigned) (next - &wheel->slots[0][0]);
    uv__wheel_clear(wheel, index / UV__WHEEL_SLOTS, index & UV__WHEEL_MASK);
  }
  if (timer->timeout == wheel->first)
    wheel->first_known = 0; /* maybe it was the only one of its time */
}


/* The first slot in use: it holds the first timer, for each level's slots come
 * before all of the next level's. False if there is no timer. */
static bool uv__wheel_front(const uv__wheel_t* wheel,
                            unsigned* level,
                            unsigned* slot,
                            uint64_t* begin) {
  if (wheel->levels == 0)
    return false;
  *level = (unsigned) __builtin_ctz(wheel->levels);
  *slot = (unsigned) __builtin_ctzll(wheel->used[*level]);

  unsigned shift = *level * UV__WHEEL_BITS;
  /* Two shifts, for the digits above the top level are 66 bits up. */
  uint64_t above = wheel->now >> shift >> UV__WHEEL_BITS;
  *begin = (above << UV__WHEEL_BITS | *slot) << shift;
  return true;
}


/* Deal a slot's timers out to the levels below. */
static void uv__wheel_deal(uv__wheel_t* wheel, unsigned level, unsigned slot) {
  uv__link_t all;
  uv__link_t* link;

  uv__list_move(&wheel->slots[level][slot], &all);
  uv__wheel_clear(wheel, level, slot);
  for (link = all.next; link != &all;) {
    uv__link_t* next = link->next;

    __builtin_prefetch(next->next);
    uv__wheel_add(wheel, container_of(link, uv_timer_t, link));
    link = next;
  }
}


/* The first timer if it is due at `time`, else NULL. */
static uv_timer_t* uv__wheel_due(uv__wheel_t* wheel, uint64_t time) {
  unsigned level;
  unsigned slot;
  uint64_t begin;

  if (wheel->first_known && wheel->first > time)
    return NULL;
  while (uv__wheel_front(wheel, &level, &slot, &begin)) {
    if (begin > time)
      break;
    wheel->now = begin;
    if (level == 0)
      return container_of(wheel->slots[0][slot].next, uv_timer_t, link);
    uv__wheel_deal(wheel, level, slot); /* bounded: each goes down a level */
  }
  wheel->now = time;
  return NULL;
}


/* When the first timer is due, from at most `look_max` timers: exact if they
 * suffice, else when its slot begins. UINT64_MAX if there is no timer. */
static uint64_t uv__wheel_first(uv__wheel_t* wheel, uint64_t look_max) {
  unsigned level;
  unsigned slot;
  uint64_t first;

  if (!uv__wheel_front(wheel, &level, &slot, &first))
    return UINT64_MAX;
  if (wheel->first_known)
    return wheel->first;

  if (level != 0) {
    uv__link_t* head = &wheel->slots[level][slot];
    uint64_t least = UINT64_MAX;

    for (uv__link_t* link = head->next; link != head; link = link->next) {
      if (look_max-- == 0)
        return first;
      uv_timer_t* timer = container_of(link, uv_timer_t, link);
      if (timer->timeout < least)
        least = timer->timeout;
    }
    first = least;
  }
  wheel->first = first;
  wheel->first_known = 1;
  return first;
}


/* ---- For the loop ---- */

void uv__timers_init(uv_loop_t* loop) {
  uv__wheel_t* wheel = &loop->wheel;

  wheel->now = loop->time;
  wheel->first = 0;
  wheel->first_known = 0;
  wheel->levels = 0;
  memset(wheel->used, 0, sizeof(wheel->used));
}


bool uv__timers_due(uv_loop_t* loop) {
  return uv__wheel_due(&loop->wheel, loop->time) != NULL;
}


bool uv__timers_first(uv_loop_t* loop, uint64_t* first) {
  if (loop->wheel.levels == 0)
    return false;
  *first = uv__wheel_first(&loop->wheel, UINT64_MAX);
  return true;
}


uint64_t uv__timers_bound(uv_loop_t* loop) {
  return uv__wheel_first(&loop->wheel, UV__WHEEL_LOOK_MAX);
}


/* As in libuv 1.44.2, what a callback starts with no timeout runs at once, in
 * the same phase. */
void uv__timers_run(uv_loop_t* loop) {
  uv_timer_t* timer;

  while ((timer = uv__wheel_due(&loop->wheel, loop->time)) != NULL) {
    uv_timer_stop(timer);
    uv_timer_again(timer);
    timer->timer_cb(timer); /* last: it may close and, later, free it */
  }
}


void uv__timer_close(uv_timer_t* handle) {
  uv_timer_stop(handle);
}


/* ---- For everybody ---- */

int uv_timer_init(uv_loop_t* loop, uv_timer_t* handle) {
  uv__handle_init(loop, (uv_handle_t*) handle, UV_TIMER);
  handle->timer_cb = NULL;
  handle->timeout = 0;
  handle->repeat = 0;
  return 0;
}


int uv_timer_start(uv_timer_t* handle,
                   uv_timer_cb cb,
                   uint64_t timeout,
                   uint64_t repeat) {
  if ((handle->flags & (UV__CLOSING | UV__CLOSED)) != 0 || cb == NULL)
    return UV_EINVAL;

  uv_loop_t* loop = handle->loop;
  uv__wheel_t* wheel = &loop->wheel;
  if ((handle->flags & UV__ACTIVE) != 0)
    uv__wheel_remove(wheel, handle);
  else
    uv__handle_start((uv_handle_t*) handle);

  uint64_t due = loop->time + timeout;
  if (due < timeout)
    due = UINT64_MAX;
  handle->timer_cb = cb;
  handle->timeout = due;
  handle->repeat = repeat;

  uv__wheel_add(wheel, handle);
  if (wheel->first_known && due < wheel->first)
    wheel->first = due;
  return 0;
}


int uv_timer_stop(uv_timer_t* handle) {
  if ((handle->flags & UV__ACTIVE) == 0)
    return 0;
  uv__wheel_remove(&handle->loop->wheel, handle);
  uv__handle_stop((uv_handle_t*) handle);
  return 0;
}


int uv_timer_again(uv_timer_t* handle) {
  if (handle->timer_cb == NULL)
    return UV_EINVAL;
  if (handle->repeat != 0) {
    /* A closing timer is at rest, and is not started: no error, as libuv. */
    uv_timer_stop(handle);
    uv_timer_start(handle, handle->timer_cb, handle->repeat, handle->repeat);
  }
  return 0;
}


void uv_timer_set_repeat(uv_timer_t* handle, uint64_t repeat) {
  handle->repeat = repeat;
}


uint64_t uv_timer_get_repeat(const uv_timer_t* handle) {
  return handle->repeat;
}


uint64_t uv_timer_get_due_in(const uv_timer_t* handle) {
  if (handle->loop->time >= handle->timeout)
    return 0;
  return handle->timeout - handle->loop->time;
}
