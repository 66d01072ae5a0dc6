/*
 * tests/compat/loops.c - the life of a loop itself.
 *
 * Goal:   a loop closes when nothing is left in it and says EBUSY until then;
 *         its data is the caller's; the default loop is one, until it closes.
 * Method: open and close loops in all states.
 */
#include "tests/compat/say.h"

#include <signal.h>

static uv_loop_t loop;

static void on_timer(uv_timer_t* handle) {
  say("  %s runs", name_of(handle));
}


static void on_closed_try(uv_handle_t* handle) {
  say("  in the close callback: loop close: %s, alive %d",
      result(uv_loop_close(handle->loop)), uv_loop_alive(handle->loop) != 0);
}


static void try_busy(void) {
  static uv_timer_t timer;
  static uv_timer_t other;

  must(uv_loop_init(&loop) == 0);
  must(uv_timer_init(&loop, &timer) == 0);
  must(uv_timer_init(&loop, &other) == 0);
  say("inactive handles: %s", result(uv_loop_close(&loop)));
  uv_unref(base_of(&timer));
  say("an unreferenced one: %s", result(uv_loop_close(&loop)));
  uv_close(base_of(&timer), on_closed_try);
  say("a closing one: %s", result(uv_loop_close(&loop)));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("one is left: %s", result(uv_loop_close(&loop)));
  uv_close(base_of(&other), NULL);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("none is left: %s", result(uv_loop_close(&loop)));
}


static void try_data(void) {
  static int thing;

  loop.data = &thing;
  must(uv_loop_init(&loop) == 0);
  say("data is kept by init: %d", loop.data == &thing);
  say("get: %d", uv_loop_get_data(&loop) == &thing);
  uv_loop_set_data(&loop, &loop);
  say("set: %d", loop.data == &loop);
  must(uv_loop_close(&loop) == 0);
  say("and by close: %d", uv_loop_get_data(&loop) == &loop);
  must(uv_loop_init(&loop) == 0);
  say("and by the next init: %d", loop.data == &loop);
  must(uv_loop_close(&loop) == 0);
}


static void try_configure(void) {
  must(uv_loop_init(&loop) == 0);
  say("block SIGPROF: %s",
      result(uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, SIGPROF)));
  say("again: %s",
      result(uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, SIGPROF)));
  say("block SIGUSR1: %s",
      result(uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, SIGUSR1)));
  say("block 0: %s", result(uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, 0)));
  say("idle time: %s", result(uv_loop_configure(&loop, UV_METRICS_IDLE_TIME)));
  say("again: %s", result(uv_loop_configure(&loop, UV_METRICS_IDLE_TIME)));
  say("something else: %s",
      result(uv_loop_configure(&loop, (uv_loop_option) 1000)));
  say("close: %s", result(uv_loop_close(&loop)));
}


static void try_default(void) {
  static uv_timer_t timer;
  uv_loop_t* first = uv_default_loop();

  say("the default loop is there: %d", first != NULL);
  say("and is one: %d", uv_default_loop() == first);
  must(uv_timer_init(first, &timer) == 0);
  timer.data = (void*) (uintptr_t) "a timer of the default loop";
  must(uv_timer_start(&timer, on_timer, 1, 0) == 0);
  say("close: %s", result(uv_loop_close(first)));
  say("still the same: %d", uv_default_loop() == first);
  say("uv_run returns %d", uv_run(first, UV_RUN_DEFAULT) != 0);
  uv_close(base_of(&timer), NULL);
  say("uv_run returns %d", uv_run(first, UV_RUN_DEFAULT) != 0);
  say("close: %s", result(uv_loop_close(first)));

  uv_loop_t* second = uv_default_loop();
  say("after close there is one again: %d", second != NULL);
  say("and it is new: alive %d", uv_loop_alive(second) != 0);
  must(uv_timer_init(second, &timer) == 0);
  must(uv_timer_start(&timer, on_timer, 1, 0) == 0);
  say("uv_run returns %d", uv_run(second, UV_RUN_DEFAULT) != 0);
  uv_close(base_of(&timer), NULL);
  say("uv_run returns %d", uv_run(second, UV_RUN_DEFAULT) != 0);
  say("close: %s", result(uv_loop_close(second)));
}


/* Loops side by side, and one within a callback of another. */
static uv_loop_t inner;
static uv_timer_t inner_timer;

static void on_outer(uv_timer_t* handle) {
  say("  %s runs another loop:", name_of(handle));
  must(uv_timer_start(&inner_timer, on_timer, 1, 0) == 0);
  say("  which returns %d", uv_run(&inner, UV_RUN_DEFAULT) != 0);
}


static void try_two(void) {
  static uv_timer_t outer_timer;

  must(uv_loop_init(&loop) == 0);
  must(uv_loop_init(&inner) == 0);
  must(uv_timer_init(&loop, &outer_timer) == 0);
  must(uv_timer_init(&inner, &inner_timer) == 0);
  outer_timer.data = (void*) (uintptr_t) "outer";
  inner_timer.data = (void*) (uintptr_t) "inner";
  must(uv_timer_start(&outer_timer, on_outer, 1, 0) == 0);
  say("the outer loop returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&inner);
  finish(&loop);
}


/* Many opens and closes: nothing may run out. */
static void try_many(void) {
  static uv_loop_t loops[100];
  static uv_async_t async;

  for (int round = 0; round < 30; round++) {
    for (size_t i = 0; i < COUNT_OF(loops); i++)
      must(uv_loop_init(&loops[i]) == 0);
    must(uv_async_init(&loops[50], &async, NULL) == 0);
    must(uv_async_send(&async) == 0);
    must(uv_run(&loops[50], UV_RUN_ONCE) != 0);
    uv_close(base_of(&async), NULL);
    for (size_t i = 0; i < COUNT_OF(loops); i++) {
      must(uv_run(&loops[i], UV_RUN_DEFAULT) == 0);
      must(uv_loop_close(&loops[i]) == 0);
    }
  }
  say("a hundred loops, thirty times");
}


int main(void) {
  say("version %u, %s", uv_version(), uv_version_string());
  say("of the header: %d",
      uv_version() == ((UV_VERSION_MAJOR << 16) | (UV_VERSION_MINOR << 8) |
                       UV_VERSION_PATCH));
  say("%d.%d.%d, release %d, suffix '%s', %x", UV_VERSION_MAJOR,
      UV_VERSION_MINOR, UV_VERSION_PATCH, UV_VERSION_IS_RELEASE,
      UV_VERSION_SUFFIX, (unsigned) UV_VERSION_HEX);
  try_busy();
  try_data();
  try_configure();
  try_default();
  try_two();
  try_many();
  return 0;
}
