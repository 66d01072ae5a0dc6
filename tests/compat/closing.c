/*
 * tests/compat/closing.c - handles close in two steps.
 *
 * Goal:   close callbacks come at the end of a turn, the last close first; they
 *         may close further handles (next turn), open new ones and free memory.
 * Method: close from every phase, nested, many at once, and with reused memory.
 */
#include "tests/compat/say.h"

#define HANDLES 6

static uv_loop_t loop;
static uv_timer_t timers[HANDLES];
static const char* const names[HANDLES] = {"a", "b", "c", "d", "e", "f"};
static uv_prepare_t prepare;
static uv_check_t check;
static uv_idle_t idle;
static uv_async_t async;
static int next_to_close;

static void never(uv_timer_t* handle) {
  say("%s must not run", name_of(handle));
}


static void set_up(void) {
  must(uv_loop_init(&loop) == 0);
  for (int i = 0; i < HANDLES; i++) {
    must(uv_timer_init(&loop, &timers[i]) == 0);
    timers[i].data = (void*) (uintptr_t) names[i];
  }
}


static void turn(void) {
  say("turn returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
}


static void try_order(void) {
  set_up();
  for (int i = 0; i < HANDLES; i++) {
    if (i % 2 == 0)
      must(uv_timer_start(&timers[i], never, 0, 0) == 0);
    uv_close(base_of(&timers[i]), i == 3 ? NULL : say_closed);
    say_state(&timers[i]);
  }
  say("alive %d, loop close: %s", uv_loop_alive(&loop) != 0,
      result(uv_loop_close(&loop)));
  turn();
  for (int i = 0; i < HANDLES; i++)
    say_state(&timers[i]);
  say("loop close: %s", result(uv_loop_close(&loop)));
}


static void on_closed_close_next(uv_handle_t* handle) {
  say("%s: closed; closing %d, alive %d", name_of(handle),
      uv_is_closing(handle) != 0, uv_loop_alive(&loop) != 0);
  if (next_to_close < HANDLES &&
      !uv_is_closing(base_of(&timers[next_to_close])))
    uv_close(base_of(&timers[next_to_close++]), on_closed_close_next);
}


static void try_nested(void) {
  set_up();
  next_to_close = 2;
  uv_close(base_of(&timers[0]), on_closed_close_next);
  uv_close(base_of(&timers[1]), on_closed_close_next);
  for (int i = 0; i < 4; i++)
    turn();
  finish(&loop);

  set_up();
  next_to_close = 1;
  uv_close(base_of(&timers[0]), on_closed_close_next);
  say("DEFAULT goes on until all are closed: %d",
      uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);

  set_up();
  next_to_close = 1;
  uv_close(base_of(&timers[0]), on_closed_close_next);
  say("ONCE does one step: %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  say("ONCE does one step: %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  finish(&loop);
}


static int reopened;

static void on_due(uv_timer_t* handle) {
  say("  %s runs", name_of(handle));
}


static void on_closed_open(uv_handle_t* handle) {
  uv_timer_t* timer = (uv_timer_t*) handle;

  say("%s: closed, opens again", name_of(handle));
  must(uv_timer_init(&loop, timer) == 0);
  say_state(timer);
  must(uv_timer_start(timer, on_due, 0, 0) == 0);
  if (reopened++ < 2)
    return;
  say("and closes for good");
  uv_close(handle, say_closed);
}


/* The memory is ours again in the close callback. */
static void try_reuse(void) {
  set_up();
  uv_close(base_of(&timers[0]), on_closed_open);
  turn();
  turn();
  uv_close(base_of(&timers[0]), on_closed_open);
  turn();
  turn();
  uv_close(base_of(&timers[0]), on_closed_open);
  turn();
  turn();
  finish(&loop);
}


static void on_closed_free(uv_handle_t* handle) {
  say("freed a %s", uv_handle_type_name(uv_handle_get_type(handle)));
  free(handle);
}


static void try_free(void) {
  uv_timer_t* timer = malloc(sizeof(*timer));
  uv_async_t* late = malloc(sizeof(*late));
  uv_idle_t* busy = malloc(sizeof(*busy));

  must(timer != NULL);
  must(late != NULL);
  must(busy != NULL);
  must(uv_loop_init(&loop) == 0);
  must(uv_timer_init(&loop, timer) == 0);
  must(uv_async_init(&loop, late, NULL) == 0);
  must(uv_idle_init(&loop, busy) == 0);
  must(uv_timer_start(timer, never, 0, 1) == 0);
  must(uv_async_send(late) == 0);
  uv_close(base_of(timer), on_closed_free);
  uv_close(base_of(late), on_closed_free);
  uv_close(base_of(busy), on_closed_free);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("loop close: %s", result(uv_loop_close(&loop)));
}


/* Close all that there is from within one phase. */
static void close_all(const char* phase) {
  say(" %s closes all", phase);
  uv_close(base_of(&prepare), say_closed);
  uv_close(base_of(&check), say_closed);
  uv_close(base_of(&idle), say_closed);
  uv_close(base_of(&async), say_closed);
  for (int i = 0; i < HANDLES; i++)
    uv_close(base_of(&timers[i]), say_closed);
}


static const char* phase_to_close;

static void visit(const char* phase) {
  say(" %s", phase);
  if (strcmp(phase, phase_to_close) == 0)
    close_all(phase);
}


static void on_timer(uv_timer_t* handle) {
  (void) handle;
  visit("timer");
}


static void on_idle(uv_idle_t* handle) {
  (void) handle;
  visit("idle");
}


static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  visit("prepare");
}


static void on_async(uv_async_t* handle) {
  (void) handle;
  visit("async");
}


static void on_check(uv_check_t* handle) {
  (void) handle;
  visit("check");
}


static void on_closed_visit(uv_handle_t* handle) {
  (void) handle;
  visit("closing");
}


static void try_phase(const char* phase, uv_run_mode mode) {
  static uv_timer_t first;

  set_up();
  phase_to_close = phase;
  say("closing in %s, mode %d:", phase, (int) mode);
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  must(uv_idle_init(&loop, &idle) == 0);
  must(uv_async_init(&loop, &async, on_async) == 0);
  must(uv_timer_init(&loop, &first) == 0);
  prepare.data = (void*) (uintptr_t) "prepare";
  check.data = (void*) (uintptr_t) "check";
  idle.data = (void*) (uintptr_t) "idle";
  async.data = (void*) (uintptr_t) "async";
  must(uv_prepare_start(&prepare, on_prepare) == 0);
  must(uv_check_start(&check, on_check) == 0);
  must(uv_idle_start(&idle, on_idle) == 0);
  must(uv_async_send(&async) == 0);
  for (int i = 0; i < HANDLES; i++)
    must(uv_timer_start(&timers[i], on_timer, i == 2 ? 0 : 3600000, 0) == 0);
  uv_close(base_of(&first), on_closed_visit);
  say("uv_run returns %d", uv_run(&loop, mode) != 0);
  finish(&loop);
}


/* A closing loop can be run by NOWAIT as well; idle handles end the waiting. */
static void try_queries(void) {
  set_up();
  must(uv_timer_start(&timers[0], never, 3600000, 3600000) == 0);
  uv_close(base_of(&timers[0]), say_closed);
  uv_unref(base_of(&timers[0]));
  uv_ref(base_of(&timers[0]));
  uv_unref(base_of(&timers[0]));
  say_state(&timers[0]);
  say("alive %d, backend_timeout %d", uv_loop_alive(&loop) != 0,
      uv_backend_timeout(&loop));
  say("data survives: %s", name_of(&timers[0]));
  say("type survives: %s",
      uv_handle_type_name(uv_handle_get_type(base_of(&timers[0]))));
  say("loop survives: %d", uv_handle_get_loop(base_of(&timers[0])) == &loop);
  turn();
  say_state(&timers[0]);
  say("data survives: %s", name_of(&timers[0]));
  finish(&loop);
}


int main(void) {
  static const char* const phases[] = {"timer", "idle",  "prepare",
                                       "async", "check", "closing"};

  try_order();
  try_nested();
  try_reuse();
  try_free();
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    try_phase(phases[i], UV_RUN_DEFAULT);
    try_phase(phases[i], UV_RUN_ONCE);
    try_phase(phases[i], UV_RUN_NOWAIT);
  }
  try_queries();
  return 0;
}
