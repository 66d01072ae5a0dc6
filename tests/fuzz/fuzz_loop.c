/*
 * tests/fuzz/fuzz_loop.c - any order of operations on one loop.
 *
 * Goal:   whatever is opened, started, stopped, sent to and closed in whatever
 *         callback, the loop keeps its promises and its memory.
 * Method: the input's bytes are the operations, done between turns and inside
 *         callbacks. A small model says of each handle whether it is open,
 *         active and closing; the loop must agree after every step, call back
 *         only what is active, in the order of the phases, and close all.
 *
 * Handles lie in memory of their own that is freed in the close callback, so
 * that ASan sees whoever looks at them later.
 */
#include "runtime/uv.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define SLOTS 12
#define DEPTH_OPS 4 /* operations that one callback does at most */
#define STEPS_MAX 512

#define must(x) ((x) ? (void) 0 : abort())

typedef enum { TIMER, PREPARE, CHECK, IDLE, ASYNC, KINDS } kind_t;
typedef enum { FREE, OPEN, CLOSING } state_t;

/* In the order of a turn; NOWAIT has each once. */
typedef enum {
  IN_TIMERS,
  IN_IDLE,
  IN_PREPARE,
  IN_ASYNC,
  IN_CHECK,
  IN_CLOSE
} phase_t;

typedef union {
  uv_handle_t handle;
  uv_timer_t timer;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_async_t async;
} any_t;

static uv_loop_t loop;
static any_t* handles[SLOTS];
static state_t states[SLOTS];
static kind_t kinds[SLOTS];
static bool active[SLOTS];
static bool referenced[SLOTS];
static bool sent[SLOTS];
static phase_t phase;
static const uint8_t* input;
static size_t input_size;
static unsigned steps_left;

static unsigned next_byte(void) {
  if (input_size == 0)
    return 0;
  input_size--;
  return *input++;
}


/* The loop and the model agree on everything one may ask. */
static void agree(void) {
  bool alive = false;

  for (int i = 0; i < SLOTS; i++) {
    if (states[i] == FREE)
      continue;
    const uv_handle_t* h = &handles[i]->handle;
    must((uv_is_active(h) != 0) == active[i]);
    must((uv_has_ref(h) != 0) == referenced[i]);
    must((uv_is_closing(h) != 0) == (states[i] == CLOSING));
    alive = alive || (active[i] && referenced[i]) || states[i] == CLOSING;
  }
  /* In the closing phase those to be called next are off the loop's list. */
  if (phase != IN_CLOSE)
    must((uv_loop_alive(&loop) != 0) == alive);
}


static void act_some(unsigned count);


static int called(const void* handle, phase_t in) {
  int i = (int) (uintptr_t) ((const uv_handle_t*) handle)->data;

  must(in >= phase);
  phase = in;
  must((const void*) handles[i] == handle);
  must(states[i] == OPEN);
  return i;
}


static void on_timer(uv_timer_t* h) {
  int i = called(h, IN_TIMERS);

  must(active[i]);
  active[i] = uv_timer_get_repeat(h) != 0;
  act_some(next_byte() % DEPTH_OPS);
}


static void on_idle(uv_idle_t* h) {
  must(active[called(h, IN_IDLE)]);
  act_some(next_byte() % DEPTH_OPS);
}


static void on_prepare(uv_prepare_t* h) {
  must(active[called(h, IN_PREPARE)]);
  act_some(next_byte() % DEPTH_OPS);
}


static void on_async(uv_async_t* h) {
  int i = called(h, IN_ASYNC);

  must(sent[i]); /* once for any number of sends, and never without */
  sent[i] = false;
  act_some(next_byte() % DEPTH_OPS);
}


static void on_check(uv_check_t* h) {
  must(active[called(h, IN_CHECK)]);
  act_some(next_byte() % DEPTH_OPS);
}


static void on_closed(uv_handle_t* h) {
  int i = (int) (uintptr_t) h->data;

  phase = IN_CLOSE;
  must(states[i] == CLOSING);
  states[i] = FREE;
  free(handles[i]);
  handles[i] = NULL;
  act_some(next_byte() % DEPTH_OPS);
}


static void open_slot(int i, unsigned byte) {
  any_t* h = malloc(sizeof(*h));

  must(h != NULL);
  handles[i] = h;
  kinds[i] = (kind_t) (byte % KINDS);
  if (kinds[i] == TIMER)
    must(uv_timer_init(&loop, &h->timer) == 0);
  if (kinds[i] == PREPARE)
    must(uv_prepare_init(&loop, &h->prepare) == 0);
  if (kinds[i] == CHECK)
    must(uv_check_init(&loop, &h->check) == 0);
  if (kinds[i] == IDLE)
    must(uv_idle_init(&loop, &h->idle) == 0);
  if (kinds[i] == ASYNC)
    must(uv_async_init(&loop, &h->async, on_async) == 0);
  h->handle.data = (void*) (uintptr_t) i;
  states[i] = OPEN;
  active[i] = kinds[i] == ASYNC;
  referenced[i] = true;
  sent[i] = false;
}


static void start(int i, unsigned byte) {
  any_t* h = handles[i];

  if (kinds[i] == TIMER) {
    /* Due at once only between turns: in a callback it could be for ever. */
    uint64_t timeout = byte % 2 != 0 || phase == IN_TIMERS ? 1 : 0;
    must(uv_timer_start(&h->timer, on_timer, timeout << (byte % 64),
                        byte % 3 == 0 ? 1 : 0) == 0);
  }
  if (kinds[i] == PREPARE)
    must(uv_prepare_start(&h->prepare, on_prepare) == 0);
  if (kinds[i] == CHECK)
    must(uv_check_start(&h->check, on_check) == 0);
  if (kinds[i] == IDLE)
    must(uv_idle_start(&h->idle, on_idle) == 0);
  if (kinds[i] == ASYNC) {
    must(uv_async_send(&h->async) == 0);
    sent[i] = true;
  }
  active[i] = true;
}


static void stop(int i) {
  any_t* h = handles[i];

  if (kinds[i] == TIMER)
    must(uv_timer_stop(&h->timer) == 0);
  if (kinds[i] == PREPARE)
    must(uv_prepare_stop(&h->prepare) == 0);
  if (kinds[i] == CHECK)
    must(uv_check_stop(&h->check) == 0);
  if (kinds[i] == IDLE)
    must(uv_idle_stop(&h->idle) == 0);
  active[i] = kinds[i] == ASYNC;
}


static void close_slot(int i) {
  states[i] = CLOSING;
  active[i] = false;
  uv_close(&handles[i]->handle, on_closed);
}


static void act(void) {
  int i = (int) (next_byte() % SLOTS);
  unsigned byte = next_byte();

  if (states[i] == FREE) {
    open_slot(i, byte / 8);
  } else if (states[i] == OPEN) {
    if (byte % 8 < 3)
      start(i, byte / 8);
    else if (byte % 8 == 3)
      stop(i);
    else if (byte % 8 == 4)
      close_slot(i);
    else if (byte % 8 == 5)
      uv_stop(&loop);
    else if (byte % 8 == 6)
      uv_ref(&handles[i]->handle);
    else
      uv_unref(&handles[i]->handle);
    if (byte % 8 >= 6)
      referenced[i] = byte % 8 == 6;
  }
  agree();
}


static void act_some(unsigned count) {
  for (; count > 0 && input_size > 0 && steps_left > 0; count--) {
    steps_left--;
    act();
  }
}


int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  input = data;
  input_size = size;
  steps_left = STEPS_MAX;
  must(uv_loop_init(&loop) == 0);
  while (input_size > 0 && steps_left > 0) {
    phase = IN_TIMERS;
    act_some(1 + next_byte() % 8);
    phase = IN_TIMERS;
    (void) uv_run(&loop, UV_RUN_NOWAIT);
    phase = IN_TIMERS;
    agree();
  }
  input_size = 0;
  for (int i = 0; i < SLOTS; i++) {
    if (states[i] == OPEN)
      close_slot(i);
  }
  phase = IN_TIMERS;
  (void) uv_run(&loop, UV_RUN_NOWAIT); /* may have been stopped before */
  phase = IN_TIMERS;
  must(uv_run(&loop, UV_RUN_NOWAIT) == 0);
  must(uv_loop_close(&loop) == 0);
  return 0;
}
