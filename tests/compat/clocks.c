/*
 * tests/compat/clocks.c - uv_hrtime, uv_now and the time spent waiting.
 *
 * Goal:   uv_hrtime never goes back, on any thread; uv_now follows it; idle
 *         time is counted from when it is asked for, and while waiting only.
 * Method: bounds that no noise can break: waits take at least as long as they
 *         should, and what is not waited for is not counted.
 */
#include "tests/compat/say.h"

#include <pthread.h>

#define MS 1000000u /* ns */

static uv_loop_t loop;
static uv_timer_t timer;
static uint64_t idle_in_callback;

static void try_hrtime(void) {
  uint64_t last = uv_hrtime();
  int back = 0;

  for (int i = 0; i < 200000; i++) {
    uint64_t now = uv_hrtime();
    back += now < last;
    last = now;
  }
  say("hrtime went back %d times", back);
  uint64_t start = uv_hrtime();
  while (uv_hrtime() == start) {
  }
  say("and it moves");
}


static void* read_clock(void* arg) {
  *(uint64_t*) arg = uv_hrtime();
  return NULL;
}


static void try_threads(void) {
  int back = 0;

  for (int i = 0; i < 100; i++) {
    pthread_t thread;
    uint64_t there = 0;
    uint64_t before = uv_hrtime();
    must(pthread_create(&thread, NULL, read_clock, &there) == 0);
    must(pthread_join(thread, NULL) == 0);
    uint64_t after = uv_hrtime();
    back += there < before || after < there;
  }
  say("between threads it went back %d times", back);
}


static void on_timer(uv_timer_t* handle) {
  (void) handle;
  idle_in_callback = uv_metrics_idle_time(&loop);
}


static void try_now(void) {
  must(uv_loop_init(&loop) == 0);
  uint64_t before = uv_now(&loop);
  uint64_t start = uv_hrtime();
  burn_ms(50);
  uv_update_time(&loop);
  uint64_t moved = (uv_now(&loop) - before) * MS;
  say("now follows hrtime: %d",
      moved + 10 * MS >= 50 * MS && moved <= uv_hrtime() - start + 10 * MS);
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_timer_start(&timer, on_timer, 30, 0) == 0);
  start = uv_hrtime();
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  /* The loop's clock is cut to ms, so a wait may seem one shorter. */
  say("30 ms took at least 28: %d", uv_hrtime() - start >= 28 * MS);
  finish(&loop);
}


static void try_idle(void) {
  must(uv_loop_init(&loop) == 0);
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_timer_start(&timer, on_timer, 10, 0) == 0);
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  say("not counted unless asked for: %d", uv_metrics_idle_time(&loop) == 0);
  must(uv_loop_configure(&loop, UV_METRICS_IDLE_TIME) == 0);
  say("nothing yet: %d", uv_metrics_idle_time(&loop) == 0);
  must(uv_run(&loop, UV_RUN_NOWAIT) == 0);
  say("an empty run waits for nothing: %d", uv_metrics_idle_time(&loop) == 0);
  must(uv_timer_start(&timer, on_timer, 30, 0) == 0);
  uint64_t start = uv_hrtime();
  must(uv_run(&loop, UV_RUN_DEFAULT) == 0);
  uint64_t idle = uv_metrics_idle_time(&loop);
  say("waiting counts: %d", idle > 0 && idle <= uv_hrtime() - start);
  say("the callback saw it: %d", idle_in_callback == idle);
  burn_ms(30);
  say("computing doesn't: %d", uv_metrics_idle_time(&loop) == idle);
  finish(&loop);
}


int main(void) {
  try_hrtime();
  try_threads();
  try_now();
  try_idle();
  return 0;
}
