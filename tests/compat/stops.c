/*
 * tests/compat/stops.c - uv_stop, before a run and from each phase.
 *
 * Goal:   the turn in which uv_stop is called goes on to its end without
 *         waiting, and the next run begins afresh.
 * Method: stop from one phase after the other, and say what still runs.
 */
#include "tests/compat/say.h"

typedef enum {
  IN_NONE,
  IN_TIMER,
  IN_IDLE,
  IN_PREPARE,
  IN_ASYNC,
  IN_CHECK,
  IN_CLOSE,
} phase_t;

static uv_loop_t loop;
static uv_timer_t timer;
static uv_timer_t far_timer;
static uv_idle_t idle;
static uv_prepare_t prepare;
static uv_check_t check;
static uv_async_t async;
static uv_timer_t victim;
static phase_t stop_in;
static int use_idle;

static void pass(phase_t phase, const char* name) {
  say("  %s%s", name, phase == stop_in ? ", stops the loop" : "");
  if (phase != stop_in)
    return;
  uv_stop(&loop);
  say("  now backend_timeout %d", uv_backend_timeout(&loop));
}


static void on_timer(uv_timer_t* handle) {
  (void) handle;
  pass(IN_TIMER, "timer");
}


static void on_far_timer(uv_timer_t* handle) {
  (void) handle;
  say("  the far timer: never");
}


static void on_idle(uv_idle_t* handle) {
  (void) handle;
  pass(IN_IDLE, "idle");
}


static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  pass(IN_PREPARE, "prepare");
  if (stop_in != IN_PREPARE)
    uv_async_send(&async);
}


static void on_async(uv_async_t* handle) {
  (void) handle;
  pass(IN_ASYNC, "async");
}


static void on_closed(uv_handle_t* handle) {
  (void) handle;
  pass(IN_CLOSE, "closing");
}


static void on_check(uv_check_t* handle) {
  (void) handle;
  pass(IN_CHECK, "check");
  if (!uv_is_closing(base_of(&victim)))
    uv_close(base_of(&victim), on_closed);
}


static void set_up(void) {
  must(uv_loop_init(&loop) == 0);
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_timer_init(&loop, &far_timer) == 0);
  must(uv_timer_init(&loop, &victim) == 0);
  must(uv_idle_init(&loop, &idle) == 0);
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  must(uv_async_init(&loop, &async, on_async) == 0);
  must(uv_timer_start(&timer, on_timer, 0, 0) == 0);
  must(uv_timer_start(&far_timer, on_far_timer, 3600000, 0) == 0);
  if (use_idle)
    must(uv_idle_start(&idle, on_idle) == 0);
  must(uv_prepare_start(&prepare, on_prepare) == 0);
  must(uv_check_start(&check, on_check) == 0);
}


static void try_stop(phase_t phase, const char* name, uv_run_mode mode) {
  stop_in = phase;
  set_up();
  say("stopped in %s, mode %d:", name, (int) mode);
  say("uv_run returned %d", uv_run(&loop, mode) != 0);
  say("the next turn:");
  stop_in = IN_NONE;
  say("uv_run returned %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  finish(&loop);
}


/* A stop before the run: DEFAULT, ONCE and NOWAIT return without a turn. */
static void try_stop_before(uv_run_mode mode) {
  stop_in = IN_NONE;
  set_up();
  uv_stop(&loop);
  uv_stop(&loop);
  say("stopped before, mode %d: backend_timeout %d", (int) mode,
      uv_backend_timeout(&loop));
  say("uv_run returned %d", uv_run(&loop, mode) != 0);
  say("a turn after that:");
  say("uv_run returned %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  finish(&loop);
}


static void try_stop_empty(void) {
  must(uv_loop_init(&loop) == 0);
  uv_stop(&loop);
  say("a stopped empty loop returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  must(uv_timer_init(&loop, &timer) == 0);
  stop_in = IN_NONE;
  must(uv_timer_start(&timer, on_timer, 1, 0) == 0);
  say("and then runs its timer:");
  say("uv_run returned %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);
}


int main(void) {
  static const char* const names[] = {"nothing", "timer", "idle",   "prepare",
                                      "async",   "check", "closing"};

  for (use_idle = 0; use_idle < 2; use_idle++) {
    say("idle %s:", use_idle ? "active" : "inactive");
    for (int phase = IN_TIMER; phase <= IN_CLOSE; phase++) {
      if (phase == IN_IDLE && !use_idle)
        continue;
      try_stop((phase_t) phase, names[phase], UV_RUN_DEFAULT);
      try_stop((phase_t) phase, names[phase], UV_RUN_NOWAIT);
      /* ONCE would wait for the far timer unless something wakes it. */
      if (phase != IN_CLOSE && phase != IN_CHECK)
        try_stop((phase_t) phase, names[phase], UV_RUN_ONCE);
    }
  }
  try_stop_before(UV_RUN_DEFAULT);
  try_stop_before(UV_RUN_ONCE);
  try_stop_before(UV_RUN_NOWAIT);
  try_stop_empty();
  return 0;
}
