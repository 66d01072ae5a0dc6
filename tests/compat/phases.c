/*
 * tests/compat/phases.c - in which order one turn of the loop does things.
 *
 * Goal:   timers, idle, prepare, poll (asyncs), check, closing: in this order,
 *         in all three modes, with the same return values.
 * Method: one handle a phase says when it runs, turn by turn.
 */
#include "tests/compat/say.h"

static uv_loop_t loop;
static uv_timer_t timer;
static uv_idle_t idle;
static uv_prepare_t prepare;
static uv_check_t check;
static uv_async_t async;
static uv_timer_t victim;
static int turns_left;

static void on_victim_closed(uv_handle_t* handle) {
  (void) handle;
  say("  closing");
}


static void on_timer(uv_timer_t* handle) {
  say("  timer");
  must(!uv_is_active(base_of(handle)));
}


static void on_idle(uv_idle_t* handle) {
  (void) handle;
  say("  idle");
}


static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  say("  prepare");
  uv_async_send(&async);
}


static void on_async(uv_async_t* handle) {
  (void) handle;
  say("  async");
}


static void on_check(uv_check_t* handle) {
  (void) handle;
  say("  check");
  if (--turns_left == 0) {
    uv_stop(&loop);
    return;
  }
  uv_timer_start(&timer, on_timer, 0, 0);
}


static void start_all(int turns) {
  turns_left = turns;
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_idle_init(&loop, &idle) == 0);
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  must(uv_async_init(&loop, &async, on_async) == 0);
  must(uv_timer_init(&loop, &victim) == 0);
  must(uv_check_start(&check, on_check) == 0);
  must(uv_prepare_start(&prepare, on_prepare) == 0);
  must(uv_idle_start(&idle, on_idle) == 0);
  must(uv_timer_start(&timer, on_timer, 0, 0) == 0);
  uv_close(base_of(&victim), on_victim_closed);
}


static void try_mode(const char* name, uv_run_mode mode, int turns) {
  say("%s, with everything active:", name);
  must(uv_loop_init(&loop) == 0);
  start_all(turns);
  say("returned %d", uv_run(&loop, mode) != 0);
  say("alive %d", uv_loop_alive(&loop) != 0);
  finish(&loop);
}


static void try_empty(const char* name, uv_run_mode mode) {
  must(uv_loop_init(&loop) == 0);
  say("%s on an empty loop returns %d", name, uv_run(&loop, mode) != 0);
  say("and again %d", uv_run(&loop, mode) != 0);
  must(uv_loop_close(&loop) == 0);
}


/* A loop whose handles are all unreferenced does not turn at all. */
static void try_unreferenced(const char* name, uv_run_mode mode) {
  must(uv_loop_init(&loop) == 0);
  start_all(3);
  uv_unref(base_of(&timer));
  uv_unref(base_of(&idle));
  uv_unref(base_of(&prepare));
  uv_unref(base_of(&check));
  uv_unref(base_of(&async));
  say("%s with only a closing handle and unreferenced ones:", name);
  say("returned %d", uv_run(&loop, mode) != 0);
  say("once more returned %d", uv_run(&loop, mode) != 0);
  finish(&loop);
}


static void on_single_timer(uv_timer_t* handle) {
  say("  timer %s", name_of(handle));
}


/* Starts the timer when the turn has already looked at the clock. */
static void on_starting_prepare(uv_prepare_t* handle) {
  must(uv_timer_start(&timer, on_single_timer, 5, 0) == 0);
  say("  prepare starts the timer of 5 ms");
  uv_prepare_stop(handle);
}


/* UV_RUN_ONCE waits for the timer and runs it at its end, after check. */
static void try_once_waits(void) {
  must(uv_loop_init(&loop) == 0);
  must(uv_timer_init(&loop, &timer) == 0);
  timer.data = (void*) (uintptr_t) "of 5 ms";
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  must(uv_timer_init(&loop, &victim) == 0);
  victim.data = (void*) (uintptr_t) "of 1 h";
  must(uv_prepare_start(&prepare, on_starting_prepare) == 0);
  turns_left = 1;
  must(uv_check_start(&check, on_check) == 0);
  uv_unref(base_of(&check));
  must(uv_timer_start(&victim, on_single_timer, 3600000, 0) == 0);
  say("ONCE with a timer of 5 ms and one of 1 h:");
  say("returned %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  uv_timer_stop(&victim);
  say("NOWAIT with nothing active returns %d",
      uv_run(&loop, UV_RUN_NOWAIT) != 0);
  say("ONCE with nothing active returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  finish(&loop);
}


int main(void) {
  static const struct {
    const char* name;
    uv_run_mode mode;
  } modes[] = {
      {"UV_RUN_DEFAULT", UV_RUN_DEFAULT},
      {"UV_RUN_ONCE", UV_RUN_ONCE},
      {"UV_RUN_NOWAIT", UV_RUN_NOWAIT},
  };

  for (size_t i = 0; i < COUNT_OF(modes); i++) {
    try_mode(modes[i].name, modes[i].mode, 4);
    try_empty(modes[i].name, modes[i].mode);
    try_unreferenced(modes[i].name, modes[i].mode);
  }
  try_once_waits();
  return 0;
}
