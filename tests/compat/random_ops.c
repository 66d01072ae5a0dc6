/*
 * tests/compat/random_ops.c - random programs, the same on both libraries.
 *
 *     random_ops [FIRST-SEED [COUNT]]
 *
 * Goal:   whatever is started, stopped, closed, sent to, referenced or opened
 *         in whatever callback: the log is the same.
 * Method: a seed makes a program over a few handles of all kinds. Each callback
 *         does some random operations, and all that happens is said, with the
 *         answers to what one may ask.
 *
 * Time. Most seeds know only timers that are due at once or in an hour. Every
 * eighth counts in milliseconds: each of its few steps waits for the next tick
 * of the loop's clock and must be over before the one after it. If the machine
 * was too slow for that, nothing of it is said and the seed is tried again.
 */
#include "tests/compat/say.h"

#include <sched.h>
#include <stdarg.h>

#define SLOTS 14
#define HOUR 3600000u
#define TICKS 3 /* what a loaded machine still gives us in one go */
#define ATTEMPTS_MAX 5000
#define LOG_SIZE 262144u

typedef enum { TIMER, PREPARE, CHECK, IDLE, ASYNC, KINDS } kind_t;
typedef enum { FREE, OPEN, CLOSING } state_t;

typedef struct {
  union {
    uv_handle_t handle;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_async_t async;
  } as; /* first, so that a handle's address is its slot's */
  kind_t kind;
  state_t state;
} slot_t;

static uv_loop_t loop;
static slot_t slots[SLOTS];
static uv_idle_t guard; /* keeps the loop from sleeping */
static int guard_turns;
static uint64_t rng;
static int budget; /* operations left, so that every seed ends */
static int ticking;
static char text[LOG_SIZE];
static size_t text_size;

__attribute__((format(printf, 1, 2))) static void note(const char* format,
                                                       ...) {
  va_list args;

  va_start(args, format);
  int size =
      vsnprintf(text + text_size, sizeof(text) - text_size, format, args);
  va_end(args);
  must(size >= 0);
  must((size_t) size < sizeof(text) - text_size);
  text_size += (size_t) size;
}


static unsigned pick(unsigned below) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return (unsigned) ((rng >> 11) % below);
}


static int index_of(const void* handle) {
  return (int) ((const slot_t*) handle - slots);
}


/* ---- Callbacks: two of each kind, to see that the right one is called ---- */

static void act_some(unsigned most);


static void called(const void* handle, const char* how) {
  note(" %s%d", how, index_of(handle));
  act_some(4);
}


static void on_timer(uv_timer_t* h) {
  called(h, "timer");
}


static void on_timer_2(uv_timer_t* h) {
  called(h, "TIMER");
}


static void on_prepare(uv_prepare_t* h) {
  called(h, "prepare");
}


static void on_prepare_2(uv_prepare_t* h) {
  called(h, "PREPARE");
}


static void on_check(uv_check_t* h) {
  called(h, "check");
}


static void on_check_2(uv_check_t* h) {
  called(h, "CHECK");
}


static void on_idle(uv_idle_t* h) {
  called(h, "idle");
}


static void on_idle_2(uv_idle_t* h) {
  called(h, "IDLE");
}


static void on_async(uv_async_t* h) {
  called(h, "async");
}


static void on_async_2(uv_async_t* h) {
  called(h, "ASYNC");
}


static void on_guard(uv_idle_t* h) {
  (void) h;
  note(" guard");
  if (--guard_turns <= 0)
    uv_stop(&loop);
}


static void on_closed(uv_handle_t* h) {
  slots[index_of(h)].state = FREE;
  called(h, "closed");
}


/* ---- Operations ---- */

static uint64_t some_time(void) {
  static const uint64_t ticks[] = {0, 1, 1, 2, 2, 3};
  static const uint64_t far_away[] = {0, 0, HOUR, 2 * HOUR, UINT64_MAX};

  return ticking ? ticks[pick(COUNT_OF(ticks))]
                 : far_away[pick(COUNT_OF(far_away))];
}


/* A period of less than an hour would depend on the clock. */
static uint64_t some_repeat(void) {
  return ticking ? pick(3) : pick(2) * HOUR;
}


static void open_slot(slot_t* s) {
  int err = UV_EINVAL;

  s->kind = (kind_t) pick(KINDS);
  s->state = OPEN;
  if (s->kind == TIMER)
    err = uv_timer_init(&loop, &s->as.timer);
  if (s->kind == PREPARE)
    err = uv_prepare_init(&loop, &s->as.prepare);
  if (s->kind == CHECK)
    err = uv_check_init(&loop, &s->as.check);
  if (s->kind == IDLE)
    err = uv_idle_init(&loop, &s->as.idle);
  if (s->kind == ASYNC)
    err = uv_async_init(&loop, &s->as.async, pick(2) ? on_async : on_async_2);
  note(" open%d(%d)=%d", index_of(s), (int) s->kind, err);
}


static int start(slot_t* s) {
  int other = pick(3) == 0;

  if (s->kind == TIMER) {
    uint64_t timeout = some_time();
    return uv_timer_start(&s->as.timer, other ? on_timer_2 : on_timer, timeout,
                          some_repeat());
  }
  if (s->kind == PREPARE)
    return uv_prepare_start(&s->as.prepare, other ? on_prepare_2 : on_prepare);
  if (s->kind == CHECK)
    return uv_check_start(&s->as.check, other ? on_check_2 : on_check);
  if (s->kind == IDLE)
    return uv_idle_start(&s->as.idle, other ? on_idle_2 : on_idle);
  return uv_async_send(&s->as.async);
}


static int stop(slot_t* s) {
  if (s->kind == TIMER)
    return uv_timer_stop(&s->as.timer);
  if (s->kind == PREPARE)
    return uv_prepare_stop(&s->as.prepare);
  if (s->kind == CHECK)
    return uv_check_stop(&s->as.check);
  if (s->kind == IDLE)
    return uv_idle_stop(&s->as.idle);
  return uv_async_send(&s->as.async);
}


static void tell(const slot_t* s) {
  const uv_handle_t* h = &s->as.handle;

  note(" [%d:%d%d%d", index_of(s), uv_is_active(h) != 0, uv_has_ref(h) != 0,
       uv_is_closing(h) != 0);
  if (s->kind == TIMER) {
    uint64_t due_in = uv_timer_get_due_in(&s->as.timer);
    int exact = ticking && uv_is_active(h);
    note(",%d,%d", (int) uv_timer_get_repeat(&s->as.timer),
         exact ? (int) due_in : -1);
  }
  note("]");
}


static void on_walk(uv_handle_t* h, void* arg) {
  int* closes = arg;

  if (h == base_of(&guard))
    return;
  tell(&slots[index_of(h)]);
  if (*closes > 0 && slots[index_of(h)].state == OPEN && pick(4) == 0) {
    --*closes;
    slots[index_of(h)].state = CLOSING;
    note(" close%d", index_of(h));
    uv_close(h, on_closed);
  }
}


static void ask_loop(void) {
  int timeout = uv_backend_timeout(&loop);

  if (timeout > 0 && !ticking)
    timeout = 1;
  if (ticking && timeout > (int) HOUR / 2)
    timeout = (int) HOUR;
  note(" alive%d timeout%d", uv_loop_alive(&loop) != 0, timeout);
}


static void act_on_open(slot_t* s) {
  int i = index_of(s);
  unsigned what = pick(20);

  if (what < 8) {
    note(" start%d", i);
    note("=%d", start(s));
  } else if (what < 11) {
    note(" stop%d", i);
    note("=%d", stop(s));
  } else if (what < 13 && s->kind == TIMER) {
    note(" again%d=%d", i, uv_timer_again(&s->as.timer));
  } else if (what < 14 && s->kind == TIMER) {
    note(" set_repeat%d", i);
    uv_timer_set_repeat(&s->as.timer, some_repeat());
  } else if (what < 15) {
    note(" ref%d", i);
    uv_ref(&s->as.handle);
  } else if (what < 16) {
    note(" unref%d", i);
    uv_unref(&s->as.handle);
  } else if (what < 18) {
    note(" close%d", i);
    s->state = CLOSING;
    uv_close(&s->as.handle, on_closed);
  }
  tell(s);
}


/* What one may still do with a handle between uv_close and its callback. */
static void act_on_closing(slot_t* s) {
  int i = index_of(s);
  unsigned what = pick(5);

  if (what == 0 && s->kind == TIMER)
    note(" start%d=%d", i, uv_timer_start(&s->as.timer, on_timer, 0, 0));
  if (what == 1)
    note(" stop%d=%d", i, stop(s));
  if (what == 2)
    uv_ref(&s->as.handle);
  if (what == 3)
    uv_unref(&s->as.handle);
  tell(s);
}


static void act(void) {
  slot_t* s = &slots[pick(SLOTS)];
  unsigned what = pick(40);

  if (what == 0) {
    note(" uv_stop");
    uv_stop(&loop);
  } else if (what == 1) {
    int closes = (int) pick(3);
    note(" walk");
    uv_walk(&loop, on_walk, &closes);
  } else if (what == 2) {
    ask_loop();
  } else if (s->state == FREE) {
    open_slot(s);
  } else if (s->state == OPEN) {
    act_on_open(s);
  } else {
    act_on_closing(s);
  }
}


static void act_some(unsigned most) {
  for (unsigned n = pick(most); n > 0 && budget > 0; n--) {
    budget--;
    act();
  }
  note("\n");
}


/* ---- One seed ---- */

static void run_once(void) {
  unsigned how = pick(5);
  uv_run_mode mode = UV_RUN_NOWAIT;

  guard_turns = 1000;
  if (how == 0) {
    mode = UV_RUN_DEFAULT;
    guard_turns = 1 + (int) pick(3);
  } else if (how == 1) {
    mode = UV_RUN_ONCE;
  }
  if (mode != UV_RUN_NOWAIT)
    must(uv_idle_start(&guard, on_guard) == 0);
  note("run %d:\n", (int) mode);
  int more = uv_run(&loop, mode) != 0;
  note("returned %d", more);
  must(uv_idle_stop(&guard) == 0);
  ask_loop();
}


/* Wait for the next tick, do a step in it; false if it took too long. */
static int step(void) {
  uint64_t tick = 0;

  if (ticking) {
    uv_update_time(&loop);
    tick = uv_now(&loop) + 1;
    while (uv_now(&loop) < tick)
      uv_update_time(&loop);
    if (uv_now(&loop) != tick)
      return 0;
  }
  act_some(ticking ? 12 : 5);
  run_once();
  uv_update_time(&loop);
  return !ticking || uv_now(&loop) == tick;
}


static int try_seed(unsigned seed) {
  int in_time = 1;
  uint64_t before = 0;

  rng = (seed + 1u) * 0x9e3779b97f4a7c15u;
  budget = 600;
  text_size = 0;
  memset(slots, 0, sizeof(slots));
  must(uv_loop_init(&loop) == 0);
  must(uv_idle_init(&loop, &guard) == 0);
  uv_unref(base_of(&guard));
  unsigned steps_left = ticking ? TICKS : 6 + pick(30);
  for (; steps_left > 0; steps_left--) {
    int first = before == 0;
    in_time = in_time && step();
    /* Steps must follow each other tick by tick, too. */
    if (ticking && !first && uv_now(&loop) != before + 1)
      in_time = 0;
    before = uv_now(&loop);
    if (!in_time)
      break;
  }
  budget = 0;
  note("closing all:\n");
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i].state == OPEN)
      uv_close(&slots[i].as.handle, on_closed);
  }
  uv_close(base_of(&guard), NULL);
  int turns = 0;
  while (uv_run(&loop, UV_RUN_NOWAIT) != 0)
    must(++turns < 10);
  note("loop close: %d\n", uv_loop_close(&loop));
  return in_time;
}


int main(int argc, char** argv) {
  unsigned first = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : 0;
  unsigned count = argc > 2 ? (unsigned) strtoul(argv[2], NULL, 10) : 240;

  if (argc == 2)
    count = 1;
  for (unsigned seed = first; seed < first + count; seed++) {
    int attempts = 0;
    ticking = seed % 8 == 7;
    while (!try_seed(seed)) {
      if (++attempts == ATTEMPTS_MAX) {
        say("seed %u: the machine is too slow", seed);
        return 1;
      }
      (void) sched_yield(); /* so that the next attempt begins a time slice */
    }
    say("seed %u:", seed);
    (void) fwrite(text, 1, text_size, stdout);
  }
  return 0;
}
