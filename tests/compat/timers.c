/*
 * tests/compat/timers.c - the order in which timers run, and who may touch
 * them while they do.
 *
 * Goal:   timers run by due time, those due at once in the order of their
 *         starts; a callback may start, stop and close any of them.
 * Method: let them all become late, so that one turn runs them; what they do
 *         then depends on their order only, not on the clock.
 */
#include "tests/compat/say.h"

#define TIMERS 8

static uv_loop_t loop;
static uv_timer_t timers[TIMERS];
static const char* const names[TIMERS] = {"a", "b", "c", "d",
                                          "e", "f", "g", "h"};
static int restarts_left;

static void on_timer(uv_timer_t* handle) {
  say("  %s runs, active %d", name_of(handle),
      uv_is_active(base_of(handle)) != 0);
}


static void on_other(uv_timer_t* handle) {
  say("  %s runs its other callback", name_of(handle));
}


static void set_up(void) {
  must(uv_loop_init(&loop) == 0);
  for (int i = 0; i < TIMERS; i++) {
    must(uv_timer_init(&loop, &timers[i]) == 0);
    timers[i].data = (void*) (uintptr_t) names[i];
  }
}


/* One turn in which everything started so far is due. */
static void run_late(const char* what) {
  burn_ms(12);
  say("%s:", what);
  say("uv_run returned %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
}


static void try_order(void) {
  static const uint64_t due_ms[TIMERS] = {5, 1, 3, 1, 0, 8, 5, 0};

  set_up();
  for (int i = 0; i < TIMERS; i++)
    must(uv_timer_start(&timers[i], on_timer, due_ms[i], 0) == 0);
  run_late("by due time, then by start");

  for (int i = TIMERS - 1; i >= 0; i--)
    must(uv_timer_start(&timers[i], on_timer, due_ms[i], 0) == 0);
  run_late("started the other way round");

  for (int i = 0; i < TIMERS; i++)
    must(uv_timer_start(&timers[i], on_timer, 2, 0) == 0);
  must(uv_timer_start(&timers[2], on_other, 2, 0) == 0);
  must(uv_timer_start(&timers[5], on_timer, 1, 0) == 0);
  must(uv_timer_stop(&timers[1]) == 0);
  must(uv_timer_stop(&timers[1]) == 0);
  run_late("c started again, f again sooner, b stopped");
  finish(&loop);
}


static void on_stops_others(uv_timer_t* handle) {
  say("  %s runs, stops c and e", name_of(handle));
  uv_timer_stop(&timers[2]);
  uv_timer_stop(&timers[4]);
}


static void on_starts_others(uv_timer_t* handle) {
  say("  %s runs, starts a and b for now, d later", name_of(handle));
  must(uv_timer_start(&timers[0], on_other, 0, 0) == 0);
  must(uv_timer_start(&timers[1], on_other, 0, 0) == 0);
  must(uv_timer_start(&timers[3], on_other, 3600000, 0) == 0);
}


static void on_closes_others(uv_timer_t* handle) {
  say("  %s runs, closes itself, f and h", name_of(handle));
  uv_close(base_of(&timers[5]), say_closed);
  uv_close(base_of(handle), say_closed);
  uv_close(base_of(&timers[7]), say_closed);
  say("  start of a closing timer: %s",
      result(uv_timer_start(&timers[5], on_timer, 0, 0)));
  say("  again of a closing timer: %s", result(uv_timer_again(&timers[5])));
  say("  stop of a closing timer: %s", result(uv_timer_stop(&timers[5])));
}


static void try_callbacks_that_touch(void) {
  set_up();
  for (int i = 0; i < TIMERS; i++)
    must(uv_timer_start(&timers[i], on_timer, 2, 0) == 0);
  must(uv_timer_start(&timers[0], on_stops_others, 1, 0) == 0);
  run_late("a stops others that are due");

  for (int i = 0; i < TIMERS; i++)
    must(uv_timer_start(&timers[i], on_timer, 2, 0) == 0);
  must(uv_timer_start(&timers[2], on_starts_others, 1, 0) == 0);
  run_late("c starts others that are due, and some that ran");

  for (int i = 0; i < TIMERS; i++)
    must(uv_timer_start(&timers[i], on_timer, 2, 0) == 0);
  must(uv_timer_start(&timers[6], on_closes_others, 1, 0) == 0);
  run_late("g closes itself and others");
  finish(&loop);
}


static void on_restarts(uv_timer_t* handle) {
  say("  %s runs, %d restarts left", name_of(handle), restarts_left);
  if (restarts_left-- > 0)
    must(uv_timer_start(handle, on_restarts, 0, 0) == 0);
}


/* A timeout of zero, started in a callback, is due in the same turn. */
static void try_zero(void) {
  set_up();
  restarts_left = 4;
  must(uv_timer_start(&timers[0], on_restarts, 0, 0) == 0);
  must(uv_timer_start(&timers[1], on_timer, 0, 0) == 0);
  say("zero timeouts:");
  say("uv_run returned %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  finish(&loop);
}


static void try_arguments(void) {
  set_up();
  say("start without a callback: %s",
      result(uv_timer_start(&timers[0], NULL, 0, 0)));
  say_state(&timers[0]);
  say("again before any start: %s", result(uv_timer_again(&timers[0])));
  say("stop before any start: %s", result(uv_timer_stop(&timers[0])));
  must(uv_timer_start(&timers[0], on_timer, 5, 7) == 0);
  say("start without a callback while active: %s",
      result(uv_timer_start(&timers[0], NULL, 1, 1)));
  say_state(&timers[0]);
  say("repeat is still %d", (int) uv_timer_get_repeat(&timers[0]));
  must(uv_timer_stop(&timers[0]) == 0);
  say("and %d after the stop", (int) uv_timer_get_repeat(&timers[0]));
  say("due in %d", (int) uv_timer_get_due_in(&timers[1]));
  finish(&loop);
}


/* A due time beyond 64 bits is the latest there is, and keeps its order. */
static void try_overflow(void) {
  set_up();
  must(uv_timer_start(&timers[0], on_timer, UINT64_MAX, 0) == 0);
  must(uv_timer_start(&timers[1], on_timer, UINT64_MAX - 1, 0) == 0);
  must(uv_timer_start(&timers[2], on_timer, 1, UINT64_MAX) == 0);
  run_late("the endless ones wait");
  say("a due in all that is left: %d",
      uv_timer_get_due_in(&timers[0]) == UINT64_MAX - uv_now(&loop));
  say("b as well: %d",
      uv_timer_get_due_in(&timers[1]) == UINT64_MAX - uv_now(&loop));
  say("c again never: %d",
      uv_timer_get_due_in(&timers[2]) == UINT64_MAX - uv_now(&loop));
  uv_timer_stop(&timers[0]);
  uv_timer_stop(&timers[1]);
  uv_timer_stop(&timers[2]);
  finish(&loop);
}


/* Many, in a scrambled order of start and with many ties. */
static void try_many(void) {
  static uv_timer_t many[300];
  uint32_t seed = 7;

  must(uv_loop_init(&loop) == 0);
  for (size_t i = 0; i < COUNT_OF(many); i++) {
    char* text = malloc(16);
    must(text != NULL);
    (void) snprintf(text, 16, "%zu", i);
    must(uv_timer_init(&loop, &many[i]) == 0);
    many[i].data = text;
  }
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < 2000; i++) {
      seed = seed * 1664525u + 1013904223u;
      uv_timer_t* timer = &many[(seed >> 8) % COUNT_OF(many)];
      if ((seed >> 28) == 0)
        must(uv_timer_stop(timer) == 0);
      else
        must(uv_timer_start(timer, on_timer, (seed >> 20) % 9, 0) == 0);
    }
    run_late("three hundred timers");
  }
  finish(&loop);
  for (size_t i = 0; i < COUNT_OF(many); i++)
    free(many[i].data);
}


/* In DEFAULT mode the loop sleeps from one to the next, then ends. */
static void try_sleeping(void) {
  set_up();
  must(uv_timer_start(&timers[0], on_timer, 9, 0) == 0);
  must(uv_timer_start(&timers[1], on_timer, 3, 0) == 0);
  must(uv_timer_start(&timers[2], on_timer, 6, 0) == 0);
  uint64_t before = uv_now(&loop);
  say("sleeping:");
  say("uv_run returned %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("it took at least 9 ms: %d", uv_now(&loop) - before >= 9);
  finish(&loop);
}


int main(void) {
  try_order();
  try_callbacks_that_touch();
  try_zero();
  try_arguments();
  try_overflow();
  try_many();
  try_sleeping();
  return 0;
}
