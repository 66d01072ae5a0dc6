/*
 * tests/compat/refs.c - which handles keep a loop alive.
 *
 * Goal:   a loop is alive while a handle is both active and referenced, or a
 *         handle closes, or a request is under way; ref and unref are no
 *         counters.
 * Method: walk each kind of handle through all its states, and ask after each
 *         step; then run loops that only unreferenced handles could keep going.
 */
#include "tests/compat/say.h"

typedef union {
  uv_handle_t handle;
  uv_timer_t timer;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_async_t async;
} any_t;

typedef enum { TIMER, PREPARE, CHECK, IDLE, ASYNC, KINDS } kind_t;

static const char* const names[KINDS] = {"timer", "prepare", "check", "idle",
                                         "async"};
static uv_loop_t loop;

static void on_timer(uv_timer_t* handle) {
  say("  %s runs", name_of(handle));
}


static void on_prepare(uv_prepare_t* handle) {
  say("  %s runs", name_of(handle));
}


static void on_check(uv_check_t* handle) {
  say("  %s runs", name_of(handle));
}


static void on_idle(uv_idle_t* handle) {
  say("  %s runs", name_of(handle));
}


static void on_async(uv_async_t* handle) {
  say("  %s runs", name_of(handle));
}


static void init(any_t* any, kind_t kind) {
  int err = UV_EINVAL;

  if (kind == TIMER)
    err = uv_timer_init(&loop, &any->timer);
  if (kind == PREPARE)
    err = uv_prepare_init(&loop, &any->prepare);
  if (kind == CHECK)
    err = uv_check_init(&loop, &any->check);
  if (kind == IDLE)
    err = uv_idle_init(&loop, &any->idle);
  if (kind == ASYNC)
    err = uv_async_init(&loop, &any->async, on_async);
  must(err == 0);
  any->handle.data = (void*) (uintptr_t) names[kind];
}


static int start(any_t* any, kind_t kind, uint64_t timeout_ms) {
  if (kind == TIMER)
    return uv_timer_start(&any->timer, on_timer, timeout_ms, 0);
  if (kind == PREPARE)
    return uv_prepare_start(&any->prepare, on_prepare);
  if (kind == CHECK)
    return uv_check_start(&any->check, on_check);
  if (kind == IDLE)
    return uv_idle_start(&any->idle, on_idle);
  return 0;
}


static int stop(any_t* any, kind_t kind) {
  if (kind == TIMER)
    return uv_timer_stop(&any->timer);
  if (kind == PREPARE)
    return uv_prepare_stop(&any->prepare);
  if (kind == CHECK)
    return uv_check_stop(&any->check);
  if (kind == IDLE)
    return uv_idle_stop(&any->idle);
  return 0;
}


static void ask(const char* step, const any_t* any) {
  say("  %-8s active %d, referenced %d, closing %d, alive %d", step,
      uv_is_active(&any->handle) != 0, uv_has_ref(&any->handle) != 0,
      uv_is_closing(&any->handle) != 0, uv_loop_alive(&loop) != 0);
}


static void on_closed(uv_handle_t* handle) {
  ask("closed", (any_t*) (void*) handle);
}


/* Steps: s start, x stop, r ref, u unref, c close, t turn. */
static void play(kind_t kind, const char* steps) {
  any_t any;

  must(uv_loop_init(&loop) == 0);
  say("%s: %s", names[kind], steps);
  init(&any, kind);
  ask("init", &any);
  for (; *steps != '\0'; steps++) {
    if (*steps == 's' && start(&any, kind, 3600000) == 0)
      ask("start", &any);
    if (*steps == 'x' && stop(&any, kind) == 0)
      ask("stop", &any);
    if (*steps == 'r') {
      uv_ref(&any.handle);
      ask("ref", &any);
    }
    if (*steps == 'u') {
      uv_unref(&any.handle);
      ask("unref", &any);
    }
    if (*steps == 'c') {
      uv_close(&any.handle, on_closed);
      ask("close", &any);
    }
    if (*steps == 't') {
      int more = uv_run(&loop, UV_RUN_NOWAIT) != 0;
      say("  turn returns %d", more);
    }
  }
  finish(&loop);
}


/* One referenced timer decides how long the others run. */
static void try_mixed(void) {
  any_t any[KINDS];
  uv_timer_t master;

  must(uv_loop_init(&loop) == 0);
  say("unreferenced ones run along while another keeps the loop:");
  for (int k = 0; k < KINDS; k++) {
    init(&any[k], (kind_t) k);
    must(start(&any[k], (kind_t) k, 0) == 0);
    uv_unref(&any[k].handle);
  }
  say("alive %d", uv_loop_alive(&loop) != 0);
  must(uv_timer_init(&loop, &master) == 0);
  master.data = (void*) (uintptr_t) "master";
  must(uv_timer_start(&master, on_timer, 0, 0) == 0);
  must(uv_async_send(&any[ASYNC].async) == 0);
  say("alive %d", uv_loop_alive(&loop) != 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);
}


static any_t self;

static void on_unref_self(uv_prepare_t* handle) {
  static int calls;

  say("  prepare runs for the %d. time", ++calls);
  if (calls == 3)
    uv_unref(base_of(handle));
  if (calls < 3)
    uv_async_send(&self.async);
}


static void try_unref_in_callback(void) {
  uv_prepare_t prepare;

  must(uv_loop_init(&loop) == 0);
  say("a handle lets go of the loop in its callback:");
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_prepare_start(&prepare, on_unref_self) == 0);
  init(&self, ASYNC);
  uv_unref(&self.handle);
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  say("alive %d", uv_loop_alive(&loop) != 0);
  finish(&loop);
}


/* An unreferenced timer still limits how long a referenced handle sleeps. */
static void try_unref_timer_wakes(void) {
  uv_timer_t wakes;
  uv_timer_t keeps;

  must(uv_loop_init(&loop) == 0);
  say("an unreferenced timer runs before the one that keeps the loop:");
  must(uv_timer_init(&loop, &wakes) == 0);
  must(uv_timer_init(&loop, &keeps) == 0);
  wakes.data = (void*) (uintptr_t) "unreferenced of 2 ms";
  keeps.data = (void*) (uintptr_t) "referenced of 6 ms";
  must(uv_timer_start(&keeps, on_timer, 6, 0) == 0);
  must(uv_timer_start(&wakes, on_timer, 2, 0) == 0);
  uv_unref(base_of(&wakes));
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  finish(&loop);
}


int main(void) {
  static const char* const plays[] = {
      "sxsxc",  "urursuxrsxc", "uuurrrsuurrxc", "sucrt",  "scurt",
      "surxsc", "ct",          "uct",           "stutrt", "usxrsc",
  };

  for (int k = 0; k < KINDS; k++) {
    for (size_t i = 0; i < COUNT_OF(plays); i++)
      play((kind_t) k, plays[i]);
  }
  try_mixed();
  try_unref_in_callback();
  try_unref_timer_wakes();
  return 0;
}
