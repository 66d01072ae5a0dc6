/*
 * tests/compat/repeats.c - timers that repeat, and the clock of the loop.
 *
 * Goal:   a repeating timer is due again a period after the turn that ran it,
 *         not after it was due; set_repeat and again do what libuv's do; due_in
 *         and uv_now change only when the loop looks at the clock.
 * Method: let time pass by burning it, so that the loop sees the same jumps on
 *         a quiet machine and on a loaded one.
 */
#include "tests/compat/say.h"

#define HOUR 3600000u

static uv_loop_t loop;
static uv_timer_t timer;
static uv_timer_t other;
static int calls;

static void on_count(uv_timer_t* handle) {
  calls++;
  say("  call %d: active %d, repeat %d, due in its repeat: %d", calls,
      uv_is_active(base_of(handle)) != 0, (int) uv_timer_get_repeat(handle),
      uv_timer_get_due_in(handle) == uv_timer_get_repeat(handle));
}


static void set_up(void) {
  calls = 0;
  must(uv_loop_init(&loop) == 0);
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_timer_init(&loop, &other) == 0);
  timer.data = (void*) (uintptr_t) "timer";
  other.data = (void*) (uintptr_t) "other";
}


static void turn(void) {
  say("turn returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
}


/* Many periods late is one call: what was missed is not made up for. */
static void try_late(void) {
  set_up();
  must(uv_timer_start(&timer, on_count, HOUR, HOUR) == 0);
  say("a turn before it is due");
  turn();
  must(uv_timer_start(&timer, on_count, 10, HOUR) == 0);
  burn_ms(15);
  say("late once");
  turn();
  say("a turn right after");
  turn();
  must(uv_timer_start(&timer, on_count, 0, 20) == 0);
  turn();
  burn_ms(110);
  say("five periods late");
  turn();
  finish(&loop);
}


static void on_stop_in_callback(uv_timer_t* handle) {
  say("  runs and stops");
  must(uv_timer_stop(handle) == 0);
  say("  repeat stays %d", (int) uv_timer_get_repeat(handle));
}


static void on_drop_repeat(uv_timer_t* handle) {
  say("  runs and drops its repeat, which counts from the next time on");
  uv_timer_set_repeat(handle, 0);
  say_state(handle);
}


static void on_gain_repeat(uv_timer_t* handle) {
  say("  runs and sets a repeat of 1 h, but is not started by that");
  uv_timer_set_repeat(handle, HOUR);
  say_state(handle);
}


static void try_changes_in_callbacks(void) {
  set_up();
  must(uv_timer_start(&timer, on_stop_in_callback, 0, 5) == 0);
  turn();
  say_state(&timer);
  say("again: %s", result(uv_timer_again(&timer)));
  say_state(&timer);
  must(uv_timer_start(&timer, on_drop_repeat, 0, 5) == 0);
  turn();
  burn_ms(12);
  turn();
  say_state(&timer);
  must(uv_timer_start(&timer, on_gain_repeat, 0, 0) == 0);
  turn();
  say_state(&timer);
  say("again: %s", result(uv_timer_again(&timer)));
  say_state(&timer);
  say("due in 1 h: %d", uv_timer_get_due_in(&timer) == HOUR);
  finish(&loop);
}


static void try_again(void) {
  set_up();
  must(uv_timer_start(&timer, on_count, HOUR, 0) == 0);
  say("again without a repeat does nothing: %s",
      result(uv_timer_again(&timer)));
  say("still due in 1 h: %d", uv_timer_get_due_in(&timer) == HOUR);
  uv_timer_set_repeat(&timer, 2 * HOUR);
  say("set_repeat alone changes nothing: %d",
      uv_timer_get_due_in(&timer) == HOUR);
  say("again: %s", result(uv_timer_again(&timer)));
  say("due in 2 h: %d", uv_timer_get_due_in(&timer) == 2 * HOUR);
  must(uv_timer_stop(&timer) == 0);
  say("again of a stopped one: %s", result(uv_timer_again(&timer)));
  say_state(&timer);
  uv_timer_set_repeat(&timer, 0);
  say("again after the repeat went: %s", result(uv_timer_again(&timer)));
  say_state(&timer);
  uv_timer_set_repeat(&other, 5);
  say("a repeat before any start: %d, again: %s",
      (int) uv_timer_get_repeat(&other), result(uv_timer_again(&other)));
  finish(&loop);
}


/* Of two timers due together, the one that repeats comes back behind. */
static void on_named(uv_timer_t* handle) {
  say("  %s", name_of(handle));
}


static void try_ties(void) {
  set_up();
  must(uv_timer_start(&timer, on_named, 5, 5) == 0);
  must(uv_timer_start(&other, on_named, 5, 5) == 0);
  for (int i = 0; i < 4; i++) {
    burn_ms(12);
    if (i == 2)
      must(uv_timer_again(&timer) == 0);
    turn();
  }
  finish(&loop);
}


/* The loop's time stands still between two looks at the clock. */
static void try_now(void) {
  set_up();
  uint64_t start = uv_now(&loop);
  burn_ms(12);
  say("uv_now without a look: moved %d", uv_now(&loop) != start);
  must(uv_timer_start(&timer, on_count, 10, 0) == 0);
  say("due in, without a look: %d", (int) uv_timer_get_due_in(&timer));
  uv_update_time(&loop);
  say("uv_update_time: moved %d", uv_now(&loop) - start >= 10);
  say("due in, after a look: %d", (int) uv_timer_get_due_in(&timer));
  say("it runs at once:");
  turn();
  say("due in, after it ran: %d", (int) uv_timer_get_due_in(&timer));
  finish(&loop);
}


/* uv_now is taken anew at the start of a turn and after the poll. */
static uint64_t seen_ms;
static int check_tells;

static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  seen_ms = uv_now(&loop);
  burn_ms(12);
  say("  prepare: moved while it burnt %d", uv_now(&loop) != seen_ms);
}


static void on_check(uv_check_t* handle) {
  (void) handle;
  if (check_tells)
    say("  check: moved since prepare %d", uv_now(&loop) - seen_ms >= 10);
  seen_ms = uv_now(&loop);
  burn_ms(12);
}


/* Starts a timer in mid-turn, so that this turn's first look can't see it. */
static void on_idle(uv_idle_t* handle) {
  must(uv_timer_start(&timer, on_named, 10, 0) == 0);
  must(uv_idle_stop(handle) == 0);
  seen_ms = uv_now(&loop);
}


static void try_looks(void) {
  uv_idle_t idle;
  uv_prepare_t prepare;
  uv_check_t check;

  set_up();
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  must(uv_prepare_start(&prepare, on_prepare) == 0);
  must(uv_check_start(&check, on_check) == 0);
  check_tells = 1;
  turn();
  check_tells = 0;
  say("NOWAIT looks no more after check: %d", uv_now(&loop) == seen_ms);
  must(uv_timer_start(&timer, on_named, HOUR, 0) == 0);
  uv_stop(&loop);
  turn();
  say("a stopped run doesn't look: %d", uv_now(&loop) == seen_ms);
  must(uv_idle_init(&loop, &idle) == 0);
  must(uv_idle_start(&idle, on_idle) == 0);
  must(uv_prepare_stop(&prepare) == 0);
  say("ONCE looks once more, and runs what became due while check burnt:");
  say("ONCE returns %d", uv_run(&loop, UV_RUN_ONCE) != 0);
  finish(&loop);

  set_up();
  uint64_t start = uv_now(&loop);
  burn_ms(12);
  turn();
  say("an empty run looks: %d", uv_now(&loop) - start >= 10);
  finish(&loop);
}


int main(void) {
  try_late();
  try_changes_in_callbacks();
  try_again();
  try_ties();
  try_now();
  try_looks();
  return 0;
}
