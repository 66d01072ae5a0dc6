/*
 * tests/compat/backend.c - uv_backend_timeout: how long a loop would sleep.
 *
 * Goal:   the same answer in every state: 0 when there is something to do or
 *         nothing to wait for, -1 when only an event can wake it, else the
 *         time to the first timer, at most what an int holds.
 * Method: put the loop into one state after the other, before and after its
 *         first turn. Time is looked at only when the loop does.
 */
#include "tests/compat/say.h"

#define HOUR 3600000

static uv_loop_t loop;
static uv_timer_t timers[3];
static uv_idle_t idle;
static uv_prepare_t prepare;
static uv_check_t check;
static uv_async_t async;

static void on_timer(uv_timer_t* handle) {
  (void) handle;
}


static void on_async(uv_async_t* handle) {
  (void) handle;
  say("  in async: %d", uv_backend_timeout(&loop));
}


static void on_idle(uv_idle_t* handle) {
  say("  in idle: %d", uv_backend_timeout(&loop));
  must(uv_idle_stop(handle) == 0);
  say("  in idle, stopped: %d", uv_backend_timeout(&loop));
}


static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  say("  in prepare: %d", uv_backend_timeout(&loop));
}


static void on_check(uv_check_t* handle) {
  (void) handle;
  say("  in check: %d", uv_backend_timeout(&loop));
}


static void on_closed(uv_handle_t* handle) {
  (void) handle;
  say("  in closing: %d", uv_backend_timeout(&loop));
}


static void ask(const char* state) {
  int timeout = uv_backend_timeout(&loop);

  /* Between the start of a timer and the question the loop's clock stands
   * still, so that the answer is exact; but a turn in between moves it. */
  if (timeout > HOUR - 60000 && timeout <= HOUR)
    say("%s: %s", state, timeout == HOUR ? "1 h" : "less than 1 h");
  else
    say("%s: %d", state, timeout);
}


static void set_up(int turned) {
  must(uv_loop_init(&loop) == 0);
  for (int i = 0; i < 3; i++)
    must(uv_timer_init(&loop, &timers[i]) == 0);
  must(uv_idle_init(&loop, &idle) == 0);
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  if (turned) {
    must(uv_idle_start(&idle, on_idle) == 0);
    must(uv_run(&loop, UV_RUN_NOWAIT) == 0);
  }
  say("---- %s ----", turned ? "after a first turn" : "before any turn");
}


static void try_states(int turned) {
  set_up(turned);
  ask("nothing");
  must(uv_timer_start(&timers[0], on_timer, HOUR, 0) == 0);
  ask("a timer of 1 h");
  must(uv_timer_start(&timers[1], on_timer, 500, 0) == 0);
  ask("and one of 500 ms");
  must(uv_timer_start(&timers[2], on_timer, 0, 0) == 0);
  ask("and one of 0 ms");
  must(uv_timer_stop(&timers[2]) == 0);
  ask("which is stopped");
  must(uv_timer_stop(&timers[1]) == 0);
  ask("so is that of 500 ms");
  uv_unref(base_of(&timers[0]));
  ask("that of 1 h is unreferenced");
  must(uv_async_init(&loop, &async, on_async) == 0);
  ask("an async beside it");
  must(uv_timer_stop(&timers[0]) == 0);
  ask("only an async");
  must(uv_async_send(&async) == 0);
  ask("that is pending");
  uv_unref(base_of(&async));
  ask("and unreferenced");
  uv_ref(base_of(&async));
  must(uv_timer_start(&timers[1], on_timer, UINT64_MAX, 0) == 0);
  ask("a timer without end");
  must(uv_timer_start(&timers[0], on_timer, INT32_MAX, 0) == 0);
  ask("one of the most that an int holds");
  must(uv_timer_start(&timers[0], on_timer, INT32_MAX - 1, 0) == 0);
  ask("one less");
  must(uv_timer_start(&timers[0], on_timer, (uint64_t) INT32_MAX + 1, 0) == 0);
  ask("one more");
  must(uv_idle_start(&idle, on_idle) == 0);
  ask("an idle handle");
  uv_unref(base_of(&idle));
  ask("unreferenced");
  must(uv_idle_stop(&idle) == 0);
  ask("stopped");
  uv_stop(&loop);
  ask("a stopped loop");
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  ask("that has returned");
  uv_close(base_of(&timers[2]), NULL);
  ask("something closes");
  must(uv_timer_stop(&timers[0]) == 0);
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  say("closed: %d", uv_backend_timeout(&loop));
  finish(&loop);
}


/* A late timer: 0, though the loop's clock has not been looked at. */
static void try_late(void) {
  set_up(1);
  must(uv_timer_start(&timers[0], on_timer, 10, 0) == 0);
  ask("10 ms");
  burn_ms(12);
  ask("the clock was not looked at");
  uv_update_time(&loop);
  ask("now it was");
  finish(&loop);
}


static void try_phases(void) {
  set_up(1);
  say("from the phases:");
  must(uv_prepare_start(&prepare, on_prepare) == 0);
  must(uv_check_start(&check, on_check) == 0);
  must(uv_idle_start(&idle, on_idle) == 0);
  must(uv_async_init(&loop, &async, on_async) == 0);
  must(uv_async_send(&async) == 0);
  uv_close(base_of(&timers[0]), on_closed);
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  uv_close(base_of(&timers[1]), on_closed);
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  must(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  finish(&loop);
}


/* A request under way is waited for without end. */
static void on_work(uv_work_t* req) {
  (void) req;
}


static void try_request(void) {
  uv_work_t work;

  set_up(1);
  must(uv_queue_work(&loop, &work, on_work, NULL) == 0);
  ask("a work");
  must(uv_timer_start(&timers[0], on_timer, 500, 0) == 0);
  ask("a work and a timer");
  must(uv_timer_stop(&timers[0]) == 0);
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  ask("it is done");
  finish(&loop);
}


int main(void) {
  try_states(0);
  try_states(1);
  try_late();
  try_phases();
  try_request();
  return 0;
}
