/*
 * tests/compat/walks.c - uv_walk: who is shown, and in which order.
 *
 * Goal:   all handles in the order of their inits, active or not, closing ones
 *         too until their close callback; nothing of the loop's own; a callback
 *         may close and open handles, and walk.
 * Method: walk loops in many states, and say what comes.
 */
#include "tests/compat/say.h"

#define TIMERS 6

static uv_loop_t loop;
static uv_timer_t timers[TIMERS];
static const char* const names[TIMERS] = {"a", "b", "c", "d", "e", "f"};
static uv_prepare_t prepare;
static uv_check_t check;
static uv_idle_t idle;
static uv_async_t async;

static void on_walk(uv_handle_t* handle, void* arg) {
  int* count = arg;

  ++*count;
  say("  %s, a %s: active %d, closing %d", name_of(handle),
      uv_handle_type_name(handle->type), uv_is_active(handle) != 0,
      uv_is_closing(handle) != 0);
}


static void walk(const char* what) {
  int count = 0;

  say("%s:", what);
  uv_walk(&loop, on_walk, &count);
  say("  that makes %d", count);
}


static void on_timer(uv_timer_t* handle) {
  (void) handle;
}


static void on_prepare(uv_prepare_t* handle) {
  (void) handle;
  walk("from prepare");
}


static void on_async(uv_async_t* handle) {
  (void) handle;
}


static void open_timer(int i) {
  must(uv_timer_init(&loop, &timers[i]) == 0);
  timers[i].data = (void*) (uintptr_t) names[i];
}


static void on_closed_walk(uv_handle_t* handle) {
  say("%s: closed", name_of(handle));
  walk("from its close callback");
}


static void try_kinds(void) {
  must(uv_loop_init(&loop) == 0);
  walk("a new loop");
  must(uv_async_init(&loop, &async, on_async) == 0);
  open_timer(0);
  must(uv_idle_init(&loop, &idle) == 0);
  must(uv_prepare_init(&loop, &prepare) == 0);
  must(uv_check_init(&loop, &check) == 0);
  open_timer(1);
  async.data = (void*) (uintptr_t) "async";
  idle.data = (void*) (uintptr_t) "idle";
  prepare.data = (void*) (uintptr_t) "prepare";
  check.data = (void*) (uintptr_t) "check";
  must(uv_prepare_start(&prepare, on_prepare) == 0);
  must(uv_timer_start(&timers[1], on_timer, 3600000, 0) == 0);
  uv_unref(base_of(&timers[1]));
  walk("all kinds");
  walk("once more");
  uv_close(base_of(&timers[0]), on_closed_walk);
  uv_close(base_of(&check), on_closed_walk);
  walk("two are closing");
  say("uv_run returns %d", uv_run(&loop, UV_RUN_NOWAIT) != 0);
  walk("they are closed");
  must(uv_prepare_stop(&prepare) == 0);
  open_timer(0);
  walk("one is open again, at the end");
  finish(&loop);
}


static void on_walk_close(uv_handle_t* handle, void* arg) {
  (void) arg;
  say("  closes %s", name_of(handle));
  uv_close(handle, say_closed);
}


static void on_walk_open(uv_handle_t* handle, void* arg) {
  int* next = arg;

  say("  %s", name_of(handle));
  if (*next < TIMERS)
    open_timer((*next)++);
}


static void try_changes(void) {
  int next = 3;

  must(uv_loop_init(&loop) == 0);
  for (int i = 0; i < 3; i++)
    open_timer(i);
  say("each call opens one:");
  uv_walk(&loop, on_walk_open, &next);
  walk("then");
  uv_walk(&loop, on_walk_close, NULL);
  walk("all are closing");
  say("uv_run returns %d", uv_run(&loop, UV_RUN_DEFAULT) != 0);
  walk("none is left");
  finish(&loop);
}


static int depth;

static void on_walk_walk(uv_handle_t* handle, void* arg) {
  (void) arg;
  say("  depth %d: %s", depth, name_of(handle));
  if (depth == 2)
    return;
  depth++;
  uv_walk(&loop, on_walk_walk, NULL);
  depth--;
}


static void try_nested(void) {
  must(uv_loop_init(&loop) == 0);
  for (int i = 0; i < 4; i++)
    open_timer(i);
  say("walks within walks:");
  uv_walk(&loop, on_walk_walk, NULL);
  walk("then");
  finish(&loop);
}


/* A work under way is no handle. */
static void on_work(uv_work_t* req) {
  (void) req;
}


static void try_work(void) {
  uv_work_t work;

  must(uv_loop_init(&loop) == 0);
  must(uv_queue_work(&loop, &work, on_work, NULL) == 0);
  walk("with a work");
  finish(&loop);
}


int main(void) {
  try_kinds();
  try_changes();
  try_nested();
  try_work();
  return 0;
}
